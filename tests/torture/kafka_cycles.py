"""Three sinks of one lake in one group, on a real Kafka; the gateway under load, streams and batches beside.

A session is one cluster and one lake. Its cycles, in an order that the seed makes, are: a sink is killed -9, is
stopped for up to three of its sessions and goes on, or is ended; a service, the supervisor or all at once are killed;
the broker is killed -9 or stopped. Whoever is away comes back at a time that the seed makes, beside what befalls others
meanwhile; so partitions move all the time. And somebody else's transactions are taken back among the records.

At the end all have to catch up by themselves; then cluster, log and lake are compared with what the clients were told.
"""
import collections
import contextlib
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import kills
from client import Client, Load
from figures import print_counts, workplace
from journal import Log, digest
from pipeline import Held, await_that
from places import Cluster

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent), str(HERE.parent / "interop")]

import conftest  # noqa: E402  # pylint: disable=wrong-import-position
import kafka_server  # noqa: E402  # pylint: disable=wrong-import-position

HOW = "tools/interop/install-kafka brings what the part kafka needs"
# Each as often as it is worth: sinks are what shares partitions.
CYCLES = {"sink killed": 6, "sink stopped": 6, "sink ended": 4, "gateway killed": 3, "stream killed": 1,
          "batch killed": 1, "supervisor killed": 1, "all killed": 1, "broker killed": 3, "broker stopped": 2,
          "transaction aborted": 2}
CYCLES_A_SESSION = 25
BESIDE = 2              # sinks beside the pipeline's own
GROUP, PARTITIONS = "torture", 4
PAUSE_S = 1.0           # at most, between two cycles
SINK_AWAY_S = 18        # at most: three sessions
BROKER_AWAY_S = 13      # at most: longer than a record is waited for
START_S, CATCH_UP_S = 120, 120
ENDED = (0, 128 + signal.SIGTERM)
# Of parts of the pipeline: one whose place an orphan still has, one that is to be tried again; ended, and killed.
ENDS_WELL = {"0", "73", "75", "143", "137"}


def is_installed():
    return (kafka_server.CACHE / "installed").exists()


class ClusterLog(Log):
    """Streams as the log of the directory has them, topics as the cluster has."""

    def __init__(self, directory, kafka, user):
        super().__init__(directory)
        self.kafka, self.user = kafka, user

    def ordinals(self, lane):
        return set(self.records[lane]) if lane[0].startswith(f"{self.user}.") else super().ordinals(lane)

    def finish(self):
        super().finish()
        for topic in self.kafka.admin.list_topics(timeout=START_S).topics:
            if topic.startswith(f"{self.user}."):
                self.take_topic(topic)

    def take_topic(self, topic):
        for message in self.kafka.consume(topic):
            lane = topic, message.partition()
            self.records[lane][message.offset()] = digest(message.value())
            self.next[lane] = message.offset() + 1


class Sink:
    """One beside the pipeline's own: with a directory of its own, on the pipeline's lake."""

    def __init__(self, pipeline, name):
        self.pipeline, self.directory = pipeline, pipeline.directory.parent / name
        self.trace_path = self.directory.with_suffix(".trace")
        self.process = None

    def start(self):
        with open(self.trace_path, "ab") as trace:
            self.process = subprocess.Popen(
                [self.pipeline.binary, "sink", "--dir", self.directory, "--id", self.pipeline.user],
                stdin=subprocess.DEVNULL, stdout=trace, stderr=trace, env=self.pipeline.environment,
                preexec_fn=conftest.die_with_parent)

    def assert_ended(self, *statuses):
        if self.process.returncode not in statuses:
            raise AssertionError(f"{self.directory.name} ended with {self.process.returncode}:\n"
                                 f"{self.trace_path.read_text(errors='replace')[-3000:]}")

    def end(self):
        self.process.terminate()
        self.process.wait(START_S)
        self.assert_ended(*ENDED)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class PatientClient(Client):
    busy_pause_s = 0.05


class KafkaSession(kills.Session):
    def __init__(self, binary, directory, seed, kafka):
        directory = pathlib.Path(directory)
        lake = directory / "data" / "lake"
        lake.mkdir(parents=True)
        super().__init__(binary, directory, seed, Cluster(), environment={
            "PINPIPE_BROKER_KIND": "kafka", "PINPIPE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap(),
            "PINPIPE_LAKE": f"file:{lake}", "PINPIPE_SINK_GROUP": GROUP, "PINPIPE_GATEWAY_PARTITIONS": str(PARTITIONS)})
        self.kafka, self.node = kafka, kafka.nodes[0]
        self.checker.log = ClusterLog(directory / "data" / "log", kafka, self.pipeline.user)
        self.sinks = [Sink(self.pipeline, f"sink{n}") for n in range(BESIDE)]
        self.later = []         # (when, of whom, what is to be done)
        self.stopped = []       # Held
        self.cycles = collections.Counter()
        self.ended = collections.Counter()      # (service, status): parts of the pipeline that were started again
        self.caught_up_s = 0

    def draw(self, count):
        """So many cycles."""
        return [(what,) for what in self.rng.choices(list(CYCLES), list(CYCLES.values()), k=count)]

    # What comes back later

    def do_later(self, most_s, who, what):
        self.later.append((time.monotonic() + self.rng.random() * most_s, who, what))

    def do_due(self, until, who=None):
        """What is due by then, of one or of all."""
        due = [entry for entry in self.later if entry[0] <= until and who in (None, entry[1])]
        self.later = [entry for entry in self.later if entry not in due]
        for _, _, what in sorted(due, key=lambda entry: entry[0]):
            what()

    def wake(self, held):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(held.fd, signal.SIGCONT)
        self.stopped.remove(held)
        held.close()

    # Cycles

    def sink(self):
        """(its place, Held), back from where it is; of the pipeline's own there may be none for a moment."""
        place = self.rng.randrange(BESIDE + 1)
        self.do_due(float("inf"), place)
        return place, Held(self.sinks[place].process.pid if place < BESIDE else await_that(
            lambda: self.pipeline.child("sink"), "a sink to run"))

    def sink_killed(self):
        place, held = self.sink()
        held.kill()
        self.sink_is_away(place, held, -signal.SIGKILL)

    def sink_ended(self):
        place, held = self.sink()
        signal.pidfd_send_signal(held.fd, signal.SIGTERM)
        # Without a broker the next start goes on; before a handler is in place the signal just kills.
        self.sink_is_away(place, held, *ENDED, 75, -signal.SIGTERM)

    def sink_is_away(self, place, held, *statuses):
        await_that(held.is_gone, "a sink to end", START_S)
        held.close()
        if place < BESIDE:
            self.sinks[place].process.wait()
            self.sinks[place].assert_ended(*statuses)
            self.do_later(self.rng.choice((0, SINK_AWAY_S)), place, self.sinks[place].start)

    def sink_stopped(self):
        place, held = self.sink()
        signal.pidfd_send_signal(held.fd, signal.SIGSTOP)
        self.stopped.append(held)
        self.do_later(SINK_AWAY_S, place, lambda: self.wake(held))

    def broker_serves(self):
        self.do_due(float("inf"), "broker")
        self.node.wait()

    def broker_killed(self):
        self.broker_serves()
        self.node.kill()
        self.do_later(BROKER_AWAY_S, "broker", self.node.start)

    def broker_stopped(self):
        self.broker_serves()
        self.node.pause()
        self.do_later(BROKER_AWAY_S, "broker", self.node.resume)

    def transaction_aborted(self):
        self.broker_serves()
        values = [b'{"index":1,"unique_id":"aborted"}'] * self.rng.randrange(1, 20)
        self.kafka.transact(f"{self.pipeline.user}.pin", [(values, False)], self.rng.randrange(PARTITIONS))

    def service_killed(self, service):
        if service in ("supervisor", "all"):
            self.do_due(float("inf"), BESIDE)   # the next supervisor's sink waits for it
        self.pipeline.kill(service)

    def take(self, load, what, action=None):
        load.wait_for_more(self.rng.randrange(1, 30), self.pipeline)
        time.sleep(self.rng.random() * PAUSE_S)     # so that it comes at any time
        self.do_due(time.monotonic())
        for place, sink in enumerate(self.sinks):
            if sink.process.poll() is not None and place not in [who for _, who, _ in self.later]:
                sink.assert_ended()
        act = getattr(self, what.replace(" ", "_"), None)
        if act:
            act()
        else:
            self.service_killed(what.split()[0])
        self.cycles[what] += 1

    # The whole

    def topics_acked(self, load):
        return sum(client.acked for client in load.clients if client.path == "batch")

    def await_topics(self, load, count):
        goal = self.topics_acked(load) + count
        await_that(lambda: load.check() or self.topics_acked(load) >= goal, f"{count} records in topics", START_S)

    def come_back(self, load):
        self.do_due(float("inf"))
        self.node.wait()
        self.pipeline.await_healthy()
        self.await_topics(load, 50)

    def lag(self):
        """How many records the sinks have not landed; None: nobody could tell."""
        done = subprocess.run([self.pipeline.binary, "groups", "describe", GROUP, "--dir", self.pipeline.directory,
                               "--format", "json"], stdin=subprocess.DEVNULL, capture_output=True,
                              env=self.pipeline.environment, timeout=START_S, check=False)
        lags = [row["lag"] for row in json.loads(done.stdout or "[]") if row["topic"]]  # a member may have no partition
        return sum(lags) if done.returncode == 0 and lags and all(isinstance(lag, int) for lag in lags) else None

    def catch_up(self):
        """Of itself: what comes after it would hide that nobody does."""
        started = time.monotonic()
        await_that(lambda: self.lag() == 0, "the sinks to catch up", CATCH_UP_S)
        self.caught_up_s = time.monotonic() - started

    def work(self, steps):
        for sink in self.sinks:
            sink.start()
        with Load(self.pipeline.port, self.pipeline.user, self.rng.randrange(1 << 31), kind=PatientClient) as load:
            self.await_topics(load, 200)
            for step in steps:
                self.take(load, *step)
                self.checker.log.follow()
            self.come_back(load)
        self.catch_up()
        for sink in self.sinks:
            sink.end()
        self.pipeline.finish()
        self.checker.log.finish()
        return load.ledger

    def run(self, steps):
        try:
            return super().run(steps)
        finally:
            for held in list(self.stopped):
                self.wake(held)
            for sink in self.sinks:
                sink.close()
            self.ended.update(re.findall(r"(\w+) ended with status (\d+)",
                                         self.pipeline.trace_path.read_text(errors="replace")))


def torture(binary, seed, count, name="kafka"):
    """One session; (report, session)."""
    with workplace(f"{name}-{seed}") as place:
        (place.path / "kafka").mkdir()
        with kafka_server.running(place.path / "kafka") as kafka:
            session = KafkaSession(binary, place.path, seed, kafka)
            report = session.run(session.draw(count))
        place.keep = not report.clean
        return report, session


def add_arguments(parser):
    parser.add_argument("--cycles", type=int, default=CYCLES_A_SESSION, help="of sinks and the broker of a real Kafka")


def run(arguments, figures):
    if not is_installed():
        figures.missed.append(f"kafka: {HOW}")
        return
    cycles, ends, number = collections.Counter(), collections.Counter(), 0
    while cycles.total() < arguments.cycles:
        started, seed = time.monotonic(), arguments.seed + number
        count = min(CYCLES_A_SESSION, arguments.cycles - cycles.total())
        report, session = torture(arguments.binary, seed, count)
        figures.add("kafka", seed, session.cycles.total(), time.monotonic() - started, report)
        print(f"kafka, seed {seed}: all had caught up after {session.caught_up_s:.1f} s", flush=True)
        figures.missed += [f"kafka, seed {seed}: {service} ended {times} times with status {status}"
                           for (service, status), times in session.ended.items() if status not in ENDS_WELL]
        cycles += session.cycles
        ends += session.ended
        number += 1
    print_counts("cycles", collections.Counter({tuple(what.split()): n for what, n in cycles.items()}))
    print_counts("ended with status", ends)
