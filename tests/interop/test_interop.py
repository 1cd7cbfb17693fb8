"""The Delta tables of both paths, as three independent readers see them, against what pinpipe itself says.

DuckDB's delta extension, delta-rs and Spark with Delta run in the Python that tools/interop/install made. Then
delta-rs and Spark rewrite tables of ours, and pinpipe goes on with them.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import conftest

HERE = pathlib.Path(__file__).resolve().parent
CACHE = conftest.TOP / ".cache" / "interop"
ID = "124df56aef51"
POSTS = 240
MORE_POSTS = 30
PATIENCE_S = 600

LINEAGE = {"_partition": "string", "_offset": "string"}
COLUMNS = {
    "pin": {"ind": "int", "unique_id": "string", "title": "string", "description": "string",
            "follower_count": "bigint", "poster_name": "string", "tag_list": "string",
            "is_image_or_video": "string", "image_src": "string", "save_location": "string",
            "category": "string", **LINEAGE},
    "geo": {"ind": "int", "country": "string", "coordinates": "array<double>", "timestamp": "timestamp",
            **LINEAGE},
    "user": {"ind": "int", "user_name": "string", "age": "int", "date_joined": "timestamp", **LINEAGE},
}
NAMES = [f"{path}_{table}" for path in ("batch", "stream") for table in COLUMNS]
READERS = ["duckdb", "deltars", "spark"]

pytestmark = pytest.mark.ci


def pinpipe(*arguments):
    """What it prints, as JSON."""
    done = subprocess.run([conftest.binary(), *map(str, arguments), "--format", "json"], check=False,
                          capture_output=True, text=True, timeout=PATIENCE_S,
                          env=conftest.clean_environment({"PINPIPE_TABLE_CHECKPOINT_COMMITS": "3"}))
    assert done.returncode == 0, f"{arguments}: {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


def run(directory, posts):
    return pinpipe("run", "--dir", directory, "--posts", posts, "--rate", 60, "--stream-age", "20ms")


def table_path(directory, name):
    path, table = name.split("_")
    return directory / "lake" / "tables" / f"{ID}_{table}_{'clean' if path == 'batch' else 'table'}"


def own_rows(directory, name, *options, version=""):
    """All rows of a table by pinpipe itself, as the readers give them; of a version "@v3" those of then."""
    path, table = name.split("_")
    columns = COLUMNS[table]
    wanted = ", ".join(f"epoch_us({column})" if kind == "timestamp" else
                       f"to_json({column})::VARCHAR" if kind.startswith("array") else column
                       for column, kind in columns.items())
    rows = [list(row.values()) for row in
            pinpipe("sql", "--dir", directory, "--from", path, *options,
                    f"SELECT {wanted} FROM {table}_all{version} ORDER BY _partition, _offset")]
    for place, kind in enumerate(columns.values()):
        if kind.startswith("array"):
            for row in rows:
                row[place] = json.loads(row[place]) if row[place] else None
    return rows


def last_commit(path):
    return max(int(file.stem) for file in (path / "_delta_log").glob("*.json") if file.stem.isdigit())


def checkpoints(path):
    return sorted(int(file.name.split(".")[0]) for file in (path / "_delta_log").glob("*.checkpoint.parquet"))


def last_txns(path):
    """{application: version} of the newest commit that has any."""
    for file in sorted((path / "_delta_log").glob("*.json"), reverse=True):
        actions = [json.loads(line) for line in file.read_text().splitlines()]
        if txns := {action["txn"]["appId"]: action["txn"]["version"] for action in actions if "txn" in action}:
            return txns
    return {}


def last_app(path):
    """(application, version) of what says how far the table is: one number, or the first of three."""
    for app, version in last_txns(path).items():
        if app.endswith("#0") or not re.search(r"#\w+$|/object$|/bytes$", app):
            return app, version
    return None, None


def last_ordinal(path):
    """Of the last record; of a stream it is the counter inside a sequence number, bits 80 to 142."""
    txns = last_txns(path)
    app, version = last_app(path)
    if not app.endswith("#0"):
        return version
    position = 0
    for n in range(3):
        position = position << 62 | txns[f"{app.removesuffix('#0')}#{n}"]
    return position >> 80 & (1 << 63) - 1


def ask(reader, tables, matches=None, apps=None, arguments=(), versions=None):
    """Answers of one of the scripts read_*.py."""
    request = {"tables": {name: str(path) for name, path in tables.items()}, "matches": matches or {},
               "apps": apps or {}, "versions": versions or {}}
    done = subprocess.run([CACHE / "venv" / "bin" / "python", HERE / f"read_{reader}.py", *map(str, arguments)],
                          input=json.dumps(request), capture_output=True, text=True, timeout=PATIENCE_S,
                          env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}, check=False)
    assert done.returncode == 0, f"{reader}: {done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


class Lake:
    """One run of the pipeline, and what the readers make of it."""

    def __init__(self, directory):
        self.directory = directory / "data"
        self.report = run(self.directory, POSTS)
        self.tables = {name: table_path(self.directory, name) for name in NAMES}
        self.rows = {name: own_rows(self.directory, name) for name in NAMES}
        self.apps = {name: last_app(path) for name, path in self.tables.items()}
        self.checkpointed = self.only_checkpoint(directory / "checkpointed")
        self.matches = {name: self.probes(name) for name in ("stream_pin", "stream_geo")}
        newest = last_commit(self.tables["stream_pin"])
        self.versions = {f"@v{version}": own_rows(self.directory, "stream_pin", version=f"@v{version}")
                         for version in (0, 1, newest // 2, newest - 1)}
        self.shared = directory / "shared"
        shutil.copytree(self.directory, self.shared)
        self.answers = {}
        for reader in READERS:
            tables = {**self.tables, "checkpointed": self.checkpointed,
                      **{version: f"{self.tables['stream_pin']}{version}" for version in self.versions}}
            if reader == "spark":
                tables["optimize_geo"] = table_path(self.shared, "stream_geo")
            self.answers[reader] = ask(reader, tables, self.matches,
                                       {name: app for name, (app, _) in self.apps.items()},
                                       (CACHE / "jars", directory) if reader == "spark" else ())

    def only_checkpoint(self, path):
        """A copy of a table without the log before its last checkpoint, as a clean-up leaves it."""
        shutil.copytree(self.tables["stream_pin"], path)
        for version in range(checkpoints(path)[-1]):
            (path / "_delta_log" / f"{version:020}.json").unlink()
        return path

    def probes(self, name):
        """Values to look for, which a wrong statistic would hide: of the first, a middle and the last row."""
        columns = list(COLUMNS[name.split("_")[1]])
        rows = self.rows[name]
        return [[column, row[columns.index(column)]]
                for row, column in zip((rows[0], rows[len(rows) // 2], rows[-1]),
                                       ("timestamp", "country", "ind") if name.endswith("geo") else
                                       ("image_src", "unique_id", "follower_count"))
                if row[columns.index(column)] is not None]


@pytest.fixture(scope="module", name="lake")
def fixture_lake(tmp_path_factory):
    return Lake(tmp_path_factory.mktemp("interop"))


@pytest.mark.parametrize("name", NAMES)
def test_pinpipe_counts_what_it_shows(lake, name):
    path, table = name.split("_")
    assert len(lake.rows[name]) == lake.report["clean"][path][table]
    assert lake.report["clean"][path][table] + lake.report["dead"][path][table] == POSTS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", READERS)
def test_columns(lake, reader, name):
    assert lake.answers[reader][name]["columns"] == COLUMNS[name.split("_")[1]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", READERS)
def test_rows(lake, reader, name):
    assert lake.answers[reader][name]["rows"] == lake.rows[name]


@pytest.mark.parametrize("reader", READERS)
def test_rows_from_a_checkpoint(lake, reader):
    assert len(checkpoints(lake.checkpointed)) >= 2
    assert lake.answers[reader]["checkpointed"]["rows"] == lake.rows["stream_pin"]


@pytest.mark.parametrize("reader", READERS)
def test_rows_of_older_versions(lake, reader):
    assert len({len(rows) for rows in lake.versions.values()}) >= 3
    for version, rows in lake.versions.items():
        assert lake.answers[reader][version]["rows"] == rows, version


@pytest.mark.parametrize("name", ["stream_pin", "stream_geo"])
@pytest.mark.parametrize("reader", READERS)
def test_statistics_hide_no_row(lake, reader, name):
    columns = list(COLUMNS[name.split("_")[1]])
    expected = [sum(row[columns.index(column)] == value for row in lake.rows[name])
                for column, value in lake.matches[name]]
    assert len(expected) >= 2 and min(expected) > 0
    assert lake.answers[reader][name]["matches"] == expected


@pytest.mark.parametrize("name", NAMES)
def test_history_and_progress(lake, name):
    answer = lake.answers["deltars"][name]
    operation = "STREAMING UPDATE" if name.startswith("stream") else "WRITE"
    assert answer["version"] == last_commit(lake.tables[name])
    assert answer["history"] == [operation] * answer["version"] + ["CREATE TABLE"]
    assert answer["app_version"] == lake.apps[name][1]
    assert last_ordinal(lake.tables[name]) == POSTS - 1


def test_many_commits(lake):
    assert lake.answers["deltars"]["stream_pin"]["version"] > 20


def test_spark_compacts(lake):
    """The same rows in fewer files, which pinpipe follows."""
    assert lake.answers["spark"]["optimize_geo"]["rows"] == lake.rows["stream_geo"]
    assert own_rows(lake.shared, "stream_geo") == lake.rows["stream_geo"]
    log = table_path(lake.shared, "stream_geo") / "_delta_log"
    assert '"remove"' in (log / f"{last_commit(log.parent):020}.json").read_text()


def test_pinpipe_goes_on_where_others_wrote(lake):
    """delta-rs compacts and makes a checkpoint, Spark has compacted; then more posts come."""
    path = table_path(lake.shared, "stream_pin")
    answer = ask("deltars", {"stream_pin": path}, arguments=["compact"])["stream_pin"]
    assert answer["rows"] == lake.rows["stream_pin"]
    assert own_rows(lake.shared, "stream_pin") == lake.rows["stream_pin"]
    run(lake.shared, MORE_POSTS)
    tables = {name: table_path(lake.shared, name) for name in NAMES}
    for reader in ("duckdb", "deltars"):
        answers = ask(reader, tables)
        for name in NAMES:
            assert answers[name]["rows"] == own_rows(lake.shared, name)
            assert answers[name]["rows"][:POSTS] == lake.rows[name] and \
                len(answers[name]["rows"]) == POSTS + MORE_POSTS
