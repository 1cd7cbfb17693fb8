"""The pipeline on a real Kafka, a single broker on this machine: the gateway and the sink against bare clients."""
import contextlib
import http.client
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import ingest
from log import TOPIC
from measure import TOP, free_port, rounds, run

sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests" / "interop")]

LINGERS_MS = (0, 1, 2, 5)  # of these each side has its best one
PARTITIONS = 2  # of what the sink reads
RECORDS = 1500000  # of these, about 1.1 GB
WINDOWS = (800, 100000)  # records on their way in the bare producer: as the posts have them, and as it likes
WARM_S = 8  # Java compiles what runs long
TAKES = {"retention.bytes": 256 << 20, "segment.bytes": 64 << 20}  # a benchmark fills a disk in minutes
SETTINGS = {"log.retention.check.interval.ms": 5000, "log.initial.task.delay.ms": 1000}


def installed():
    try:
        import kafka_server  # pylint: disable=import-outside-toplevel
    except ImportError as missing:
        print(f"no Kafka: {missing}")
        return None
    if not (kafka_server.CACHE / "jars").is_dir():
        print("no Kafka: tools/interop/install-kafka brings one (make interop does)")
        return None
    return kafka_server


class Cluster:
    def __init__(self, kafka, binary, build, directory, rows):
        self.kafka, self.binary, self.bench, self.rows = kafka, binary, build / "bench", rows
        self.directory = directory
        self.place = kafka.bootstrap()

    def env(self, linger_ms=None, **options):
        """linger_ms: None as it comes."""
        linger = {} if linger_ms is None else {"PINPIPE_KAFKA__LINGER_MS": str(linger_ms)}
        return {**os.environ, "PINPIPE_BROKER_KIND": "kafka", "PINPIPE_KAFKA__BOOTSTRAP_SERVERS": self.place,
                **linger, **options}

    @contextlib.contextmanager
    def topic(self, partitions, config):
        self.kafka.create(TOPIC, partitions, **{name.replace(".", "_"): value for name, value in config.items()})
        try:
            yield
        finally:
            self.kafka.delete(TOPIC)

    @contextlib.contextmanager
    def gateway(self, linger_ms=None):
        data = pathlib.Path(tempfile.mkdtemp(prefix="data-", dir=self.directory))
        server = ingest.gateway(self.binary, data, env=self.env(linger_ms))
        try:
            await_ready(server.port)
            yield server
        finally:
            server.process.stop()

    @contextlib.contextmanager
    def bare(self, how, linger_ms):
        port = free_port()
        server = ingest.Server([self.bench / "bare_posts", self.place, TOPIC, linger_ms, port, how], port)
        try:
            yield server
        finally:
            server.process.stop()

    def produce(self, linger_ms, window, seconds=0, count=0):
        """Records/s of the bare producer; it ends after so many seconds, or records."""
        words = run([self.bench / "bare_produce", self.place, TOPIC, linger_ms, self.rows, window, seconds, count])[3]
        records, elapsed = words.split()
        return int(records) / float(elapsed)


def await_ready(port):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200:
            return
        time.sleep(0.01)
    raise RuntimeError("the gateway did not become ready")


def best(seconds, ways, measure):
    """Which of the ways is the fastest, each tried twice, in turns; and a word on all of them."""
    tried = [{way: measure(way, seconds) for way in ways} for _ in range(2)]
    rates = {way: max(rates[way] for rates in tried) for way in ways}
    return max(rates, key=rates.get), ", ".join(f"{named(way)}: {rate / 1000:,.0f}k" for way, rate in rates.items())


def named(way):
    return " ".join(map(str, way)) if isinstance(way, tuple) else str(way)


# --- the gateway ----------------------------------------------------------------------------------------------------


class Posts:
    """One kind of load on servers that are started for it."""

    def __init__(self, cluster, records, connections):
        self.cluster, self.records, self.connections = cluster, records, connections
        self.p50, self.rss = [], 0

    def load(self, server, seconds):
        return server.load("topic", self.cluster.rows, self.records, self.connections, seconds, [ingest.TOPIC])

    def ours(self, server, seconds):
        rate = self.load(server, seconds)
        self.p50.append(server.quantiles["50"])
        self.rss = max(self.rss, server.process.status_kib("VmHWM") / 1024)
        return rate

    def try_ours(self, linger_ms, seconds):
        with self.cluster.gateway(linger_ms) as server:
            return self.load(server, seconds)

    def try_bare(self, way, seconds):
        with self.cluster.bare(*way) as server:
            return self.load(server, seconds)


def post_row(table, cluster, connections, count, seconds):
    """One record a post; peak memory of the gateway."""
    posts = Posts(cluster, 1, connections)
    linger, ours_said = best(seconds, LINGERS_MS, posts.try_ours)
    way, bare_said = best(seconds, [(how, ms) for how in ("each", "turn") for ms in LINGERS_MS], posts.try_bare)
    with cluster.gateway(linger) as server, cluster.bare(*way) as limit, cluster.gateway() as given:
        figures = rounds(count, {"ours": lambda: posts.ours(server, seconds),
                                 "bare": lambda: posts.load(limit, seconds),
                                 "given": lambda: posts.load(given, seconds),
                                 "closed": lambda: cluster.produce(0, connections, seconds)})
    table.add(f"Kafka: POST 1 record, {connections} connections", figures["ours"], figures["bare"], 0.85, "rec/s",
              cpu_us=server.cpu_us, rss_mib=posts.rss,
              note=f"linger.ms {linger}, limit {named(way)} (CPU {limit.cpu_us:.1f}); as it comes "
              f"{figures['given']:,.0f}; without HTTP {figures['closed']:,.0f}; {ours_said}; limit {bare_said}")
    if connections == 32:
        table.add("Kafka: the same, p50", statistics.median(posts.p50), 2, 1.0, "ms", higher=False)
    return posts.rss


def many_row(table, cluster, count, seconds):
    """100 records a post; peak memory of the gateway."""
    posts = Posts(cluster, 100, 8)
    linger, ours_said = best(seconds, LINGERS_MS, posts.try_ours)
    way, bare_said = best(seconds, [(window, ms) for window in WINDOWS for ms in LINGERS_MS],
                          lambda way, s: cluster.produce(way[1], way[0], s))
    with cluster.gateway(linger) as server, cluster.gateway() as given:
        figures = rounds(count, {"ours": lambda: posts.ours(server, seconds),
                                 "bare": lambda: cluster.produce(way[1], way[0], seconds),
                                 "given": lambda: posts.load(given, seconds)})
    table.add("Kafka: POST 100 records, 8 connections", figures["ours"], figures["bare"], 0.7, "rec/s",
              cpu_us=server.cpu_us, rss_mib=posts.rss,
              note=f"linger.ms {linger}, limit {named(way)}; as it comes {figures['given']:,.0f}; "
              f"{ours_said}; limit {bare_said}")
    return posts.rss


# --- the sink -------------------------------------------------------------------------------------------------------


class Sink:
    def __init__(self, cluster):
        self.cluster, self.runs, self.rss, self.tails, self.ends = cluster, 0, 0, [], []

    def sink(self):
        """Records/s from the start of the process to the last object."""
        self.runs += 1
        directory = self.cluster.directory / f"sink{self.runs}"
        began = time.time()
        elapsed, cpu, rss, out = run([self.cluster.binary, "sink", "--dir", directory, "--until-end"],
                                     env=self.cluster.env())
        records = json.loads(out)["records"]["pin"]
        if records != RECORDS:
            raise RuntimeError(f"the sink has landed {records} records")
        # It is kept to the end: without a journal ext4 looks long for an inode where many were removed.
        last = max(path.stat().st_mtime for path in directory.rglob(f"{TOPIC}+*.json"))
        self.tails.append(began + elapsed - last)
        self.cpu_us, self.rss = cpu / records * 1e6, max(self.rss, rss)
        return records / (last - began)

    def bare(self):
        elapsed, cpu, _, out = run([self.cluster.bench / "bare_consume", self.cluster.place, TOPIC, PARTITIONS])
        if int(out) != RECORDS:
            raise RuntimeError(f"the bare consumer has read {out.decode()} records")
        self.bare_us = cpu / RECORDS * 1e6
        return RECORDS / elapsed


def sink_rows(table, cluster, count):
    sink = Sink(cluster)
    cluster.produce(5, WINDOWS[-1], count=RECORDS)
    sink.bare()  # what is in no page cache is in none of the two's
    figures = rounds(count, {"ours": sink.sink, "bare": sink.bare})
    table.add("Kafka: sink, to the last object", figures["ours"], figures["bare"], 0.6, "rec/s", cpu_us=sink.cpu_us,
              rss_mib=sink.rss, note=f"CPU of the limit: {sink.bare_us:.1f} us/rec")
    table.add("Kafka: sink, from the last object to its end", statistics.median(sink.tails) * 1000, 1000, 1.0, "ms",
              higher=False)
    return sink.rss


def measure(table, binary, build, rows, count, seconds):
    server = installed()
    if not server:
        return
    with tempfile.TemporaryDirectory(prefix="pinpipe-kafka-") as place, \
            tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory, \
            server.running(pathlib.Path(place), settings=SETTINGS, lasts=True) as kafka:
        cluster = Cluster(kafka, binary, build, pathlib.Path(directory), rows)
        with cluster.topic(PARTITIONS, {}):
            table.add("Kafka: sink memory", sink_rows(table, cluster, count), 128, 1.0, "MiB", higher=False)
        with cluster.topic(1, TAKES):
            Posts(cluster, 1, 32).try_bare(("each", 0), WARM_S)
            peak = max(post_row(table, cluster, 32, count, seconds), post_row(table, cluster, 256, count, seconds),
                       many_row(table, cluster, count, seconds))
        table.add("Kafka: gateway memory, under these loads", peak, 64, 1.0, "MiB", higher=False)
