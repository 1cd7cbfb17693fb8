"""make soak: hours of `pinpipe up` as a user would run it, under a steady load, with a kill -9 every minute.

    python3 tests/torture/soak.py --binary build/pinpipe --minutes 120 --rate 200 --place DIR

All options of the program are its own defaults. DIR/samples.csv gets a line every ten seconds; at the end what is left
is drained, `pinpipe check` looks at it, and every record that was acknowledged has to be in its table once, or a dead
letter. DIR stays if anything is wrong; the samples and what was printed (DIR/report) stay always.
"""
import argparse
import collections
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from checker import PATHS
from client import TABLES
from pipeline import Pipeline, await_that, kill_9
from soak_ledger import Judge, Posters
from soak_watch import print_verdicts, watching

VICTIMS = ("gateway", "sink", "stream", "maintain", "batch", "supervisor", "all")
BATCH_COMES_S = 90      # it is there for a second a minute
CHECK_EVERY_S = 1


class Plain(Pipeline):
    """As a user runs it."""
    options = {}


class Killer(threading.Thread):
    """One of them in the first half of every `every_s`."""

    def __init__(self, pipeline, victims, every_s, rng, stop):
        super().__init__(daemon=True)
        self.pipeline, self.victims, self.every_s, self.rng, self.stop = pipeline, victims, every_s, rng, stop
        self.kills, self.missed, self.failure = collections.Counter(), collections.Counter(), None

    def run(self):
        began, number = time.monotonic(), 0
        try:
            while not self.stop.is_set():
                at = began + (number + self.rng.random() * 0.5) * self.every_s
                number += 1
                if self.stop.wait(max(0, at - time.monotonic())):
                    return
                self.kill(self.rng.choice(self.victims))
        except Exception as failure:  # pylint: disable=broad-except  # it fails the run, in check()
            self.failure = failure

    def kill(self, victim):
        if victim in ("supervisor", "all"):
            self.pipeline.kill(victim)
        elif not self.kill_when_there(victim):
            self.missed[victim] += 1
            return
        self.kills[victim] += 1
        print(f"{time.strftime('%H:%M:%S')} killed {victim}", flush=True)

    def kill_when_there(self, victim):
        end = time.monotonic() + BATCH_COMES_S
        while time.monotonic() < end and not self.stop.wait(0.02):  # paces the look at who runs
            if kill_9(self.pipeline.child(victim) or 0x7FFFFFFF):
                return True
        return False

    def check(self):
        if self.failure:
            raise AssertionError("the killer failed") from self.failure


class Soak:
    def __init__(self, arguments, place):
        self.arguments, self.place = arguments, place
        self.rng = random.Random(arguments.seed)
        self.pipeline = Plain(arguments.binary, place / "data", place)
        self.tables = [f"{self.pipeline.user}_{table}_{kind}" for table in TABLES for kind in ("clean", "table")]
        self.killer, self.posters, self.watch = None, None, None

    def victims(self):
        """Those that this program has."""
        return [victim for victim in VICTIMS if victim in ("supervisor", "all") or subprocess.run(
            [self.arguments.binary, victim, "--help"], capture_output=True, check=False).returncode == 0]

    def load(self):
        """The hours."""
        stop = threading.Event()
        self.killer = Killer(self.pipeline, self.victims(), self.arguments.kill_every, self.rng, stop)
        self.posters = Posters(self.pipeline.port, self.pipeline.user, self.arguments.rate, self.arguments.seed,
                               self.place / "ledger")
        with watching(self.pipeline, self.tables, self.place / "samples.csv") as self.watch, self.posters:
            self.killer.start()
            end = time.monotonic() + self.arguments.minutes * 60
            while time.monotonic() < end:
                for part in (self.killer, self.posters, self.watch):
                    part.check()
                time.sleep(CHECK_EVERY_S)  # paces the look
            stop.set()
            self.killer.join(120)
            self.killer.check()
        self.posters.check()

    def run(self):
        """True: all is as it has to be."""
        try:
            self.pipeline.start()
            self.pipeline.await_healthy()
            self.load()
            await_that(self.pipeline.healthy, "the gateway after the last kill")
            began = time.monotonic()
            self.pipeline.finish()
            print(f"drained, worked off and checked in {time.monotonic() - began:.0f} s", flush=True)
        finally:
            self.pipeline.close()
        return self.report()

    def report(self):
        states, kills = self.posters.states(), self.killer.kills
        judge = Judge(self.pipeline.directory / "lake", self.pipeline.user, self.place / "ledger").judge()
        print(f"\nkills: {kills.total()}: {dict(kills)}" + (f"; not there: {dict(self.killer.missed)}"
                                                            if self.killer.missed else ""))
        print(f"records: {states}; rows and letters: {judge.rows:,}; longest time without an answer of 200: "
              f"{self.posters.longest_s():.1f} s\n")
        faults = [(f"{kind} records", count, None, 0, count == 0) for kind, count in judge.faults.items()]
        fine = print_verdicts([*faults, *self.watch.verdicts()])
        for sample in judge.samples:
            print(sample)
        return fine


class Tee:
    """What is printed, also in a file."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")

    def write(self, text):
        self.file.write(text)
        return sys.__stdout__.write(text)

    def flush(self):
        self.file.flush()
        sys.__stdout__.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=int, default=200, help="posts a second to each path: a record for each table")
    parser.add_argument("--kill-every", type=float, default=60, help="seconds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--place", type=pathlib.Path, help="a directory that is not there yet")
    arguments = parser.parse_args()
    place = arguments.place or pathlib.Path(tempfile.mkdtemp(prefix="pinpipe-soak-", dir=arguments.binary.parent))
    place.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing stays behind
    sys.stdout = Tee(place / "report")
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes at {arguments.rate} posts/s on each of "
          f"{len(PATHS)} paths, in {place}", flush=True)
    fine = Soak(arguments, place).run()
    if fine:
        for name in ("data", "ledger", "tickets", "trace"):
            shutil.rmtree(place / name, ignore_errors=True)
    sys.stdout.flush()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
