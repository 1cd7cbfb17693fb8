"""What the gateway does under too many connections, too much load, and clients that are slow on purpose."""
import contextlib
import json
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

from ingest import TOPIC, gateway
from measure import Process

IDLE_CONNECTIONS = 10000
SLOW_CONNECTIONS = 1000
OVERLOAD_CONNECTIONS = 2000
REFUSED_WITHIN_MS = 100
PATIENCE_S = 30
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def allow_descriptors():
    """As many as there may be; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_of(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as reply:
        return int(re.search(rb"^pinpipe_http_connections (\d+)$", reply.read(), re.M)[1])


@contextlib.contextmanager
def running(binary, build):
    """A gateway of its own: what one measurement leaves behind is no part of the next."""
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        server = gateway(binary, f"{directory}/data")
        try:
            yield server
        finally:
            server.process.stop()


def served(port):
    """A connection that has had one answer, and is kept alive."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(HEALTH)
    received = b""
    while not received.endswith(b"}"):
        chunk = connection.recv(4096)
        if not chunk:
            raise RuntimeError("an idle connection was closed")
        received += chunk
    return connection


def idle_connections(server):
    """(KiB of each, how many there were)"""
    count = min(IDLE_CONNECTIONS, allow_descriptors() - 100) - 1  # of 10,000 one stays free to ask
    served(server.port).close()
    before = server.process.status_kib("VmRSS")
    connections = [served(server.port) for _ in range(count)]
    grown = server.process.status_kib("VmRSS") - before
    held = connections_of(server)
    for connection in connections:
        connection.close()
    return grown / count, held


def idle(table, server):
    kib, held = idle_connections(server)
    table.add("memory of an idle connection", kib, 20, 1.0, "KiB", higher=False,
              rss_mib=server.process.status_kib("VmHWM") / 1024, note=f"{held:,} connections kept alive")


def overload(table, server, build, rows, count, seconds, records, peak_connections):
    """Posts at twice the rate that wrk reaches with few connections, whatever becomes of those before. The first
    round is for the memory only: it takes what it needs then, and no more later. Of the others the one counts whose
    ratio is the median."""
    results, memory = [], []
    for _ in range(count + 1):
        peak = server.load("topic", rows, records, peak_connections, seconds, [TOPIC]) / records
        done = subprocess.run(
            [build / "bench" / "open_load", str(server.port), TOPIC, rows, str(records), f"{2 * peak:.0f}",
             str(seconds), str(OVERLOAD_CONNECTIONS)], stdin=subprocess.DEVNULL, capture_output=True, check=True)
        results.append({"peak": peak, **json.loads(done.stdout)})
        memory.append(server.process.status_kib("VmRSS") / 1024)
    result = sorted(results[1:], key=lambda one: one["stored"] / one["peak"])[count // 2]
    work = f"overload, posts of {records} record{'s' * (records > 1)}"
    table.add(f"{work}: stored", result["stored"] * records, result["peak"] * records, 0.9, "rec/s",
              rss_mib=server.process.status_kib("VmHWM") / 1024,
              note=f"p99 {result['stored_p99_ms']:.0f} ms; of the posts {result['refused']:,.0f}/s refused, "
                   f"{result['unsent']:,.0f}/s found no free connection, {result['failed']:,.0f}/s failed")
    if result["refused"]:
        table.add(f"{work}: refusals, p99", result["refused_p99_ms"], REFUSED_WITHIN_MS, 1.0, "ms", higher=False,
                  note=f"p50 {result['refused_p50_ms']:.1f} ms")
    table.add(f"{work}: memory, last / before", memory[-1], max(memory[:-1]), 1.1, "MiB", higher=False)


def slow_kinds(port):
    """slowhttptest's ways of being slow; a body is only awaited where it could be stored."""
    topic, metrics = f"http://127.0.0.1:{port}{TOPIC}", f"http://127.0.0.1:{port}/metrics"
    return {
        "headers": ["-H", "-u", topic],
        "bodies": ["-B", "-s", "100000", "-f", "application/vnd.kafka.json.v2+json", "-u", topic],
        "reads": ["-X", "-k", "10", "-w", "512", "-y", "1024", "-n", "1", "-z", "5", "-u", metrics],
    }


def await_connections(server, fits, tool=None):
    deadline = time.monotonic() + PATIENCE_S
    while not fits(connections_of(server)):
        if time.monotonic() > deadline or (tool and tool.process.poll() is not None):
            raise RuntimeError(f"{connections_of(server)} connections; slowhttptest: {tool and tool.process.poll()}")
        time.sleep(0.05)


@contextlib.contextmanager
def slow_clients(server, words):
    """1,000 of them, held for as long as the block takes; gives how to ask how many there are."""
    await_connections(server, lambda count: count == 1)  # ours, which asks
    tool = Process(["slowhttptest", "-c", SLOW_CONNECTIONS, "-r", SLOW_CONNECTIONS, "-i", "1", "-l", "120", *words])
    try:
        await_connections(server, lambda count: count > SLOW_CONNECTIONS, tool)
        yield lambda: connections_of(server) - 1
    finally:
        tool.stop(signal.SIGKILL)
        await_connections(server, lambda count: count == 1)


def slow(table, server, rows, count, seconds):
    """The round whose ratio is the median: what the disk does in the meantime is alike within a round only."""
    def load():
        return server.load("topic", rows, 1, 32, seconds, [TOPIC]), server.cpu_us
    for kind, words in slow_kinds(server.port).items():
        results, left = [], []
        for _ in range(count + 2):
            alone, alone_us = load()
            with slow_clients(server, words) as still_there:
                beside, beside_us = load()
                left.append(still_there())
            results.append((beside / alone, beside, alone, beside_us, alone_us))
        _, beside, alone, beside_us, alone_us = sorted(results)[len(results) // 2]
        table.add(f"POST beside {SLOW_CONNECTIONS:,} slow {kind}", beside, alone, 0.9, "rec/s", cpu_us=beside_us,
                  note=f"{alone_us:.1f} us without them; {min(left):,} were there at the end")


def measure(table, binary, build, rows, count, seconds):
    with running(binary, build) as server:
        idle(table, server)
    for records, peak_connections in ((1, 256), (100, 32)):
        with running(binary, build) as server:
            overload(table, server, build, rows, count, seconds, records, peak_connections)
    with running(binary, build) as server:
        slow(table, server, rows, count, seconds)
