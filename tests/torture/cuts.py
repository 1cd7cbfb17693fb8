"""Power cuts under load: what was not synced vanishes, in any part (disk.py).

A session is one pipeline on one such disk. Each cut comes at a random time or while somebody stands still at a
failpoint; now and then the next one follows before the log is recovered. After each, the log is compared with what
the clients were told; the lake at the end.
"""
import collections
import random
import shutil
import time

from checker import Checker
from client import Client, Load
from disk import MAKE, Disk, reason_against
from figures import print_counts, workplace
from kept import Kept
from kills import CALM_S, CALM_SHARE, failpoints, provoke
from pipeline import Pipeline, await_that, state_of

CUTS_A_SESSION = 25
POINT_SHARE = 0.5       # of the cuts
UNSYNCED = "journal-written"    # where something is written and not synced for certain,
UNSYNCED_SHARE = 0.25           # and the share of the cuts that come there
CACHED_SHARE = 0.75     # of the starts after which the log is written through the page cache
AFTER_KILL_SHARE = 0.2  # cuts before which the gateway is killed with records that are not synced
AGAIN_SHARE = 0.1       # cuts that are followed by another one at once
PAUSE_S = 0.05          # at most, before a cut at a random time, or while somebody stands still
AGAIN_S = 0.1           # at most, between the start and the second cut
TAKE_S = 1.0            # so long somebody may take to pass the failpoint; after that it is a cut at a random time


class Session:
    """`cuts` counts by (who stood still, failpoint) or ("all", "random" or "recovery")."""

    clients = Client

    def __init__(self, binary, place, disk, rng):
        self.rng, self.disk = rng, disk
        self.data = disk.path / "data"
        self.pipeline = Pipeline(binary, self.data, place)
        self.checker = Checker(self.data, self.pipeline.user)
        self.kept = Kept(self.checker.lake)
        self.cuts = collections.Counter()

    def start(self):
        """What is written past the page cache is on this disk at once; a cut takes only what goes through the cache."""
        self.pipeline.environment["PINPIPE_FAILPOINTS"] = (
            "stage-direct:eio@1+" if self.rng.random() < CACHED_SHARE else "")
        self.pipeline.start()

    def steps(self, cuts, points):
        """Failpoints in turn, and None for any time."""
        first, unsynced = self.rng.randrange(len(points)), round(cuts * UNSYNCED_SHARE)
        steps = [points[(first + k) % len(points)] for k in range(round(cuts * POINT_SHARE))] + [UNSYNCED] * unsynced
        steps += [None] * (cuts - len(steps))
        self.rng.shuffle(steps)
        return steps

    def await_stop(self, point):
        """(service, point) of who stands still there, or a random time."""
        self.pipeline.plant(point, "stop")
        self.provoke(point)
        end = time.monotonic() + TAKE_S
        taker = None
        while not taker and time.monotonic() < end:
            time.sleep(0.002)  # paces the look
            taker = self.pipeline.who_took(point, "stop")
        self.pipeline.withdraw()
        if not taker:
            return "all", "random"
        await_that(lambda: state_of(taker[1]) in (None, "T"), f"{taker[0]} to stand still")
        return taker[0], point

    def provoke(self, point):
        provoke(self.pipeline, point, self.cuts.total())

    def ripen(self, load):
        """Before the first cut: nothing has to grow old."""

    def finish(self):
        self.pipeline.finish()

    def kill_unsynced(self):
        """The next gateway finds in memory what is not on the disk, and must not build on it before it is."""
        self.pipeline.plant(UNSYNCED, "kill")
        await_that(lambda: self.pipeline.who_took(UNSYNCED, "kill"), f"somebody to pass {UNSYNCED}")
        self.pipeline.await_healthy()

    def kill_all(self):
        self.pipeline.kill_all()

    def cut(self, load, where):
        """Returns what was acknowledged before the next start."""
        time.sleep(CALM_S if self.rng.random() < CALM_SHARE else self.rng.random() * PAUSE_S)  # any time
        self.disk.cut(self.data / "log", self.kill_all)
        self.cuts[where] += 1
        acked = [entry for entry in load.ledger if entry.state == "acked"]
        self.start()
        return acked

    def check(self, load, acked):
        """All that the clients had been told before the last cut is in the log."""
        self.pipeline.await_healthy()
        self.checker.log.follow()
        self.checker.check_log(load.ledger)
        self.checker.expect_in_log(acked)
        self.kept.forget()
        self.kept.look()

    def take(self, load, point):
        load.wait_for_more(self.rng.randrange(1, 100), self.pipeline)
        if self.rng.random() < AFTER_KILL_SHARE:
            self.kill_unsynced()
        acked = self.cut(load, self.await_stop(point) if point else ("all", "random"))
        if self.rng.random() < AGAIN_SHARE:
            time.sleep(self.rng.random() * AGAIN_S)  # any time of the recovery
            acked = self.cut(load, ("all", "recovery"))
        self.check(load, acked)

    def run(self, cuts, points):
        """The checker's report."""
        try:
            self.start()
            self.pipeline.await_healthy()
            with Load(self.pipeline.port, self.pipeline.user, self.rng.randrange(1 << 31), clients=1,
                      kind=self.clients) as load:
                self.ripen(load)
                for point in self.steps(cuts, points):
                    if self.cuts.total() < cuts and self.checker.report.clean:
                        self.take(load, point)
                load.wait_for_more(50, self.pipeline)
            self.finish()
            self.checker.log.finish()
            report = self.checker.check_lake(load.ledger)
            self.kept.finish(report)
            return report
        finally:
            self.pipeline.close()
            self.kept.close()


def kind_of(seed):
    """ext4 and XFS in turn, where the tools for both are installed."""
    kinds = [kind for kind, words in MAKE.items() if shutil.which(words[0])]
    return kinds[seed % len(kinds)] if kinds else "ext4"


def torture(binary, seed, cuts, points):
    """One session; (report, session). Its directory stays if there was a fault."""
    rng = random.Random(seed)
    with workplace(f"cuts-{seed}") as place, Disk(place.path, rng, kind_of(seed)) as disk:
        session = Session(binary, place.path, disk, rng)
        report = session.run(cuts, points)
        place.keep = not report.clean
        return report, session


def add_arguments(parser):
    parser.add_argument("--cuts", type=int, default=60, help="of the power, at random and at the failpoints, in all")


def run(arguments, figures):
    with workplace("cuts") as place:
        reason = reason_against(place.path)
    if reason:
        print(f"no power cuts: {reason}")
        figures.left_out.append(f"power cuts: {reason}")
        return
    points, cuts, kinds, lost, survived, number = failpoints(), collections.Counter(), collections.Counter(), 0, 0, 0
    while cuts.total() < arguments.cuts:
        started, seed = time.monotonic(), arguments.seed + number
        report, session = torture(arguments.binary, seed, min(CUTS_A_SESSION, arguments.cuts - cuts.total()), points)
        figures.add("cuts", seed, session.cuts.total(), time.monotonic() - started, report)
        cuts += session.cuts
        kinds[session.disk.kind] += session.cuts.total()
        lost, survived, number = lost + session.disk.lost, survived + session.disk.survived, number + 1
    print_counts("power cut at", cuts)
    print(", ".join(f"{count} on {kind}" for kind, count in kinds.items()))
    print(f"of the log's sectors that were not synced {lost} vanished and {survived} survived")
    if cuts and not lost + survived:
        figures.missed.append("cuts: at each of them all was synced")
