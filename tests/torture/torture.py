"""Kills and faults under load, then a checker of its own. Each run prints its seed; the same seed makes the same
choices.

    python3 tests/torture/torture.py --binary build-fail/pinpipe --kills 60

A session is one pipeline on one directory under load. Its steps, in an order that the seed makes, are: SIGKILL of a
service, of the supervisor or of all at once; death at a named failpoint, in whatever process passes it next; an EIO
or ENOSPC at one.
"""
import argparse
import collections
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time

from checker import Checker
from client import Load
from pipeline import Pipeline, await_that

VICTIMS = ("gateway", "gateway", "sink", "stream", "batch", "supervisor", "all")
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src"
# Where an error cannot be told from the call before or after, the program asks for the kill only.
KILL_ONLY = {"journal-synced", "journal-watermark", "segment-roll"}
KILLS_A_SESSION = 100


def failpoints():
    """The names in the source."""
    names = set()
    for path in SOURCE.rglob("*.c"):
        names.update(re.findall(r'\b(?:FAILPOINT|FAIL_AT)\("([a-z0-9-]+)"', path.read_text()))
    return sorted(names)


def provoke(pipeline, point, number):
    """Some points are passed under load; others need a reason."""
    if point.startswith("recovery-"):
        pipeline.kill("gateway")
    elif point.startswith("catalog-"):
        pipeline.post(f"/topics/{pipeline.user}.other{number}", '{"records": [{"value": 1}]}')


class Session:
    """One pipeline under load, and what was done to it."""

    def __init__(self, binary, directory, seed):
        self.rng = random.Random(seed)
        self.pipeline = Pipeline(binary, directory)
        self.done = collections.Counter()
        self.unreached = []
        self.number = 0

    def steps(self, kills, points):
        """Kills at the points, and at random up to the count; an error at each point between them."""
        steps = [("point", point, "kill") for point in points][:kills]
        steps += [("kill", self.rng.choice(VICTIMS), None) for _ in range(kills - len(steps))]
        steps += [("point", point, self.rng.choice(("eio", "enospc"))) for point in points
                  if point not in KILL_ONLY]
        self.rng.shuffle(steps)
        return steps

    def take(self, load, what, where, action):
        load.wait_for_more(self.rng.randrange(1, 100))
        if what == "kill":
            self.pipeline.kill(where)
            self.done["kills"] += 1
            return
        self.number += 1
        self.pipeline.plant(where, action)
        provoke(self.pipeline, where, self.number)
        try:
            await_that(lambda: self.pipeline.was_taken(where, action), f"someone to pass {where}", 30)
        except AssertionError:
            self.unreached.append(f"{where}:{action}")
            return
        self.done["kills" if action == "kill" else "errors"] += 1

    def run(self, steps):
        """The checker's report."""
        try:
            self.pipeline.start()
            self.pipeline.await_healthy()
            with Load(self.pipeline.port, self.pipeline.user, self.rng.randrange(1 << 31)) as load:
                for step in steps:
                    self.take(load, *step)
                self.pipeline.await_healthy()
                load.wait_for_more(50)
            self.pipeline.finish()
            return Checker(self.pipeline.directory / "lake", self.pipeline.user, load.ledger).run()
        finally:
            self.pipeline.close()


def torture(binary, seed, kills, points, keep=False):
    """Runs a session; (report, session). The directory stays if there was a fault."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pinpipe-torture-"))
    session = Session(binary, directory, seed)
    started = time.monotonic()
    report = session.run(session.steps(kills, points))
    print(f"seed {seed}: {session.done['kills']} kills, {session.done['errors']} errors, "
          f"{time.monotonic() - started:.0f} s: {report}", flush=True)
    for name in session.unreached:
        print(f"  not reached: {name}", flush=True)
    if report.clean and not keep:
        shutil.rmtree(directory)
    else:
        print(f"  kept: {directory}", flush=True)
    return report, session


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--kills", type=int, default=60, help="at random and at the failpoints, in all")
    parser.add_argument("--point", action="append", help="only these failpoints")
    parser.add_argument("--keep", action="store_true", help="keep the directories")
    arguments = parser.parse_args()
    total, faults = collections.Counter(), 0
    points = failpoints() if arguments.point is None else arguments.point
    while total["kills"] < arguments.kills:
        kills = min(KILLS_A_SESSION, arguments.kills - total["kills"])
        report, session = torture(arguments.binary, arguments.seed + total["sessions"], kills, points,
                                  arguments.keep)
        total.update(session.done, sessions=1, acked=report.counts["acked"], unreached=len(session.unreached))
        faults += sum(map(len, report.values()))
        if not session.done["kills"]:
            break
    print(f"{total['kills']} kills and {total['errors']} errors in {total['sessions']} sessions, "
          f"{total['acked']} records acknowledged, {faults} faults, {total['unreached']} points not reached")
    return 1 if faults or total["unreached"] else 0


if __name__ == "__main__":
    sys.exit(main())
