"""The works that two programs are compared by. Each drives the program only by its commands and by HTTP, and each side
works on data that its own program made, so that formats, options and defaults may differ between them."""
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess

import abuse
import batch
import ingest
import log
import stream
from emulate import Emulator
from measure import run

ID, TOPIC = ingest.ID, ingest.TOPIC
BATCH_POSTS = 300000
STREAM_POSTS = 150000
COMMIT_POSTS, COMMIT_ROWS = 10000, 100  # of each table: 100 commits


@dataclasses.dataclass
class Side:
    """One of the two programs, with a place of its own."""
    program: pathlib.Path
    build: pathlib.Path
    rows: pathlib.Path  # a directory with pin.ndjson, geo.ndjson, user.ndjson
    place: pathlib.Path
    seconds: int

    @functools.cached_property
    def keys(self):
        """The options that this program knows."""
        return {option["key"] for option in json.loads(run([self.program, "config", "--format", "json"])[3])}

    def options(self, **wanted):
        """An environment with these options, those that the program knows (`stream_rows_max`: stream.rows_max)."""
        known = {key.replace(".", "_"): key for key in self.keys}
        return {**os.environ, **{f"PINPIPE_{name.upper()}": str(value) for name, value in wanted.items()
                                 if name in known}}


@dataclasses.dataclass
class Figure:
    work: str
    value: float
    unit: str
    higher: bool = False  # more is better
    cpu: float = None  # seconds, of the whole or for a record: alike in both sides
    rss: float = None  # MiB at its peak


@dataclasses.dataclass
class Part:
    open: object  # a context manager for a side: the measures, each a function that gives figures
    hot: bool


PARTS = {}


def part(name, hot=False):
    def add(function):
        def opened(side):
            side.place.mkdir(parents=True)
            return contextlib.contextmanager(function)(side)
        PARTS[name] = Part(opened, hot)
        return function
    return add


@contextlib.contextmanager
def gateway(side, directory):
    server = ingest.gateway(side.program, directory)
    try:
        yield server
    finally:
        server.process.stop()


def post(port, path, requests):
    """One after the other on one connection, so that each is a commit of its own."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in requests:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               f"Content-Type: application/vnd.kafka.json.v2+json\r\nContent-Length: {len(body)}\r\n"
                               "\r\n".encode() + body)
            if not (answer := connection.recv(65536)).startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"answered {answer[:200]}")


def fill(side, directory, mib, records, keep=False, **options):
    """A log of pins, `records` a request, by the side's own gateway. `keep`: as a kill -9 leaves it."""
    rows = itertools.cycle((side.rows / "pin.ndjson").read_bytes().splitlines())

    def requests():
        left = mib << 20
        while left > 0:
            values = list(itertools.islice(rows, records))
            left -= sum(map(len, values))
            yield b'{"records":[' + b",".join(b'{"value":' + value + b"}" for value in values) + b"]}"

    server = ingest.gateway(side.program, directory, env=side.options(**options))
    try:
        post(server.port, TOPIC, requests())
    finally:
        server.process.stop(signal.SIGKILL if keep else signal.SIGTERM)


def emulate(side, server, posts):
    run([side.program, "emulate", "--streaming", "--posts", posts, "--rate", "max", "--order", "random",
         "--data", side.rows, "--connections", 64, "--format", "json",
         "--streaming-url", f"http://127.0.0.1:{server.port}/streams/streaming-{ID}-"])


def load(server, side, work, kind, records, connections, paths):
    def measure():
        rate = server.load(kind, side.rows / "pin.ndjson", records, connections, side.seconds, paths)
        return [Figure(work, rate, "rec/s", True, server.cpu_us, server.process.status_kib("VmHWM") / 1024)]
    return measure


@part("ingest", hot=True)
def ingesting(side):
    with gateway(side, side.place) as server:
        yield [load(server, side, *row) for row in (
            ("POST 1 record, 32 connections", "topic", 1, 32, [TOPIC]),
            ("POST 1 record, 256 connections", "topic", 1, 256, [TOPIC]),
            ("POST 100 records, 8 connections", "topic", 100, 8, [TOPIC]),
            ("PUT record, 32 connections", "stream", 1, 32, [ingest.STREAM]),
            ("1 record, 3 topics and 3 streams", "topic", 1, 32, ingest.SPREAD))]


@part("batch", hot=True)
def batching(side):
    lake = batch.Lake(side.build, side.place, BATCH_POSTS, BATCH_POSTS // 100)

    def measure():
        lake.undo()
        first, more = {}, {}
        seconds = batch.batch(side.program, lake, BATCH_POSTS, first)
        lake.add_more()
        again = batch.batch(side.program, lake, BATCH_POSTS // 100, more)
        return [Figure(f"batch: {BATCH_POSTS:,} posts", seconds, "s", False, first["cpu"], first["rss"]),
                Figure("batch: peak memory", first["rss"], "MiB"),
                Figure("batch after 1 % more", again, "s", False, more["cpu"], more["rss"])]

    yield [measure]


def drain(side, directory, work, posts, **options):
    def measure():
        shutil.rmtree(directory / "lake", ignore_errors=True)
        seconds, cpu, rss, out = run([side.program, "stream", "--dir", directory, "--until-end"],
                                     env=side.options(**options))
        if set(json.loads(out)["rows"].values()) != {posts}:
            raise RuntimeError(f"stream: {out}")
        return [Figure(work, 3 * posts / seconds, "rec/s", True, cpu, rss)]
    return measure


@part("stream", hot=True)
def streaming(side):
    backlog = side.place / "backlog"
    with gateway(side, backlog) as server:
        emulate(side, server, STREAM_POSTS)
    fresh = itertools.count()

    def latency():
        directory = side.place / f"live{next(fresh)}"
        found = stream.latency(side.program, directory, side.rows, side.seconds)
        shutil.rmtree(directory)
        return [Figure(f"POST 200 to Delta row, {what}", found[what], "ms", False, found["cpu"], found["rss"])
                for what in ("p50", "p99")]

    yield [drain(side, backlog, "stream draining a backlog", STREAM_POSTS), latency]


@part("commits")
def committing(side):
    with gateway(side, side.place) as server:
        emulate(side, server, COMMIT_POSTS)
    work = f"stream, {3 * COMMIT_POSTS // COMMIT_ROWS} commits"

    def ask():
        seconds, cpu, rss, _ = run([side.program, "sql", "--dir", side.place, "--from", "stream", "--format", "json",
                                    "SELECT count(*) FROM pin_all"])
        return [Figure("sql over tables of many commits", seconds, "s", False, cpu, rss)]

    yield [drain(side, side.place, work, COMMIT_POSTS, stream_rows_max=COMMIT_ROWS), ask]


def cat(side, directory, work, mib):
    def measure():
        seconds, cpu, rss, _ = run([side.program, "cat", log.TOPIC, "--dir", directory], stdout=subprocess.DEVNULL)
        return [Figure(work, mib / seconds, "MiB/s", True, cpu, rss)]
    return measure


@part("cat")
def reading(side):
    measures = []
    for mib, records in ((512, 100), (64, 1)):
        directory = side.place / str(records)
        fill(side, directory, mib, records)
        measures.append(cat(side, directory, f"cat of {mib} MiB, {records} a batch", mib))
    yield measures


def ready(side, work, directory):
    def measure():
        where = directory()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        ms = log.ready_ms(side.program, where)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        return [Figure(work, ms, "ms", False, cpu)]  # of its whole life, the end too
    return measure


@part("start")
def starting(side):
    def fresh():
        shutil.rmtree(side.place / "fresh", ignore_errors=True)
        return side.place / "fresh"

    fill(side, side.place / "log", 256, 100, keep=True)
    fill(side, side.place / "unsealed", 256, 100, keep=True, log_segment_bytes="1GiB")
    yield [ready(side, "start to ready, a new log", fresh),
           ready(side, "start to ready, 256 MiB of log",
                 lambda: log.again(side.place / "log", side.place / "copy")),
           ready(side, "start to ready, 256 MiB unsealed",
                 lambda: log.again(side.place / "unsealed", side.place / "copy"))]


@part("memory")
def remembering(side):
    fresh = itertools.count()

    def measure():
        directory = side.place / str(next(fresh))
        with gateway(side, directory) as server:
            idle = server.process.status_kib("VmRSS") / 1024
            connection, _ = abuse.idle_connections(server)
        shutil.rmtree(directory)
        return [Figure("memory of an idle gateway", idle, "MiB"),
                Figure("memory of an idle connection", connection, "KiB")]

    yield [measure]


@part("emulate")
def emulating(side):
    with gateway(side, side.place) as server:
        emulator = Emulator(side.program, server, side.rows, 20000 * side.seconds)

        def measure():
            return [Figure("emulate without pacing, 32 connections", emulator.load(), "rec/s", True,
                           emulator.cpu_us, emulator.rss)]

        yield [measure]


@part("sink")
def sinking(side):
    fill(side, side.place, 128, 100)

    def sink():
        shutil.rmtree(side.place / "lake", ignore_errors=True)
        seconds, cpu, rss, out = run([side.program, "sink", "--dir", side.place, "--until-end"])
        records = json.loads(out)["records"]["pin"]
        return [Figure("sink, log to objects", records / seconds, "rec/s", True, cpu, rss)]

    def check():
        seconds, cpu, rss, _ = run([side.program, "check", "--dir", side.place, "--format", "json"])
        return [Figure("check of log and objects", seconds, "s", False, cpu, rss)]

    yield [sink, check]


@part("overload")
def overloading(side):
    rows = side.rows / "pin.ndjson"
    with gateway(side, side.place) as server:
        def measure():
            """Posts at a fixed rate, the same for both, that is about twice what two cores store."""
            out = subprocess.run([side.build / "bench" / "open_load", str(server.port), TOPIC, rows, "1", "150000",
                                  str(side.seconds), str(abuse.OVERLOAD_CONNECTIONS)], stdin=subprocess.DEVNULL,
                                 capture_output=True, check=True).stdout
            return [Figure("overload: stored", json.loads(out)["stored"], "rec/s", True, None,
                           server.process.status_kib("VmHWM") / 1024)]

        yield [measure]


@part("slow")
def slow(side):
    with gateway(side, side.place) as server:
        def beside(kind, words):
            measure = load(server, side, f"POST beside {abuse.SLOW_CONNECTIONS:,} slow {kind}", "topic", 1, 32, [TOPIC])

            def slowed():
                with abuse.slow_clients(server, words):
                    return measure()
            return slowed

        yield [beside(*kind) for kind in abuse.slow_kinds(server.port).items()]
