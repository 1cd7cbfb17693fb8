"""The k-th system call of the gateway fails, once and for ever, for every k; and what a failed or a slow sync does to
clients that are at work."""
import pathlib
import sys
import time
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

import calls  # noqa: E402
from checker import Checker  # noqa: E402
from client import Load  # noqa: E402
from conftest import wait_until  # noqa: E402

CASES_MIN = 200
FEW_CASES = 8
FEW_S = 1       # at 200 ms a sync: five groups


def test_every_call_of_the_gateway(pinpipe):
    campaign = calls.torture(pinpipe, "gateway", is_thorough=False)
    assert campaign.is_clean, "\n".join([str(campaign.report), *campaign.wrong])
    assert campaign.done.total() >= CASES_MIN
    assert campaign.report.counts["acked"] > 10 * CASES_MIN and campaign.report.counts["unknown"] > CASES_MIN


def test_every_read_of_a_gateway_that_goes_on(pinpipe):
    """What cannot be read is no damage, and no end of the log."""
    campaign = calls.torture(pinpipe, "restart", is_thorough=False, kinds=("read",))
    assert campaign.is_clean, "\n".join([str(campaign.report), *campaign.wrong])
    assert campaign.done.total() > 40


@pytest.mark.parametrize("workload", ["optimize", "vacuum"])
def test_some_calls_of_who_cares_for_tables(pinpipe, workload):
    """No version that is kept loses a row or a file."""
    campaign = calls.torture(pinpipe, workload, is_thorough=False, some=(FEW_CASES, 1))
    assert campaign.is_clean, "\n".join([str(campaign.report), *campaign.wrong])
    assert campaign.done.total() >= FEW_CASES * calls.REACHED_MIN


class Served:
    """A gateway with a fault in its syncs, and clients at it."""

    def __init__(self, start_gateway, tmp_path, fault):
        self.data = tmp_path / "data"
        self.data.mkdir()
        self.faults = calls.Faults(calls.build(tmp_path), self.data, tmp_path / "page", fault)
        self.start_gateway = start_gateway
        self.gateway = start_gateway("--id", calls.USER, env={**calls.ENVIRONMENT, **self.faults.environment})

    def assert_running(self):
        assert self.gateway.process.poll() is None, self.gateway.said()

    def is_answering(self):
        with urllib.request.urlopen(f"{self.gateway.url}/healthz", timeout=10) as answer:
            return answer.status == 200

    def check(self, ledger):
        checker = Checker(self.data, calls.USER)
        checker.log.finish()
        checker.check_log(ledger)
        checker.expect_in_log([entry for entry in ledger if entry.state == "acked"])
        checker.shelf.check_order(ledger)
        assert checker.report.clean, str(checker.report)


def test_one_failed_sync_under_load(start_gateway, tmp_path):
    served = Served(start_gateway, tmp_path, "sync:eio@60")
    with Load(served.gateway.port, calls.USER, seed=1) as load:
        wait_until(lambda: served.faults.taken, "the fault")
        load.wait_for_more(200, served)
    served.gateway.stop()
    assert served.faults.taken == 1 and "given up" in served.gateway.said()
    served.check(load.ledger)


def test_syncs_that_fail_for_ever_under_load(start_gateway, tmp_path):
    served = Served(start_gateway, tmp_path, "sync:eio@60+")
    with Load(served.gateway.port, calls.USER, seed=2) as load:
        wait_until(lambda: served.faults.taken > 4, "the fault")
        acked, unknown = load.acked(), sum(e.state == "unknown" for e in load.ledger)
        wait_until(lambda: sum(e.state == "unknown" for e in load.ledger) > unknown + 20, "more refusals")
        assert load.acked() == acked
        assert served.is_answering()
    served.gateway.kill()
    served.gateway = served.start_gateway("--id", calls.USER, env=calls.ENVIRONMENT)
    assert served.is_answering()
    served.gateway.stop()
    served.check(load.ledger)


def test_slow_disk(start_gateway, tmp_path):
    served = Served(start_gateway, tmp_path, "sync:delay200@30+")
    with Load(served.gateway.port, calls.USER, seed=4, clients=8) as load:
        wait_until(lambda: served.faults.taken, "the fault")
        answers, acked, syncs, end = 0, load.acked(), served.faults.taken, time.monotonic() + FEW_S
        while time.monotonic() < end:
            answers += served.is_answering()
        acked, syncs = load.acked() - acked, served.faults.taken - syncs
    served.gateway.stop()
    assert answers > 4 * syncs, "a loop that waited for the disk would answer once a sync"
    assert acked > 4 * syncs, "the groups have not grown"
    served.check(load.ledger)


def fail_each(pinpipe, tmp_path, workload, kind, error):
    """Every call of one kind fails once, each in a run of its own; most of them are reached."""
    campaign = calls.Campaign(pinpipe, tmp_path, workload)
    count = campaign.count()[kind]
    campaign.run_cases([calls.Case(kind, at, error, False) for at in range(1, count + 1)])
    assert campaign.is_clean, "\n".join([str(campaign.report), *campaign.wrong])
    assert campaign.done[kind] > count // 2


def test_sink_waits_for_descriptors(pinpipe, tmp_path):
    """It goes on by itself, and does not say that all is done before it is."""
    fail_each(pinpipe, tmp_path, "sink", "open", "emfile")


def test_a_failed_write_blames_no_record(pinpipe, tmp_path):
    """A micro-batch of one record whose file cannot be written is not poison."""
    fail_each(pinpipe, tmp_path, "stream", "write", "eio")


@pytest.mark.parametrize("ever", (False, True))
def test_failed_reads_are_no_damage(pinpipe, tmp_path, ever):
    """A dead letter is for good, and a later read may bring the record."""
    campaign = calls.Campaign(pinpipe, tmp_path, "sink")
    reads = campaign.count()["read"]
    campaign.run_cases([calls.Case("read", at, "eio", ever) for at in range(1, reads + 1)])
    assert campaign.is_clean, "\n".join([str(campaign.report), *campaign.wrong])
    assert campaign.done["read"] > reads // 2
