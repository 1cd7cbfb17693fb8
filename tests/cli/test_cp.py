"""pinpipe cp: a lake at another place, byte for byte, whatever comes between."""

import gzip
import json
import os
import random
import threading

import pytest

from test_restore import landed_offsets, lose, put as put_record, restore, rows
from test_sink import PIN, emulate, post, sink

SEED = 16
VERSIONS, CHECKPOINTS = 25, (10, 20)


def files(lake):
    """{key: bytes}"""
    return {str(path.relative_to(lake)): path.read_bytes() for path in lake.rglob("*")
            if path.is_file() and ".tmp" not in path.parts}


def copy(run, source, target, *words, status=0, env=None):
    return run("cp", f"file:{source}", f"file:{target}", *words, status=status, env=env).stderr


def fake_table(lake, name="t", versions=VERSIONS, hint=20, checkpoints=CHECKPOINTS, file="part"):
    """A table whose commit v names one file; its checkpoints are as real to a copy as any."""
    root = lake / "tables" / name
    (root / "_delta_log").mkdir(parents=True, exist_ok=True)
    for version in range(versions):
        (root / f"{file}-{version}.parquet").write_bytes(f"rows of {version}".encode())
        (root / "_delta_log" / f"{version:020}.json").write_text(
            json.dumps({"add": {"path": f"{file}-{version}.parquet"}}) + "\n")
    for version in checkpoints:
        (root / "_delta_log" / f"{version:020}.checkpoint.parquet").write_text(f"all up to {version}")
    if hint:
        (root / "_delta_log" / "_last_checkpoint").write_text(json.dumps({"version": hint, "size": 1}))
    return root


def assert_readable(root):
    """What there is of a table is one of its versions: no commit without its file, none missing below another."""
    log = root / "_delta_log"
    commits = {int(path.stem) for path in log.glob("*.json") if "." not in path.stem} if log.is_dir() else set()
    checkpoints = {int(path.name[:20]) for path in log.glob("*.checkpoint.parquet")} if commits else set()
    for version in commits:
        for line in (log / f"{version:020}.json").read_text().splitlines():
            add = json.loads(line).get("add")
            assert not add or (root / add["path"]).exists(), f"commit {version} lacks its file"
    if 0 in commits or checkpoints:
        assert commits == set(range(max(commits) + 1))
    if (log / "_last_checkpoint").exists():
        assert json.loads((log / "_last_checkpoint").read_text())["version"] in checkpoints


def needs_failpoints(pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")


def test_a_copy_is_the_same(run, start_gateway, data_dir, tmp_path):
    gateway = start_gateway()
    emulate(run, gateway, 100)
    post(gateway, PIN, [b"no JSON"], "application/vnd.kafka.binary.v2+json")
    put_record(gateway, 1)
    sink(run, data_dir, "--flush-size", 9)
    run("batch", "--dir", data_dir)
    run("stream", "--until-end", "--dir", data_dir)
    lake, other = data_dir / "lake", tmp_path / "other"
    assert "would be copied" in copy(run, lake, other, "--dry-run") and not other.exists()
    copy(run, lake, other)
    assert files(other) == files(lake)
    run("check", "--dir", data_dir, "--lake", f"file:{other}")
    said = copy(run, lake, f"{other}/")
    assert f"0 objects, 0 bytes copied and read back; {len(files(lake))} were there" in said
    # The pipeline goes on with the copy, also without its log.
    gateway.stop()
    lose(data_dir)
    restore(run, data_dir, "--lake", f"file:{other}")
    gateway = start_gateway()
    post(gateway, PIN, [{"index": 1}])
    run("sink", "--until-end", "--dir", data_dir, "--lake", f"file:{other}")
    run("batch", "--dir", data_dir, "--lake", f"file:{other}")
    run("check", "--dir", data_dir, "--lake", f"file:{other}")
    # What is new in the one is all that is copied; results may change.
    assert "left alone" not in copy(run, other, lake)
    assert files(other) == files(lake)


def test_words_go_with_their_objects(run, tmp_path):
    lake, other = tmp_path / "lake", tmp_path / "other"
    (lake / "topics").mkdir(parents=True)
    (lake / "topics" / "a").write_bytes(b"a")
    try:
        os.setxattr(lake / "topics" / "a", "user.pinpipe", b"from=7\n")
    except OSError:
        pytest.skip("no attributes here")
    copy(run, lake, other)
    assert os.getxattr(other / "topics" / "a", "user.pinpipe") == b"from=7\n"
    os.setxattr(lake / "topics" / "a", "user.pinpipe", b"from=8\n")
    assert "are others" in copy(run, lake, other, status=1)
    copy(run, lake, other, "--replace")
    assert os.getxattr(other / "topics" / "a", "user.pinpipe") == b"from=8\n"


def test_what_is_there_and_is_another_is_not_touched(run, tmp_path):
    lake, other = tmp_path / "lake", tmp_path / "other"
    fake_table(lake)
    fake_table(other, versions=3, hint=10)
    (other / "tables/t/part-1.parquet").write_bytes(b"rows of 2")  # of the same length
    (other / "mine").write_bytes(b"mine")
    before = files(other)
    said = copy(run, lake, other, status=1)
    assert "part-1.parquet" in said and "--replace" in said
    assert files(other) == before
    said = copy(run, lake, other, "--replace")
    assert "1 of them in the place of others" in said or "2 of them" in said
    assert "1 that the source has not" in said
    assert files(other) == {**files(lake), "mine": b"mine"}
    (other / f"tables/t/_delta_log/{VERSIONS:020}.json").write_text("{}\n")
    for words in ((), ("--replace",)):
        assert "gone its own way" in copy(run, lake, other, *words, status=1)


def two_histories(lake, other):
    """The source's table, and one of its name that came nearly as far, with files of its own in its log."""
    fake_table(lake, versions=14, hint=None, checkpoints=())
    log = fake_table(other, versions=13, hint=10, checkpoints=(4, 10), file="own") / "_delta_log"
    (log / f"{3:020}.json").write_bytes((lake / f"tables/t/_delta_log/{3:020}.json").read_bytes())  # one is the same
    (other / "tables/t/part-3.parquet").write_bytes(b"rows of 3")
    (log / f"{11:020}.crc").write_text("of 11")
    (log / f"{0:020}.{5:020}.compacted.json").write_text("of 0 to 5")
    return log


def test_a_table_that_is_replaced_is_replaced_as_a_whole(run, tmp_path):
    """A checkpoint of its own would be read with the commits of the source."""
    lake, other = tmp_path / "lake", tmp_path / "other"
    log = two_histories(lake, other)
    (log / "mine").write_bytes(b"mine")
    before = files(other)
    assert "are others" in copy(run, lake, other, status=1)
    said = copy(run, lake, other, "--replace", "--dry-run")
    assert "5 objects of the logs of tables that are replaced would be removed" in said
    assert files(other) == before
    said = copy(run, lake, other, "--replace")
    assert "5 objects of the logs of tables that are replaced were removed" in said
    assert "12 of them in the place of others" in said and "14 that the source has not were left alone" in said
    own = {key: body for key, body in before.items() if "own-" in key}
    assert files(other) == {**files(lake), **own, "tables/t/_delta_log/mine": b"mine"}
    # What only the copy has of the same history is a part of it.
    checkpoint = log / f"{10:020}.checkpoint.parquet"
    checkpoint.write_text("all up to 10")
    copy(run, lake, other, "--replace")
    assert checkpoint.exists()
    # One of a version that the source has not is of another.
    (log / f"{20:020}.checkpoint.parquet").write_text("all up to 20")
    for words in ((), ("--replace",)):
        assert "gone its own way" in copy(run, lake, other, *words, status=1)


def test_a_table_is_replaced_from_its_end(run, pinpipe, tmp_path):
    """Cut anywhere there is a version of the old one, or of the new one, or none."""
    needs_failpoints(pinpipe)
    lake = tmp_path / "lake"
    removals = 18
    for point, at in [*(("copy-remove", at) for at in range(1, removals + 1)), ("copy-log", 1), ("copy-log", 9)]:
        other = tmp_path / f"other-{point}-{at}"
        log = two_histories(lake, other)
        old = files(log)
        copy(run, lake, other, "--replace", status=-9, env={"PINPIPE_FAILPOINTS": f"{point}:kill@{at}"})
        left = files(log)
        if point == "copy-remove":
            assert left.items() <= old.items() and len(left) == len(old) - at + 1
            assert_readable(other / "tables/t")
            # What says again what commits say is never left of more than they.
            assert at > 3 or f"{12:020}.json" in left
            assert at < 4 or not left.keys() & {"_last_checkpoint", f"{0:020}.{5:020}.compacted.json", f"{11:020}.crc"}
        copy(run, lake, other, "--replace")
        assert {key: body for key, body in files(log).items() if key in files(lake / "tables/t/_delta_log")} == \
            files(lake / "tables/t/_delta_log")
        assert_readable(other / "tables/t")


def put_raw(lake, objects, folder="partition=0", partition=0):
    """{start: lines}"""
    for start, lines in objects.items():
        path = lake / f"topics/{PIN}/{folder}/{PIN}+{partition}+{start:010}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{start + n}\n" for n in range(lines)))


def put_group(lake, first, lines, number=1, **words):
    """Its manifest, as the sink has it."""
    folder = lake / f"manifests/{PIN}/partition=0"
    folder.mkdir(parents=True, exist_ok=True)
    entry = {"key": f"topics/{PIN}/day=1/{PIN}+0+{first:010}.json", "lines": lines, "bytes": 2 * lines, "crc": "0" * 8}
    group = words or {"sides": [], "objects": [entry], "runs": [0, lines]}
    (folder / f"group+{first:020}{f'_{number}' if number > 1 else ''}.json").write_text(
        json.dumps({"after": None, **group}, separators=(",", ":")) + "\n")


@pytest.mark.parametrize("ours, theirs", [
    ({0: 2, 2: 2}, {0: 4}),
    ({0: 2, 2: 1, 3: 1}, {0: 2, 2: 2}),
    ({0: 2, 2: 2}, {0: 2}),
    ({0: 2, 5: 1, 10: 1}, {0: 2, 10: 1}),
    ({0: 2, 2: 3}, {4: 2}),
])
def test_raw_objects_that_would_count_twice(run, tmp_path, ours, theirs):
    """A partition of the copy that has gone its own way refuses the copy, whatever may be replaced."""
    lake, other = tmp_path / "lake", tmp_path / "other"
    put_raw(lake, theirs)
    put_raw(other, ours)
    before = files(other)
    for words in ((), ("--replace",), ("--replace", "--dry-run")):
        assert "gone its own way" in copy(run, lake, other, *words, status=1)
        assert files(other) == before


@pytest.mark.parametrize("last, refused", [(3, False), (4, True)])
def test_an_older_object_ends_where_its_manifest_says(run, tmp_path, last, refused):
    lake, other = tmp_path / "lake", tmp_path / "other"
    put_raw(lake, {4: 2})
    put_raw(other, {0: 2})
    manifest = other / f"manifests/{PIN}/partition=0/{0:020}+39162075.json"  # the CRC-32C of two lines
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"key": f"topics/{PIN}/partition=0/{PIN}+0+{0:010}.json", "after": None,
                                    "runs": [[f"{0:020}", 1], [f"{last:020}", 1]]}, separators=(",", ":")) + "\n")
    assert ("gone its own way" in copy(run, lake, other, status=1 if refused else 0)) == refused


@pytest.mark.parametrize("number", [1, 2])
def test_a_group_of_the_copys_own(run, tmp_path, number):
    """From it on the source's plain objects, or its own group, would not count any more."""
    lake, other = tmp_path / "lake", tmp_path / "other"
    put_raw(lake, {0: 2})
    put_raw(other, {0: 2})
    if number > 1:
        put_group(lake, 2, 3)
        put_group(other, 2, 3)
        put_raw(lake, {2: 3}, "day=1")
    put_group(other, 2, 1, number)
    for words in ((), ("--replace",)):
        assert "gone its own way" in copy(run, lake, other, *words, status=1)


def test_raw_objects_of_the_copy_that_do_no_harm(run, tmp_path):
    """Older ones that the source let go of, what no group names, what is empty, and what is of others."""
    lake, other = tmp_path / "lake", tmp_path / "other"
    put_raw(lake, {4: 2})
    put_group(lake, 6, 3)
    put_raw(lake, {6: 3}, "day=1")
    put_raw(other, {0: 2, 2: 2, 5: 0, 6: 1, 7: 1})
    put_raw(other, {0: 100}, "partition=1", 1)
    put_raw(other, {0: 100}, "generation=2/partition=0")
    put_group(other, 0, 1, plain=True)
    own = files(other)
    assert f"{len(own)} that the source has not were left alone" in copy(run, lake, other)
    assert files(other) == {**files(lake), **own}


def test_bars_give_way(run, tmp_path):
    """What bars a sink's way holds nothing: a copy that has it is brought up to date."""
    lake, other = tmp_path / "lake", tmp_path / "other"
    put_raw(lake, {0: 2, 2: 2})
    copy(run, lake, other)
    put_raw(other, {2: 0})
    for place, body in ((lake, b"2\n"), (other, b"")):
        (place / f"topics/{PIN}/partition=0/{PIN}+0+0000000004.json.gz").write_bytes(gzip.compress(body))
    copy(run, lake, other)
    assert files(other) == files(lake)
    put_raw(lake, {2: 0})
    assert "are others" in copy(run, lake, other, status=1)


def test_letters_that_the_source_has_not_any_more(run, start_gateway, data_dir, tmp_path):
    """A rebuild makes others in their place: the copy's would count twice."""
    gateway = start_gateway()
    post(gateway, PIN, [{"index": 1}, {"no": "pin"}, {"index": 2}])
    sink(run, data_dir)
    run("batch", "--dir", data_dir)
    lake, other = data_dir / "lake", tmp_path / "other"
    copy(run, lake, other)
    (letter,) = (lake / "dlq").rglob("*.ndjson")
    letter.rename(letter.with_name(letter.name.replace("none-", "00000000000000000000-")))
    said = copy(run, lake, other)
    assert "--replace removes them" in said and len(list((other / "dlq").rglob("*.ndjson"))) == 2
    (other / "dlq" / "mine").write_text("mine")
    assert "1 objects of dead letters" in copy(run, lake, other, "--replace")
    assert files(other) == {**files(lake), "dlq/mine": b"mine"}


def test_what_is_refused(run, tmp_path):
    lake = tmp_path / "lake"
    fake_table(lake)
    (tmp_path / "link").symlink_to(lake)
    assert "one place" in copy(run, lake, lake, status=2)
    assert "one place" in copy(run, lake, tmp_path / "link", status=2)
    assert "one place" in copy(run, lake, lake / "tables", status=2)
    assert "one place" in copy(run, lake / "tables", lake, status=2)
    assert "no lake" in copy(run, tmp_path / "none", tmp_path / "other", status=1)
    assert not (tmp_path / "other").exists()
    run("cp", "lak", "file:other", status=2)
    run("cp", f"file:{lake}", status=2)


def test_a_hint_that_is_ahead_is_left_out(run, tmp_path):
    lake, other = tmp_path / "lake", tmp_path / "other"
    fake_table(lake, hint=30)
    copy(run, lake, other)
    assert not (other / "tables/t/_delta_log/_last_checkpoint").exists()
    assert_readable(other / "tables/t")


def test_cut_anywhere_it_is_readable_and_goes_on(run, pinpipe, tmp_path):
    needs_failpoints(pinpipe)
    lake = tmp_path / "lake"
    fake_table(lake)
    (lake / f"topics/{PIN}/partition=0").mkdir(parents=True)
    (lake / f"topics/{PIN}/partition=0/{PIN}+0+0000000000.json").write_text("1\n")
    whole = files(lake)
    chance = random.Random(SEED)
    for n, at in enumerate(chance.sample(range(1, len(whole)), 10)):
        other = tmp_path / f"other{n}"
        copy(run, lake, other, status=-9, env={"PINPIPE_FAILPOINTS": f"copy-put:kill@{at}"})
        there = files(other)
        assert len(there) < len(whole) and there.items() <= whole.items()
        assert_readable(other / "tables/t")
        copy(run, lake, other, status=None, env={"PINPIPE_FAILPOINTS": "copy-log:eio@7"})
        assert_readable(other / "tables/t")
        copy(run, lake, other)
        assert files(other) == whole


def test_commits_are_added_in_their_order(run, pinpipe, tmp_path):
    """A table that is there already stays readable while it gets what is new, checkpoints and all."""
    needs_failpoints(pinpipe)
    lake, older = tmp_path / "lake", tmp_path / "older"
    fake_table(older, versions=5)
    for path in (older / "tables/t/_delta_log").glob("*.checkpoint.parquet"):
        path.unlink()
    (older / "tables/t/_delta_log/_last_checkpoint").unlink()
    fake_table(lake)
    for at in range(1, 22, 4):
        other = tmp_path / f"other{at}"
        copy(run, older, other)
        copy(run, lake, other, status=-9, env={"PINPIPE_FAILPOINTS": f"copy-log:kill@{at}"})
        commits = {int(path.stem) for path in (other / "tables/t/_delta_log").glob("*.json")}
        assert commits == set(range(len(commits))) and 5 <= len(commits) <= VERSIONS
        copy(run, lake, other)
        assert files(other) == files(lake)


def test_an_object_that_cannot_be_put(run, pinpipe, tmp_path):
    needs_failpoints(pinpipe)
    lake = tmp_path / "lake"
    fake_table(lake)
    said = copy(run, lake, tmp_path / "other", status=75, env={"PINPIPE_FAILPOINTS": "copy-put:enospc@3"})
    assert "part-" in said


def test_a_lake_that_is_written_to_meanwhile(run, start, start_gateway, data_dir, tmp_path):
    """The copy is of one moment: what its tables have is in it, objects follow each other, and the check is clean."""
    gateway = start_gateway()
    ending = threading.Event()

    def keep_posting():
        n = 0
        while not ending.is_set():
            values = [json.dumps({"index": n + i}).encode() for i in range(20)]
            post(gateway, PIN, values + [b"no JSON"] * (n % 3 == 0), "application/vnd.kafka.binary.v2+json")
            put_record(gateway, n)
            n += 20

    def keep_cleaning():
        while not ending.is_set():
            run("batch", "--dir", data_dir)

    post(gateway, PIN, [{"index": -1}])
    sink(run, data_dir)
    run("batch", "--dir", data_dir)
    start("sink", "--dir", data_dir, "--flush-size", 7, "--flush-age", "5ms")
    start("stream", "--dir", data_dir)
    threads = [threading.Thread(target=work) for work in (keep_posting, keep_cleaning)]
    for thread in threads:
        thread.start()
    other = tmp_path / "other"
    try:
        for n in range(4):
            target = other if n % 2 else tmp_path / f"copy{n}"
            copy(run, data_dir / "lake", target)
            for root in (target / "tables").glob("*"):
                assert_readable(root)
            run("check", "--dir", data_dir, "--lake", f"file:{target}")
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert landed_offsets(data_dir, 0) and rows(run, data_dir) > 0


def test_places_are_paths_as_people_write_them(run, tmp_path):
    lake = tmp_path / "data" / "lake"
    fake_table(lake)
    for source, target in (("data/lake", "./one"), ("./data/lake/", tmp_path / "two"), (lake, "file:three")):
        run("cp", source, target)
    assert files(lake) == files(tmp_path / "one") == files(tmp_path / "two") == files(tmp_path / "three")
    assert "one place, or one is in the other" in run("cp", "data/lake", f"file:{lake}/tables", status=2).stderr
    assert "is no place for objects" in run("cp", "data/lake", "four", status=2).stderr  # a name may be misspelt
    assert 'there is no lake at "./lak"' in run("cp", "./lak", "./four", status=1).stderr
    assert not (tmp_path / "four").exists()


def test_where_nothing_is_there_is_no_lake(run, tmp_path):
    (tmp_path / "empty").mkdir()
    said = copy(run, tmp_path / "empty", tmp_path / "copy", status=1)
    assert f'there is no lake at "file:{tmp_path}/empty": no object is there' in said
    assert not (tmp_path / "copy").exists()
