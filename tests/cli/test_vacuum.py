"""pinpipe vacuum: what the tables do not need any more goes, while others work on them, and nothing else."""

import json
import os
import pathlib
import re
import signal
import time

import pytest

from conftest import wait_until
from screen import Screen
from test_sink import ID, emulate, sink

HOUR_S = 3600
COMMITS = 35  # of a table: more than one checkpoint
OFTEN = {"PINPIPE_TABLE_CHECKPOINT_COMMITS": "5"}  # a stream waits for three times as many


def root_of(data_dir, name="pin_table"):
    return next((data_dir / "lake" / "tables").glob(f"*_{name}"))


def versions(data_dir, kind="json"):
    log = root_of(data_dir) / "_delta_log"
    return sorted(int(path.name[:20]) for path in log.glob(f"0*.{kind}"))


def newest(data_dir):
    """-1: the stream has not made the table yet."""
    return max((int(path.name[:20]) for path in (data_dir / "lake").glob("tables/*_pin_table/_delta_log/0*.json")),
               default=-1)


def age(directory, hours=2):
    """All that is there now is so much older."""
    then = time.time() - hours * HOUR_S
    for path in directory.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def vacuum(run, data_dir, *words, status=0):
    return json.loads(run("vacuum", *words, "--dir", data_dir, "--format", "json", status=status).stdout)


def removed(answer):
    return sum(row["files_removed"] + row["log_removed"] for row in answer)


def rows(run, data_dir):
    """Of the streaming table, each record once, or the check fails."""
    answer = json.loads(run("check", "--dir", data_dir, "--format", "json").stdout)
    return next(row["rows"] for row in answer if row["topic"] == f"streaming-{ID}-pin")


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture(name="busy")
def fixture_busy(run, gateway, start, data_dir):
    """busy(n): a stream that runs has committed n times more; gives how many posts that took so far."""
    start("stream", "--dir", data_dir, "--stream-age", "1ms", env=OFTEN)
    posts = 0

    def commit(count):
        nonlocal posts
        goal = newest(data_dir) + count
        while newest(data_dir) < goal:
            run("emulate", "--streaming", "--posts", 50, "--rate", 50, "--streaming-url", gateway.url)
            posts += 50
        wait_until(lambda: rows(run, data_dir) == posts, "all rows")
        return posts
    return commit


def test_nothing_that_is_young_goes(run, gateway, data_dir):
    emulate(run, gateway, 30)
    sink(run, data_dir)
    run("batch", "--dir", data_dir)
    orphan = root_of(data_dir, "pin_clean") / "part-orphan.parquet"
    orphan.write_bytes(b"a crash left it")
    assert removed(vacuum(run, data_dir)) == 0
    age(data_dir / "lake" / "tables", hours=24)  # tables of batch keep it for a week
    assert removed(vacuum(run, data_dir)) == 0
    age(data_dir / "lake" / "tables", hours=8 * 24)
    assert removed(vacuum(run, data_dir)) == 1 and not orphan.exists()
    run("check", "--dir", data_dir)


def test_a_stream_that_runs(run, data_dir, busy):
    posts = busy(COMMITS)
    root = root_of(data_dir)
    for name in ("part-orphan.parquet", "_temporary/0/part.parquet", ".spark/part.parquet", "notes.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"1234567")
    assert removed(vacuum(run, data_dir)) == 0
    age(data_dir / "lake" / "tables")
    would = vacuum(run, data_dir, "pin", "--dry-run")
    assert versions(data_dir)[0] == 0 and (root / "part-orphan.parquet").exists()
    (done,) = vacuum(run, data_dir, "pin", "--from", "stream")
    assert len(would) == done["files_removed"] + done["log_removed"]
    assert sum(row["bytes"] for row in would) == done["bytes_removed"] + done["log_bytes_removed"]
    assert done["files_removed"] == 1 and done["log_removed"] > 10
    assert {row["path"] for row in would} == {"stream"}
    assert not (root / "part-orphan.parquet").exists() and (root / "notes.txt").exists()
    assert (root / "_temporary/0/part.parquet").exists() and (root / ".spark/part.parquet").exists()
    assert versions(data_dir)[0] == versions(data_dir, "checkpoint.parquet")[0] > 0
    assert rows(run, data_dir) == posts
    assert busy(5) == rows(run, data_dir) > posts
    assert versions(data_dir) == list(range(versions(data_dir)[0], versions(data_dir)[-1] + 1))


def test_what_a_rebuild_replaced_stays_as_long_as_files_are_kept(run, gateway, data_dir):
    run("emulate", "--streaming", "--posts", 20, "--rate", "max", "--streaming-url", gateway.url)
    run("stream", "--until-end", "--dir", data_dir)
    before = set(root_of(data_dir).glob("*.parquet"))
    run("rebuild", "pin", "--from", "stream", "--dir", data_dir)
    age(data_dir / "lake" / "tables")
    assert removed(vacuum(run, data_dir)) == 0 and before <= set(root_of(data_dir).glob("*.parquet"))
    # As if the rebuild had been two hours ago.
    commit = root_of(data_dir) / "_delta_log" / f"{versions(data_dir)[-1]:020}.json"
    lines = [json.loads(line) for line in commit.read_text().splitlines()]
    for line in lines:
        if "remove" in line:
            line["remove"]["deletionTimestamp"] -= 2 * HOUR_S * 1000
    commit.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert removed(vacuum(run, data_dir)) == len(before)
    assert not before & set(root_of(data_dir).glob("*.parquet"))
    assert rows(run, data_dir) == 20
    run("check", "--dir", data_dir)


def test_a_rebuild_that_is_at_work(run, gateway, start, data_dir, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    run("emulate", "--streaming", "--posts", 20, "--rate", "max", "--streaming-url", gateway.url)
    run("stream", "--until-end", "--dir", data_dir)
    before = set(root_of(data_dir).glob("*.parquet"))
    rebuild = start("rebuild", "pin", "--from", "stream", "--dir", data_dir,
                    env={"PINPIPE_FAILPOINTS": "rebuild-cleaned:stop@1"})
    wait_until(lambda: state_of(rebuild.pid) == "T", "the failpoint")
    assert set(root_of(data_dir).glob("*.parquet")) - before
    age(data_dir / "lake" / "tables")
    assert removed(vacuum(run, data_dir)) == 0
    os.kill(rebuild.pid, signal.SIGCONT)
    wait_until(lambda: rebuild.process.poll() is not None, "the rebuild's end")
    assert rebuild.process.returncode == 0 and rows(run, data_dir) == 20
    run("check", "--dir", data_dir)


def test_how_long_is_an_option_and_the_tables_own_word(run, gateway, data_dir):
    run("emulate", "--streaming", "--posts", 5, "--rate", "max", "--streaming-url", gateway.url)
    run("stream", "--until-end", "--dir", data_dir, env={"PINPIPE_TABLE_RETENTION": "90m"})
    first = root_of(data_dir) / "_delta_log" / f"{0:020}.json"
    assert '"delta.deletedFileRetentionDuration":"interval 90 minutes"' in first.read_text()
    assert '"delta.logRetentionDuration":"interval 1 hour"' in first.read_text()
    vacuum(run, data_dir, "--dry-run")
    assert versions(data_dir) == [0, 1]
    vacuum(run, data_dir)
    assert versions(data_dir) == [0, 1, 2]  # the option is not 90m any more
    said = run("vacuum", "--dir", data_dir, env={"PINPIPE_TABLE_LOG_RETENTION": "59s"}, status=2).stderr
    assert "table.log_retention: a minute is the least" in said
    assert "no clean model" in run("vacuum", "pins", "--dir", data_dir, status=2).stderr


def test_a_person_has_a_line_for_each_table(pinpipe, run, gateway, data_dir):
    run("emulate", "--streaming", "--posts", 5, "--rate", "max", "--streaming-url", gateway.url)
    run("stream", "--until-end", "--dir", data_dir)
    orphan = root_of(data_dir) / "part-orphan.parquet"
    orphan.write_bytes(b"1234567")
    (root_of(data_dir) / "part-\x1b[2J.parquet").write_bytes(b"123")
    age(data_dir / "lake" / "tables")
    command = [pinpipe, "vacuum", "--dir", data_dir]
    text = Screen([*command, "--dry-run"], 80).read()
    assert re.search(rf"^ +7  tables/{ID}_pin_table/part-orphan.parquet$", text, re.M), text
    assert re.search(rf"^ +3  tables/{ID}_pin_table/part-\\x1b\[2J.parquet$", text, re.M), "no order to the terminal"
    for name in ("pin_table", "user_table"):
        first = root_of(data_dir, name) / "_delta_log" / f"{0:020}.json"
        first.write_text(first.read_text().replace('"delta.logRetentionDuration":"interval 1 hour"',
                                                   '"delta.logRetentionDuration":"a while"'))
    text = Screen(command, 80, env={"PINPIPE_LETTERS_RETENTION": "1h"}).read()
    lines = [line.split()[:2] for line in text.splitlines() if " stream " in line or " letters " in line]
    assert lines == [["geo", "stream"], ["pin", "stream"], ["user", "stream"],
                     *([f"streaming-{ID}-{name}", "letters"] for name in ("geo", "pin", "user"))], text
    assert text.count("a while") == 2, "each that could not be cleaned up is told"


def test_a_word_that_cannot_be_read(run, gateway, data_dir):
    run("emulate", "--streaming", "--posts", 5, "--rate", "max", "--streaming-url", gateway.url)
    run("stream", "--until-end", "--dir", data_dir)
    first = root_of(data_dir) / "_delta_log" / f"{0:020}.json"
    first.write_text(first.read_text().replace('"delta.logRetentionDuration":"interval 1 hour"',
                                               '"delta.logRetentionDuration":"a while"'))
    (root_of(data_dir) / "part-orphan.parquet").write_bytes(b"x")
    (root_of(data_dir, "geo_table") / "part-orphan.parquet").write_bytes(b"x")
    age(data_dir / "lake" / "tables")
    done = run("vacuum", "--dir", data_dir, "--format", "json", status=1)
    assert "a while" in done.stderr and removed(json.loads(done.stdout)) == 1
    assert (root_of(data_dir) / "part-orphan.parquet").exists()


def test_killed_at_each_removal(run, data_dir, busy, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    posts = busy(COMMITS)
    (root_of(data_dir) / "part-orphan.parquet").write_bytes(b"x")
    age(data_dir / "lake" / "tables")
    for point in ("vacuum-listed", "vacuum-removed", *[f"store-removed:kill@{n}" for n in (1, 7, 14)]):
        point = point if "@" in point else f"{point}:kill@1"
        run("vacuum", "pin", "--dir", data_dir, env={"PINPIPE_FAILPOINTS": point}, status=-9)
        assert rows(run, data_dir) == posts
    assert removed(vacuum(run, data_dir)) > 0 == removed(vacuum(run, data_dir))
    assert rows(run, data_dir) == posts


def test_a_copy_that_is_made_meanwhile(run, start, data_dir, busy, pinpipe, tmp_path):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    busy(COMMITS)
    (root_of(data_dir) / "part-orphan.parquet").write_bytes(b"x")
    copy = start("cp", f"file:{data_dir / 'lake'}", f"file:{tmp_path / 'copy'}",
                 env={"PINPIPE_FAILPOINTS": "copy-put:stop@1"})
    wait_until(lambda: state_of(copy.pid) == "T", "the failpoint")
    age(data_dir / "lake" / "tables")
    assert removed(vacuum(run, data_dir, "pin")) > 10
    os.kill(copy.pid, signal.SIGCONT)
    wait_until(lambda: copy.process.poll() is not None, "the copy's end")
    assert copy.process.returncode == 0, copy.said()
    answer = run("check", "--dir", data_dir, "--lake", f"file:{tmp_path / 'copy'}", "--format", "json", status=None)
    assert {row["faults"] for row in json.loads(answer.stdout)} == {0}


def test_maintain_does_it_by_itself(run, start, data_dir, busy):
    posts = busy(COMMITS)
    orphan = root_of(data_dir) / "part-orphan.parquet"
    orphan.write_bytes(b"x")
    age(data_dir / "lake" / "tables")
    last = versions(data_dir, "checkpoint.parquet")[-1]
    start("maintain", "--dir", data_dir, env=OFTEN)
    wait_until(lambda: not orphan.exists() and versions(data_dir)[0] > 0, "the clean-up")
    assert rows(run, data_dir) == posts
    assert busy(COMMITS) == rows(run, data_dir)
    assert versions(data_dir, "checkpoint.parquet")[-1] > last
