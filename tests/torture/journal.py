"""Reads the log by the description of its bytes (src/broker/local/journal.h), and shares nothing with
the program: parsing, checksums and the rules by which a batch counts are written here once more.
"""
import collections
import fcntl
import hashlib
import os
import pathlib
import struct

from crc32c import crc32c

SEGMENT_HEADER = struct.Struct("<8sIIQQQQq")
BATCH_HEADER = struct.Struct("<IIQIIIIQQqQiIQ")
STATE_HEADER = struct.Struct("<QQ")
STATE_ENTRY = struct.Struct("<QiIQ")
RECORD_HEADER = struct.Struct("<II")
FIRST_BATCH = 4096
RECORDS, STATE, MARK = 1, 2, 3
NULL, EXTRA = 0xFFFFFFFF, 0xFFFFFFFE

Batch = collections.namedtuple(
    "Batch", "magic crc position bytes payload_crc chain kind epoch watermark time uid partition count ordinal")


def digest(value):
    return hashlib.sha256(value).digest()


def sequence_ordinal(text):
    """The counter inside a sequence number: hex digits 12 to 27 of 47 (AWS' layout)."""
    return (int(text) >> 80) & (1 << 63) - 1


class Segment:
    """The bytes of one file, and what its state says; `state` is None where there is none that is valid."""

    def __init__(self, base, data):
        self.base, self.data = base, data
        self.is_good, self.crc, self.state, self.previous = False, 0, None, (0, 0)
        if len(data) >= FIRST_BATCH:
            magic, version, self.crc, said = SEGMENT_HEADER.unpack_from(data)[:4]
            summed = data[16:64] if version == 1 else data[8:12] + data[16:64]
            self.is_good = (magic == b"PINPIPEJ" and version in (1, 2) and said == base
                            and crc32c(summed) == self.crc)
        first = self.batch_at(base + FIRST_BATCH) if self.is_good else None
        if first and first.kind == STATE:
            payload = self.payload(first)
            self.previous = STATE_HEADER.unpack_from(payload)
            self.state = {(uid, partition): ordinal for uid, partition, _, ordinal
                          in STATE_ENTRY.iter_unpack(payload[STATE_HEADER.size:])}

    def payload(self, batch):
        start = batch.position - self.base + BATCH_HEADER.size
        return self.data[start:start + batch.bytes]

    def batch_at(self, position):
        """The valid batch that stands there, or None."""
        at = position - self.base
        if at + BATCH_HEADER.size > len(self.data):
            return None
        batch = Batch(*BATCH_HEADER.unpack_from(self.data, at))
        if (batch.magic != 0x424A5050 or batch.position != position
                or crc32c(self.data[at + 8:at + BATCH_HEADER.size]) != batch.crc
                or at + BATCH_HEADER.size + batch.bytes > len(self.data)
                or crc32c(self.payload(batch)) != batch.payload_crc):
            return None
        return batch


def end_of(batch):
    return batch.position + (BATCH_HEADER.size + batch.bytes + 7) // 8 * 8


def open_segment(path):
    """The bytes of a segment, read while nobody may write to it; None if it has gone."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            if os.stat(path).st_ino != os.fstat(file.fileno()).st_ino:
                return None
            return file.read()
    except FileNotFoundError:
        return None


def read_catalog(directory):
    """(uid) -> (name, is a stream) of every topic of the log."""
    text = (pathlib.Path(directory) / "topics").read_bytes()
    body, _, last = text.rstrip(b"\n").rpartition(b"\n")
    assert last == b"crc %08x" % crc32c(body + b"\n"), "the catalog is damaged"
    words = [line.split() for line in body.decode().splitlines()]
    return {int(word[2], 16): (word[5], word[1] == "stream") for word in words if word[0] == "topic"}


class Log:
    """What was read of a log so far: records[topic name, partition][ordinal] = digest of the value.

    follow() reads the segments that have been closed since, so a log may be read while it is written and segments go;
    finish() also reads the open one, of a log that nobody writes. `faults` are sentences about what no crash excuses:
    what is not valid below the end that a later state gives, or breaks a rule of the format.
    """

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.records = collections.defaultdict(dict)
        self.next = {}            # (topic name, partition) -> the ordinal that comes next
        self.unread = 0           # records of segments that had gone before they were read
        self.faults = []
        self.done = set()         # bases of segments that were read to their end
        self.names = {}

    def ordinals(self, lane):
        """All that it has, or had."""
        return set(range(self.next[lane]))

    def segments(self):
        """The newest is read first: where its state says that the one before it ends, that has been written by then."""
        found = []
        for path in sorted(self.directory.glob("*.segment"), reverse=True):
            data = open_segment(path)
            if data is not None:
                found.append(Segment(int(path.stem), data))
        return found[::-1]

    def follow(self):
        self.read(is_live=True)

    def finish(self):
        self.read(is_live=False)

    def read(self, is_live):
        self.names.update(read_catalog(self.directory))
        segments = self.segments()
        ends = {s.previous[0]: s.previous[1] for s in segments if s.state is not None and s.previous[0]}
        parts = [s for s in segments if s.state is not None and s.base not in self.done]
        for segment in parts:
            if segment.base in ends:
                self.walk(segment, ends[segment.base])
                self.done.add(segment.base)
            elif not is_live:
                self.walk(segment, None)

    def fault(self, segment, position, what):
        self.faults.append(f"segment {segment.base}, position {position}: {what}")

    def lane(self, key):
        """Name and partition of what a batch names by uid; of a topic that was removed, the uid."""
        return self.names.get(key[0], (f"uid {key[0]:x}",))[0], key[1]

    def walk(self, segment, end):
        """Batches from the first one up to `end`; with None, up to the first place that is not valid."""
        position, chain, time = segment.base + FIRST_BATCH, segment.crc, 0
        while end is None or position < end:
            batch = segment.batch_at(position)
            if batch is None or batch.chain != chain:
                if end is not None:
                    self.fault(segment, position, f"no valid batch before the end at {end}")
                return
            if batch.watermark > position:
                self.fault(segment, position, f"its watermark {batch.watermark} lies ahead of it")
            if batch.time < time:
                self.fault(segment, position, "its time falls")
            if batch.kind == STATE:
                self.take_state(segment)
            elif batch.kind == RECORDS:
                self.take_records(segment, batch)
            position, chain, time = end_of(batch), batch.crc, batch.time
        if end is not None and position != end:
            self.fault(segment, position, f"the end {end} lies inside a batch")

    def take_state(self, segment):
        """What a segment says of each partition: where it goes on."""
        for key, ordinal in segment.state.items():
            lane = self.lane(key)
            known = self.next.get(lane, 0)
            if ordinal < known or (ordinal > known and segment.previous[0] in self.done):
                self.fault(segment, segment.base, f"{lane} goes on at {ordinal}, though {known - 1} was the last")
            self.unread += max(0, ordinal - known)
            self.next[lane] = ordinal

    def take_records(self, segment, batch):
        lane = self.lane((batch.uid, batch.partition))
        if batch.ordinal != self.next.get(lane, 0):
            self.fault(segment, batch.position, f"{lane} goes on at {batch.ordinal}, not at {self.next.get(lane, 0)}")
        payload, at, records = segment.payload(batch), 0, self.records[lane]
        for ordinal in range(batch.ordinal, batch.ordinal + batch.count):
            key_bytes, value_bytes = RECORD_HEADER.unpack_from(payload, at)
            if key_bytes == EXTRA:  # a time and headers come first, so many bytes of them
                at += RECORD_HEADER.size + value_bytes
                key_bytes, value_bytes = RECORD_HEADER.unpack_from(payload, at)
            at += RECORD_HEADER.size + (0 if key_bytes == NULL else key_bytes)
            value = b"" if value_bytes == NULL else payload[at:at + value_bytes]
            at += len(value)
            records[ordinal] = digest(value)
        if at != len(payload):
            self.fault(segment, batch.position, "its records do not fill it")
        self.next[lane] = batch.ordinal + batch.count
