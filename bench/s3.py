"""The lake in a bucket: a real server on this machine, and the same 20 ms away, behind far.c."""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import batch
import delta
import stream
from log import TOPIC, fill, ready_ms
from measure import TOP, Process, await_port, free_port, rounds, run

BUCKET = "lake"
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret", "AWS_REGION": "us-east-1"}
FAR_MS = 10  # each way
SINK_MIB, SINK_PARTITIONS = 760, 16  # about a million records
BUCKETS_MIB, BUCKETS_HOURS = 400, 24
POSTS = 300000  # of each topic
CACHE_MIB = 512  # more than is fetched of them
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"


def versitygw():
    """Where `make interop` puts it, or ours."""
    for directory in (TOP / ".cache" / "interop-s3" / "bin", TOP / ".cache" / "bench-s3"):
        if (directory / "versitygw").exists():
            return directory / "versitygw"
    if not shutil.which("go"):
        return None
    print("building versitygw (Go, some minutes) …", flush=True)
    directory = (TOP / ".cache").resolve() / "bench-s3"
    subprocess.run(["go", "install", VERSITYGW], env={**os.environ, "GOBIN": str(directory)}, check=True)
    return directory / "versitygw"


class Bucket:
    """A server with an empty bucket; what lies in it is files below `lake`."""

    def __init__(self, program, build, directory):
        self.build, self.lake, self.port = build, directory / "server" / BUCKET, free_port()
        self.far_port = free_port()  # always the same, by which the program knows the store
        self.lake.mkdir(parents=True)
        self.server = Process([program, "--access", KEYS["AWS_ACCESS_KEY_ID"], "--secret",
                               KEYS["AWS_SECRET_ACCESS_KEY"], "--port", f"127.0.0.1:{self.port}", "--keep-alive",
                               "--quiet", "posix", self.lake.parent])
        await_port(self.port)

    def env(self, port=None):
        return {**os.environ, **KEYS, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port or self.port}",
                "PINPIPE_LAKE": f"s3://{BUCKET}"}

    @contextlib.contextmanager
    def away(self, ms=FAR_MS):
        """(an environment that leads there by way of far.c, its counts of requests once that has ended)"""
        counts = {}
        proxy = Process([self.build / "bench" / "far", self.far_port, self.port, ms], stdout=subprocess.PIPE)
        try:
            await_port(self.far_port)
            yield self.env(self.far_port), counts
        finally:
            proxy.stop()
            words = proxy.process.stdout.read().split()
            counts.update({kind.decode(): int(count) for kind, count in zip(words[::2], words[1::2])})

    def clear(self):
        """All but what the program has found out about the server."""
        for path in self.lake.iterdir():
            if path.name != "_pinpipe":
                shutil.rmtree(path)


def shown(counts):
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


# --- the sink -------------------------------------------------------------------------------------------------------


class Sink:
    def __init__(self, binary, bucket, directory, rows):
        self.binary, self.bucket, self.log, self.lines = binary, bucket, directory / "log", directory / "lines"
        fill(bucket.build, self.log, rows, SINK_MIB, 64, 100, SINK_PARTITIONS)
        ready_ms(binary, self.log)
        self.sink(bucket.env())
        with open(self.lines, "wb") as lines:
            for path in sorted(bucket.lake.rglob(f"{TOPIC}+*.json")):
                lines.write(path.read_bytes())

    def sink(self, env):
        """Records/s."""
        self.bucket.clear()
        elapsed, cpu, self.rss, out = run([self.binary, "sink", "--dir", self.log, "--until-end"], env=env)
        records = json.loads(out)["records"]["pin"]
        self.cpu_us, self.records = cpu / records * 1e6, records
        self.objects = sum(1 for _ in self.bucket.lake.rglob(f"{TOPIC}+*.json"))
        return records / elapsed

    def bare(self, env, connections):
        self.bucket.clear()
        out = run([self.bucket.build / "bench" / "bare_puts", f"{env['AWS_ENDPOINT_URL_S3']}/{BUCKET}/bare",
                   connections, self.lines], env=env)[3]
        lines, seconds = out.split()
        return int(lines) / float(seconds)


def sink_rows(table, binary, bucket, directory, rows, count):
    sink = Sink(binary, bucket, directory, rows)
    for what, ms, bar in (("", 0, 0.9), (", +20 ms", FAR_MS, 0.8)):
        with bucket.away(ms) as (far, counts):
            env = far if ms else bucket.env()
            figures = rounds(count, {"ours": lambda env=env: sink.sink(env),
                                     "bare": lambda env=env: sink.bare(env, SINK_PARTITIONS)})
        table.add(f"S3: sink, {SINK_PARTITIONS} partitions{what}", figures["ours"], figures["bare"], bar, "rec/s",
                  cpu_us=sink.cpu_us, rss_mib=sink.rss, note=f"{sink.objects} objects, limit: as many connections")
    with bucket.away(0) as (env, counts):
        sink.sink(env)
    put = sum(1 for path in bucket.lake.rglob("*.json") if "_pinpipe" not in path.parts)
    with bucket.away(0) as (env, start):
        run([binary, "sink", "--dir", sink.log, "--until-end"], env=env)
    table.add("S3: requests for each object that is put", (sum(counts.values()) - sum(start.values())) / put, 1, 1.1,
              higher=False, note=f"{sink.objects} objects, {put - sink.objects} manifests; without those of a start: "
              + shown(start))
    shutil.rmtree(sink.log)
    bucket.clear()


def memory_rows(table, binary, bucket, directory, rows, count):
    """Of times in no order, in folders of hours: an object is open for each hour of each partition."""
    env = {**bucket.env(), "PINPIPE_SINK_TIMESTAMP_EXTRACTOR": "Record",
           "PINPIPE_SINK_PATH_FORMAT": "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH"}
    for partitions in (8, 64):
        log, last = directory / f"log{partitions}", {}
        fill(bucket.build, log, rows, BUCKETS_MIB, 64, 100, partitions, BUCKETS_HOURS)
        ready_ms(binary, log)

        def peak(log=log, last=last):
            bucket.clear()
            elapsed, cpu, rss, out = run([binary, "sink", "--dir", log, "--until-end"], env=env)
            records = json.loads(out)["records"]["pin"]
            last.update(cpu_us=cpu / records * 1e6, rate=records / elapsed)
            return rss

        figure = rounds(count, {"peak": peak})["peak"]
        objects = [path for path in bucket.lake.rglob(f"{TOPIC}+*.json")]
        if len({path.parent.name for path in objects}) != BUCKETS_HOURS:
            raise RuntimeError("the objects do not lie in folders of all hours")
        table.add(f"S3: memory of the sink, {partitions} partitions x {BUCKETS_HOURS} hours", figure, 128, 1.0, "MiB",
                  higher=False, cpu_us=last["cpu_us"], rss_mib=figure,
                  note=f"{len(objects)} objects, {last['rate']:,.0f} rec/s")
        shutil.rmtree(log)
        bucket.clear()


# --- batch, check ---------------------------------------------------------------------------------------------------


class Lake:
    """The same raw objects on disk and in the bucket, and what runs make of them."""

    def __init__(self, binary, bucket, directory):
        self.binary, self.bucket, self.disk, self.work = binary, bucket, directory / "disk", directory / "work"
        self.junk = directory / "junk"
        self.junk.mkdir()
        self.rss = 0
        batch.make_objects(bucket.build, self.disk / "lake", POSTS)
        shutil.copytree(self.disk / "lake" / "topics", bucket.lake / "topics")
        ready_ms(binary, self.work, "--auto-create", "none")  # a log, which `check` wants, without these topics

    def undo(self, cache=False):
        for lake in (self.disk / "lake", self.bucket.lake):
            for name in ("tables", "results", "dlq"):
                shutil.rmtree(lake / name, ignore_errors=True)
        if cache:
            self.put_cache_away()

    def put_cache_away(self):
        """As if there had never been one. Without a journal ext4 looks long for an inode, for minutes, where many were
        removed; and memory that was not used yet is slow where it is the machine's own host that has to find it."""
        if (self.work / "cache").exists():
            (self.work / "cache").rename(pathlib.Path(tempfile.mkdtemp(dir=self.junk)) / "cache")
        with tempfile.TemporaryFile(dir=self.junk) as used:
            for _ in range(CACHE_MIB):
                used.write(bytes(1 << 20))

    def batch(self, directory, env=None):
        seconds, _, self.rss, out = run([self.binary, "batch", "--dir", directory, "--format", "json"], env=env)
        if {table["rows"] for table in json.loads(out)["tables"].values()} != {POSTS}:
            raise RuntimeError(f"batch cleaned {out}")
        return seconds

    def on_disk(self):
        self.undo()
        return self.batch(self.disk)

    def cold(self, env):
        self.undo(cache=True)
        return self.batch(self.work, env)

    def warm(self, env):
        self.undo()
        return self.batch(self.work, env)

    def check(self, env):
        return run([self.binary, "check", "--dir", self.work], env=env)[0]


def lake_rows(table, binary, bucket, directory, count):
    lake, near = Lake(binary, bucket, directory), bucket.env()
    with bucket.away() as (far, _):
        figures = rounds(count, {"disk": lake.on_disk, "cold": lambda: lake.cold(near), "warm": lambda: lake.warm(near),
                                 "far": lambda: lake.cold(far), "rss": lambda: lake.rss,
                                 "check": lambda: lake.check(near), "check far": lambda: lake.check(far)})
    for what, name, bar in ((", cold", "cold", 1.4), (", warm", "warm", 1.2), (", cold, +20 ms", "far", 2.0)):
        table.add(f"S3: batch of {POSTS:,} posts{what}, as on disk", figures[name], figures["disk"], bar, "s",
                  higher=False, rss_mib=figures["rss"])
    with bucket.away() as (far, counts):
        lake.check(far)
    table.add("S3: check, +20 ms, as without", figures["check far"], figures["check"], 2.0, "s", higher=False,
              note=shown(counts))
    for path in (lake.work, lake.disk, lake.junk):
        shutil.rmtree(path)
    bucket.clear()


# --- streams and commits ----------------------------------------------------------------------------------------------


def stream_rows(table, binary, bucket, directory, rows, count, seconds):
    folder, runs, asked = pathlib.Path(rows).parent, [], []
    for i in range(count):
        log = directory / f"live{i}"
        with bucket.away(0) as (env, counts):
            runs.append(stream.latency(binary, log, folder, seconds, bucket.lake, ["--stream-age", "250ms"], env=env))
        with bucket.away(0) as (env, start):
            run([binary, "stream", "--dir", log, "--until-end"], env=env)
        asked.append((sum(counts.values()) - sum(start.values())) / runs[-1]["commits"])
        shutil.rmtree(log)
        bucket.clear()
    middle = {what: statistics.median(figures[what] for figures in runs) for what in runs[0]}
    held = min(figures["held"] for figures in runs)
    for what, bar in (("p50", 500), ("p99", 1200)):
        table.add(f"S3: POST 200 to Delta row, 1,000 posts/s, {what}", middle[what], bar, 1.0, "ms", higher=False,
                  cpu_us=middle["cpu"], rss_mib=middle["rss"],
                  note=f"held {held:,.0f} posts/s, {middle['commits']:.0f} commits")
    table.add("S3: requests a commit of a stream", statistics.median(asked), 3, 1.0, higher=False,
              note=f"checkpoints too; {shown(counts)}; without those of a start: {shown(start)}")


def commit_rows(table, bucket, count):
    def commits(root, version, number, windows):
        return delta.commits(bucket.build, f"s3://{BUCKET}/{root}", version, number, windows, env=bucket.env())

    few = [commits(f"few{i}", delta.FEW, delta.FEW_COMMITS, 1) for i in range(2 * count + 1)]
    few, _, few_alone, _ = map(statistics.median, zip(*few))
    many, _, alone, _ = commits("many", delta.MANY, delta.MANY_COMMITS, count)
    table.add("S3: Delta commit at version 10,000, at 20", many / 1000, few / 1000, 1.3, "ms", higher=False)
    table.add("S3: the same without a checkpoint", alone / 1000, few_alone / 1000, 1.3, "ms", higher=False)
    bucket.clear()


def measure(table, binary, build, rows, count, seconds):
    program = versitygw()
    if not program:
        print("no S3 server: versitygw is missing, and there is no Go to build it (make interop brings it)")
        return
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as name:
        directory = pathlib.Path(name)
        bucket = Bucket(program, build, directory)
        try:
            lake_rows(table, binary, bucket, directory, count)  # before so many files were removed
            sink_rows(table, binary, bucket, directory, rows, count)
            memory_rows(table, binary, bucket, directory, rows, count)
            stream_rows(table, binary, bucket, directory, rows, count, 2 * seconds)
            commit_rows(table, bucket, count)
        finally:
            bucket.server.stop()
