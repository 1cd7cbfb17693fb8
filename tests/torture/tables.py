"""kill -9 of who merges and cleans up tables: `maintain` and the commands that a person gives beside it, at random and
at every failpoint of theirs, beside streams and batches that are killed, too.

The retentions are as short as the program takes, so a session lasts for some of them. Every version of every table is
looked at while it is kept (kept.py), and readers that take their time are on the way all along. Now and then the
services end, and a rebuild takes all of a table's files for others, beside a `maintain` that goes on.

Then the same with the lake in a bucket, and with power cuts.
"""
import collections
import contextlib
import pathlib
import random
import signal
import subprocess
import time

import bucket
import cuts
import kills
from client import TABLES, Client
from disk import Disk, reason_against
from figures import print_counts, workplace
from kept import Visitor, Watch
from pipeline import kill_9

OURS = ("compact-", "maintain-", "vacuum-", "clean-", "delta-", "store-", "s3-put")
RETENTION_S = 60
ENVIRONMENT = {"PINPIPE_TABLE_RETENTION": "1m", "PINPIPE_TABLE_LOG_RETENTION": "1m",
               "PINPIPE_TABLE_FILE_SIZE": "1MiB"}
VICTIMS = ("maintain",) * 6 + ("stream", "batch", "optimize", "vacuum", "sink", "gateway", "supervisor", "all")
COMMANDS = ("optimize", "vacuum")
COMMAND_SHARE = 0.15    # steps before which a command is given
AT_ONCE = 2             # so many of them
REBUILDS = 2            # a session
# Its lock was held, a planted error, lost to another, killed, asked to end.
CAN_END = (0, 73, 74, 75, -signal.SIGKILL, 128 + signal.SIGTERM)
PATIENCE_S = 120
KILLS_A_SESSION = 100
PAUSE_S = 3.0           # at most: a session is to last for some retentions
AGES = 3                # retentions that a session lasts at least
CUTS_A_SESSION = 12


class Patient(Client):
    """Posts now and then, so that there are commits all the time, but no more rows than need be."""
    pauses_s = (0.02, 0.05, 0.2)


def failpoints(in_bucket=False):
    """Of merging, of cleaning up, and of what both are made of."""
    return sorted({point for point in kills.all_failpoints() if point.startswith(OURS)
                   and not point.startswith("s3-" if not in_bucket else "store-")})


class Hands:
    """Commands that somebody gives while the pipeline runs."""

    def __init__(self, pipeline):
        self.pipeline, self.running = pipeline, []
        self.ended = collections.Counter()      # (command, status)

    def give(self, *words):
        pipeline = self.pipeline
        self.running.append((words[0], subprocess.Popen(
            [pipeline.binary, *words, "--dir", str(pipeline.directory), "--id", pipeline.user],
            stdin=subprocess.DEVNULL, stdout=pipeline.trace, stderr=pipeline.trace, env=pipeline.environment)))
        return self.running[-1][1]

    def reap(self, can_end=CAN_END):
        for name, process in list(self.running):
            status = process.poll()
            if status is None:
                continue
            self.running.remove((name, process))
            self.ended[name, status] += 1
            if status not in can_end:
                raise AssertionError(f"{name} ended with {status}:\n{self.pipeline.said()}")

    def kill(self, name):
        """One of that name, which is given for it if none is."""
        those = [process for command, process in self.running if command == name and process.poll() is None]
        return kill_9((those[0] if those else self.give(name)).pid)

    def wait(self):
        for _, process in self.running:
            process.wait(PATIENCE_S)
        self.reap()

    def close(self):
        for _, process in self.running:
            process.kill()
            process.wait()
        self.running = []


class Upkeep:
    """What a session of kills.py gets that is about tables; mixed into one on disk, and one with a bucket."""

    victims, pause_s, take_at_last_s, clients = VICTIMS, PAUSE_S, 2 * RETENTION_S, Patient

    def prepare(self):
        self.hands, self.steps_done, self.started = Hands(self.pipeline), 0, time.monotonic()
        self.pipeline.environment.update(ENVIRONMENT)

    def take(self, load, where, action):
        self.hands.reap()
        if len(self.hands.running) < AT_ONCE and self.rng.random() < COMMAND_SHARE:
            self.hands.give(self.rng.choice(COMMANDS))
        super().take(load, where, action)

    def kill(self, victim):
        if victim not in COMMANDS:
            super().kill(victim)
        elif self.hands.kill(victim):
            self.note((victim, "random"))

    def provoke(self, point):
        """What waits for files to be old comes round by itself in a while; by hand it comes sooner."""
        self.hands.reap()
        if len(self.hands.running) < AT_ONCE and not point.startswith(("store-", "delta-", "s3-")):
            self.hands.give("vacuum" if point.startswith(kills.OF_AGE) else "optimize")
        return []

    def steps(self, kills_wanted, points):
        """Rebuilds come between."""
        steps = super().steps(kills_wanted, points)
        for part in range(1, REBUILDS + 1):
            steps.insert(part * len(steps) // (REBUILDS + 1), ("rebuild", "between"))
        return steps

    def rebuild(self):
        """No stream and no batch may run beside it; who merges and cleans up may."""
        self.hands.wait()
        self.pipeline.stop()
        maintain = self.hands.give("maintain")
        for table in TABLES:
            self.hands.give("optimize")
            done = self.hands.give("rebuild", table, "--from", "both")
            if self.rng.random() < 0.5:
                time.sleep(self.rng.random() * 0.3)  # any time of it
                self.note(*[("rebuild", "random")] * kill_9(done.pid))
                done.wait(PATIENCE_S)
                done = self.hands.give("rebuild", table, "--from", "both")
            done.wait(PATIENCE_S)
            self.hands.reap()
        maintain.send_signal(signal.SIGTERM)
        self.hands.wait()
        self.pipeline.start()
        self.pipeline.await_healthy()
        for planted in self.open:   # the end of the pipeline has withdrawn them
            self.pipeline.plant(*planted)

    def look(self):
        """The watch does."""

    def settle(self, load):
        while time.monotonic() < self.started + AGES * RETENTION_S:
            load.wait_for_more(20, self.pipeline)
            self.checker.log.follow()
        super().settle(load)

    def finish(self):
        self.hands.wait()
        self.pipeline.finish(["optimize"], ["vacuum"])

    def close(self):
        self.hands.close()


class Session(Upkeep, kills.Session):
    def __init__(self, binary, directory, seed, places=None):
        super().__init__(binary, directory, seed, places)
        self.prepare()
        self.visitors = [Visitor(self.checker.lake, seed + n) for n in range(2)]

    def take(self, load, where, action):
        if action == "between":
            with load.paused():
                self.rebuild()
        else:
            super().take(load, where, action)

    def work(self, steps):
        with contextlib.ExitStack() as stack:
            for thread in (Watch(self.kept), *self.visitors):
                stack.enter_context(thread)
            return super().work(steps)

    def run(self, steps):
        try:
            report = super().run(steps)
        finally:
            self.close()
        for visitor in self.visitors:
            report["lost"] += visitor.faults
            report.counts["visits"] += visitor.visits
        return report


class BucketSession(Upkeep, bucket.BucketSession):
    def __init__(self, binary, directory, seed, its_bucket):
        super().__init__(binary, directory, seed, its_bucket)
        self.prepare()

    def steps(self, kills_wanted, points):
        """Without rebuilds, which read all that there is through the faults."""
        return super(Upkeep, self).steps(kills_wanted, points)

    def run(self, steps):
        try:
            return super().run(steps)
        finally:
            self.close()


class CutSession(cuts.Session):
    """Power cuts while tables are merged and cleaned up; once files are old, that is at any time."""

    clients = Patient

    def __init__(self, binary, place, disk, rng):
        super().__init__(binary, place, disk, rng)
        self.pipeline.environment.update(ENVIRONMENT)
        self.hands = Hands(self.pipeline)

    def ripen(self, load):
        end = time.monotonic() + RETENTION_S + 5
        while time.monotonic() < end:
            load.wait_for_more(20, self.pipeline)
            self.kept.look()

    def kill_all(self):
        self.hands.close()
        super().kill_all()

    def provoke(self, point):
        if point.startswith(kills.OF_AGE):
            self.hands.give("vacuum")
        elif point.startswith("compact-"):
            self.hands.give("optimize")

    def finish(self):
        self.hands.close()
        self.pipeline.finish(["optimize"], ["vacuum"])

    def run(self, wanted, points):
        try:
            return super().run(wanted, points)
        finally:
            self.hands.close()


def check_done(name, report, figures):
    """That it was about something."""
    for what in ("kept: OPTIMIZE", "kept: weighed", "kept: files vacuumed", "kept: log files cleaned",
                 "kept: checkpoints"):
        if not report.counts[what]:
            figures.missed.append(f"{name}: {what.removeprefix('kept: ')} is 0")


def torture(binary, seed, count, points):
    """One session on disk; (report, session)."""
    return kills.torture(binary, seed, count, points, kind=Session)


def on_disk(arguments, figures):
    done, number = collections.Counter(), 0
    while done.total() < arguments.tables:
        started, seed = time.monotonic(), arguments.seed + number
        count = min(KILLS_A_SESSION, arguments.tables - done.total())
        report, session = torture(arguments.binary, seed, count, arguments.point or failpoints())
        figures.add("tables", seed, session.kills.total(), time.monotonic() - started, report)
        figures.missed += [f"tables, seed {seed}: nobody passed {point} for {action}" for point, action in session.open]
        check_done(f"tables, seed {seed}", report, figures)
        print("given by hand: " + ", ".join(f"{name} {n} × {status}" for (name, status), n in
                                            sorted(session.hands.ended.items())))
        done, number = done + session.kills, number + 1
    print_counts("killed at", done)


def in_bucket(arguments, figures):
    started, seed = time.monotonic(), arguments.seed
    with workplace(f"tables-s3-{seed}") as place, \
            contextlib.closing(bucket.Bucket(seed, place.path / "data" / "lake")) as its_bucket:
        session = BucketSession(arguments.binary, place.path, seed, its_bucket)
        report = session.run(session.steps(arguments.tables // 2, arguments.point or failpoints(True)))
        place.keep = not report.clean
    figures.add("tables s3", seed, session.kills.total(), time.monotonic() - started, report)
    figures.missed += [f"tables s3: nobody passed {point} for {action}" for point, action in session.open]
    print_counts("killed at", session.kills)


def with_cuts(arguments, figures):
    with workplace("cuts") as place:
        reason = reason_against(place.path)
    if reason:
        figures.left_out.append(f"tables' power cuts: {reason}")
        return
    started, seed = time.monotonic(), arguments.seed
    rng = random.Random(seed)
    with workplace(f"tables-cuts-{seed}") as place, Disk(place.path, rng, cuts.kind_of(seed)) as disk:
        session = CutSession(arguments.binary, place.path, disk, rng)
        report = session.run(CUTS_A_SESSION, arguments.point or failpoints())
        place.keep = not report.clean
    figures.add("tables cuts", seed, session.cuts.total(), time.monotonic() - started, report)
    print_counts("power cut at", session.cuts)


def add_arguments(parser):
    parser.add_argument("--tables", type=int, default=100, help="kill -9 of who merges and cleans up, on disk")


def run(arguments, figures):
    on_disk(arguments, figures)
    in_bucket(arguments, figures)
    with_cuts(arguments, figures)
