"""The batch is killed, or its disk fails, at every step; the next run brings each record into the table once."""

import json
import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "sql"))
from lake import Lake  # noqa: E402

POINTS = ["batch-cleaned", "batch-dead", "batch-put", "batch-commit", "batch-committed", "results-put"]
PER_OBJECT, OBJECTS = 50, 3


@pytest.fixture
def lake(run, data_dir, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    return Lake(run, data_dir)


def post(lake, first):
    """Objects of all three topics, every tenth record no row."""
    for table, key in (("pin", "index"), ("geo", "ind"), ("user", "ind")):
        for start in range(first, first + PER_OBJECT * OBJECTS, PER_OBJECT):
            lake.put(table, [{key: i} if i % 10 else "no row" for i in range(start, start + PER_OBJECT)], start)


def check(lake, total):
    """Each offset is once in the table, or once in the dead letters."""
    for table in ("pin", "geo", "user"):
        rows = [int(row["_offset"]) for row in lake.sql(f"SELECT _offset FROM {table}_all")]
        dead = [offset for _, offset in lake.letters(table)]
        assert sorted(rows + dead) == list(range(total)), table
        assert all(offset % 10 == 0 for offset in dead), table


@pytest.mark.parametrize("action", ["kill", "eio"])
@pytest.mark.parametrize("point", POINTS)
def test_every_step(lake, point, action):
    total = 0
    for nth in (1, 2, 3):
        post(lake, total)
        total += PER_OBJECT * OBJECTS
        failed = lake.batch(status=None, env={"PINPIPE_FAILPOINTS": f"{point}:{action}@{nth}"})
        assert failed.returncode == -9 if action == "kill" else failed.returncode > 0, failed
        lake.batch()
        check(lake, total)
    results = lake.dir / "lake" / "results"
    answer = json.loads((results / "users_joined_by_year.json").read_text())
    assert answer["rows"] == [[None, total - total // 10]]
    assert not list((lake.dir / "tmp").glob("*.parquet"))
