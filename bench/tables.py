"""What it costs others that tables are cared for while they are written, and what a live query costs."""
import http.client
import itertools
import json
import pathlib
import shutil
import statistics
import tempfile

import ingest
import stream
from ingest import ID, gateway
from lapse import AGE, LiveTable, emulated, options
from measure import Process, rounds, run

STREAMS = ingest.SPREAD[3:]
LIVE_MS_MORE = 30
COUNT = "SELECT count(*) AS n FROM pin_all"
PROBES = 20
MAINTAINED_S = 20       # of a load, so that there is something to compact again and again


class Beside:
    """The same with and without `pinpipe maintain`, in turns, each on a directory of its own."""

    def __init__(self, binary, directory, folder, seconds):
        self.binary, self.directory, self.folder, self.seconds = binary, directory, folder, seconds
        self.number, self.found, self.compactions = itertools.count(), {False: [], True: []}, 0

    def place(self):
        return self.directory / f"beside{next(self.number)}"

    def end(self, place, maintained):
        tables = [LiveTable(place / "lake" / "tables" / f"{ID}_{name}_table").follow() for name in stream.TABLES]
        if maintained:
            self.compactions += sum(table.commits.get("OPTIMIZE", 0) for table in tables)
        shutil.rmtree(place)

    def latency(self, maintained):
        def measure():
            place = self.place()
            found = stream.latency(self.binary, place, self.folder, self.seconds, maintained=maintained,
                                   env=options(stream_age=AGE))
            self.found[maintained].append(found)
            self.end(place, maintained)
            return found["p99"]
        return measure

    def ingest(self, maintained):
        """Records a second into the three streams while they become tables."""
        def measure():
            place = self.place()
            server = gateway(self.binary, place)
            others = [Process([self.binary, command, "--dir", place], env=options(stream_age=AGE))
                      for command in ("stream", "maintain")[:1 + maintained]]
            try:
                return server.load("stream", self.folder / "pin.ndjson", 1, 32, self.seconds, STREAMS)
            finally:
                for process in (server.process, *others):
                    process.stop()
                self.end(place, maintained)
        return measure


def beside(table, binary, directory, folder, count):
    works = Beside(binary, directory, folder, MAINTAINED_S)
    figures = rounds(count, {"with": works.latency(True), "without": works.latency(False)})
    middle = {which: statistics.median(found["p50"] for found in works.found[which]) for which in (True, False)}
    for what, ours, limit in (("p50", middle[True], middle[False]), ("p99", figures["with"], figures["without"])):
        table.add(f"POST 200 to Delta row, compacting, {what}", ours, limit, 1.2 if what == "p99" else None, "ms",
                  higher=False, note=f"{works.compactions} compactions; micro-batches of {AGE}")
    figures = rounds(count, {"with": works.ingest(True), "without": works.ingest(False)})
    table.add("PUT record into 3 streams, compacting", figures["with"], figures["without"], 0.95, "rec/s",
              note=f"{works.compactions} compactions so far")


def put(port, identity):
    """One post to the pins; it was acknowledged when this returns."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("PUT", STREAMS[0], json.dumps({
        "StreamName": "x", "PartitionKey": "k", "Data": {"index": 1, "unique_id": identity, "category": "probe"}}),
        {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"answered {answer.status} {answer.read()}")
    connection.close()


class Asked:
    """Questions while posts come, 1,000 a second."""

    def __init__(self, binary, place):
        self.binary, self.place = binary, place

    def ask(self, which, sql):
        """(milliseconds of the process, the first figure of its answer)"""
        seconds, _, _, out = run([self.binary, "sql", "--dir", self.place, "--from", which, "--format", "json", sql])
        return seconds * 1000, json.loads(out)[0]["n"]

    def milliseconds(self, which):
        return lambda: self.ask(which, COUNT)[0]

    def seen(self, port):
        """Of so many records the share that a query saw which began when they were acknowledged."""
        seen = 0
        for number in range(PROBES):
            put(port, f"probe-{number}")
            seen += self.ask("live", f"SELECT count(*) AS n FROM pin_all WHERE unique_id = 'probe-{number}'")[1]
        return seen / PROBES


def live(table, binary, directory, folder, count, seconds):
    place = directory / "live"
    server = gateway(binary, place)
    others = [Process([binary, command, "--dir", place]) for command in ("stream", "maintain")]
    emulator = Process(emulated(binary, server.port, folder, 3600 * 1000, 1000))
    try:
        asked = Asked(binary, place)
        stream.await_rows(place / "lake" / "tables" / f"{ID}_pin_table")
        figures = rounds(count * seconds, {which: asked.milliseconds(which) for which in ("live", "stream")})
        table.add("live query at 1,000 posts/s", figures["live"], 1.5 * figures["stream"] + LIVE_MS_MORE, 1.0, "ms",
                  higher=False, note=f"the same on the table: {figures['stream']:.0f} ms")
        table.add("acknowledged, then in a live query, of 1", asked.seen(server.port), 1, 1.0)
    finally:
        for process in (emulator, server.process, *others):
            process.stop()


def measure(table, binary, build, rows, count, seconds):
    folder = pathlib.Path(rows).parent
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        beside(table, binary, pathlib.Path(directory), folder, count)
        live(table, binary, pathlib.Path(directory), folder, count, seconds)
