"""Samples what a pipeline takes while it runs: memory and descriptors of each of its processes, files and bytes of its
tables, into a CSV; and says at the end whether they stayed flat, and in their bounds."""
import contextlib
import csv
import os
import pathlib
import re
import statistics
import threading
import time

from live_table import LiveTable, count
from pipeline import children

KINDS = ("up", "gateway", "sink", "stream", "maintain", "batch")
LOOK_S, SAMPLE_S = 1, 10        # processes are looked at oftener: a batch is a second long, and the most counts
LIVE_FILES_MAX, DISK_FILES_MAX, LOG_MIB_MAX = 300, 20000, 50   # of each table
GROWTH_MAX = {"MiB": (1.1, 8), "fds": (1.0, 4)}     # from the second quarter to the last: a factor, and so many more
OPENERS = ("maintain", "batch")     # have as many of a table's files open as they work on just then
TABLE_FIGURES = ("live", "files", "MiB", "log_files", "log_MiB")


def look(pid):
    """(MiB of its own, descriptors) of a process; None: it has gone."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        mine = int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024
        return mine, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, TypeError):
        return None


class Watch(threading.Thread):
    """Of a pipeline's processes and its lake."""

    def __init__(self, pipeline, tables, path):
        super().__init__(daemon=True)
        self.pipeline, self.path = pipeline, pathlib.Path(path)
        self.tables = {name: LiveTable(pipeline.directory / "lake" / "tables" / name) for name in tables}
        self.samples, self.most, self.stopped, self.failure = [], {}, threading.Event(), None

    def run(self):
        try:
            with open(self.path, "w", newline="", encoding="utf-8") as file:
                self.writer = csv.DictWriter(file, self.columns())
                self.writer.writeheader()
                self.go(file)
        except Exception as failure:  # pylint: disable=broad-except  # it fails the run, in check()
            self.failure = failure

    def go(self, file):
        began = due = time.monotonic()
        while not self.stopped.wait(LOOK_S):
            self.look_at_processes()
            if time.monotonic() >= due:
                due = time.monotonic() + SAMPLE_S
                self.take(time.monotonic() - began)
                file.flush()

    def columns(self):
        return ["s", *(f"{kind}_{what}" for kind in KINDS for what in GROWTH_MAX),
                *(f"{table}_{what}" for table in self.tables for what in TABLE_FIGURES),
                "log_MiB", "lake_files", "results_files", "letters_files"]

    def look_at_processes(self):
        up = self.pipeline.process.pid
        for pid, kind in [(up, "up"), *children(up).items()]:
            found = look(pid) if kind in KINDS else None
            for what, value in zip(GROWTH_MAX, found or ()):
                name = f"{kind}_{what}"
                self.most[name] = max(self.most.get(name, 0), round(value, 1))

    def take(self, s):
        sample = {"s": round(s), **self.most}
        self.most = {}
        for name, table in self.tables.items():
            table.follow()
            (files, size), (log_files, log_size) = table.on_disk(), table.log_size()
            figures = (len(table.files), files, size / 2**20, log_files, log_size / 2**20)
            sample.update((f"{name}_{what}", round(figure, 1)) for what, figure in zip(TABLE_FIGURES, figures))
        lake = self.pipeline.directory / "lake"
        sample["log_MiB"] = round(count(self.pipeline.directory / "log")[1] / 2**20, 1)
        for column, folder in (("lake_files", "topics"), ("results_files", "results"), ("letters_files", "dlq")):
            sample[column] = sum(1 for path in (lake / folder).rglob("*") if path.is_file())
        self.samples.append(sample)
        self.writer.writerow(sample)

    def stop(self):
        self.stopped.set()
        self.join(120)

    def check(self):
        if self.failure:
            raise AssertionError("the watch failed") from self.failure

    def verdicts(self):
        """(what, figure, beside it, bound, verdict) of everything that has a bound; verdict None: too few samples."""
        quarter = len(self.samples) // 4
        for kind in KINDS:
            for what, (factor, more) in GROWTH_MAX.items():
                name = f"{kind}_{what}"
                early = [s[name] for s in self.samples[quarter:2 * quarter] if name in s]
                late = [s[name] for s in self.samples[3 * quarter:] if name in s]
                if not early or not late:
                    yield f"{kind}: {what}", None, None, None, None
                    continue
                then, now = statistics.median(early), statistics.median(late)
                bound = then * factor + (LIVE_FILES_MAX if what == "fds" and kind in OPENERS else more)
                yield f"{kind}: {what}, last quarter beside the second", now, then, bound, now <= bound
        for table in self.tables:
            for what, bound in (("live", LIVE_FILES_MAX), ("files", DISK_FILES_MAX), ("log_MiB", LOG_MIB_MAX)):
                most = max((s[f"{table}_{what}"] for s in self.samples), default=0)
                yield f"{table}: {what}, the most", most, None, bound, most <= bound


def print_verdicts(verdicts):
    """True: all in their bounds."""
    fine = True
    print(f"{'what':60} {'figure':>12} {'beside':>12} {'bound':>12}")
    for what, figure, beside, bound, verdict in verdicts:
        cells = ["" if x is None else f"{x:,.1f}".removesuffix(".0") for x in (figure, beside, bound)]
        said = "too few samples" if verdict is None else "ok" if verdict else "MISSED"
        print(f"{what:60} {cells[0]:>12} {cells[1]:>12} {cells[2]:>12}  {said}")
        fine = fine and verdict is not False
    return fine


@contextlib.contextmanager
def watching(*arguments):
    watch = Watch(*arguments)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()
