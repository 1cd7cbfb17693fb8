"""The emulator without pacing into the gateway, against wrk, which sends requests of the same shape made beforehand."""
import json
import pathlib
import tempfile

from ingest import ID, gateway
from measure import rounds, run

CONNECTIONS = 32
POSTS_A_SECOND = 8000  # of the time that is asked for; each is three requests, of a record each


class Emulator:
    def __init__(self, binary, server, folder, posts):
        self.server, self.posts = server, posts
        self.arguments = [binary, "emulate", "--format", "json", "--posts", posts, "--rate", "max", "--order", "random",
                          "--data", folder, "--connections", CONNECTIONS,
                          "--url", f"http://127.0.0.1:{server.port}/topics/{ID}."]

    def load(self):
        """Records/s, from the first request to the last answer."""
        before = self.server.process.cpu_seconds()
        _, cpu, self.rss, out = run(self.arguments)
        result = json.loads(out)
        records = sum(result["acknowledged"].values())
        if records != 3 * self.posts:
            raise RuntimeError(f"not every record was acknowledged: {result}")
        self.cpu_us = cpu / records * 1e6
        self.server_us = (self.server.process.cpu_seconds() - before) / records * 1e6
        return records / result["seconds"]


def measure(table, binary, build, rows, count, seconds):
    folder = pathlib.Path(rows).parent
    topics = {f"/topics/{ID}.{name}": str(folder / f"{name}.ndjson") for name in ("pin", "geo", "user")}
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        server = gateway(binary, f"{directory}/data")
        emulator = Emulator(binary, server, folder, POSTS_A_SECOND * seconds)
        try:
            figures = rounds(count, {"emulate": emulator.load, "wrk": lambda: server.load(
                "topic", ",".join(topics.values()), 1, CONNECTIONS, seconds, list(topics))})
            table.add("emulate without pacing, 32 connections", figures["emulate"], figures["wrk"], 0.5, "rec/s",
                      cpu_us=emulator.cpu_us, rss_mib=emulator.rss,
                      note=f"CPU of the gateway: {emulator.server_us:.1f} us/rec, under wrk {server.cpu_us:.1f}")
        finally:
            server.process.stop()
