"""Where a record is: in the log, in which line of the lake, which row of which table, or why it is none."""

import gzip
import json
import shutil

import pytest

from conftest import TOP
from test_retain import KEEP, age
from test_sink import BINARY, ID, PIN, post, sink

GEO = f"{ID}.geo"
STREAM = f"streaming-{ID}-geo"
LAYOUTS = {"plain": (), "groups": ("--path-format", "'minute'=mm"),
           "packed": ("--path-format", "'minute'=mm", "--compression", "gzip")}


class Where:
    """A data directory whose records go on by hand."""

    def __init__(self, run, directory, words=()):
        self.run, self.dir, self.words = run, directory, words

    def ask(self, offset, topic=GEO, partition=0, status=0, **more):
        done = self.run("where", f"{topic}/{partition}", offset, "--dir", self.dir, "--format", "json", *self.words,
                        status=status, **more)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def table(self, offset, name="geo", **more):
        (table,) = [table for table in self.ask(offset, **more)["tables"] if table["table"] == name]
        return table

    def land(self, *words):
        return sink(self.run, self.dir, *words)

    def batch(self):
        self.run("batch", "--dir", self.dir, *self.words)

    def line(self, key, number):
        path = self.dir / "lake" / key
        text = gzip.decompress(path.read_bytes()) if key.endswith(".gz") else path.read_bytes()
        return json.loads(text.splitlines()[number - 1])


def geo(ind):
    return {"ind": ind, "country": "Fiji"}


@pytest.fixture(name="where")
def fixture_where(run, data_dir):
    return Where(run, data_dir)


def test_a_record_on_its_way(where, gateway):
    post(gateway, GEO, [geo(0), geo(1)])
    told = where.ask(1)
    assert (told["topic"], told["kind"], told["partition"], told["offset"]) == (GEO, "topic", "0", f"{1:020}")
    assert told["log"]["state"] == "there" and told["log"]["timestamp_ms"] > 1e12
    assert told["lake"]["state"] == "waits" and "sink" in told["lake"]["why"]
    assert [(table["table"], table["path"], table["state"]) for table in told["tables"]] == [("geo", "batch", "waits")]
    assert "sink" in told["tables"][0]["why"]
    where.land()
    told = where.ask(1)
    assert (told["lake"]["state"], told["lake"]["line"], told["lake"]["generation"]) == ("object", 2, 1)
    assert where.line(told["lake"]["key"], 2) == geo(1)
    assert told["tables"][0]["state"] == "waits" and "next batch" in told["tables"][0]["why"]
    where.batch()
    table = where.table(1)
    assert (table["state"], table["version"], table["why"]) == ("row", 1, None)
    assert table["row"]["ind"] == 1 and table["row"]["_offset"] == f"{1:020}"
    assert (where.dir / "lake" / table["file"]).is_file()
    text = where.run("where", f"{GEO}/0", 1, "--dir", where.dir, "--format", "table").stdout
    assert f"line 2 of {told['lake']['key']}\n" in text and "since version 1" in text and table["file"] in text


def test_where_it_is_not(where, gateway):
    post(gateway, GEO, [geo(0), geo(1)])
    where.land()
    assert "there is no 00000000000000000002 yet" in where.ask(2, status=1)
    assert 'has 1 partition, no 7' in where.ask(0, partition=7, status=1)
    assert "neither a topic nor a stream" in where.ask(0, topic="nope", status=1)
    assert "is no offset" in where.ask("x", status=2)
    assert "no pinpipe data" in where.run("where", f"{GEO}/0", 0, "--dir", where.dir / "typo", status=None).stderr
    assert "pinpipe where TOPIC[/PARTITION] OFFSET" in where.run("where", GEO, status=2).stderr
    assert "no CSV" in where.run("where", GEO, 0, "--dir", where.dir, "--format", "csv", status=2).stderr


def test_the_version_it_came_with(where, gateway):
    """Also when its row lies in another file since."""
    for n in range(6):
        post(gateway, GEO, [geo(10 * n), geo(10 * n + 1)])
        where.land()
        where.batch()
    assert [where.table(n)["version"] for n in (0, 5, 11)] == [1, 3, 6]
    before = where.table(5)["file"]
    where.run("optimize", "geo", "--dir", where.dir)
    assert where.table(5)["file"] != before
    assert [where.table(n)["version"] for n in (0, 5, 11)] == [1, 3, 6]
    assert where.table(5)["row"]["ind"] == 21


def test_the_version_in_a_table_without_statistics(where, gateway):
    """Then any of its files may have the row: of many all are asked at once, and which it was is not told."""
    for n in range(9):
        post(gateway, GEO, [geo(n)])
        where.land()
        where.batch()
    for path in (where.dir / "lake" / "tables" / f"{ID}_geo_clean" / "_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        for action in actions:
            action.get("add", {}).pop("stats", None)
        path.write_text("".join(json.dumps(action) + "\n" for action in actions))
    assert [(where.table(n)["version"], where.table(n)["row"]["ind"], where.table(n)["file"]) for n in (0, 4, 8)] \
        == [(1, 0, None), (5, 4, None), (9, 8, None)]


def test_a_version_that_is_not_kept(where, gateway, run):
    for n in range(12):
        post(gateway, GEO, [geo(n)])
        where.land()
        where.batch()
    run("optimize", "geo", "--dir", where.dir)
    log = where.dir / "lake" / "tables" / f"{ID}_geo_clean" / "_delta_log"
    (checkpoint,) = log.glob("*10.checkpoint.parquet")
    for path in log.glob("*.json"):
        if path.stem < checkpoint.name[:20]:
            path.unlink()
    assert where.table(2)["version"] is None and where.table(2)["row"]["ind"] == 2
    assert "before version 10" in run("where", f"{GEO}/0", 2, "--dir", where.dir, "--format", "table").stdout
    assert where.table(11)["version"] == 12


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_line_of_many_objects(where, gateway, layout):
    """Of three partitions, and objects of all sizes; a few lines of each."""
    for n in range(4):
        post(gateway, GEO, [geo(100 * n + i) for i in range(50)])
        where.land("--flush-size", (1, 7, 20, 50)[n], *LAYOUTS[layout])
    where.batch()
    for offset in (0, 1, 49, 50, 56, 57, 99, 100, 120, 149, 150, 199):
        told = where.ask(offset)
        expected = geo(100 * (offset // 50) + offset % 50)
        assert where.line(told["lake"]["key"], told["lake"]["line"]) == expected
        assert told["tables"][0]["row"]["ind"] == expected["ind"]
    assert "no 00000000000000000200 yet" in where.ask(200, status=1)


def test_letters(where, gateway):
    """Of the table, of the sink, and one that a replay made a row."""
    post(gateway, GEO, [geo(0), {"ind": "abc"}])
    post(gateway, GEO, [b"no JSON"], BINARY)
    post(gateway, GEO, [geo(3)])
    where.land()
    where.batch()
    table = where.table(1)
    assert table["state"] == "letter" and "no 32-bit integer: abc" in table["why"] and table["row"] is None
    assert (where.dir / "lake" / table["letter"]).is_file()
    told = where.ask(2)
    assert told["lake"]["state"] == "letter" and (where.dir / "lake" / told["lake"]["key"]).is_file()
    assert told["lake"]["line"] is None and told["lake"]["why"]
    assert where.table(3)["state"] == "row"
    text = where.run("where", f"{GEO}/0", 1, "--dir", where.dir, "--format", "table").stdout
    assert "geo (batch): letter: " in text and table["letter"] in text


def test_a_letter_that_a_replay_made_a_row(where, gateway, run, tmp_path):
    """It has the version of the replay."""
    models = shutil.copytree(TOP / "models", tmp_path / "models")
    model = models / "clean" / "user.sql"
    sound = model.read_text()
    model.write_text(sound.replace("as_int(age)", "CAST(age AS INTEGER)"))
    where.words = ("--models", models)
    topic = f"{ID}.user"
    for n, age_of in enumerate(("30", "x", "31")):
        post(gateway, topic, [{"ind": n, "age": age_of}])
        where.land()
        where.batch()
    assert where.table(1, "user", topic=topic)["state"] == "letter"
    model.write_text(sound)
    run("dlq", "replay", "--dir", where.dir, *where.words)
    table = where.table(1, "user", topic=topic)
    assert (table["state"], table["row"]["ind"], table["row"]["age"], table["letter"]) == ("row", 1, None, None)
    assert table["version"] > where.table(2, "user", topic=topic)["version"]


def test_a_record_of_a_stream(where, run, start_gateway, data_dir):
    run("run", "--posts", 30, "--dir", data_dir)
    lines = run("cat", STREAM, "--dir", data_dir, "--format", "json").stdout.splitlines()
    record = json.loads(lines[7])
    for shard in (0, record["partition"]):
        told = where.ask(record["offset"], topic=STREAM, partition=shard)
        assert (told["kind"], told["partition"], told["lake"]) == ("stream", record["partition"], None)
        assert told["log"]["timestamp_ms"] == record["timestamp_ms"]
        (table,) = told["tables"]
        assert (table["path"], table["state"]) == ("stream", "row") and table["version"] >= 1
        assert table["row"]["ind"] == record["value"]["ind"]
    between = int(record["offset"]) - 1
    assert "no record has the number" in where.ask(between, topic=STREAM, status=1)


def test_the_tables_that_share_a_topic(where, gateway, run, tmp_path):
    models = shutil.copytree(TOP / "models", tmp_path / "models")
    text = (models / "clean" / "geo.sql").read_text()
    (models / "clean" / "places.sql").write_text("-- topic: {id}.geo\n" + text)
    where.words = ("--models", models)
    post(gateway, GEO, [geo(0)])
    where.land()
    where.batch()
    told = where.ask(0)
    assert sorted(table["table"] for table in told["tables"]) == ["geo", "places"]
    assert {table["state"] for table in told["tables"]} <= {"row", "another's"}
    assert any(table["state"] == "row" for table in told["tables"])


def test_what_retention_let_go_of(where, gateway, run):
    """The object goes, the row stays."""
    for n in range(3):
        post(gateway, GEO, [geo(n)])
        where.land()
        where.batch()
    age(where.dir / "lake" / "topics")
    age(where.dir / "lake" / "manifests")
    run("vacuum", "--dir", where.dir, env=KEEP)
    told = where.ask(0)
    assert told["lake"]["state"] == "let go" and told["tables"][0]["row"]["ind"] == 0
    assert where.ask(2)["lake"]["state"] == "object"


def test_a_topic_that_began_again(where, run, start_gateway, data_dir):
    """Its records are of the next generation; those of before are asked for by it."""
    gateway = start_gateway()
    post(gateway, GEO, [geo(1)])
    where.land()
    where.batch()
    gateway.stop()
    shutil.rmtree(data_dir / "log")
    gateway = start_gateway()
    post(gateway, GEO, [geo(2)])
    told = where.ask(0)
    assert told["log"]["state"] == "there" and "another topic" in told["lake"]["why"]
    assert told["tables"][0]["state"] == "waits"
    where.land("--new-history", "continue")
    where.batch()
    told = where.ask(0)
    assert told["lake"]["generation"] == 2 and told["tables"][0]["row"]["ind"] == 2
    told = where.ask(f"g0001-{0:020}")
    assert told["lake"]["generation"] == 1 and told["tables"][0]["row"]["ind"] == 1
    assert told["log"]["state"] == "not asked"
    assert where.ask(told["tables"][0]["row"]["_offset"])["offset"] == f"{0:020}"
    assert where.ask(f"g0002-{0:020}")["tables"][0]["row"]["ind"] == 2


def test_a_lake_alone(where, gateway, run, tmp_path):
    """Of a machine without the log."""
    post(gateway, GEO, [geo(5)])
    where.land()
    where.batch()
    told = json.loads(run("where", f"{GEO}/0", 0, "--dir", tmp_path / "other", "--lake", where.dir / "lake",
                          "--format", "json").stdout)
    assert told["log"]["state"] == "not asked" and told["lake"]["line"] == 1 and told["tables"][0]["row"]["ind"] == 5
    assert not (tmp_path / "other").exists()
