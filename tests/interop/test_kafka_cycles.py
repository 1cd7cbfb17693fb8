"""A few of the random cycles of `make torture PARTS=kafka`, with the program as it is built."""
import pathlib
import sys

import pytest

import conftest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

import kafka_cycles  # noqa: E402

SEED, CYCLES = 17, 6


@pytest.mark.ci
def test_random_cycles():
    report, session = kafka_cycles.torture(conftest.binary(), SEED, CYCLES)
    assert report.clean, report
    assert session.cycles.total() == CYCLES and report.counts["acked"] > 1000
    assert not {status for _, status in session.ended} - kafka_cycles.ENDS_WELL, session.ended
