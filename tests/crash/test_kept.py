"""The torture's look at all versions of a table: of a table that was doctored it says what was done."""
import json
import pathlib
import sys
import time
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

from delta_log import Names, checkpoint_path, commit_path, quoted, seconds_of  # noqa: E402
from duck import Duck  # noqa: E402
from kept import Table, Visitor  # noqa: E402

SCHEMA = {"type": "struct", "fields": [{"name": name, "type": "string", "nullable": True, "metadata": {}}
                                       for name in ("name", "_partition", "_offset")]}
RETENTION = {"delta.deletedFileRetentionDuration": "interval 1 minute"}
FILES, ROWS = 6, 3


def txn(version):
    return {"txn": {"appId": "app", "version": version}}


class Maker:
    """A table that is made commit by commit."""

    def __init__(self, root, duck):
        self.root, self.duck, self.version, self.rows = root, duck, -1, 0
        (root / "_delta_log").mkdir(parents=True)
        self.commit({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
                    {"metaData": {"id": str(uuid.uuid4()), "format": {"provider": "parquet", "options": {}},
                                  "schemaString": json.dumps(SCHEMA), "partitionColumns": [],
                                  "configuration": RETENTION}})

    def commit(self, *actions):
        self.version += 1
        commit_path(self.root, self.version).write_text("".join(json.dumps(action) + "\n" for action in actions))

    def add(self, query, rows, changes=True):
        name = f"part-{uuid.uuid4()}.parquet"
        self.duck.value(f"COPY ({query}) TO {quoted(self.root / name)} (FORMAT parquet)")
        return {"add": {"path": name, "size": (self.root / name).stat().st_size, "dataChange": changes,
                        "partitionValues": {}, "modificationTime": 0, "stats": json.dumps({"numRecords": rows})}}

    def append(self):
        added = self.add(f"SELECT 'n' || i AS name, '0' AS _partition, i::VARCHAR AS _offset "
                         f"FROM range({self.rows}, {self.rows + ROWS}) r(i)", ROWS)
        self.rows += ROWS
        self.commit(added, txn(self.rows))
        return added["add"]["path"]

    def compact(self, names, query="SELECT * FROM {0}", rows=None, ago_s=0):
        files = "read_parquet([%s])" % ", ".join(quoted(self.root / name) for name in names)
        added = self.add(query.format(files), len(names) * ROWS if rows is None else rows, changes=False)
        self.commit(added, *({"remove": {"path": name, "dataChange": False,
                                         "deletionTimestamp": int((time.time() - ago_s) * 1000)}} for name in names))
        return added["add"]["path"]

    def checkpoint(self, leave_out=None):
        """Of the version that is the newest, by all commits."""
        latest = {}
        for version in range(self.version + 1):
            for line in commit_path(self.root, version).read_text().splitlines():
                (name, action), = json.loads(line).items()
                key = {"add": action.get("path"), "remove": action.get("path"), "txn": action.get("appId")}
                latest[key.get(name, name)] = {name: action}
        lines = self.root / "lines"
        lines.write_text("".join(json.dumps(a) + "\n" for a in latest.values() if not leave_out or leave_out not in a))
        self.duck.value(f"COPY (SELECT * FROM read_json({quoted(lines)}, format='newline_delimited')) TO "
                        f"{quoted(checkpoint_path(self.root, self.version))} (FORMAT parquet)")
        lines.unlink()


@pytest.fixture(name="maker")
def fixture_maker(tmp_path):
    duck = Duck()
    yield Maker(tmp_path / "t", duck)
    duck.close()


@pytest.fixture(name="table")
def fixture_table(maker):
    """That looks at it."""
    return Table(maker.root, maker.duck)


def kinds(table):
    table.finish()
    return {kind for kind, _ in table.faults}


def test_nothing_was_done(maker, table):
    table.look()
    names = [maker.append() for _ in range(FILES)]
    table.look()
    maker.compact(names[:4])
    maker.checkpoint()
    maker.append()
    assert kinds(table) == set() and table.counts["weighed"] == table.counts["checkpoints"] == 1
    assert table.counts["versions kept"] == FILES + 3


def test_what_is_cleaned_as_it_may_be(maker, table):
    names = [maker.append() for _ in range(FILES)]
    table.look()
    maker.compact(names[:4], ago_s=70)
    maker.checkpoint()
    table.look()
    for name in names[:4]:
        (maker.root / name).unlink()
    for version in range(maker.version):
        commit_path(maker.root, version).unlink()
    maker.append()
    assert kinds(table) == set()
    assert table.counts["files vacuumed"] == 4 and table.counts["log files cleaned"] == maker.version - 1
    fresh = Table(maker.root, maker.duck)
    assert kinds(fresh) == set() and fresh.first == maker.version - 1


@pytest.mark.parametrize("query, rows, kind", [
    ("SELECT * FROM {0} WHERE _offset <> '4'", 11, "lost"),
    ("SELECT * FROM {0} UNION ALL (SELECT * FROM {0} LIMIT 1)", 13, "doubled"),
    ("SELECT * REPLACE (NULL AS name) FROM {0}", 12, "altered"),
    ("SELECT _partition, _offset FROM {0}", 12, "altered"),
    ("SELECT * FROM {0} WHERE _offset <> '4' UNION ALL SELECT 'n1', '0', '1'", 12, "altered"),
    ("SELECT * FROM {0}", 13, "altered")])
def test_compaction_that_changes_rows(maker, table, query, rows, kind):
    maker.compact([maker.append() for _ in range(4)], query, rows)
    assert kinds(table) == {kind}


def test_file_gone_too_early(maker, table):
    names = [maker.append() for _ in range(FILES)]
    maker.compact(names[:4])
    table.look()
    (maker.root / names[0]).unlink()
    assert kinds(table) == {"lost"}


def test_live_file_gone(maker, table):
    (maker.root / maker.append()).unlink()
    assert kinds(table) == {"lost"}


def test_commit_below_what_was_cleaned(maker, table):
    for _ in range(FILES):
        maker.append()
    maker.checkpoint()
    for version in range(FILES):
        commit_path(maker.root, version).unlink()
    table.look()
    maker.version = 3
    maker.append()
    assert "lost" in {kind for kind, _ in table.faults} | kinds(table)


def test_log_cleaned_newest_first(maker, table):
    for _ in range(FILES):
        maker.append()
    maker.checkpoint()
    table.look()
    commit_path(maker.root, FILES - 2).unlink()
    assert kinds(table) == {"damaged"}


def test_log_cleaned_without_a_checkpoint(maker, table):
    for _ in range(FILES):
        maker.append()
    table.look()
    commit_path(maker.root, 0).unlink()
    assert kinds(table) == {"lost"}


def test_commit_written_over(maker, table):
    maker.append()
    table.look()
    commit_path(maker.root, 1).write_text(json.dumps(txn(99)) + "\n")
    assert kinds(table) == {"altered"}


@pytest.mark.parametrize("what", ["add", "txn"])
def test_checkpoint_lacks_something(maker, table, what):
    for _ in range(FILES):
        maker.append()
    maker.checkpoint(leave_out=what)
    assert "damaged" in kinds(table)


def test_compaction_that_commits_progress(maker, table):
    names = [maker.append() for _ in range(4)]
    maker.compact(names)
    with open(commit_path(maker.root, maker.version), "a", encoding="utf-8") as commit:
        commit.write(json.dumps(txn(5)) + "\n")
    assert kinds(table) == {"altered"}


def test_visitor(maker, tmp_path):
    (tmp_path / "tables").mkdir()
    maker.root.rename(tmp_path / "tables" / "t")
    maker.root = tmp_path / "tables" / "t"
    names = [maker.append() for _ in range(FILES)]
    with Visitor(tmp_path, 1, stare_s=0) as visitor:
        while visitor.visits < 3:
            time.sleep(0.01)    # paces the look
        assert not visitor.faults
        (maker.root / names[0]).unlink()
        while not visitor.faults:
            time.sleep(0.01)    # paces the look
    assert "lost" in visitor.faults[0]


def test_intervals():
    assert seconds_of("interval 1 hour 30 minutes") == 5400 and seconds_of("7 days") == 604800
    assert Names(pathlib.Path("/nowhere")).commits == []
