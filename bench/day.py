"""A day that is over in minutes: Delta tables as a stream without compaction leaves them after so many commits.

Some hundred real commits come first. The others are theirs again, by turns: a hard link of the data file under a name
of its own, statistics and size as they were, times spread over a day, and the progress of the last real one, so that
the stream goes on where it was. Such a program writes a checkpoint every hundred commits there; that would be 40 GB, so
there is one every tenth of the day and at its end.
"""
import json
import os
import sys
import time

from measure import TOP

sys.path.append(str(TOP / "tests" / "torture"))
from duck import Duck  # pylint: disable=wrong-import-position

DAY_MS = 86400 * 1000
CHECKPOINTS = 10
TEXTS = "MAP(VARCHAR, VARCHAR)"
COLUMNS = {     # of a checkpoint, PROTOCOL.md "Checkpoint Schema"
    "txn": "STRUCT(appId VARCHAR, version BIGINT, lastUpdated BIGINT)",
    "add": f"STRUCT(path VARCHAR, partitionValues {TEXTS}, size BIGINT, modificationTime BIGINT, dataChange BOOLEAN, "
           f"stats VARCHAR, tags {TEXTS})",
    "remove": "STRUCT(path VARCHAR, deletionTimestamp BIGINT, dataChange BOOLEAN, extendedFileMetadata BOOLEAN, "
              f"partitionValues {TEXTS}, size BIGINT, tags {TEXTS})",
    "metaData": "STRUCT(id VARCHAR, name VARCHAR, description VARCHAR, format STRUCT(provider VARCHAR, options "
                f"{TEXTS}), schemaString VARCHAR, partitionColumns VARCHAR[], createdTime BIGINT, "
                f"configuration {TEXTS})",
    "protocol": "STRUCT(minReaderVersion INTEGER, minWriterVersion INTEGER, readerFeatures VARCHAR[], "
                "writerFeatures VARCHAR[])"}


class Seed:
    """A real commit, cut where a copy of it differs."""

    def __init__(self, text, directory):
        lines = text.splitlines()
        self.info = json.loads(next(line for line in lines if line.startswith('{"commitInfo"')))
        self.add = json.loads(next(line for line in lines if line.startswith('{"add"')))
        self.path = self.add["add"]["path"]
        self.file = directory / self.path

    def copy(self, name, when_ms):
        """(its commitInfo, its add) of another name and time, as lines."""
        self.info["commitInfo"]["timestamp"] = self.add["add"]["modificationTime"] = when_ms
        self.add["add"]["path"] = name
        return compact(self.info), compact(self.add)


def compact(action):
    return json.dumps(action, separators=(",", ":")) + "\n"


class Day:
    """Makes `table`, a LiveTable whose seeds are there, `commits` long."""

    def __init__(self, table, commits):
        self.table, self.commits = table, commits
        texts = [(table.log / f"{version:020}.json").read_text() for version in range(table.version + 1)]
        self.seeds = [Seed(text, table.root) for text in texts if '{"add"' in text]
        self.txns = [line + "\n" for line in texts[-1].splitlines() if line.startswith('{"txn"')]
        self.actions_path = table.root / "_actions"
        self.actions = open(self.actions_path, "w", encoding="utf-8")
        self.actions.writelines([*map(compact, table.heads.values()), *self.txns])
        self.actions.writelines(compact(seed.add) for seed in self.seeds)

    def make(self):
        """In seconds per 100,000 commits: a link and a small file each."""
        began_ms, first = time.time() * 1000 - DAY_MS, self.table.version + 1
        points = {round(first + (self.commits - 1 - first) * k / CHECKPOINTS) for k in range(1, CHECKPOINTS + 1)}
        for version in range(first, self.commits):
            seed = self.seeds[version % len(self.seeds)]
            name = f"day-{version:09}-{seed.path}"
            info, add = seed.copy(name, int(began_ms + DAY_MS * version / self.commits))
            os.link(seed.file, self.table.root / name)
            with open(self.table.log / f"{version:020}.json", "w", encoding="utf-8") as commit:
                commit.writelines((info, *self.txns, add))
            self.actions.write(add)
            self.note(name, seed)
            if version in points:
                self.checkpoint(version)
        self.actions.close()
        self.actions_path.unlink()

    def note(self, name, seed):
        """What the table's follower would have read."""
        size, operation = seed.add["add"]["size"], seed.info["commitInfo"]["operation"]
        self.table.files[name] = size
        self.table.version += 1
        self.table.written[operation] = self.table.written.get(operation, 0) + size
        self.table.commits[operation] = self.table.commits.get(operation, 0) + 1

    def checkpoint(self, version):
        """Of all actions so far."""
        self.actions.flush()
        duck = Duck()
        try:
            columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
            path = self.table.log / f"{version:020}.checkpoint.parquet"
            duck.value(f"COPY (FROM read_json('{self.actions_path}', format = 'newline_delimited', "
                       f"columns = {{{columns}}})) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
            size = int(duck.value(f"SELECT count(*) FROM read_parquet('{path}')"))
        finally:
            duck.close()
        (self.table.log / "_last_checkpoint").write_text(compact({"version": version, "size": size}))
