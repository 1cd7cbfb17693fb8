"""A merge is killed, or its disk fails, at every step: the old files stand or the new, and each row once."""

import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "tests" / "cli"))
from small_files import Table, optimize, post, rows, stream  # noqa: E402

POINTS = ["compact-opened", "compact-merged", "compact-put", "delta-before-commit", "delta-committed",
          "compact-committed"]
DONE = ("delta-committed", "compact-committed")


@pytest.fixture
def posted(run, start_gateway, data_dir, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    post(start_gateway("--shards", 2), 20)
    stream(run, data_dir)


@pytest.mark.parametrize("point,action", [(point, action) for point in POINTS for action in ("kill", "eio")])
def test_every_step(run, posted, data_dir, point, action):
    table = Table(data_dir)
    before = rows(run, data_dir)
    failed = run("optimize", "--dir", data_dir, status=None, env={"PINPIPE_FAILPOINTS": f"{point}:{action}@1"})
    # An answer that was lost is looked for: the commit is there.
    assert (failed.returncode == 0) == (point == "delta-committed" and action == "eio"), failed
    assert len(table.live()) == (1 if point in DONE else 20)
    assert rows(run, data_dir) == before
    run("check", "--dir", data_dir)
    stream(run, data_dir)
    optimize(run, data_dir)
    assert len(table.live()) == 1
    assert rows(run, data_dir) == before
    assert not list((data_dir / "tmp").rglob("*.parquet"))
