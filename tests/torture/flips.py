"""Bits flip in the log: in a segment, all of them, and tails are torn, by the C tests tests/unit/test_log_*.c; and in
place, while a gateway takes records and readers read them.
"""
import http.client
import json
import os
import random
import re
import subprocess
import threading
import time

import journal
from figures import MEMORY, workplace
from pipeline import await_that, free_port

TOPIC = "u1.pin"
RECORDS = 20            # a request
SEGMENTS = 4            # of a MiB, before the first bit flips
VALUE_BYTES = 700
CONTENT = "application/vnd.kafka.json.v2+json"


class Writer(threading.Thread):
    """Posts records and remembers the text of each by its offset."""

    def __init__(self, port, seed):
        super().__init__()
        self.port, self.rng, self.stopping = port, random.Random(seed), threading.Event()
        self.values, self.failure = {}, None

    def run(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            while not self.stopping.wait(0.005):
                self.post(connection)
            connection.close()
        except Exception as failure:  # pylint: disable=broad-except  # it fails the test, in check()
            self.failure = failure

    def post(self, connection):
        values = [json.dumps({"n": self.rng.random(), "text": "x" * self.rng.randrange(VALUE_BYTES)})
                  for _ in range(RECORDS)]
        body = '{"records":[' + ",".join(f'{{"value":{value}}}' for value in values) + "]}"
        connection.request("POST", f"/topics/{TOPIC}", body, {"Content-Type": CONTENT})
        answer = json.loads(connection.getresponse().read())
        for value, said in zip(values, answer["offsets"], strict=True):
            assert said["offset"] is not None, said
            self.values[said["offset"]] = json.loads(value)


class Reader:
    """`pinpipe cat`, and what it must have said."""

    def __init__(self, binary, directory, writer):
        self.command = [str(binary), "cat", f"{TOPIC}/0", "--dir", str(directory), "--format", "json"]
        self.writer = writer

    def missing(self):
        """The offsets that were left out of what was acknowledged before; every other one is as it was written."""
        end = max(self.writer.values) + 1
        done = subprocess.run(self.command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        seen = {}
        for line in done.stdout.splitlines():
            record = json.loads(line)
            offset = int(record["offset"])
            assert offset not in seen, f"{offset} came twice"
            seen[offset] = record["value"]
        known = dict(self.writer.values)
        for offset, value in seen.items():
            assert offset not in known or known[offset] == value, f"{offset} is altered"
        lost = [offset for offset in range(end) if offset not in seen]
        assert done.returncode == (1 if lost else 0), done.stderr
        told = [offset for first, last in re.findall(rb"(\d+) to (\d+) are left out: damaged", done.stderr)
                for offset in range(int(first), int(last) + 1)]
        assert told == lost, done.stderr
        return lost


class Bystander(threading.Thread):
    """Reads all the time: what flips meanwhile may be told of, or not."""

    def __init__(self, reader):
        super().__init__()
        self.reader, self.stopping, self.rounds, self.failure = reader, threading.Event(), 0, None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.reader.missing()
                self.rounds += 1
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure


def batches(path):
    """(first byte, end of what it holds, offsets) of every batch of records in a segment's file."""
    data = path.read_bytes()
    segment = journal.Segment(int(path.stem), data)
    position, found = segment.base + journal.FIRST_BATCH, []
    while batch := segment.batch_at(position):
        if batch.kind == journal.RECORDS:
            at = batch.position - segment.base
            found.append((at, at + journal.BATCH_HEADER.size + batch.bytes,
                          list(range(batch.ordinal, batch.ordinal + batch.count))))
        position = journal.end_of(batch)
    return found


def flip(path, at, bit):
    with open(path, "r+b", buffering=0) as file:
        byte = os.pread(file.fileno(), 1, at)[0]
        os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), at)


def sealed(directory):
    """Segments that are not written any more: the last two are, or will be."""
    return sorted((directory / "log").glob("*.segment"))[:-2]


def live(binary, directory, seed, count):
    """Flips `count` bits, one after the other, and back. Returns how often the bystander read all."""
    rng, port = random.Random(seed), free_port()
    command = [str(binary), "gateway", "--listen", f"127.0.0.1:{port}", "--dir", str(directory), "--id", "u1"]
    gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "PINPIPE_LOG_SEGMENT_BYTES": "1MiB"})
    writer = Writer(port, seed)
    reader = Reader(binary, directory, writer)
    bystander = Bystander(reader)
    try:
        await_that(lambda: (directory / "log" / "watermark").exists() and ready(port), "the gateway")
        writer.start()
        await_that(lambda: writer.failure or len(sealed(directory)) >= SEGMENTS, "segments")
        writer.stopping.set()           # from now on a post for each flip, so that reading all stays short
        writer.join()
        bystander.start()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(count):
            path = rng.choice(sealed(directory))
            start, end, offsets = rng.choice(batches(path))
            at, bit = rng.randrange(start, end), rng.randrange(8)
            flip(path, at, bit)
            writer.post(connection)
            assert reader.missing() == offsets, f"{path}: bit {bit} of byte {at}"
            flip(path, at, bit)
        assert not reader.missing()
    finally:
        for thread in (writer, bystander):
            thread.stopping.set()
            if thread.ident:
                thread.join()
        gateway.terminate()
        gateway.wait()
    for thread in (writer, bystander):
        if thread.failure:
            raise thread.failure
    return bystander.rounds


def ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def add_arguments(parser):
    parser.add_argument("--flips", type=int, default=20000, help="of the 524,288 bits of a segment")
    parser.add_argument("--tails", type=int, default=20000, help="of the log, torn in every way")
    parser.add_argument("--live", type=int, default=100, help="bits that flip while a gateway runs")


def run(arguments, figures):
    for name in ("flips", "tails"):
        started = time.monotonic()
        counts = {"FLIPS": str(arguments.flips), "TAILS": str(arguments.tails), "SEED": str(arguments.seed)}
        done = subprocess.run([arguments.binary.parent / "tests" / f"test_log_{name}"], capture_output=True, text=True,
                              env={**os.environ, **counts, "TMPDIR": str(MEMORY)}, check=False)
        print("\n".join(line for line in done.stdout.splitlines() if line.startswith(name)),
              f"in {time.monotonic() - started:.0f} s", flush=True)
        if done.returncode:
            figures.missed.append(f"{name}:\n{done.stdout}")
            print(done.stdout, flush=True)
    with workplace("flips") as place:
        rounds = live(arguments.binary, place.path, arguments.seed, arguments.live)
    print(f"{arguments.live} bits flipped beside a gateway that took records; all found by readers that began later, "
          f"{rounds} readings of all at any time", flush=True)
