"""Kills of every part and faults at named points under load; a checker of its own finds nothing lost or doubled."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

import torture  # noqa: E402

POINTS = ["journal-write", "journal-written", "journal-synced", "segment-header", "store-linked", "stream-letters",
          "delta-before-commit", "delta-committed"]
KILLS = 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_lost_or_doubled(pinpipe, seed):
    if b"PINPIPE_FAILPOINTS" not in pinpipe.read_bytes():
        pytest.skip("needs a build with -Dfailpoints=true")
    report, session = torture.torture(pinpipe, seed, KILLS, POINTS)
    assert report.clean, str(report)
    assert not session.unreached
    assert session.done["kills"] == KILLS
