"""Small files become few: by hand, by the process that does it all the time, and beside who writes."""

import json
import os
import time

import pytest

from conftest import Gateway, wait_until
from small_files import MANY, Table, optimize, post, rows, stream


@pytest.fixture
def table(data_dir):
    return Table(data_dir)


@pytest.fixture
def posted(run, start_gateway, data_dir):
    """A gateway, after thirty records that stand in a file each."""
    gateway = start_gateway("--shards", 2)
    post(gateway, 30)
    stream(run, data_dir)
    return gateway


def test_few_files_of_the_same_rows(run, posted, data_dir, table):
    """Both versions can be read, and the stream goes on where it was."""
    before, old = rows(run, data_dir), table.versions()
    assert len(before) == 30 and len(table.live()) == 30
    done = optimize(run, data_dir)
    assert [(row["table"], row["path"], row["files_before"], row["files_after"], row["commits"]) for row in done
            if row["table"] == "user"] == [("user", "stream", 30, 1, 1)]
    assert rows(run, data_dir) == before
    assert len(table.live()) == 1 and table.operations()[-1] == "OPTIMIZE"
    assert all((table.root / path).stat().st_size == size
               for path, size in (table.live(old) | table.live()).items())
    run("check", "--dir", data_dir)
    post(posted, 5, start=30)
    stream(run, data_dir)
    assert len(rows(run, data_dir)) == 35
    run("check", "--dir", data_dir)


def test_nothing_changes_for_who_follows_the_table(run, posted, data_dir, table):
    optimize(run, data_dir, "user", "--from", "stream")
    actions = table.actions(table.versions()[-1])
    assert {name for action in actions for name in action} == {"commitInfo", "add", "remove"}
    assert not any(action[name]["dataChange"] for action in actions for name in action if name != "commitInfo")
    stats = next(json.loads(action["add"]["stats"]) for action in actions if "add" in action)
    assert stats["numRecords"] == 30 and (stats["minValues"]["ind"], stats["maxValues"]["ind"]) == (0, 29)


def test_again_there_is_nothing_to_do(run, posted, data_dir, table):
    optimize(run, data_dir)
    count = len(table.versions())
    assert all(row["commits"] == 0 for row in optimize(run, data_dir))
    assert len(table.versions()) == count


def test_one_path_and_named_tables(run, posted, data_dir, table):
    assert optimize(run, data_dir, "user", "--from", "batch") == []
    assert [(row["table"], row["files_after"]) for row in optimize(run, data_dir, "pin")] == [("pin", 0)]
    assert len(table.live()) == 30
    failed = optimize(run, data_dir, "usr", status=2)
    assert 'no clean model "usr"' in failed.stderr


def test_a_table_of_a_type_that_is_not_written(run, posted, data_dir, table):
    """It is named and left as it is."""
    metadata = next(action for action in table.actions(table.versions()[0]) if "metaData" in action)
    schema = json.loads(metadata["metaData"]["schemaString"])
    schema["fields"].append({"name": "day", "type": "date", "nullable": True, "metadata": {}})
    metadata["metaData"]["schemaString"] = json.dumps(schema)
    table.put(metadata)
    failed = optimize(run, data_dir, status=1)
    assert 'column "day" is "date", which is not written here' in failed.stderr and "user_table" in failed.stderr
    assert len(table.live()) == 30


def test_a_file_that_is_gone(run, posted, data_dir, table):
    (table.root / next(iter(table.live()))).unlink()
    failed = optimize(run, data_dir, status=None)
    assert failed.returncode != 0 and "parquet" in failed.stderr
    assert len(table.live()) == 30


def test_it_happens_by_itself_beside_the_stream(run, start, start_gateway, data_dir, table):
    """A merge is a commit between those of the stream, which is not disturbed by it."""
    gateway = start_gateway("--shards", 2)
    post(gateway, 1)
    words = ["--dir", data_dir]
    streaming = start("stream", *words, "--stream-age", "1ms", env=MANY)
    maintain = start("maintain", *words, "--maintain-every", "10ms")
    for first in range(1, 81, 20):
        post(gateway, 20, start=first)
        wait_until(lambda: first + 20 <= sum(name == "STREAMING UPDATE" for name in table.operations()) * 20,
                   "commits of the stream")
    wait_until(lambda: len(rows(run, data_dir)) == 81, "all rows")
    wait_until(lambda: len(table.live()) <= 10, "few files")
    streaming.stop()
    maintain.stop()
    assert table.operations().count("OPTIMIZE") > 1
    assert [row["ind"] for row in rows(run, data_dir)] == list(range(81))
    run("check", *words)


def test_a_table_at_rest_has_its_checkpoint(start, posted, data_dir, table):
    """Though it is too short for one while it grows."""
    start("maintain", "--dir", data_dir)
    last = table.root / "_delta_log" / "_last_checkpoint"
    wait_until(lambda: last.exists() and json.loads(last.read_text())["version"] == len(table.versions()) - 1 > 30,
               "a checkpoint of the newest version")


def test_one_that_fails_does_not_stop_the_others(run, start, posted, data_dir, table):
    """A table is merged while a file of another is gone, and that one is cleaned up all the same."""
    lost = table.root / next(iter(table.live()))
    aside = lost.rename(lost.with_suffix(".aside"))
    orphan = table.root / "part-orphan.parquet"
    orphan.write_bytes(b"x")
    os.utime(orphan, (time.time() - 7200,) * 2)
    other = Table(data_dir, "geo_table")
    post(posted, 20, table="geo")
    stream(run, data_dir)
    maintain = start("maintain", "--dir", data_dir, "--maintain-every", "10ms")
    wait_until(lambda: len(other.live()) < 10, "the other table's merge")
    wait_until(lambda: lost.name in maintain.said(), "what it says of the file that is gone")
    wait_until(lambda: not orphan.exists(), "the clean-up")
    assert len(table.live()) == 30
    aside.rename(lost)
    wait_until(lambda: len(table.live()) < 10, "the table that failed, once it can be read")
    maintain.stop()
    assert "it works again" in maintain.said()
    run("check", "--dir", data_dir)


def test_up_runs_it(run, start, data_dir, table):
    """And with maintain.every 0 it runs none."""
    up = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir, "--stream-age", "1ms", "--batch-every", "1h",
               env={**MANY, "PINPIPE_MAINTAIN_EVERY": "10ms"}, kind=Gateway)
    up.listen()
    post(up, 40)
    wait_until(lambda: sum(name == "STREAMING UPDATE" for name in table.operations()) >= 10
               and len(table.live()) < 20, "few files")
    wait_until(lambda: len(rows(run, data_dir)) == 40, "all rows")
    up.stop()
    assert "batch and maintain run on" in up.said()
    run("check", "--dir", data_dir)
    down = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir, "--maintain-every", "0", kind=Gateway)
    down.listen()
    down.stop()
    assert "stream and batch run on" in down.said()


def test_a_second_one_ends_at_once(run, start, posted, data_dir):
    start("maintain", "--dir", data_dir)
    wait_until(lambda: (data_dir / "maintain.lock").exists() and (data_dir / "maintain.lock").read_text(), "the lock")
    assert "maintain" in run("maintain", "--dir", data_dir, status=73).stderr
