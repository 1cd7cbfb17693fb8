"""kill -9 of every part, at random and at every failpoint, under load.

A session is one pipeline on one directory. Its steps, in an order that the seed makes, are: SIGKILL of a service, of
the supervisor, or of all at once; death at a named failpoint, of whoever passes it next; an EIO or ENOSPC at one.
Between two steps a few records are acknowledged, and nothing is drained; log and lake are checked at the end.
"""
import collections
import pathlib
import random
import re
import time

from checker import Checker
from client import Client, Load
from figures import print_counts, workplace
from kept import Kept
from pipeline import Pipeline

VICTIMS = ("gateway", "gateway", "gateway", "sink", "sink", "stream", "stream", "batch", "batch", "maintain",
           "supervisor", "all")
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src"
# Where an error cannot be told from the call before or after, the program asks for the kill only.
KILL_ONLY = {"journal-synced", "journal-ends", "journal-watermark", "segment-roll"}
KILLS_A_SESSION = 120
POINT_SHARE = 0.5       # of the kills
ERROR_SHARE = 0.2       # errors for each kill
PAUSE_S = 0.1           # at most, between two steps
TAKE_S = 0.5            # so long a step waits for somebody to pass its failpoint, before others go on beside it
TAKE_AT_LAST_S = 30
REST_S = 1.0            # longer than the committer waits with nothing to do before it marks the log's end
CALM_SHARE, CALM_S = 0.03, 1.5      # steps before which nothing is done for so long, so that retention comes round
LOOK_STEPS = 10         # between two looks at all versions of the tables
OF_AGE = ("vacuum-", "clean-")      # passed when files are as old as a retention: tables.py waits for that
A_SEGMENT = '{"records": [%s]}' % ",".join(['{"value": "%s"}' % ("x" * 60000)] * 20)    # more than fits into one


def all_failpoints():
    """All names in the sources, so that none can be forgotten."""
    names = set()
    for path in SOURCE.rglob("*.c"):
        names.update(re.findall(r'(?:\b(?:FAILPOINT|FAIL_AT)\(|\.failpoint = )"([a-z0-9-]+)"', path.read_text()))
    return names


def failpoints(bucket=False):
    """Those under load: but those of commands that a person gives and of a sink that is set otherwise (files of their
    own in tests/ kill at these), of a store that has no lake, of what bucket.py has on all the time, and of what
    tables.py kills at."""
    elsewhere = ("backup-", "copy-", "live-", "rebuild-", "remake-", "replay-", "restore-", "retain-",
                 "sink-output", "s3-small-parts", "store-" if bucket else "s3-", *OF_AGE)
    return sorted(name for name in all_failpoints() if not name.startswith(elsewhere))


def provoke(pipeline, point, number):
    """Some points are passed under load; others need a reason. Returns what was killed for it."""
    if point.startswith("recovery-"):
        pipeline.kill("gateway")
        return [("gateway", "random")]
    if point.startswith("catalog-"):
        stream = f"/streams/other{number % 2}"
        pipeline.ask("DELETE", stream)
        pipeline.ask("POST", stream)
    if point.startswith("segment-"):
        pipeline.ask("POST", f"/topics/{pipeline.user}.other", A_SEGMENT)
    return []


class Session:
    """One pipeline under load, and what was done to it: kills[component, failpoint or "random"], errors[failpoint]."""

    victims, pause_s, take_at_last_s, clients = VICTIMS, PAUSE_S, TAKE_AT_LAST_S, Client

    def __init__(self, binary, directory, seed, places=None, environment=None):
        self.rng = random.Random(seed)
        self.directory = pathlib.Path(directory)
        self.pipeline = Pipeline(binary, self.directory / "data", self.directory, environment=environment)
        self.checker = Checker(self.directory / "data", self.pipeline.user, places)
        self.kept = Kept(self.checker.lake)
        self.kills, self.errors = collections.Counter(), collections.Counter()
        self.open = []          # planted, not yet taken
        self.number = 0

    def steps(self, kills, points):
        """Every point in turn, some parts at random, and errors between them."""
        at_points = min(kills, max(len(points), round(kills * POINT_SHARE)))
        first = self.rng.randrange(len(points))
        steps = [(points[(first + k) % len(points)], "kill") for k in range(at_points)]
        steps += [(self.rng.choice(self.victims), None) for _ in range(kills - at_points)]
        errors = [point for point in points if point not in KILL_ONLY]
        steps += [(self.rng.choice(errors), self.rng.choice(("eio", "enospc")))
                  for _ in range(round(kills * ERROR_SHARE) if errors else 0)]
        self.rng.shuffle(steps)
        return steps

    def note(self, *killed):
        self.kills.update(killed)

    def collect(self):
        """Looks who took what is planted."""
        for planted in list(self.open):
            taker = self.pipeline.who_took(*planted)
            if taker:
                self.open.remove(planted)
                if planted[1] == "kill":
                    self.note((taker[0], planted[0]))
                else:
                    self.errors[planted[0]] += 1
        return not self.open

    def take(self, load, where, action):
        load.wait_for_more(self.rng.randrange(1, 30), self.pipeline)
        # So that death comes at any time, not only after an answer.
        time.sleep(CALM_S if self.rng.random() < CALM_SHARE else self.rng.random() * self.pause_s)
        self.collect()
        if action and (where, action) not in self.open:
            self.plant(where, action)
        elif action in (None, "kill"):
            self.kill(self.rng.choice(self.victims) if action else where)

    def kill(self, victim):
        self.pipeline.kill(victim)
        self.note((victim, "random"))

    def provoke(self, point):
        """Returns what was killed for it."""
        return provoke(self.pipeline, point, self.number)

    def plant(self, point, action):
        self.number += 1
        self.pipeline.plant(point, action)
        self.open.append((point, action))
        self.note(*self.provoke(point))
        end = time.monotonic() + TAKE_S
        while (point, action) in self.open and time.monotonic() < end:
            time.sleep(0.002)  # paces the look
            self.collect()

    def rest(self, load):
        """For what is passed only while nothing comes."""
        end = time.monotonic() + REST_S
        with load.paused():
            while not self.collect() and time.monotonic() < end:
                time.sleep(0.01)  # paces the look

    def settle(self, load):
        """What is planted still gets its time."""
        end = time.monotonic() + self.take_at_last_s
        while not self.collect() and time.monotonic() < end:
            for point, _ in self.open:
                self.number += 1
                self.note(*self.provoke(point))
            self.pipeline.await_healthy()
            self.checker.log.follow()
            time.sleep(0.05)  # for those who pass it under load
            if any(point.endswith("-rest") for point, _ in self.open):
                self.rest(load)
        self.pipeline.withdraw()

    def bring_lake(self):
        """To where the checker looks: it is there."""

    def look(self):
        """At all versions of the tables, before some are cleaned up."""
        self.kept.look()

    def finish(self):
        """Nothing is left to do, and nothing runs."""
        self.pipeline.finish()

    def run(self, steps):
        """The checker's report."""
        try:
            self.pipeline.start()
            self.pipeline.await_healthy()
            ledger = self.work(steps)
            self.bring_lake()
            report = self.checker.check_lake(ledger)
            self.kept.finish(report)
            return report
        finally:
            self.pipeline.close()
            self.kept.close()

    def work(self, steps):
        """The ledger of all that was sent. All of it was worked on, and the log has been read."""
        with Load(self.pipeline.port, self.pipeline.user, self.rng.randrange(1 << 31), kind=self.clients) as load:
            for number, step in enumerate(steps):
                self.take(load, *step)
                self.checker.log.follow()
                if number % LOOK_STEPS == 0:
                    self.look()
            self.settle(load)
            self.pipeline.await_healthy()
            load.wait_for_more(50, self.pipeline)
        self.finish()
        self.checker.log.finish()
        return load.ledger


def torture(binary, seed, kills, points, places=None, kind=Session):
    """One session; (report, session). Its directory stays if there was a fault."""
    with workplace(f"kills-{seed}") as place:
        session = kind(binary, place.path, seed, places)
        report = session.run(session.steps(kills, points))
        place.keep = not report.clean
        return report, session


def add_arguments(parser):
    parser.add_argument("--kills", type=int, default=240, help="kill -9, at random and at the failpoints, in all")
    parser.add_argument("--point", action="append", help="of the failpoints only these")


def sessions(name, binary, arguments, figures, places=None, kind=Session):
    """As many as give arguments.kills."""
    points = arguments.point or failpoints()
    kills, errors, number = collections.Counter(), 0, 0
    while kills.total() < arguments.kills:
        started, seed = time.monotonic(), arguments.seed + number
        count = min(KILLS_A_SESSION, arguments.kills - kills.total())
        report, session = torture(binary, seed, count, points, places, kind)
        figures.add(name, seed, session.kills.total(), time.monotonic() - started, report)
        figures.missed += [f"{name}, seed {seed}: nobody passed {point} for {action}"
                           for point, action in session.open]
        kills += session.kills
        errors += session.errors.total()
        number += 1
    print_counts("killed at", kills)
    print(f"beside them {errors} errors at failpoints")


def run(arguments, figures):
    sessions("kills", arguments.binary, arguments, figures)
