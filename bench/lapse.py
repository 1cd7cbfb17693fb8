"""A time-lapse: a tenth of a day's commits in half an hour, of tables that care for themselves (README.md)."""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import delta
from day import Day
from ingest import ID, gateway
from measure import HERE, TOP, Process, run

sys.path.append(str(TOP / "tests" / "torture"))
from duck import Duck  # pylint: disable=wrong-import-position
from live_table import LiveTable  # pylint: disable=wrong-import-position

TABLES = ("pin", "geo", "user")
ASKED = "pin"           # the widest, whose rows are counted and copied
POSTS_A_SECOND = 1000
LAPSE_S, DAY_COMMITS = 1800, 345600     # 4 commits a second, for a day
AGE = "50ms"            # 19.2 a second: a tenth of a day in half an hour
RETENTION_S = 750       # an hour / 4.8
RETENTION_MIN_S = 61    # the program takes no less than a minute
SEED_POSTS, SEED_ROWS = 75000, 250      # 300 commits of 250 rows, as at 1,000 posts/s and 250 ms
LIVE_MAX, DISK_MAX, LOG_MIB_MAX, COPIES_MAX, OPEN_MS_MAX, AMPLIFICATION_MAX = 300, 20000, 50, 1.3, 150, 5
REST_S = 2              # without a commit: the stream has nothing more
ROUNDS = 7              # of a question
LOOK_S, LOOK_SHARE = 5, 0.05    # between looks at the tables; no more of a core than this goes into them
QUESTION_S = 120        # after which nobody waits any longer
FILE_MIB = 128
PEERS = {"duckdb": "DuckDB's delta", "deltars": "delta-rs", "ours": "pinpipe sql"}
INTEROP = TOP / ".cache" / "interop" / "venv" / "bin" / "python"


def options(**wanted):
    return {**os.environ, **{f"PINPIPE_{name.upper()}": str(value) for name, value in wanted.items()}}


def emulated(binary, port, folder, posts, rate, records=1):
    """A command that posts to the streams; `records` of them a request."""
    return [binary, "emulate", "--streaming", "--posts", posts, "--rate", rate, "--order", "random", "--data", folder,
            "--connections", 64, "--batch-size", records, "--format", "json",
            "--streaming-url", f"http://127.0.0.1:{port}/streams/streaming-{ID}-"]


class Follower(threading.Thread):
    """Follows the tables while others write to them, as long as the log still has every commit."""

    def __init__(self, tables):
        super().__init__(daemon=True)
        self.tables, self.stopped, self.failure = tables, threading.Event(), None
        self.most = dict.fromkeys(("live", "disk", "log_mib"), 0)

    def run(self):
        pause_s = LOOK_S
        try:
            while not self.stopped.wait(pause_s):
                began = time.monotonic()
                self.look()
                pause_s = max(LOOK_S, (time.monotonic() - began) / LOOK_SHARE)
        except Exception as failure:  # pylint: disable=broad-except  # look() of the measurement raises it
            self.failure = failure

    def look(self):
        """The worst of the tables now."""
        if self.failure:
            raise self.failure
        now = {"live": 0, "disk": 0, "log_mib": 0}
        for table in self.tables.values():
            table.follow()
            figures = (len(table.files), table.on_disk()[0], table.log_size()[1] / 2**20)
            now = {what: max(now[what], figure) for what, figure in zip(now, figures)}
        self.most = {what: max(self.most[what], now[what]) for what in now}
        return now

    def stop(self):
        self.stopped.set()
        self.join()


class Lapse:
    """Tables in a directory of their own, and those who write to them."""

    def __init__(self, binary, build, directory, folder, seconds):
        self.binary, self.build, self.directory, self.folder = binary, build, directory, folder
        self.seconds, self.scale = seconds, seconds / LAPSE_S
        self.retention_s = max(RETENTION_MIN_S, round(RETENTION_S * self.scale))
        self.kept = self.retention_s / RETENTION_S
        self.place = directory / "data"
        self.tables = {name: LiveTable(self.place / "lake" / "tables" / f"{ID}_{name}_table") for name in TABLES}

    def environment(self, **more):
        return options(stream_age=AGE, table_retention=f"{self.retention_s}s",
                       table_log_retention=f"{self.retention_s}s", **more)

    def fabricate(self):
        """A day of commits. Seconds that it took."""
        commits, began = round(DAY_COMMITS * self.scale), time.monotonic()
        server = gateway(self.binary, self.place)
        try:
            run(emulated(self.binary, server.port, self.folder, SEED_POSTS, "max"))
        finally:
            server.process.stop()
        run([self.binary, "stream", "--dir", self.place, "--until-end"],
            env=self.environment(stream_rows_max=SEED_ROWS))
        for table in self.tables.values():
            Day(table.follow(), commits).make()
        return time.monotonic() - began

    @contextlib.contextmanager
    def caring(self):
        """The stream's half of `up`: (the gateway, the process that maintains the tables)."""
        server = gateway(self.binary, self.place)
        others = [Process([self.binary, command, "--dir", self.place], env=self.environment())
                  for command in ("stream", "maintain")]
        try:
            yield server, others[1]
        finally:
            for process in (server.process, *others):
                process.stop()

    def pass_time(self, server):
        """Posts for the whole lapse; commits a second of a table, and the posts' rate that was held."""
        before, began = self.stream_commits(), time.monotonic()
        out = json.loads(run(emulated(self.binary, server.port, self.folder, self.seconds * POSTS_A_SECOND,
                                      POSTS_A_SECOND))[3])
        took = time.monotonic() - began
        self.await_rest()
        return (self.stream_commits() - before) / took, out["posts"] / out["seconds"]

    def await_rest(self):
        """Until the stream has committed what there is."""
        seen, last = -1, time.monotonic()
        while time.monotonic() < last + REST_S:
            for table in self.tables.values():
                table.follow()
            if seen != self.stream_commits():
                seen, last = self.stream_commits(), time.monotonic()
            time.sleep(0.1)  # paces the look

    def stream_commits(self):
        return sum(table.commits.get("STREAMING UPDATE", 0) for table in self.tables.values()) / len(TABLES)

    def amplification(self):
        """Bytes that compaction wrote for each that the stream wrote, of the table where it is the most."""
        return max(sum(size for operation, size in table.written.items() if operation == "OPTIMIZE")
                   / table.written["STREAMING UPDATE"] for table in self.tables.values())

    def await_clean(self, copy):
        """Until the disk holds little more than the copy, at most for the retention and half as long again. The
        bytes of the table on the disk."""
        end = time.monotonic() + 1.5 * self.retention_s + 60
        while True:
            size = self.tables[ASKED].on_disk()[1]
            if size <= COPIES_MAX * copy.size or time.monotonic() > end:
                return size
            time.sleep(2)


class Copy:
    """The rows of a table as it is now in one file per 128 MiB, in a lake of its own."""

    def __init__(self, table, place):
        self.place, self.root = place, place / "lake" / "tables" / table.root.name
        self.root.parent.mkdir(parents=True)
        names = ",".join(f"'{table.root}/{name}'" for name in table.follow().files)
        duck = Duck()
        try:
            duck.value("SET memory_limit = '4GB'; SET preserve_insertion_order = false; "
                       f"SET temp_directory = '{place}/spilled'")
            duck.value(f"COPY (FROM read_parquet([{names}])) TO '{self.root}' (FORMAT parquet, COMPRESSION snappy, "
                       f"ROW_GROUP_SIZE 32768, FILE_SIZE_BYTES {FILE_MIB << 20})")
            rows = [line.rpartition(" ") for line in duck.lines(
                f"SELECT file_name || ' ' || num_rows FROM parquet_file_metadata('{self.root}/*.parquet')")]
        finally:
            duck.close()
        self.rows = sum(int(count) for _, _, count in rows)
        self.size = table_size = sum(pathlib.Path(path).stat().st_size for path, _, _ in rows)
        assert table_size > 0
        self.write_log(table, rows)

    def write_log(self, table, rows):
        actions = [*table.heads.values(), *({"add": {
            "path": pathlib.Path(path).name, "partitionValues": {}, "size": pathlib.Path(path).stat().st_size,
            "modificationTime": 0, "dataChange": True, "stats": json.dumps({"numRecords": int(count)})}}
            for path, _, count in rows)]
        (self.root / "_delta_log").mkdir()
        (self.root / "_delta_log" / f"{0:020}.json").write_text("".join(json.dumps(a) + "\n" for a in actions))


def ask(peer, binary, place, root):
    """(median milliseconds to open the table and count its rows, the rows); None: it takes too long, or fails."""
    try:
        if peer != "ours":
            out = subprocess.run([INTEROP, HERE / "open_table.py", peer, root, str(ROUNDS)], check=True,
                                 stdin=subprocess.DEVNULL, capture_output=True, timeout=QUESTION_S).stdout
            found = json.loads(out)
            return statistics.median(found["ms"]), found["rows"]
        times = []
        for _ in range(ROUNDS):
            seconds, _, _, out = run(["timeout", QUESTION_S / ROUNDS, binary, "sql", "--dir", place, "--from", "stream",
                                      "--format", "json", f"SELECT count(*) AS n FROM {ASKED}_all"])
            times.append(seconds * 1000)
        return statistics.median(times), json.loads(out)[0]["n"]
    except (RuntimeError, subprocess.SubprocessError):
        return None


def peers():
    if INTEROP.exists():
        return PEERS
    print("left out: DuckDB's delta extension and delta-rs, which `make interop` brings")
    return {"ours": PEERS["ours"]}


def questions(table, lapse, copy, label):
    for peer, name in peers().items():
        now = ask(peer, lapse.binary, lapse.place, lapse.tables[ASKED].root)
        limit = ask(peer, lapse.binary, copy.place, copy.root)
        if not now or not limit or now[1] != copy.rows or limit[1] != copy.rows:
            raise RuntimeError(f"{name} counted {now} rows of {copy.rows}, {limit} in the copy")
        table.add(f"{label}: open + count(*), {name}", now[0], OPEN_MS_MAX, 1.0, "ms", higher=False,
                  note=f"{now[1]:,} rows")
        table.add("the same beside a file per 128 MiB", now[0], limit[0], 1.5, "ms", higher=False)


def sizes(table, label, kept, now, most):
    """Of the table where each is the most. `kept`: for which part of 750 s files and log are kept."""
    for what, figure, bound, unit in (("live files", "live", LIVE_MAX, ""),
                                      ("files on disk", "disk", DISK_MAX * kept, ""),
                                      ("_delta_log", "log_mib", LOG_MIB_MAX * kept, "MiB")):
        table.add(f"{label}: {what}", now[figure], bound, 1.0, unit, higher=False,
                  note=f"the most meanwhile: {most[figure]:,.0f}")


def at_its_start(table, lapse, label):
    """Figures of a day as it was left; nobody has to meet a bar there."""
    began = Follower(lapse.tables).look()
    for what, unit in (("live", "live files"), ("disk", "files on disk"), ("log_mib", "MiB of _delta_log")):
        table.add(f"{label}, before: {unit}", began[what])
    for peer, name in peers().items():
        found = ask(peer, lapse.binary, lapse.place, lapse.tables[ASKED].root)
        if found:
            table.add(f"{label}, before: open + count(*), {name}", found[0], unit="ms", note=f"{found[1]:,} rows")
        else:
            print(f"{label}, before: {name} fails, or takes longer than {QUESTION_S} s", flush=True)


def last_version(table, lapse, label, count):
    """A commit to a copy of the log beside one at version 20, both in memory."""
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=delta.MEMORY) as directory:
        log = lapse.tables["geo"].log
        shutil.copytree(log, pathlib.Path(directory) / "late" / "table" / "_delta_log")
        delta.late_row(table, lapse.build, directory, f"{label}: Delta commit at the last version, at 20", count,
                       f"version {lapse.tables['geo'].version:,}")


def watch_it(table, lapse, label, count):
    follower = Follower(lapse.tables)
    with lapse.caring() as (server, maintain):
        follower.start()
        commits, held = lapse.pass_time(server)
        sizes(table, label, lapse.kept, follower.look(), follower.most)
        copy = Copy(lapse.tables[ASKED], lapse.directory / "copy")
        questions(table, lapse, copy, label)
        size = lapse.await_clean(copy)
        follower.stop()
        table.add(f"{label}: disk beside one compacted copy", size / 2**20, copy.size / 2**20, COPIES_MAX, "MiB",
                  higher=False, note=f"once {lapse.retention_s} s of retention have passed")
        table.add(f"{label}: write amplification", lapse.amplification(), AMPLIFICATION_MAX, 1.0, "x", higher=False,
                  rss_mib=maintain.status_kib("VmHWM") / 1024,
                  note=f"held {held:,.0f} posts/s, {commits:.1f} commits/s a table; maintain took "
                       f"{maintain.cpu_seconds():,.0f} s of CPU time")
    last_version(table, lapse, label, count)


def title(what, seconds):
    return what if seconds == LAPSE_S else f"{what} x{seconds / LAPSE_S:.2f}"


def from_nothing(table, binary, build, rows, count, _seconds, lapse_s):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        lapse = Lapse(binary, build, pathlib.Path(directory), pathlib.Path(rows).parent, lapse_s)
        watch_it(table, lapse, title("lapse", lapse_s), count)


def has_room(build, commits):
    """A file of 4 KiB a commit and what compaction makes of 250 rows; an inode."""
    there = os.statvfs(build)
    return (there.f_bavail * there.f_frsize > len(TABLES) * commits * 40000
            and (there.f_files == 0 or there.f_favail > len(TABLES) * commits * 2))


def after_a_day(table, binary, build, rows, count, _seconds, lapse_s):
    label = title("day", lapse_s)
    if not has_room(build, DAY_COMMITS * lapse_s / LAPSE_S):
        print(f"left out: {label}, for want of space or inodes")
        return
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        lapse = Lapse(binary, build, pathlib.Path(directory), pathlib.Path(rows).parent, lapse_s)
        print(f"{label}: made in {lapse.fabricate():.0f} s", flush=True)
        at_its_start(table, lapse, label)
        watch_it(table, lapse, label, count)
