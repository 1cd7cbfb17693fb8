"""Reads the log of a Delta table by the protocol's text (delta-io/delta PROTOCOL.md): commits, classic checkpoints,
what may have been cleaned up, how long what was removed has to stay.
"""
import json
import pathlib
import re
import urllib.parse

COMMIT, CHECKPOINT = re.compile(r"(\d{20})\.json"), re.compile(r"(\d{20})\.checkpoint\.parquet")
UNITS_S = {"millisecond": 0.001, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
WEEK_S = UNITS_S["week"]


def quoted(path):
    return "'%s'" % str(path).replace("'", "''")


def seconds_of(interval):
    """Of a property's text, as "interval 1 hour 30 minutes"."""
    parts = re.findall(r"(\d+)\s+([a-z]+?)s?\b", interval.lower())
    assert parts, f"no interval: {interval}"
    return sum(int(number) * UNITS_S[unit] for number, unit in parts)


class Names:
    """Versions that a log has commits and checkpoints of, each rising."""

    def __init__(self, root):
        names = [path.name for path in (pathlib.Path(root) / "_delta_log").glob("*")]
        self.commits = self.versions(COMMIT, names)
        self.checkpoints = self.versions(CHECKPOINT, names)

    @staticmethod
    def versions(pattern, names):
        return sorted(int(found[1]) for found in map(pattern.fullmatch, names) if found)


def commit_path(root, version):
    return pathlib.Path(root) / "_delta_log" / f"{version:020}.json"


def checkpoint_path(root, version):
    return pathlib.Path(root) / "_delta_log" / f"{version:020}.checkpoint.parquet"


def actions_of(text):
    return [json.loads(line) for line in text.splitlines() if line]


def checkpoint_actions(duck, path):
    """As those of a commit: what a column has no value for is left out."""
    rows = map(json.loads, duck.lines(f"SELECT to_json(t) FROM read_parquet({quoted(path)}) t"))
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


class State:
    """What a table is at a version: live files, tombstones, progress."""

    def __init__(self):
        self.version = -1
        self.files = {}         # path -> its add
        self.gone = {}          # path -> when it was removed, in ms
        self.txns = {}          # application -> version
        self.metadata = self.protocol = None

    def apply(self, version, actions):
        for action in actions:
            if add := action.get("add"):
                path = urllib.parse.unquote(add["path"])
                self.files[path] = add
                self.gone.pop(path, None)
            elif remove := action.get("remove"):
                path = urllib.parse.unquote(remove["path"])
                self.files.pop(path, None)
                self.gone[path] = remove.get("deletionTimestamp", 0)
            elif txn := action.get("txn"):
                self.txns[txn["appId"]] = txn["version"]
            elif metadata := action.get("metaData"):
                self.metadata = metadata
            elif protocol := action.get("protocol"):
                self.protocol = protocol
        self.version = version

    def columns(self):
        return [field["name"] for field in json.loads(self.metadata["schemaString"])["fields"]]

    def retention_s(self):
        text = self.metadata["configuration"].get("delta.deletedFileRetentionDuration")
        return seconds_of(text) if text else WEEK_S


def oldest(names):
    """The oldest version that the log still tells: of a checkpoint that all commits follow, or 0. None: of none."""
    for version in [0] * (names.commits[:1] == [0]) + names.checkpoints:
        if names.commits and not set(range(version + 1, names.commits[-1] + 1)) - set(names.commits):
            return version
    return None


def state_at(duck, root, version, newest=None):
    """At the version, by the newest checkpoint up to it, or up to `newest`, and the commits after that."""
    names, state = Names(root), State()
    before = [at for at in names.checkpoints if at <= (version if newest is None else newest)]
    if before:
        state.apply(before[-1], checkpoint_actions(duck, checkpoint_path(root, before[-1])))
    for at in range(state.version + 1, version + 1):
        state.apply(at, actions_of(commit_path(root, at).read_text()))
    return state


def newest_state(duck, root):
    """By all that is kept, not only by what is needed."""
    commits = Names(root).commits
    gaps = set(range(commits[0], commits[-1])) - set(commits)
    assert not gaps, f"{root.name} has no commit {min(gaps)}"
    return state_at(duck, root, commits[-1], newest=oldest(Names(root)))
