"""A batch that finds nothing new asks nothing; and what all makes it ask again."""

import json
import shutil
import time

import pytest

from lake import ID

SETTLED_S = 1
DUCKDB = {"LD_DEBUG": "files"}  # the loader tells each library on stderr


def geo(first, count, country="Fiji"):
    return [{"ind": i, "country": country, "timestamp": "2020-01-01 00:00:00", "latitude": 1, "longitude": i}
            for i in range(first, first + count)]


def pin(first, count, category="art"):
    return [{"index": i, "unique_id": str(i), "category": category, "follower_count": "1k", "poster_name": "ann"}
            for i in range(first, first + count)]


def results(lake):
    """Each object and which file it is: a new one in place of an old one is another."""
    return {path.name: path.stat().st_ino for path in (lake.dir / "lake" / "results").glob("*.*")}


def was_idle(lake, *words):
    """Runs once. Whether it did without the engine; nothing may have become of the answers then."""
    before = results(lake)
    ended = lake.run("batch", "--dir", lake.dir, "--format", "json", *words, env=DUCKDB)
    report, idle = json.loads(ended.stdout), "libduckdb" not in ended.stderr
    if idle:
        assert results(lake) == before
        assert not any(table["rows"] or table["commits"] for table in report["tables"].values())
    else:
        assert before != results(lake)
    return idle


@pytest.fixture(name="full")
def fixture_full(lake):
    """A lake with answers, and nothing new in it."""
    lake.put("geo", geo(0, 3))
    lake.put("pin", pin(0, 3))
    lake.batch()
    return lake


def log_of(lake, table="geo"):
    return lake.dir / "lake" / "tables" / f"{ID}_{table}_clean" / "_delta_log"


def add_commit(lake, *actions):
    log = log_of(lake)
    version = max(int(path.stem) for path in log.glob("*.json")) + 1
    (log / f"{version:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))


def an_add(lake):
    """The file that the table has."""
    lines = [line for path in sorted(log_of(lake).glob("*.json")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.startswith('{"add"')][-1]["add"]


def test_nothing_new_is_told_as_ever(full):
    first = full.batch()
    assert was_idle(full)
    report = full.batch()
    assert report["tables"].keys() == first["tables"].keys()
    assert report["tables"]["geo"] == {**first["tables"]["geo"], "ms": 0}
    assert report["tables"]["geo"]["total_rows"] == 3
    assert {name: answer["rows"] for name, answer in report["analyses"].items()} == {
        name: answer["rows"] for name, answer in first["analyses"].items()}
    runs = json.loads(full.run("runs", "--dir", full.dir, "--format", "json").stdout)
    assert len(runs) == 4 and all(run["outcome"] == "done" for run in runs)


def new_object(lake, _models):
    lake.put("geo", geo(3, 1), 3)


def longer_object(lake, _models):
    lake.put("geo", geo(0, 4))


def new_partition(lake, _models):
    lake.put("geo", geo(7, 1), 0, 1)


def behind_a_hole(lake, _models):
    lake.put("geo", geo(5, 1), 5)


def edited_analysis(_lake, models):
    path = models / "analyses" / "users_joined_by_year.sql"
    path.write_text(path.read_text().replace("Users who", "People who"))


def edited_table(_lake, models):
    path = models / "clean" / "geo.sql"
    path.write_text(path.read_text() + "-- of no account\n")


def added_analysis(_lake, models):
    (models / "analyses" / "countries.sql").write_text(
        "-- title: Countries\n-- description: How many.\n-- chart: none\nSELECT count(country) AS n FROM geo\n")


def removed_analysis(_lake, models):
    (models / "analyses" / "users_joined_by_year.sql").unlink()


def rebuilt_table(lake, models):
    lake.run("rebuild", "geo", "--from", "batch", "--dir", lake.dir, "--models", models)


def removed_table(lake, _models):
    shutil.rmtree(log_of(lake).parent)


def foreign_append(lake, _models):
    """Its rows are there twice then."""
    add = an_add(lake)
    copy = {**add, "path": "copy.parquet", "dataChange": True}
    shutil.copy(log_of(lake).parent / add["path"], log_of(lake).parent / "copy.parquet")
    add_commit(lake, {"add": copy}, {"commitInfo": {"operation": "WRITE"}})


def foreign_delete(lake, _models):
    add_commit(lake, {"remove": {"path": an_add(lake)["path"], "dataChange": True, "deletionTimestamp": 1}})


def another_table_of_that_version(lake, _models):
    """As a backup that was put back leaves one."""
    newest = max(log_of(lake).glob("*.json"))
    shutil.copy(newest, newest.with_suffix(".new"))
    newest.with_suffix(".new").rename(newest)


def removed_answer(lake, _models):
    (lake.dir / "lake" / "results" / "users_joined_by_year.csv").unlink()


def written_over_answer(lake, _models):
    path = lake.dir / "lake" / "results" / "users_joined_by_year.csv"
    path.write_text(path.read_text() + "\n")


def damaged(lake, _models):
    path = lake.dir / "lake" / "results" / "answered"
    path.write_text(path.read_text()[:-20])


REASONS = [new_object, longer_object, new_partition, behind_a_hole, edited_analysis, edited_table, added_analysis,
           removed_analysis, rebuilt_table, removed_table, foreign_append, foreign_delete,
           another_table_of_that_version, removed_answer, written_over_answer, damaged]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.__name__)
@pytest.mark.parametrize("settled", [False, True], ids=["fresh", "settled"])
def test_reasons_to_ask_again(lake, models, reason, settled):
    """Once. `settled`: marks of folders are known, which they are a second after the last change."""
    words = ("--models", models)
    lake.put("geo", geo(0, 3))
    lake.put("pin", pin(0, 3))
    lake.batch(*words)
    if settled:
        wait_for_marks(lake, words)
    assert was_idle(lake, *words)
    reason(lake, models)
    assert not was_idle(lake, *words)
    assert was_idle(lake, *words)


def wait_for_marks(lake, words):
    def marks():
        tables = json.loads((lake.dir / "lake" / "results" / "answered").read_text())["tables"]
        return [mark[3] for table in tables for mark in table["partitions"]]
    folders = [lake.dir / "lake" / "topics", *(lake.dir / "lake" / "topics").rglob("*/")]
    changed = max(path.stat().st_mtime for path in folders)
    time.sleep(max(0, changed + SETTLED_S - time.time()))
    while not marks() or "0" in marks():
        assert was_idle(lake, *words)


def test_answers_of_another_id(full):
    assert was_idle(full)
    assert not was_idle(full, "--id", "other") and was_idle(full, "--id", "other")
    assert not was_idle(full)


def compaction(lake):
    add = an_add(lake)
    copy = {**add, "path": "c" + add["path"], "dataChange": False}
    shutil.copy(log_of(lake).parent / add["path"], log_of(lake).parent / copy["path"])
    add_commit(lake, {"remove": {"path": add["path"], "dataChange": False, "deletionTimestamp": 1}}, {"add": copy},
               {"commitInfo": {"operation": "OPTIMIZE"}})


def no_files(lake):
    add_commit(lake, {"commitInfo": {"operation": "WRITE"}}, {"txn": {"appId": "somebody", "version": 1}})


@pytest.mark.parametrize("commit", [compaction, no_files])
def test_a_commit_that_changes_no_row_is_no_reason(full, commit):
    for _ in range(3):
        commit(full)
    assert was_idle(full)
    commit(full)
    assert was_idle(full) and was_idle(full)
    version = json.loads((full.dir / "lake" / "results" / "answered").read_text())["tables"][0]["version"]
    assert version == max(int(path.stem) for path in log_of(full).glob("*.json"))
    foreign_append(full, None)
    assert not was_idle(full)


def test_an_analysis_that_failed_is_asked_again(lake, models):
    """So is one of a table that was refused, and whatever else was asked with it."""
    words = ("--models", models)
    (models / "analyses" / "bad.sql").write_text(
        "-- title: Bad\n-- description: Fails.\n-- chart: none\nSELECT CAST(country AS INT) AS n FROM geo\n")
    lake.put("geo", geo(0, 1))
    for _ in range(2):
        assert lake.batch(*words, status=1).returncode == 1
    assert not (lake.dir / "lake" / "results" / "answered").exists()
    (models / "analyses" / "bad.sql").unlink()
    lake.batch(*words)
    assert was_idle(lake, *words)


def test_an_analysis_of_the_time_is_asked_every_time(lake, models):
    (models / "analyses" / "days.sql").write_text(
        "-- title: Days\n-- description: Since then.\n-- chart: none\n"
        "SELECT date_diff('day', min(timestamp), CURRENT_DATE) AS days FROM geo\n")
    lake.put("geo", geo(0, 1))
    for _ in range(2):
        assert not was_idle(lake, "--models", models)


@pytest.mark.parametrize("nth", [1, 5])
def test_a_run_that_is_killed_while_it_writes_answers(full, pinpipe, nth):
    """What those that are left are of is not known then."""
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("built without failpoints")
    shutil.copytree(full.dir, full.dir.parent / "before")
    full.put("geo", geo(3, 1), 3)
    full.batch(status=-9, env={"PINPIPE_FAILPOINTS": f"results-put:kill@{nth}"})
    (full.dir / "lake" / "topics" / f"{ID}.geo" / "partition=0" / f"{ID}.geo+0+0000000003.json").unlink()
    shutil.rmtree(full.dir / "lake" / "tables")
    shutil.copytree(full.dir.parent / "before" / "lake" / "tables", full.dir / "lake" / "tables")
    assert not was_idle(full) and was_idle(full)
