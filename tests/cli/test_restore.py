"""pinpipe restore --from-lake: a log made anew of what the lake has, and everything goes on in it."""

import json
import shutil
import urllib.request

import pytest

from test_sink import BINARY, ID, PIN, TABLES, emulate, landed, objects, post, sink
from test_sink_history import letters, remove_topic

STREAM = f"streaming-{ID}-pin"


def restore(run, directory, *words, status=0):
    """What it says: {name: row}."""
    done = run("restore", "--from-lake", "--format", "json", "--dir", directory, *words, status=status)
    return {row["name"]: row for row in json.loads(done.stdout)} if status == 0 else done.stderr


def lose(directory):
    """The log, and nothing else."""
    shutil.rmtree(directory / "log")


def logged(run, directory, topic=PIN, status=0):
    """{(partition, offset): value} of a log."""
    lines = run("cat", topic, "--format", "json", "--dir", directory, status=status).stdout.splitlines()
    return {(int(row["partition"]), int(row["offset"])): row.get("value", row.get("value_base64"))
            for row in map(json.loads, lines)}


def put(gateway, number, shard=0):
    """One record into the stream; its sequence number."""
    body = {"Data": {"index": number, "title": "t"}, "PartitionKey": "p", "ExplicitHashKey": str(shard << 127)}
    request = urllib.request.Request(f"{gateway.url}/streams/{STREAM}/record", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"}, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return int(json.load(reply)["SequenceNumber"])


def work(run, directory, *words):
    """All that reads the log, to its end; then the check, which must find nothing."""
    counts = sink(run, directory, *words)
    run("batch", "--dir", directory)
    run("stream", "--until-end", "--dir", directory)
    run("check", "--dir", directory)
    return counts


def rows(run, directory, view="pin_all", source="batch"):
    said = run("sql", "--from", source, "--dir", directory, "--format", "csv", f"SELECT count(*) FROM {view}")
    return int(said.stdout.split()[-1])


def test_a_log_that_was_lost(run, start_gateway, data_dir):
    gateway = start_gateway("--partitions", 2, "--shards", 2)
    emulate(run, gateway, 150)
    values = [b'{"index": 1, "title": "a"}', b"no JSON", b'{"index": 2}', b"\xff", b"[1, 2.50]"]
    for partition in (0, 1):
        post(gateway, PIN, values, BINARY, partition=partition)
    numbers = [put(gateway, n, n % 2) for n in range(20)]
    work(run, data_dir, "--flush-size", 7)
    before = {name: logged(run, data_dir, f"{ID}.{name}") for name in TABLES}
    files = {path: path.read_bytes() for path in (data_dir / "lake").rglob("*") if path.is_file()}
    gateway.stop()
    lose(data_dir)

    planned = restore(run, data_dir, "--dry-run")
    assert planned[PIN]["objects"] > 0 and not (data_dir / "log").exists()
    made = restore(run, data_dir)
    assert (made[PIN]["records"], made[PIN]["letters"], made[PIN]["missing"]) == (160, 4, 0)
    assert made[STREAM]["partitions"] == 2
    assert {name: logged(run, data_dir, f"{ID}.{name}") for name in TABLES} == before
    assert files == {path: path.read_bytes() for path in (data_dir / "lake").rglob("*") if path.is_file()}
    assert not list(data_dir.glob("*.part"))
    run("check", "--dir", data_dir)

    lines = {p: len(landed_offsets(data_dir, p)) + 2 for p in (0, 1)}
    gateway = start_gateway("--partitions", 2, "--shards", 2)
    for partition in (0, 1):
        assert post(gateway, PIN, [{"index": 3}], partition=partition) == [lines[partition]]
    assert min(put(gateway, 90 + shard, shard) for shard in (0, 1)) > max(numbers)
    counts = work(run, data_dir)
    assert (counts["records"]["pin"], counts["missed"]) == (2, 0)
    assert rows(run, data_dir, source="stream") == 22
    assert len(logged(run, data_dir)) == 162


def landed_offsets(directory, partition):
    return [start + n for start, part in objects(directory, PIN, partition).items() for n in range(len(part))]


def test_what_is_refused(run, gateway, data_dir, tmp_path):
    post(gateway, PIN, ["a"])
    sink(run, data_dir)
    assert "--from-lake" in run("restore", "--dir", data_dir, status=2).stderr
    assert "a log in" in restore(run, data_dir, status=1)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no objects" in restore(run, tmp_path / "other", "--lake", f"file:{empty}", status=1)
    assert "no lake" in restore(run, tmp_path / "other", "--lake", f"file:{tmp_path}/none", status=1)
    assert not (tmp_path / "other" / "log").exists() and not (tmp_path / "other" / "log.part").exists()
    strange = tmp_path / "strange" / "log.part" / "mine"
    strange.mkdir(parents=True)
    assert "no restore has left" in restore(run, tmp_path / "strange", "--lake", f"file:{data_dir}/lake", status=1)
    assert strange.is_dir()


def test_what_nobody_has_is_a_gap(run, start_gateway, data_dir):
    """An object that is gone, and what letters say is lost: told by the log, and by nobody twice."""
    gateway = start_gateway()
    for first in (0, 3, 6):
        post(gateway, PIN, [{"index": n} for n in range(first, first + 3)])
        sink(run, data_dir)
    post(gateway, PIN, [{"index": 9}])
    gateway.stop()
    remove_topic(run, data_dir, PIN)
    gateway = start_gateway()
    post(gateway, PIN, [{"index": 10}])
    assert sink(run, data_dir)["missed"] == 1
    gateway.stop()
    (data_dir / f"lake/topics/{PIN}/partition=0/{PIN}+0+0000000003.json").unlink()
    lose(data_dir)
    # Of the topic as it was made anew the log has what it had; the rest was another's.
    assert restore(run, data_dir)[PIN]["records"] == 1
    assert list(logged(run, data_dir)) == [(0, 10)]
    run("check", "--dir", data_dir, status=1)  # of the object that is gone
    told = letters(run, data_dir, PIN)
    gateway = start_gateway()
    assert post(gateway, PIN, [{"index": 11}]) == [11]
    assert sink(run, data_dir)["missed"] == 0
    assert letters(run, data_dir, PIN) == told


def test_a_hole_in_the_lake(run, start_gateway, data_dir):
    gateway = start_gateway()
    for first in (0, 3, 6):
        post(gateway, PIN, [{"index": n} for n in range(first, first + 3)])
        sink(run, data_dir)
    gateway.stop()
    lose(data_dir)
    (data_dir / f"lake/topics/{PIN}/partition=0/{PIN}+0+0000000003.json").unlink()
    made = restore(run, data_dir)[PIN]
    assert (made["records"], made["missing"]) == (6, 3)
    assert [offset for _, offset in logged(run, data_dir, status=None)] == [0, 1, 2, 6, 7, 8]
    said = run("check", "--dir", data_dir, status=1)
    assert "lacks ordinals" not in said.stderr  # the log is as it should be; the lake is not
    # What was let go of at the beginning is no hole.
    lose(data_dir)
    (data_dir / f"lake/topics/{PIN}/partition=0/{PIN}+0+0000000000.json").unlink()
    made = restore(run, data_dir)[PIN]
    assert (made["records"], made["missing"]) == (3, 0)
    gateway = start_gateway()
    assert post(gateway, PIN, [{"index": 9}]) == [9]
    work(run, data_dir)


def test_it_goes_on_behind_what_the_tables_know(run, start_gateway, data_dir):
    """The newest object is gone, the table has its records: no offset is given twice."""
    gateway = start_gateway()
    for first in (0, 3):
        post(gateway, PIN, [{"index": n} for n in range(first, first + 3)])
        work(run, data_dir)
    gateway.stop()
    lose(data_dir)
    (data_dir / f"lake/topics/{PIN}/partition=0/{PIN}+0+0000000003.json").unlink()
    made = restore(run, data_dir)[PIN]
    assert (made["records"], made["missing"]) == (3, 3)
    gateway = start_gateway()
    assert post(gateway, PIN, [{"index": 6}]) == [6]
    sink(run, data_dir)
    assert letters(run, data_dir, PIN) == [(3, 5, "damaged in the log")]
    run("batch", "--dir", data_dir)
    assert rows(run, data_dir) == 7


def test_lives_of_the_log(run, start_gateway, data_dir):
    """Each gateway is another life: the newest records must be of theirs, or the sink would stop."""
    for n in range(4):
        gateway = start_gateway("--partitions", 3)
        post(gateway, PIN, [{"index": n}], partition=n % 3)
        sink(run, data_dir)
        gateway.stop()
    assert len(list((data_dir / "lake/manifests").rglob("lineage+*"))) > 3
    for n in range(3):
        lose(data_dir)
        assert restore(run, data_dir)[PIN]["records"] == 4 + n
        assert sink(run, data_dir)["records"]["pin"] == 0
        gateway = start_gateway("--partitions", 3)
        post(gateway, PIN, [{"index": 10 + n}], partition=n)
        assert work(run, data_dir)["records"]["pin"] == 1
        gateway.stop()


def test_the_lost_log_comes_back(run, start_gateway, data_dir):
    """Both were written on: neither takes what the other landed for its own."""
    gateway = start_gateway()
    post(gateway, PIN, ["same", "same"])
    sink(run, data_dir)
    gateway.stop()
    (data_dir / "log").rename(data_dir / "lost")
    restore(run, data_dir)
    gateway = start_gateway()
    post(gateway, PIN, ["same"])
    work(run, data_dir)
    gateway.stop()
    lose(data_dir)
    (data_dir / "lost").rename(data_dir / "log")
    gateway = start_gateway()
    post(gateway, PIN, ["same", "other"])
    assert "another pipeline" in run("sink", "--until-end", "--dir", data_dir, status=1).stderr
    assert landed(data_dir, PIN) == [b'"same"'] * 3


def test_partitions_without_a_record(run, start_gateway, data_dir):
    gateway = start_gateway("--partitions", 5)
    post(gateway, PIN, ["a"], partition=1)
    sink(run, data_dir)
    gateway.stop()
    lose(data_dir)
    assert restore(run, data_dir)[PIN]["partitions"] == 2
    lose(data_dir)
    assert restore(run, data_dir, "--partitions", 5)[PIN]["partitions"] == 5
    gateway = start_gateway()
    assert post(gateway, PIN, ["b"], partition=4) == [0]
    work(run, data_dir)


def test_a_second_generation(run, start_gateway, data_dir):
    """Of a topic whose offsets began again: the newest is the log's."""
    gateway = start_gateway()
    post(gateway, PIN, ["a", "b", "c"])
    sink(run, data_dir)
    gateway.stop()
    lose(data_dir)
    gateway = start_gateway()
    post(gateway, PIN, ["d", "e"])
    sink(run, data_dir, "--new-history", "continue")
    gateway.stop()
    lose(data_dir)
    assert restore(run, data_dir)[PIN]["records"] == 2
    assert list(logged(run, data_dir).values()) == ["d", "e"]
    gateway = start_gateway()
    assert post(gateway, PIN, ["f"]) == [2]
    assert sink(run, data_dir)["records"]["pin"] == 1
    assert (data_dir / f"lake/topics/{PIN}/generation=2/partition=0/{PIN}+0+0000000002.json").exists()


def test_an_object_that_was_cut(run, gateway, data_dir, tmp_path):
    post(gateway, PIN, ["a", "b"])
    sink(run, data_dir)
    (path,) = (data_dir / f"lake/topics/{PIN}/partition=0").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    said = restore(run, tmp_path / "new", "--lake", f"file:{data_dir}/lake", status=1)
    assert "does not end with a line end" in said and path.name in said
    assert not (tmp_path / "new" / "log.part").exists()


@pytest.mark.parametrize("action", ["remake-written:kill@1", "remake-named:kill@1", "remake-written:eio@1",
                                    "remake-written:enospc@1"])
def test_one_that_was_killed_is_begun_anew(run, pinpipe, gateway, data_dir, tmp_path, action):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    post(gateway, PIN, [{"index": n} for n in range(10)])
    sink(run, data_dir)
    new, lake = tmp_path / "new", f"file:{data_dir}/lake"
    words = ("restore", "--from-lake", "--dir", new, "--lake", lake)
    failed = run(*words, status=None, env={"PINPIPE_FAILPOINTS": action})
    assert failed.returncode == (-9 if "kill" in action else 74 if "eio" in action else 75)
    assert not (new / "log").exists() and (new / "log.part").exists() == ("kill" in action)
    run(*words)
    assert [path.name for path in new.glob("log*")] == ["log"]
    assert len(logged(run, new)) == 10


def test_times_of_letters_and_of_the_rest(run, start_gateway, data_dir):
    """A letter keeps its record's time; an object keeps none, and gets that of the restore."""
    def times():
        lines = run("cat", PIN, "--format", "json", "--dir", data_dir).stdout.splitlines()
        return [json.loads(line)["timestamp_ms"] for line in lines]

    gateway = start_gateway()
    post(gateway, PIN, [b"no JSON", b"{}"], BINARY)
    sink(run, data_dir)
    gateway.stop()
    letter, line = times()
    lose(data_dir)
    restore(run, data_dir)
    assert times()[0] == letter and times()[1] > line


GROUPED = """
sink:
  flush.size: 5
  path.format: "'day'=dd"
  partition.duration.ms: 86400000
  timestamp.extractor: RecordField
  timestamp.field: t
  s3.compression.type: gzip
  store.kafka.keys: true
  store.kafka.headers: true
"""


def test_layouts_of_groups(run, start_gateway, data_dir, tmp_path):
    """Time buckets, packed, with keys beside them: the log has all in its order, and the sink goes on."""
    gateway = start_gateway()
    post(gateway, PIN, [{"index": 0}])
    sink(run, data_dir)  # a plain one before
    (tmp_path / "pinpipe.yaml").write_text(GROUPED)
    day = 86_400_000
    values = [{"index": n, "t": 1_700_000_000_000 + n * 7 % 5 * day} for n in range(1, 60)]
    for at in range(0, len(values), 10):
        post(gateway, PIN, values[at:at + 10], key=f"k{at}")
        post(gateway, PIN, [{"index": "no time"}])
        sink(run, data_dir)
    assert list((data_dir / "lake").rglob("*.keys.json.gz"))
    run("batch", "--dir", data_dir)
    whole = run("cat", PIN, "--format", "json", "--dir", data_dir).stdout.splitlines()
    gateway.stop()
    lose(data_dir)
    made = restore(run, data_dir)[PIN]
    assert (made["records"], made["letters"], made["missing"]) == (66, 6, 0)

    def without_time(lines):
        return [{k: v for k, v in json.loads(line).items() if k != "timestamp_ms"} for line in lines]

    again = run("cat", PIN, "--format", "json", "--dir", data_dir).stdout.splitlines()
    plain = [row for row in without_time(whole) if row["value"].get("t")]
    assert [row for row in without_time(again) if row["value"].get("t")] == plain
    assert plain[0]["key"] and len(again) == len(whole)
    gateway = start_gateway()
    assert post(gateway, PIN, values[:3]) == [66, 67, 68]
    assert work(run, data_dir)["records"]["pin"] == 3


def test_killed_at_every_piece_that_is_written(run, pinpipe, tmp_path):
    """A lake of a few pieces and segments, made by hand: after each kill the same command makes the whole log."""
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    where = tmp_path / f"lake/topics/{PIN}/partition=0"
    where.mkdir(parents=True)
    lines = 200
    for first in range(0, 60 * lines, lines):
        text = "".join('{"n":%d,"text":"%s"}\n' % (n, "x" * 1000) for n in range(first, first + lines))
        (where / f"{PIN}+0+{first:010}.json").write_text(text)
    new = tmp_path / "new"
    words = ("restore", "--from-lake", "--dir", new, "--lake", f"file:{tmp_path}/lake")
    config = {"PINPIPE_LOG_SEGMENT_BYTES": "5MiB"}
    kills = 0
    for at in range(1, 20):
        killed = run(*words, status=None, env={"PINPIPE_FAILPOINTS": f"remake-written:kill@{at}", **config})
        if killed.returncode == 0:
            break
        assert killed.returncode == -9 and not (new / "log").exists()
        kills += 1
    assert kills >= 3 and killed.returncode == 0
    numbers = [value["n"] for value in logged(run, new).values()]
    assert numbers == list(range(60 * lines))
    assert len(list((new / "log").glob("*.segment"))) >= 3
    run("check", "--dir", new, "--lake", f"file:{tmp_path}/lake")


def test_objects_that_nothing_tells_the_offsets_of(run, start_gateway, data_dir):
    """A connector's, in folders of times: their records are not to be had, their offsets are used up."""
    for folder, start, lines in (("year=2023", 0, 3), ("year=2024", 1, 2)):
        path = data_dir / f"lake/topics/{PIN}/{folder}/{PIN}+0+{start:010}.json"
        path.parent.mkdir(parents=True)
        path.write_text("".join('{"index":%d}\n' % n for n in range(lines)))
    made = restore(run, data_dir)[PIN]
    assert (made["records"], made["missing"]) == (0, 0)
    gateway = start_gateway()
    assert post(gateway, PIN, [{"index": 9}]) == [5]
    assert sink(run, data_dir)["records"]["pin"] == 1
    run("batch", "--dir", data_dir)
    assert rows(run, data_dir) == 1


def test_a_table_of_another_program(run, gateway, data_dir, tmp_path):
    """One that asks for a newer reader says nothing of ours, and keeps nobody from restoring."""
    post(gateway, PIN, [{"index": 1}])
    sink(run, data_dir)
    log = data_dir / "lake/tables/theirs/_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text(
        '{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"],"writerFeatures":["x"]}}\n'
        '{"metaData":{"id":"i","format":{"provider":"parquet","options":{}},"partitionColumns":[],"configuration":{},'
        '"schemaString":"{\\"type\\":\\"struct\\",\\"fields\\":[]}"}}\n')
    done = run("restore", "--from-lake", "--dir", tmp_path / "new", "--lake", f"file:{data_dir}/lake")
    assert "tables/theirs" in done.stderr and "passed over" in done.stderr
    assert len(logged(run, tmp_path / "new")) == 1
