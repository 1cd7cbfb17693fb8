"""Kills of every part, at random and at named points, under load: a checker of its own finds all once."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

import kills  # noqa: E402

KILLS = 60
SEED = 1


def test_kills(pinpipe):
    if b"PINPIPE_FAILPOINTS" not in pinpipe.read_bytes():
        pytest.skip("needs a build with -Dfailpoints=true")
    report, session = kills.torture(pinpipe, SEED, KILLS, kills.failpoints())
    kills.print_kills(session.kills)
    assert report.clean, str(report)
    assert not session.open, "nobody passed these failpoints"
    assert session.kills.total() >= KILLS
    assert {name for name, _ in session.kills} >= {"gateway", "sink", "stream", "batch", "supervisor"}
    assert report.counts["acked"] > 1000 and report.counts["log read"] > 1000
