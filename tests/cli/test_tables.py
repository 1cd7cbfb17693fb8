"""How the tables are, a line each, and what their commits did."""

import json
import pathlib
import shutil

import pytest

from test_sink import ID, PIN, post

GEO = f"{ID}.geo"


class Tables:
    """A data directory whose geo and pin have come along by hand."""

    def __init__(self, run, gateway, directory):
        self.run, self.gateway, self.dir = run, gateway, directory

    def land(self):
        self.run("sink", "--until-end", "--dir", self.dir)

    def batch(self):
        self.run("batch", "--dir", self.dir)

    def put(self, *values):
        post(self.gateway, GEO, values)
        self.land()
        self.batch()

    def ask(self, *words, status=0):
        text = self.run("tables", "--dir", self.dir, "--format", "json", *words, status=status).stdout
        return json.loads(text)

    def one(self, name, path="batch", status=0):
        (row,) = [row for row in self.ask(status=status) if (row["table"], row["path"]) == (name, path)]
        return row

    def log(self, name, end="clean"):
        return self.dir / "lake" / "tables" / f"{ID}_{name}_{end}" / "_delta_log"


def geo(ind, country="Fiji"):
    return {"ind": ind, "country": country}


@pytest.fixture(name="tables")
def fixture_tables(run, gateway, data_dir):
    return Tables(run, gateway, data_dir)


def test_before_anything_is_there(tables):
    post(tables.gateway, GEO, [geo(1), geo(2)])
    rows = tables.ask()
    assert [(row["table"], row["path"]) for row in rows] == [
        (name, path) for name in ("geo", "pin", "user") for path in ("batch", "stream")]
    assert {row["state"] for row in rows} == {"not there yet"}
    assert [row["waiting"] for row in rows] == [2, 0, 0, 0, 0, 0]
    assert {row["rows"] for row in rows} == {None}


def test_rows_files_and_versions(tables):
    tables.put(geo(1), geo(2))
    tables.put(geo(3))
    row = tables.one("geo")
    files = sorted(path.stat().st_size for path in tables.log("geo").parent.glob("*.parquet"))
    assert (row["rows"], row["files"], row["bytes"]) == (3, 2, sum(files))
    assert (row["smallest"], row["median"], row["largest"]) == (files[0], files[1], files[1])
    assert (row["oldest"], row["newest"], row["operation"], row["optimized"]) == (0, 2, "WRITE", None)
    assert (row["letter_files"], row["waiting"], row["objects"], row["state"]) == (0, 0, 0, "ok")


def test_a_table_says_its_name_and_what_it_is(tables):
    """To any program that reads its metadata; of both paths."""
    tables.run("run", "--posts", 3, "--dir", tables.dir.parent / "made")
    lake = tables.dir.parent / "made" / "lake" / "tables"
    for name, title in (("pin", "Pins"), ("geo", "Places and times of posts")):
        for end in ("clean", "table"):
            lines = (lake / f"{ID}_{name}_{end}" / "_delta_log" / f"{0:020}.json").read_text().splitlines()
            (metadata,) = [json.loads(line)["metaData"] for line in lines if "metaData" in line]
            assert (metadata["name"], metadata["description"]) == (name, title)


def test_what_waits(tables):
    tables.put(geo(1))
    post(tables.gateway, GEO, [geo(2), geo(3)])
    row = tables.one("geo")
    assert (row["waiting"], row["objects"]) == (2, 0)  # in the log alone
    tables.land()
    row = tables.one("geo")
    assert (row["waiting"], row["objects"]) == (2, 1)  # in the lake, too
    tables.batch()
    row = tables.one("geo")
    assert (row["waiting"], row["objects"]) == (0, 0)


def test_a_stream_that_waits(tables):
    for posts in (3, 4):
        tables.run("emulate", "--streaming", "--posts", posts, "--rate", "max", "--streaming-url",
                   f"{tables.gateway.url}/streams/streaming-{ID}-")
        assert tables.one("pin", "stream")["waiting"] == posts
        tables.run("stream", "--dir", tables.dir, "--until-end")
        assert tables.one("pin", "stream")["waiting"] == 0
    assert tables.one("pin", "stream")["rows"] == 7


def test_letters(tables):
    tables.put(geo(1), "no record", geo(2))
    tables.put([3])
    row = tables.one("geo")
    assert (row["rows"], row["letter_files"], row["waiting"]) == (2, 2, 0)
    assert tables.one("pin")["letter_files"] == 0


def test_where_only_the_lake_is_known(tables, tmp_path):
    tables.put(geo(1))
    tables.land()
    lake = shutil.copytree(tables.dir / "lake", tmp_path / "elsewhere")
    rows = json.loads(tables.run("tables", "geo", "--lake", lake, "--dir", tmp_path / "none", "--from", "batch",
                                 "--format", "json").stdout)
    assert [(row["rows"], row["waiting"], row["objects"], row["state"]) for row in rows] == [(1, None, 0, "ok")]


def test_a_broken_table_hides_no_other(tables):
    tables.put(geo(1))
    post(tables.gateway, PIN, [{"index": 1}])
    tables.land()
    tables.batch()
    log = tables.log("geo") / f"{1:020}.json"
    log.write_text("no commit\n")
    rows = {row["table"]: row for row in tables.ask("--from", "batch", status=1)}
    assert rows["geo"]["state"].startswith("cannot be read: version 1 of table") and rows["geo"]["rows"] is None
    assert (rows["pin"]["state"], rows["pin"]["rows"]) == ("ok", 1)
    done = tables.run("tables", "--dir", tables.dir, "--history", "--format", "json", status=1)
    assert {row["table"] for row in json.loads(done.stdout)} == {"pin", "user"}
    assert "version 1 of table" in done.stderr and "1 of 6 tables cannot be read" in done.stderr


def test_a_table_that_may_not_be_written(tables):
    tables.put(geo(1))
    action = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking"]}}
    (tables.log("geo") / f"{2:020}.json").write_text(json.dumps(action) + "\n")
    row = tables.one("geo")
    assert row["rows"] == 1 and row["state"].startswith("refused: ") and "rowTracking" in row["state"]


def test_a_broken_model_is_told(tables, tmp_path):
    models = pathlib.Path(shutil.copytree(pathlib.Path(__file__).parents[2] / "models", tmp_path / "models"))
    (models / "clean" / "geo.sql").write_text("SELECT 1\n")
    tables.put(geo(1))
    rows = tables.ask("--models", models)
    assert [row["table"] for row in rows] == ["pin", "pin", "user", "user", "geo"]
    assert rows[-1]["state"].startswith(f"model: {models}/clean/geo.sql:")


def test_which(tables):
    tables.put(geo(1))
    assert [(row["table"], row["path"]) for row in tables.ask("geo", "--from", "stream")] == [("geo", "stream")]
    assert len(tables.ask("geo", "pin")) == 4
    said = tables.run("tables", "goe", "--dir", tables.dir, status=2).stderr
    assert 'there is no table "goe", did you mean "geo"?' in said


# --- history ---------------------------------------------------------------------


def commit(tables, version, actions):
    (tables.log("geo") / f"{version:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))


def adds_of(tables, version):
    lines = (tables.log("geo") / f"{version:020}.json").read_text().splitlines()
    return [action["add"] for action in map(json.loads, lines) if "add" in action]


def optimize(tables, version, old, timestamp):
    """As another writer's OPTIMIZE puts it: the files of `old` become one. The rows are not looked at here."""
    add = {**old[0], "path": "one.parquet", "size": 5000, "stats": json.dumps({"numRecords": 3}), "dataChange": False}
    removes = [{"remove": {"path": one["path"], "deletionTimestamp": timestamp, "dataChange": False}} for one in old]
    info = {"commitInfo": {"timestamp": timestamp, "operation": "OPTIMIZE", "engineInfo": "delta-rs:py-1.0.0"}}
    commit(tables, version, [info, *removes, {"add": add}])


def test_history(tables):
    tables.put(geo(1), geo(2))
    tables.put(geo(3))
    optimize(tables, 3, adds_of(tables, 1) + adds_of(tables, 2), 1900000000000)
    rows = tables.ask("geo", "--history")
    assert [row["version"] for row in rows] == [3, 2, 1, 0]
    top, _, first, made = rows
    assert (top["operation"], top["engine"], top["writer"]) == ("OPTIMIZE", "delta-rs:py-1.0.0", None)
    assert top["committed"] == "2030-03-17T17:46:40.000Z"
    assert (top["rows_added"], top["rows_removed"], top["files_added"], top["files_removed"]) == (3, 3, 1, 2)
    assert (top["bytes_added"], top["bytes_removed"]) == (
        5000, sum(one["size"] for version in (1, 2) for one in adds_of(tables, version)))
    assert (first["operation"], first["rows_added"], first["writer"]) == ("WRITE", 2, "pinpipe/batch")
    assert (made["operation"], made["files_added"]) == ("CREATE TABLE", 0)
    assert [row["version"] for row in tables.ask("geo", "--history", "--limit", "2")] == [3, 2]
    assert tables.ask("geo", "--history", "--limit", "1")[0]["rows_removed"] == 3
    row = tables.one("geo")
    assert (row["operation"], row["optimized"], row["committed"]) == ("OPTIMIZE", top["committed"], top["committed"])
    assert tables.ask("pin", "--history", "--from", "stream") == []


def test_history_of_a_cleaned_log(tables):
    for ind in range(12):
        tables.put(geo(ind))
    for version in range(10):
        (tables.log("geo") / f"{version:020}.json").unlink()
    assert [row["version"] for row in tables.ask("geo", "--history")] == [12, 11, 10]
    assert (tables.one("geo")["oldest"], tables.one("geo")["newest"]) == (10, 12)
    (tables.log("geo") / f"{10:020}.json").unlink()  # its checkpoint tells what the table is, not what it did
    assert [row["version"] for row in tables.ask("geo", "--history")] == [12, 11]
    assert tables.one("geo")["oldest"] == 10
