"""`pinpipe check` finds what is wrong with a lake, and says where."""
import json
import pathlib
import shutil
import subprocess
import urllib.request

import pytest

ID = "124df56aef51"


@pytest.fixture(scope="module")
def lake(pinpipe, tmp_path_factory):
    """A data directory after a run of 60 posts, in objects of 20 records."""
    directory = tmp_path_factory.mktemp("check") / "data"
    subprocess.run([pinpipe, "run", "--dir", directory, "--posts", "60", "--flush-size", "20", "--format", "json"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=120)
    return directory


@pytest.fixture
def copy(lake, tmp_path):
    return pathlib.Path(shutil.copytree(lake, tmp_path / "data"))


def check(pinpipe, directory):
    done = subprocess.run([pinpipe, "check", "--dir", directory, "--format", "json"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def objects(directory, table="pin"):
    return sorted((directory / "lake" / "topics" / f"{ID}.{table}" / "partition=0").glob("*.json"))


def test_a_sound_lake(pinpipe, lake):
    status, output, trace = check(pinpipe, lake)
    assert status == 0, trace
    rows = {row["topic"]: row for row in json.loads(output)}
    assert rows[f"{ID}.pin"] == {"topic": f"{ID}.pin", "in_log": 60, "objects": 3, "lines": 60, "rows": 60, "dead": 0,
                                 "lost": 0, "behind": 0, "faults": 0}
    assert rows[f"streaming-{ID}-user"]["rows"] == 60
    assert trace.endswith("; every offset is in the lake once\n")


def test_letters_of_a_commit_under_way(pinpipe, copy):
    """Batch puts its dead letters before the commit that covers them, which may come later or never."""
    topic = f"{ID}.pin"
    shutil.rmtree(copy / "lake" / "tables" / f"{ID}_pin_clean")
    directory = copy / "lake" / "dlq" / topic / "partition=0"
    directory.mkdir(parents=True)
    letter = {"topic": topic, "partition": "0", "offset": f"{5:020}", "stage": "batch", "reason": "test",
              "timestamp_ms": 1, "value": None}
    (directory / f"{topic}+0+{5:010}.ndjson").write_text(json.dumps(letter) + "\n")
    status, output, trace = check(pinpipe, copy)
    assert status == 0, trace
    row = {row["topic"]: row for row in json.loads(output)}[topic]
    assert (row["dead"], row["behind"]) == (1, 60)
    assert "60 are not in a table yet" in trace


def test_letters_of_the_sink(pinpipe, copy):
    """A record that is a dead letter of the sink and in an object, and one after what no object has."""
    topic = f"{ID}.pin"
    directory = copy / "lake" / "dlq" / topic / "partition=0"
    directory.mkdir(parents=True)
    for offset in (58, 70):
        letter = {"topic": topic, "partition": "0", "offset": f"{offset:020}", "stage": "sink", "reason": "test",
                  "timestamp_ms": 1, "value": None}
        path = directory / f"{topic}+0+{offset:010}.ndjson"
        path.write_text(json.dumps(letter) + "\n")
        status, _, trace = check(pinpipe, copy)
        assert status == 1
        assert ("offset 58 is a dead letter and in an object" if offset == 58
                else "offsets 60 to 69 are in no object") in trace
        path.unlink()


def test_an_object_that_is_gone(pinpipe, copy):
    objects(copy)[1].unlink()
    status, _, trace = check(pinpipe, copy)
    assert status == 1
    assert "offsets 20 to 39 are in no object" in trace


def test_the_last_object_is_gone(pinpipe, copy):
    objects(copy)[2].unlink()
    status, _, trace = check(pinpipe, copy)
    assert status == 1
    assert "offsets 40 to 59 are in the table, but in no object" in trace


def test_a_line_twice(pinpipe, copy):
    first = objects(copy, "geo")[0]
    first.write_bytes(first.read_bytes() + first.read_bytes().splitlines(keepends=True)[0])
    status, _, trace = check(pinpipe, copy)
    assert status == 1
    assert "offsets from 20 on are in two places" in trace


def test_rows_that_the_table_only_says_it_has(pinpipe, copy):
    """The data files are dropped from the log of a streaming table, its progress is not."""
    root = copy / "lake" / "tables" / f"{ID}_user_table"
    for path in root.glob("_delta_log/*.json"):
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '"add"' not in line))
    status, _, trace = check(pinpipe, copy)
    assert status == 1
    assert "the tables say that offsets up to" in trace


def test_a_file_added_twice(pinpipe, copy):
    root = copy / "lake" / "tables" / f"{ID}_pin_table"
    log = sorted(root.glob("_delta_log/*.json"))
    add = next(line for path in log for line in path.read_text().splitlines() if '"add"' in line)
    action = json.loads(add)
    shutil.copy(root / action["add"]["path"], root / "part-again.parquet")
    action["add"]["path"] = "part-again.parquet"
    (root / "_delta_log" / f"{len(log):020d}.json").write_text(json.dumps(action) + "\n")
    status, _, trace = check(pinpipe, copy)
    assert status == 1
    assert "more than once in the table" in trace


def test_a_flipped_bit_in_the_log(pinpipe, copy):
    value = b'"unique_id":"'
    for segment in sorted((copy / "log").glob("*.segment")):
        text = bytearray(segment.read_bytes())
        at = text.find(value)
        if at >= 0:
            text[at + len(value)] ^= 1
            segment.write_bytes(text)
            break
    else:
        pytest.fail("no record in the log")
    status, _, trace = check(pinpipe, copy)
    assert status == 1
    assert "pinpipe check:" in trace and "damage" in trace.lower()


def test_a_directory_that_is_not_there(pinpipe, tmp_path):
    """What only looks makes nothing: a mistyped name is told."""
    for words in (["check"], ["cat", f"{ID}.pin"], ["topics"], ["topics", "describe", f"{ID}.pin"]):
        done = subprocess.run([pinpipe, *words, "--dir", tmp_path / "typo"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, words
        assert f'there is no pinpipe data in "{tmp_path}/typo"' in done.stderr, words
        assert not (tmp_path / "typo").exists(), words


@pytest.fixture
def add(start_gateway, data_dir):
    """add(first, count): posts rows through a gateway, as the HTTP clients do."""
    def add_it(first, count, path="topics", table="geo"):
        gateway = start_gateway()
        for ind in range(first, first + count):
            row = {"ind": ind, "country": "Albania"}
            if path == "topics":
                send(f"{gateway.url}/topics/{ID}.{table}", "POST", "application/vnd.kafka.json.v2+json",
                     {"records": [{"value": row}]})
            else:
                send(f"{gateway.url}/streams/streaming-{ID}-{table}/record", "PUT", "application/json",
                     {"Data": row, "PartitionKey": "p"})
        gateway.stop()
    return add_it


def send(url, method, kind, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def land(run, directory, *steps):
    for step in steps or ("sink", "batch"):
        run(*step.split(), *(["--until-end"] if step != "batch" else []), "--dir", directory)


def counts(pinpipe, directory, topic):
    status, output, trace = check(pinpipe, directory)
    assert status == 0, trace
    return {row["topic"]: row for row in json.loads(output)}[topic], trace


def remove_topic(run, directory, name):
    run("topics", "delete", name, "--dir", directory)


def test_a_topic_that_was_removed_before_it_had_landed(pinpipe, run, data_dir, add):
    """Its offsets go on; what nobody has any more is no fault of the lake."""
    add(0, 10)
    remove_topic(run, data_dir, f"{ID}.geo")
    add(10, 5)
    land(run, data_dir)
    row, _ = counts(pinpipe, data_dir, f"{ID}.geo")
    assert (row["rows"], row["lines"], row["behind"], row["faults"]) == (5, 5, 0, 0)


def test_a_topic_that_was_removed_while_it_landed(pinpipe, run, data_dir, add):
    """Batch goes on behind the gap, which is told once, as a letter."""
    add(0, 5)
    land(run, data_dir)
    add(5, 5)
    remove_topic(run, data_dir, f"{ID}.geo")
    add(10, 5)
    land(run, data_dir)
    row, trace = counts(pinpipe, data_dir, f"{ID}.geo")
    assert (row["rows"], row["lines"], row["lost"], row["faults"]) == (10, 10, 5, 0)
    assert "5 are lost, as dead letters tell" in trace
    assert len(list((data_dir / "lake" / "dlq" / f"{ID}.geo").rglob("*.ndjson"))) == 1


def test_the_newest_object_removed_and_landed_again(pinpipe, run, data_dir, add):
    """It ends elsewhere then; the batch begins with whatever object has the next offset."""
    for first, count in ((1, 3), (4, 1)):
        add(first, count)
        land(run, data_dir)
    objects(data_dir, "geo")[-1].unlink()
    for first in (5, 6):
        add(first, 1)
        land(run, data_dir)
    row, _ = counts(pinpipe, data_dir, f"{ID}.geo")
    assert (row["rows"], row["lines"], row["lost"], row["behind"]) == (6, 6, 0, 0)


@pytest.mark.parametrize("again", [12, 2], ids=["others", "the same"])
@pytest.mark.parametrize("path, steps", [("topics", ("sink", "batch")), ("streams", ("stream",))])
def test_a_log_that_was_put_back_and_written_on(pinpipe, run, data_dir, add, path, steps, again):
    """What it says then at the offsets that are done is not what the lake has of them, though it may look like it."""
    add(1, 1, path=path)
    land(run, data_dir, *steps)
    shutil.copytree(data_dir / "log", data_dir.parent / "old")
    add(2, 2, path=path)
    land(run, data_dir, *steps)
    shutil.rmtree(data_dir / "log")
    shutil.copytree(data_dir.parent / "old", data_dir / "log")
    add(again, 3, path=path)
    status, _, trace = check(pinpipe, data_dir)
    assert status == 1
    assert "one of them is of another history" in trace


def test_a_log_that_was_put_back_is_behind_the_lake(pinpipe, run, data_dir, add):
    add(1, 1)
    shutil.copytree(data_dir / "log", data_dir.parent / "old")
    add(2, 2)
    land(run, data_dir)
    shutil.rmtree(data_dir / "log")
    shutil.copytree(data_dir.parent / "old", data_dir / "log")
    status, _, trace = check(pinpipe, data_dir)
    assert status == 1
    assert "the lake holds records that were never in this log" in trace


def test_a_letter_for_a_range_counts_as_that(pinpipe, copy):
    """The sink told that it could not have the next 25, in two objects: it and another were at work."""
    topic = f"{ID}.pin"
    directory = copy / "lake" / "dlq" / topic / "partition=0"
    directory.mkdir(parents=True)
    letter = {"topic": topic, "partition": "0", "offset": f"{60:020}", "last": f"{84:020}", "stage": "sink",
              "reason": "retention", "timestamp_ms": 0, "value": None}
    for upto in (84, 90):
        (directory / f"{59:020}-{upto:020}.ndjson").write_text(json.dumps(letter) + "\n")
    _, output, trace = check(pinpipe, copy)
    row = {row["topic"]: row for row in json.loads(output or "[]")}.get(topic)
    assert "never in this log" in trace, (row, trace)  # nor can it have, since the log ends at 60
    assert "in no object" not in trace and "two places" not in trace
