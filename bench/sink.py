"""The sink, log to objects of 1,000 records, against a bare loop that writes the same objects from a plain file."""
import json
import pathlib
import shutil
import tempfile

from log import TOPIC, fill, ready_ms
from measure import rounds, run

MIB = 100  # of values in the log


class Sink:
    def __init__(self, binary, build, directory, rows):
        self.binary, self.build, self.log, self.bare = binary, build, directory / "log", directory / "bare"
        self.lines = directory / "lines"
        fill(build, self.log, rows, MIB, 64, 100)
        ready_ms(binary, self.log)  # recovers what the kill left, so that the sink only reads
        self.sink()
        with open(self.lines, "wb") as lines:
            for path in sorted(self.log.rglob(f"{TOPIC}+0+*.json")):
                lines.write(path.read_bytes())

    def sink(self):
        """Records/s of a sink that finds an empty lake, its start and end included."""
        shutil.rmtree(self.log / "lake", ignore_errors=True)
        elapsed, cpu, self.rss, out = run([self.binary, "sink", "--dir", self.log, "--until-end"])
        records = json.loads(out)["records"]["pin"]
        self.cpu_us = cpu / records * 1e6
        return records / elapsed

    def limit(self):
        shutil.rmtree(self.bare, ignore_errors=True)
        self.bare.mkdir()
        elapsed, cpu, _, out = run([self.build / "bench" / "bare_objects", self.lines, self.bare])
        records = int(out.split()[0])
        self.bare_us = cpu / records * 1e6
        return records / elapsed


def measure(table, binary, build, rows, count, _seconds):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        sink = Sink(binary, build, pathlib.Path(directory), rows)
        figures = rounds(count, {"ours": sink.sink, "bare": sink.limit})
        table.add("sink, log to objects of 1,000 records", figures["ours"], figures["bare"], 0.5, "rec/s",
                  cpu_us=sink.cpu_us, rss_mib=sink.rss, note=f"CPU of the limit: {sink.bare_us:.1f} us/rec")
