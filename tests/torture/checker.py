"""Reads log, objects, Delta tables and dead letters by itself and compares them with the clients' ledger.

What it finds, each a list of sentences:
    lost       acknowledged, or in the log, but not where it has to be
    doubled    an offset or an attempt that is in one place twice, or elsewhere than it was said to be
    phantom    never sent, refused, or never in the log
    reordered  a client's records are not in the order in which it sent them
    altered    not what was sent
    damaged    below its end the log breaks the rules of its format

It also counts what the clients do not know the outcome of: unknown-present, unknown-absent.
"""
import base64
import collections
import gzip
import itertools
import json
import pathlib
import re

from crc32c import crc32c

from client import TABLES
from delta_log import newest_state
from duck import Duck
from journal import Log, digest
from places import Dense

KINDS = ("lost", "doubled", "phantom", "reordered", "altered", "damaged")
PATHS = ("batch", "stream")
# The text of a row: what Entry.row says, after partition and offset.
ROWS = {"pin": "ind, unique_id, title, follower_count, category",
        "geo": "ind, country, coordinates[1], coordinates[2], epoch(timestamp)::BIGINT",
        "user": "ind, user_name, age, epoch(date_joined)::BIGINT"}
# Reasons of letters for records that nobody has.
LOSSES = ("damaged in the log", "left the log", "of a topic of this name", "in no object of the lake")
SAMPLES = 5  # of each kind that are printed


class Report(dict):
    def __init__(self):
        super().__init__({kind: [] for kind in KINDS})
        self.counts = collections.Counter()

    @property
    def clean(self):
        return not any(self.values())

    @property
    def faults(self):
        return sum(map(len, self.values()))

    def samples(self):
        return [f"{kind}: {text}" for kind in KINDS for text in self[kind][:SAMPLES]]

    def __str__(self):
        figures = ", ".join(f"{len(self[kind])} {kind}" for kind in KINDS)
        return "\n  ".join([f"{figures} ({dict(self.counts)})", *self.samples()])


def live_files(duck, root):
    """Data files of a Delta table, in the order in which they were added."""
    return [root / path for path in newest_state(duck, root).files]


def table_rows(duck, root, table):
    """(partition, offset, the row's text) of every row."""
    files = live_files(duck, root)
    if not files:
        return []
    names = ",".join("'%s'" % str(path).replace("'", "''") for path in files)
    cells = ", ".join(f"coalesce(({cell})::VARCHAR, '~')" for cell in ROWS[table].split(", "))
    sql = f"SELECT concat_ws('|', _partition, _offset, {cells}) FROM read_parquet([{names}])"
    return [line.split("|", 2) for line in duck.lines(sql)]


def partition_files(root, name):
    """Files of a topic's partitions, of all its generations."""
    return sorted([*root.glob(f"partition=*/{name}"), *root.glob(f"generation=*/partition=*/{name}")])


def offset_text(path, offset):
    """As a row has it: from the second generation on that is said, too."""
    generation = path.parent.parent.name.removeprefix("generation=")
    return f"g{int(generation):04}-{offset:020}" if generation.isdigit() else f"{offset:020}"


def letters(lake, topic):
    """Each once: who cleaned the same records beside another, or after a crash, has written the same letters."""
    seen = {}
    for path in partition_files(lake / "dlq" / topic, "*.ndjson"):
        for line in path.read_text().splitlines():
            letter = json.loads(line)
            name = tuple(letter.get(member) for member in ("partition", "offset", "last", "stage", "table"))
            if seen.setdefault(name, path) == path:
                yield letter


def manifests(lake, topic):
    """{(partition, start, CRC-32C of the object): runs of offsets}, where lines are not those from start on; `start`
    as offset_text() has it."""
    found = {}
    for path in partition_files(lake / "manifests" / topic, "[0-9]*+*.json"):
        start, crc = path.stem.split("+")
        runs = [(int(first), count) for first, count in json.loads(path.read_text())["runs"]]
        found[int(path.parent.name.partition("=")[2]), offset_text(path, int(start)), int(crc, 16)] = runs
    return found


def groups(lake, topic):
    """{partition: (where its first group begins, its groups)}: from there on only what groups name counts."""
    found = {}
    for path in sorted((lake / "manifests" / topic).glob("partition=*/group+*.json")):
        group = json.loads(path.read_text())
        if not group.get("plain"):
            group["first"] = int(re.match(r"group\+(\d+)", path.name)[1])
            found.setdefault(int(path.parent.name.partition("=")[2]), []).append(group)
    return {partition: (min(group["first"] for group in those), those) for partition, those in found.items()}


def unpacked(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def group_lines(lake, group):
    """The offset and the bytes of every line of a group's objects."""
    lines = []
    for entry in group["objects"]:
        text = unpacked(lake / entry["key"])
        assert crc32c(text) == int(entry["crc"], 16) and text.endswith(b"\n"), f"{entry['key']} is not what was meant"
        lines.append(iter(text[:-1].split(b"\n")))
    offset = group["first"]
    for number, count in zip(group["runs"][::2], group["runs"][1::2]):
        for _ in range(count):
            if number >= 0:
                yield offset, next(lines[number])
            offset += 1
    assert all(next(rest, None) is None for rest in lines), "an object has more lines than its group says"


def object_lines(lake, topic):
    """(partition, offset) and the bytes of every line of the topic's objects."""
    known = manifests(lake, topic)
    grouped = groups(lake, topic)
    for partition, (_, those) in grouped.items():
        for group in those:
            for offset, line in group_lines(lake, group):
                yield partition, f"{offset:020}", line
    for path in partition_files(lake / "topics" / topic, "*.json*"):
        name = re.fullmatch(r".*\+(\d+)\+(\d+)\.json(\.gz)?", path.name)
        if not name:
            continue    # keys or headers
        partition, start = int(name[1]), int(name[2])
        if start >= grouped.get(partition, (start + 1,))[0]:
            continue
        text = unpacked(path)
        assert text.endswith(b"\n"), f"{path} is cut"
        lines = text[:-1].split(b"\n")
        name = partition, offset_text(path, start)
        own = any(key[:2] == name for key in known) and known.get((*name, crc32c(text)))
        offsets = [first + n for first, count in own for n in range(count)] if own \
            else range(start, start + len(lines))
        assert len(offsets) == len(lines), f"{path} has other lines than its manifest"
        for offset, line in zip(offsets, lines):
            yield partition, offset_text(path, offset), line


class Shelf:
    """One place in which each record has to be once: the log, the objects, or the tables with the dead letters."""

    def __init__(self, name, user, report, acked, places):
        self.name, self.user, self.report, self.where = name, user, report, places
        self.acked = acked                              # (topic, partition), ordinal -> entry
        self.lanes = collections.defaultdict(dict)      # (topic, partition) -> ordinal -> entry
        self.places = {}                                # identity -> (topic, partition), ordinal
        self.told = collections.defaultdict(list)       # (topic, partition) -> ranges that a letter says are lost

    def put(self, lane, ordinal, entry, shown):
        """A record was found; `entry` is the attempt that its bytes belong to, or None."""
        where = f"{lane} {ordinal} in the {self.name}"
        if ordinal in self.lanes[lane]:
            self.report["doubled"].append(f"{where} is there twice")
        self.lanes[lane][ordinal] = entry
        if entry is None:
            said = self.acked.get((lane, ordinal))
            kind, why = ("altered", f"not {said.identity}") if said else ("phantom", "which was never sent")
            self.report[kind].append(f"{where} holds {shown!r}, {why}")
            return
        if entry.state in ("refused", "unsent"):
            self.report["phantom"].append(f"{where} holds {entry.identity}, which was {entry.state}")
        if topic_of(self.user, entry) != lane[0]:
            self.report["altered"].append(f"{where} holds {entry.identity} of {entry.path}/{entry.table}")
        if entry.identity in self.places:
            self.report["doubled"].append(f"{entry.identity} is at {self.places[entry.identity]}, too: {where}")
        elif entry.state == "acked" and (lane, ordinal) != lane_of(self.user, entry, self.where):
            self.report["doubled"].append(f"{where} holds {entry.identity}, acknowledged at {entry.offset}")
        self.places[entry.identity] = lane, ordinal

    def expect(self, entries, is_missing_excused=lambda lane, ordinal: False):
        """Each of the acknowledged entries is here."""
        for entry in entries:
            lane, ordinal = lane_of(self.user, entry, self.where)
            found = self.lanes[lane].get(ordinal)
            if found is not entry and not is_missing_excused(lane, ordinal):
                self.report["lost"].append(f"{entry.identity} is not at {lane} {ordinal} in the {self.name}; there is "
                                           f"{found.identity if found else None}")

    def check_order(self, ledger):
        last = {}
        for entry in ledger:    # each client's entries are in the order of sending
            lane, ordinal = self.places.get(entry.identity, (None, 0))
            if lane is None or (entry.state == "unknown" and self.where.late(entry.path)):
                continue
            key = entry.client, lane
            if ordinal <= last.get(key, -1):
                self.report["reordered"].append(f"{entry.identity} at {lane} {ordinal} of the {self.name} was sent "
                                                f"later than what is at {last[key]}")
            last[key] = ordinal

    def equals(self, log):
        """Log = this place: every ordinal of the log is here and no other; what was read of the log is the same."""
        for lane, following in log.next.items():
            here, there = self.lanes[lane], log.ordinals(lane)
            if lane[0] not in self.topics():
                continue
            missing = sorted(ordinal for ordinal in there - here.keys()
                             if ordinal in log.records[lane] or not self.is_told(lane, ordinal))
            if missing:
                self.report["lost"].append(f"{lane} has {len(missing)} of {len(there)} records not in the {self.name}: "
                                           f"{missing[:SAMPLES]} …")
            for ordinal in sorted(here.keys() - there)[:SAMPLES]:
                self.report["phantom"].append(f"{lane} {ordinal} is in the {self.name}, the log ends at {following}")
            for ordinal, value in log.records[lane].items():
                entry = here.get(ordinal)
                if entry is not None and entry.digest != value:
                    self.report["altered"].append(f"{lane} {ordinal} holds {entry.identity}; the log holds another")

    def is_told(self, lane, ordinal):
        return any(first <= ordinal <= last for first, last in self.told[lane])

    def topics(self):
        paths = PATHS if self.name == "tables" else PATHS[:1]
        return {topic_name(self.user, path, table) for path in paths for table in TABLES}


def topic_name(user, path, table):
    return f"{user}.{table}" if path == "batch" else f"streaming-{user}-{table}"


def topic_of(user, entry):
    return topic_name(user, entry.path, entry.table)


def lane_of(user, entry, places=Dense()):
    """Where it was acknowledged: (topic, partition), ordinal."""
    partition = places.partition(entry.path, entry.partition)
    return (topic_of(user, entry), partition), places.ordinal(entry.path, entry.offset)


class Checker:
    """Of one data directory. check_log() may be called again and again as the log grows; check_lake() once, at the
    end, when all that is in the log has been worked on."""

    def __init__(self, directory, user, places=None):
        self.directory, self.user, self.places = pathlib.Path(directory), user, places or Dense()
        self.lake = self.directory / "lake"
        self.log = Log(self.directory / "log")
        self.report = Report()
        self.entries = {}       # by digest
        self.identities = {}
        self.acked = {}         # by where they were acknowledged
        self.taken = collections.Counter()      # records of each lane of the log that are on the shelf
        self.shelf = self.new_shelf("log")

    def new_shelf(self, name):
        return Shelf(name, self.user, self.report, self.acked, self.places)

    def learn(self, ledger):
        self.entries = {entry.digest: entry for entry in ledger}
        self.identities = {entry.identity: entry for entry in ledger}
        self.acked.update((lane_of(self.user, entry, self.places), entry) for entry in ledger if entry.state == "acked")

    def check_log(self, ledger):
        """What has been read of the log against the ledger, all of whose outcomes are settled."""
        self.learn(ledger)
        for lane, records in self.log.records.items():
            if not re.search(rf"\b{re.escape(self.user)}[.-]({'|'.join(TABLES)})$", lane[0]):
                continue        # a topic that is there for its creation only
            for ordinal, value in itertools.islice(records.items(), self.taken[lane], None):
                self.shelf.put(lane, ordinal, self.entries.get(value), value.hex())
            self.taken[lane] = len(records)
        self.report["damaged"] += self.log.faults
        self.log.faults = []

    def expect_in_log(self, acked):
        """These entries were acknowledged before the log was read."""
        self.shelf.expect(acked, is_missing_excused=lambda lane, ordinal: (
            ordinal < self.log.next.get(lane, 0) and ordinal not in self.log.records[lane] and self.log.unread))

    def check_lake(self, ledger):
        """Everything. The log has been read to its end."""
        self.check_log(ledger)
        acked = [entry for entry in ledger if entry.state == "acked"]
        self.expect_in_log(acked)
        tables, objects = self.new_shelf("tables"), self.new_shelf("objects")
        duck = Duck()
        try:
            for path in PATHS:
                for table in TABLES:
                    self.put_rows(duck, tables, path, table)
                    self.put_letters(tables, objects, path, table)
        finally:
            duck.close()
        for table in TABLES:
            topic = topic_name(self.user, "batch", table)
            for partition, offset, line in object_lines(self.lake, topic):
                ordinal = self.places.ordinal("batch", offset)
                objects.put((topic, partition), ordinal, self.entries.get(digest(line)), line[:100])
        for shelf in (tables, objects):
            shelf.expect([entry for entry in acked if topic_of(self.user, entry) in shelf.topics()])
            shelf.check_order(ledger)
            shelf.equals(self.log)
        self.shelf.check_order(ledger)
        self.count(ledger, tables)
        return self.report

    def put_rows(self, duck, tables, path, table):
        topic = topic_name(self.user, path, table)
        name = f"{self.user}_{table}_{'clean' if path == 'batch' else 'table'}"
        for partition, offset, row in table_rows(duck, self.lake / "tables" / name, table):
            entry = self.identities.get(row.split("|")[1].removesuffix(" Acosta"))
            number, ordinal = self.places.place(path, partition, offset)
            tables.put((topic, number), ordinal, entry, row)
            if entry and entry.row != row:
                self.report["altered"].append(f"{topic} {offset} is the row {row}, not {entry.row}")
            if entry and entry.state == "acked" and (partition, offset) != (entry.partition, entry.offset):
                self.report["altered"].append(f"{topic} {partition} {offset} was {entry.partition} {entry.offset}")
            self.report.counts["rows"] += 1

    def put_letters(self, tables, objects, path, table):
        topic = topic_name(self.user, path, table)
        for letter in letters(self.lake, topic):
            if "last" in letter or (letter["value"] is None and letter["reason"].startswith(LOSSES)):
                self.put_range(tables, objects, path, topic, letter)
                continue
            value = base64.b64decode(letter["value"] or "")
            entry = self.entries.get(digest(value))
            number, ordinal = self.places.place(path, letter["partition"], letter["offset"])
            tables.put((topic, number), ordinal, entry, value[:100])
            if letter["stage"] == "sink":
                objects.put((topic, number), ordinal, entry, value[:100])
            if entry and entry.row is not None:
                self.report["altered"].append(f"{topic} {letter['offset']} is a dead letter ({letter['reason']}), "
                                              "but a row was sent")
            if entry and entry.state == "acked" and (letter["partition"], letter["offset"]) != (entry.partition,
                                                                                                entry.offset):
                self.report["altered"].append(f"{topic} {letter['partition']} {letter['offset']} is a dead letter, and "
                                              f"was {entry.partition} {entry.offset}")
            self.report.counts["letters"] += 1

    def put_range(self, tables, objects, path, topic, letter):
        """A letter that tells of records which nobody has."""
        number = self.places.partition(path, letter["partition"])
        first, last = self.places.range(path, letter["offset"], letter.get("last", letter["offset"]))
        tables.told[topic, number].append((first, last))
        if letter["stage"] == "sink":
            objects.told[topic, number].append((first, last))
        self.report.counts["letters of ranges"] += 1

    def count(self, ledger, tables):
        counts = self.report.counts
        for entry in ledger:
            counts[entry.state] += 1
            if entry.state == "unknown":
                counts["unknown-present" if entry.identity in tables.places else "unknown-absent"] += 1
        counts["log read"] += sum(self.taken.values())
        counts["log unread"] += self.log.unread
