"""Kills of every part and power cuts, at random and at named points, under load; then a checker of its own."""
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

import bucket  # noqa: E402
import cuts  # noqa: E402
import disk  # noqa: E402
import figures  # noqa: E402
import flips  # noqa: E402
import kills  # noqa: E402

KILLS, CUTS, LIVE_FLIPS = 60, 10, 12
SEED = 1


@pytest.fixture
def points(pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a build with -Dfailpoints=true")
    return kills.failpoints()


def test_kills(pinpipe, points):
    report, session = kills.torture(pinpipe, SEED, KILLS, points)
    figures.print_counts("killed at", session.kills)
    assert report.clean, str(report)
    assert not session.open, "nobody passed these failpoints"
    assert session.kills.total() >= KILLS
    assert {name for name, _ in session.kills} >= {"gateway", "sink", "stream", "batch", "supervisor"}
    assert {point for _, point in session.kills} >= set(points)
    assert report.counts["acked"] > 1000 and report.counts["log read"] > 1000


def test_kills_with_the_lake_in_a_bucket(pinpipe, points):
    assert points
    points = [point for point in kills.failpoints(bucket=True) if re.match("s3-|batch-|delta-com|stream-", point)]
    report, session, played = bucket.torture(pinpipe, SEED, len(points), points)
    assert report.clean, str(report)
    assert not session.open, "nobody passed these failpoints"
    assert session.kills.total() >= len(points) and played.total() > 50


@pytest.mark.parametrize("seed", [SEED, SEED + 1])     # one on ext4, one on XFS
def test_power_cuts(pinpipe, points, tmp_path, seed):
    reason = disk.reason_against(tmp_path)
    if reason:
        pytest.skip(f"no power cuts: {reason}")
    report, session = cuts.torture(pinpipe, seed, CUTS, points)
    figures.print_counts("power cut at", session.cuts)
    assert report.clean, str(report)
    assert session.cuts.total() >= CUTS
    assert session.disk.lost + session.disk.survived, "all was synced at each cut"
    assert report.counts["acked"] > 500 and report.counts["log read"] > 500


def test_bits_that_flip_beside_a_running_gateway(pinpipe, tmp_path):
    assert flips.live(pinpipe, tmp_path / "data", SEED, LIVE_FLIPS) > 0
