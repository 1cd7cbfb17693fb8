"""100,000 records a second into the three tables for ten minutes, which are compacted meanwhile."""
import json
import multiprocessing
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading

import stream
from ingest import ID, gateway
from lapse import LAPSE_S, LIVE_MAX, DISK_MAX, Follower, LiveTable, emulated, options, title
from measure import TOP, Process

sys.path.append(str(TOP / "tests" / "torture"))
from soak_watch import look  # pylint: disable=wrong-import-position

FLOOD_S = 600
RECORDS_A_SECOND = 100000
BATCH = 100             # records a request
PROBES_A_SECOND = 50    # posts of a record each, whose way is timed
GROWTH_MAX = 1.1        # from the second quarter of the time to the last
KINDS = ("gateway", "stream", "maintain")


class Memory(threading.Thread):
    """MiB of their own that processes have, every second."""

    def __init__(self, processes):
        super().__init__(daemon=True)
        self.processes, self.stopped = processes, threading.Event()
        self.samples = {kind: [] for kind in processes}

    def run(self):
        while not self.stopped.wait(1):
            for kind, process in self.processes.items():
                if found := look(process.pid):
                    self.samples[kind].append(found[0])

    def rows(self, table, label):
        self.stopped.set()
        self.join()
        for kind, samples in self.samples.items():
            quarter = max(1, len(samples) // 4)
            table.add(f"{label}: memory of {kind}, last quarter", statistics.median(samples[-quarter:]),
                      statistics.median(samples[quarter:2 * quarter]), GROWTH_MAX, "MiB", higher=False,
                      rss_mib=self.processes[kind].status_kib("VmHWM") / 1024, note="beside the second quarter")


class Flood:
    def __init__(self, binary, place, folder, seconds):
        self.binary, self.place, self.folder, self.seconds = binary, place, folder, seconds
        self.posts = seconds * RECORDS_A_SECOND // len(stream.TABLES)
        self.tables = {name: LiveTable(place / "lake" / "tables" / f"{ID}_{name}_table") for name in stream.TABLES}

    def start(self):
        # What is in the tables may go from the log, which ten minutes would make 20 GB long.
        environment = options(log_retention="30s")
        server = gateway(self.binary, self.place, env=environment)
        others = {kind: Process([self.binary, kind, "--dir", self.place], env=environment) for kind in KINDS[1:]}
        return server, {"gateway": server.process, **others}

    def load(self, server):
        """(milliseconds of each probe's way into its table, the emulator's report)"""
        goal = self.posts + self.seconds * PROBES_A_SECOND
        results = multiprocessing.Queue()
        watcher = multiprocessing.Process(target=stream.watch, daemon=True, args=(
            {name: table.log for name, table in self.tables.items()}, goal, results, self.seconds + 120))
        watcher.start()
        emulator = subprocess.Popen(
            [str(a) for a in emulated(self.binary, server.port, self.folder, self.posts,
                                      RECORDS_A_SECOND // len(stream.TABLES), BATCH)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        client = stream.Client(server.port, self.folder)
        client.send(self.seconds, PROBES_A_SECOND)
        report = json.loads(emulator.communicate(timeout=self.seconds + 120)[0])
        seen = results.get(timeout=150)
        watcher.join()
        return [ms for name in stream.TABLES for ms in stream.latencies(client.answered[name], seen[name])], report


def flood(table, binary, directory, folder, seconds, label):
    work = Flood(binary, directory / "data", folder, seconds)
    server, processes = work.start()
    memory, follower = Memory(processes), Follower(work.tables)
    try:
        memory.start()
        follower.start()
        found, report = work.load(server)
        held = report["posts"] * len(stream.TABLES) / report["seconds"]
        memory.rows(table, label)
        now = follower.look()
    finally:
        follower.stop()
        for process in processes.values():
            process.stop()
    table.add(f"{label}: records/s that were held", held, RECORDS_A_SECOND, 0.99, "rec/s")
    table.add(f"{label}: POST 200 to Delta row, p99", stream.quantile(found, 0.99), 1000, 1.0, "ms", higher=False,
              note=f"p50 {stream.quantile(found, 0.5):.0f} ms, of {len(found):,} probes")
    table.add(f"{label}: live files", now["live"], LIVE_MAX, 1.0, higher=False)
    table.add(f"{label}: files on disk", now["disk"], DISK_MAX, 1.0, higher=False)


def measure(table, binary, build, rows, _count, _seconds, lapse_s):
    seconds = round(FLOOD_S * lapse_s / LAPSE_S)
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        flood(table, binary, pathlib.Path(directory), pathlib.Path(rows).parent, seconds, title("flood", lapse_s))
