"""`pinpipe check` finds what is wrong with a lake, and says where."""
import json
import pathlib
import shutil
import subprocess

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
                                 "behind": 0, "faults": 0}
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
    assert "the tables say that offsets up to 59 are done" in trace


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
