"""Reads objects, Delta tables and dead letters by itself and compares them with the clients' ledger.

Reports, each as a list of sentences: lost (acknowledged, but not where it was said to be), doubled (an offset or an
identity in two places), phantom (never sent, or refused), reordered (a client's records not in the order it sent
them), altered (not what was sent).
"""
import base64
import collections
import json
import pathlib
import re

from duck import Duck

TABLES = ("pin", "geo", "user")
IDENTITY = {"pin": "unique_id", "geo": "country", "user": "user_name"}
KINDS = ("lost", "doubled", "phantom", "reordered", "altered")


class Report(dict):
    def __init__(self):
        super().__init__({kind: [] for kind in KINDS})
        self.counts = collections.Counter()

    @property
    def clean(self):
        return not any(self.values())

    def __str__(self):
        figures = ", ".join(f"{len(self[kind])} {kind}" for kind in KINDS)
        samples = "".join(f"\n  {kind}: {text}" for kind in KINDS for text in self[kind][:5])
        return f"{figures} ({dict(self.counts)}){samples}"


def live_files(root):
    """Data files of a Delta table by replaying its log; no checkpoint is needed because nothing is cleaned up."""
    files = {}
    for commit in sorted((root / "_delta_log").glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                files[action["add"]["path"]] = commit.name
            if "remove" in action:
                files.pop(action["remove"]["path"], None)
    return [root / path for path in files]


def table_rows(duck, root, table):
    """(partition, offset) -> identity of every row."""
    files = live_files(root)
    if not files:
        return []
    names = ",".join("'%s'" % str(path).replace("'", "''") for path in files)
    return duck.rows(f"SELECT _partition, _offset, {IDENTITY[table]} FROM read_parquet([{names}])")


def letters(lake, topic):
    for path in sorted((lake / "dlq" / topic).glob("partition=*/*.ndjson")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def object_lines(lake, topic):
    """(partition, offset) and the value of every line of the topic's objects."""
    for path in sorted((lake / "topics" / topic).glob("partition=*/*.json")):
        partition, start = re.fullmatch(r".*\+(\d+)\+(\d+)\.json", path.name).groups()
        text = path.read_bytes()
        assert text.endswith(b"\n"), f"{path} is cut"
        for n, line in enumerate(text.splitlines()):
            yield (partition, "%020d" % (int(start) + n)), json.loads(line)


def identity_of(value):
    """The identity that make_value() put in."""
    for field in ("nonsense", "unique_id", "first_name"):
        if isinstance(value, dict) and field in value:
            return value[field]
    return value.get("country") if isinstance(value, dict) else None


class Checker:
    def __init__(self, lake, user, ledger):
        self.lake, self.user, self.report = pathlib.Path(lake), user, Report()
        self.ledger = {entry.identity: entry for entry in ledger}
        self.places = {}
        for entry in ledger:
            self.report.counts[entry.state] += 1

    def names(self, path, table):
        if path == "batch":
            return f"{self.user}.{table}", f"{self.user}_{table}_clean"
        return f"streaming-{self.user}-{table}", f"{self.user}_{table}_table"

    def place(self, path, table, where, identity, what):
        """One record was found; an offset and an identity may be found once each."""
        key = (path, table) + where
        if key in self.places:
            self.report["doubled"].append(f"{key} is in {what} and holds {self.places[key]}")
        entry = self.ledger.get(identity)
        if entry is None or entry.state in ("refused", "unsent"):
            self.report["phantom"].append(f"{key} in {what} holds {identity}, which was "
                                          + (entry.state if entry else "never sent"))
        elif entry.state == "acked" and where != (entry.partition, entry.offset):
            self.report["doubled"].append(f"{identity} is at {where} and was acknowledged at "
                                          f"{(entry.partition, entry.offset)}")
        elif (entry.path, entry.table) != (path, table):
            self.report["altered"].append(f"{identity} of {entry.path}/{entry.table} is in {path}/{table}")
        self.places[key] = identity
        self.report.counts[f"{path} {what}"] += 1

    def check_table(self, duck, path, table):
        topic, name = self.names(path, table)
        seen = set()
        if path == "batch":
            for where, value in object_lines(self.lake, topic):
                if where in seen:
                    self.report["doubled"].append(f"{topic} {where} is in two objects")
                seen.add(where)
                self.compare(value, f"{topic} {where}")
        for partition, offset, identity in table_rows(duck, self.lake / "tables" / name, table):
            self.place(path, table, (partition, offset), (identity or "").removesuffix(" Acosta"), "rows")
        for letter in letters(self.lake, topic):
            value = json.loads(base64.b64decode(letter["value"])) if letter["value"] is not None else None
            self.compare(value, f"dead letter {letter['offset']} of {topic}")
            self.place(path, table, (letter["partition"], letter["offset"]), identity_of(value), "letters")

    def compare(self, value, where):
        entry = self.ledger.get(identity_of(value))
        if entry and entry.value != value:
            self.report["altered"].append(f"{where} holds {value}, sent was {entry.value}")

    def check_ledger(self):
        last = {}
        for entry in sorted(self.ledger.values(), key=lambda e: (e.client, e.number)):
            if entry.state != "acked":
                continue
            found = self.places.get((entry.path, entry.table, entry.partition, entry.offset))
            if found != entry.identity:
                self.report["lost"].append(f"{entry.identity} at {entry.partition}/{entry.offset} of "
                                           f"{entry.path}/{entry.table}: there is {found}")
            lane = (entry.client, entry.table, entry.partition)
            if entry.offset <= last.get(lane, ""):
                self.report["reordered"].append(f"{entry.identity} at {entry.offset} comes before {last[lane]}")
            last[lane] = entry.offset

    def check_dense(self):
        """No offset between the first and the last one is missing."""
        lanes = collections.defaultdict(set)
        for path, table, partition, offset in self.places:
            lanes[path, table, partition].add(int(offset) if path == "batch" else offset)
        for lane, offsets in lanes.items():
            if lane[0] == "batch" and len(offsets) != max(offsets) + 1:
                missing = sorted(set(range(max(offsets) + 1)) - offsets)
                self.report["lost"].append(f"{lane} misses offsets {missing[:5]} …")

    def run(self):
        duck = Duck()
        try:
            for path in ("batch", "stream"):
                for table in TABLES:
                    self.check_table(duck, path, table)
        finally:
            duck.close()
        self.check_ledger()
        self.check_dense()
        return self.report
