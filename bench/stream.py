"""The streaming path: how soon a record is in its Delta table, and how fast a backlog drains into the three tables."""
import collections
import json
import multiprocessing
import pathlib
import re
import selectors
import shutil
import socket
import statistics
import tempfile
import time

from batch import make_objects
from ingest import ID, gateway
from measure import Process, rounds, run

TABLES = ("pin", "geo", "user")
POSTS_A_SECOND = 1000  # each is a record for each of the three streams
CONNECTIONS = 24  # of the client, for each stream
BACKLOG = 1000000  # posts
ANSWER = re.compile(rb'"SequenceNumber":"(\d+)"')


def ordinal(sequence):
    """The counter inside a sequence number: bits 80 to 143 (src/broker/position.h)."""
    return (int(sequence) >> 80) & (1 << 64) - 1


def request(name, row):
    body = b'{"StreamName":"x","Data":' + row + b',"PartitionKey":"k"}'
    return (f"PUT /streams/streaming-{ID}-{name}/record HTTP/1.1\r\nHost: [::]\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Client:
    """Sends posts at their times, one request at a time on a connection, and notes when each record's 200 came."""

    def __init__(self, port, folder):
        self.selector, self.idle, self.requests = selectors.DefaultSelector(), {}, {}
        self.answered = {name: {} for name in TABLES}  # ordinal: when
        for name in TABLES:
            with open(folder / f"{name}.ndjson", "rb") as rows:
                self.requests[name] = [request(name, next(rows).rstrip()) for _ in range(1000)]
            self.idle[name] = collections.deque()  # in turns: one that is left alone for long, the gateway closes
            for _ in range(CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(connection, selectors.EVENT_READ, name)
                self.idle[name].append(connection)

    def take(self, wait):
        for key, _ in self.selector.select(wait):
            answer, now = key.fileobj.recv(4096), time.monotonic()
            found = ANSWER.search(answer)
            if not answer.startswith(b"HTTP/1.1 200") or not found:
                raise RuntimeError(f"answered {answer[:200]}")
            self.answered[key.data][ordinal(found[1])] = now
            self.idle[key.data].append(key.fileobj)

    def send(self, seconds, rate=POSTS_A_SECOND):
        """The posts' rate that was held."""
        began, sent = time.monotonic(), dict.fromkeys(TABLES, 0)
        posts = seconds * rate
        while sum(map(len, self.answered.values())) < posts * len(TABLES):
            due = min(posts, int((time.monotonic() - began) * rate))
            for name in TABLES:
                while sent[name] < due and self.idle[name]:
                    self.idle[name].popleft().sendall(self.requests[name][sent[name] % 1000])
                    sent[name] += 1
            self.take(0.0005)
        return posts / (time.monotonic() - began)


def progress(commit):
    """The last ordinal of a commit: as a position in three numbers of 62 bits, of older programs as itself."""
    txns = dict(re.findall(r'"txn":\{"appId":"([^"]*)","version":(\d+)', commit))
    parts = [int(version) for app, version in sorted(txns.items()) if re.search("#[012]$", app)]
    if len(parts) == 3:
        return ordinal(parts[0] << 124 | parts[1] << 62 | parts[2])
    return next((int(version) for app, version in txns.items() if "#" not in app), None)


def watch(logs, goal, results, patience_s=120):
    """When each version of the tables appeared, and the last ordinal that it holds, until all hold `goal` records."""
    seen, last = {name: [] for name in logs}, dict.fromkeys(logs, -1)
    version = dict.fromkeys(logs, 0)
    end = time.monotonic() + patience_s
    while min(last.values()) < goal - 1 and time.monotonic() < end:
        for name, log in logs.items():
            path = log / f"{version[name]:020}.json"
            if not path.exists():
                continue
            now = time.monotonic()
            version[name] += 1
            reached = progress(path.read_text())
            if reached is not None:
                last[name] = reached
                seen[name].append((last[name], now))
        time.sleep(0.001)
    results.put(seen)


def await_rows(root, timeout=60):
    """Until the table has its first data file."""
    end = time.monotonic() + timeout
    while not any(root.glob("*.parquet")) and time.monotonic() < end:
        time.sleep(0.01)


def latencies(answered, seen):
    """Milliseconds from each record's 200 to the commit that holds it."""
    found, commits = [], iter(seen)
    end, when = next(commits)
    for at in sorted(answered):
        while at > end:
            end, when = next(commits)
        found.append(max(0.0, when - answered[at]) * 1000)
    return found


def quantile(found, q):
    return sorted(found)[int(len(found) * q)]


def latency(binary, directory, folder, seconds, lake=None, arguments=(), maintained=False, **options):
    """{what: figure} of one run. `lake`: the directory in which the tables show, if it is not the log's. `maintained`:
    `pinpipe maintain` runs beside."""
    server = gateway(binary, directory)
    stream = Process([binary, "stream", "--dir", directory, *arguments], **options)
    maintain = Process([binary, "maintain", "--dir", directory], **options) if maintained else None
    try:
        results = multiprocessing.Queue()
        lake = lake or directory / "lake"
        logs = {name: lake / "tables" / f"{ID}_{name}_table" / "_delta_log" for name in TABLES}
        watcher = multiprocessing.Process(target=watch, args=(logs, seconds * POSTS_A_SECOND, results), daemon=True)
        watcher.start()
        client = Client(server.port, folder)
        held = client.send(seconds)
        seen = results.get(timeout=150)
        watcher.join()
        found = [ms for name in TABLES for ms in latencies(client.answered[name], seen[name])]
        return {"p50": quantile(found, 0.5), "p99": quantile(found, 0.99), "held": held,
                "commits": sum(map(len, seen.values())), "rss": stream.status_kib("VmHWM") / 1024,
                "cpu": stream.cpu_seconds() / (seconds * POSTS_A_SECOND * len(TABLES)) * 1e6}
    finally:
        server.process.stop()
        stream.stop()
        if maintain:
            maintain.stop()


def latency_rows(table, binary, directory, folder, count, seconds):
    runs = [latency(binary, directory / f"live{i}", folder, seconds) for i in range(count)]
    held = min(figures["held"] for figures in runs)
    middle = {what: statistics.median(figures[what] for figures in runs) for what in runs[0]}
    for what, bar in (("p50", 500), ("p99", 1000)):
        table.add(f"POST 200 to Delta row, 1,000 posts/s, {what}", middle[what], bar, 1.0, "ms", higher=False,
                  cpu_us=middle["cpu"], rss_mib=middle["rss"],
                  note=f"held {held:,.0f} posts/s, {middle['commits']:.0f} commits")


def backlog(table, build, binary, directory, folder, count):
    """The same posts from the streams into tables, and from raw objects by `batch`."""
    server = gateway(binary, directory)
    try:
        run([binary, "emulate", "--streaming", "--posts", BACKLOG, "--rate", "max", "--order", "random",
             "--data", folder, "--connections", 64, "--format", "json",
             "--streaming-url", f"http://127.0.0.1:{server.port}/streams/streaming-{ID}-"])
    finally:
        server.process.stop()
    objects, records, last = directory / "batch", BACKLOG * len(TABLES), {}
    make_objects(build, objects / "lake", BACKLOG)

    def drain():
        shutil.rmtree(directory / "lake", ignore_errors=True)
        elapsed, last["cpu"], last["rss"], out = run([binary, "stream", "--dir", directory, "--until-end"])
        if sum(json.loads(out)["rows"].values()) != records:
            raise RuntimeError(f"stream: {out}")
        return records / elapsed

    def clean():
        for name in ("tables", "results", "dlq"):
            shutil.rmtree(objects / "lake" / name, ignore_errors=True)
        out = run([binary, "batch", "--dir", objects, "--format", "json"])[3]
        return records / json.loads(out)["clean_ms"] * 1000

    figures = rounds(count, {"ours": drain, "batch": clean})
    table.add("stream draining a backlog, as batch cleans", figures["ours"], figures["batch"], 0.5, "rec/s",
              cpu_us=last["cpu"] / records * 1e6, rss_mib=last["rss"], note=f"{BACKLOG:,} posts")


def measure(table, binary, build, rows, count, seconds):
    folder = pathlib.Path(rows).parent
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        latency_rows(table, binary, pathlib.Path(directory), folder, count, 2 * seconds)
        backlog(table, build, binary, pathlib.Path(directory) / "backlog", folder, count)
