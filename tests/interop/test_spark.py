"""engine.kind spark, with a real Spark: the rows, letters, counts and answers are DuckDB's, whoever runs the SQL.

What Spark does when it is unwell is in tests/cli/test_spark.py.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import conftest
from spark_home import environment

sys.path.insert(0, str(conftest.TOP / "tests" / "sql"))
import lake as made_lake  # noqa: E402

ID = "124df56aef51"
TABLES = ["pin", "geo", "user"]
MODELS = conftest.TOP / "models"
PATIENCE_S = 600


def pinpipe(*words, status=0, spark=False, **settings):
    """What it prints; status=None: the finished process."""
    env = conftest.clean_environment(environment(**settings) if spark else settings)
    done = subprocess.run([conftest.binary(), *map(str, words)], check=False, capture_output=True, text=True,
                          timeout=PATIENCE_S, env=env)
    assert status is None or done.returncode == status, f"{words}: {done.returncode}: {done.stderr}"
    return done if status is None or status else done.stdout


def rows(directory, table, *words):
    return pinpipe("sql", "--dir", directory, "--format", "csv", *words,
                   f"SELECT * FROM {table}_all ORDER BY _partition, _offset")


def letters(directory):
    """Of all topics, without the time at which each was written."""
    found = []
    for path in sorted((directory / "lake" / "dlq").rglob("*.ndjson")):
        for line in path.read_text().splitlines():
            letter = json.loads(line)
            # What follows the place are the engine's words.
            letter["reason"] = re.sub(r"(?s)^(poison: \S+\.sql:\d+: ).*", r"\1", letter["reason"])
            found.append([letter[name] for name in ("topic", "partition", "offset", "reason", "value")])
    return sorted(found, key=str)


def uncleaned(directory, to):
    """A copy of the lake's raw objects alone."""
    shutil.copytree(directory / "lake" / "topics", to / "lake" / "topics")
    return to


def counts(report):
    return {name: {count: table[count] for count in ("objects", "rows", "dead", "unreadable", "total_rows")}
            for name, table in report["tables"].items()}


def batch(directory, *words, **options):
    return json.loads(pinpipe("batch", "--dir", directory, "--format", "json", *words, **options))


def answers(directory, *words, **options):
    return pinpipe("analyse", "--dir", directory, "--format", "json", *words, **options)


def assert_sound(directory):
    report = pinpipe("check", "--dir", directory, "--lake", directory / "lake", status=None)
    assert report.returncode == 0, report.stdout + report.stderr


def assert_same(directory, tmp_path, tables=TABLES, models=MODELS, **settings):
    """What DuckDB makes of the raw objects of `directory`, and Spark of the same."""
    words = ("--models", models)
    duck, spark = uncleaned(directory, tmp_path / "duck"), uncleaned(directory, tmp_path / "spark")
    by_duck, by_spark = batch(duck, *words), batch(spark, *words, spark=True, **settings)
    assert counts(by_spark) == counts(by_duck)
    for table in tables:
        assert rows(spark, table, *words) == rows(duck, table, *words), table
    assert letters(spark) == letters(duck)
    said = answers(duck, *words)
    assert answers(duck, *words, spark=True, **settings) == said
    for path in sorted((duck / "lake" / "results").glob("*.json")):
        theirs = json.loads((spark / "lake" / "results" / path.name).read_text())
        ours = json.loads(path.read_text())
        assert {**theirs, "run": 0} == {**ours, "run": 0}, path.name
        assert path.with_suffix(".csv").read_bytes() == (spark / "lake" / "results" / path.name).with_suffix(
            ".csv").read_bytes()
    return duck, spark


@pytest.fixture(name="course", scope="module")
def fixture_course(tmp_path_factory):
    """The course's 2,239 posts, which need the real rows; else as many made-up ones."""
    directory = tmp_path_factory.mktemp("course")
    source = ("--data", conftest.SHARED, "--order", "course") if conftest.SHARED.is_dir() else ()
    pinpipe("run", "--dir", directory, *source, "--posts", 2239, "--rate", "max", "--format", "json")
    return directory


def test_the_course_posts(course, tmp_path):
    duck, spark = assert_same(course, tmp_path)
    assert not list((spark / "tmp").glob("spark*"))
    assert_sound(spark)
    assert_sound(duck)


def test_100_000_posts(tmp_path):
    directory = tmp_path / "many"
    pinpipe("run", "--dir", directory, "--posts", 100000, "--rate", "max", "--batch-size", 100, "--format", "json")
    assert_same(directory, tmp_path)


HOSTILE = [b"[]", b"not json", b'{"index": "x"}', b'{"index": 1, "index": 2, "title": "a"}',
           b'{"ind": 5, "country": "x"}',
           {"index": 7, "title": "a\tb\n\u00e9\U0001f600'\"\\", "follower_count": "1.5M", "category": ""},
           {"index": "8", "title": None, "follower_count": "about 3k", "save_location": "Local save in /a",
            "unknown": [1, {"a": 1.50}]},
           {"index": 9.0, "description": 1e400, "tag_list": "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"}]
TIMES = ["2020-08-28 03:52:47", "2020-08-28T03:52:47.123456Z", "08/28/2020, 03:52:47", "2020:08:28 03:52:47", "soon",
         "2020-02-30 00:00:00", "1969-12-31T23:59:59+0100", "0001-01-01", "9999-12-31 23:59:59.999999", " 2020-1-2 "]


def dirty_lake(directory):
    made_lake.put(directory, "pin", HOSTILE)
    made_lake.put(directory, "geo", [{"ind": i, "timestamp": time, "latitude": i / 3, "longitude": f"-{i}e1",
                                      "country": "Iran, Islamic Republic of"} for i, time in enumerate(TIMES)])
    made_lake.put(directory, "user", [{"ind": i, "first_name": "A", "last_name": None if i % 2 else "B", "age": age,
                                       "date_joined": TIMES[i]} for i, age in enumerate(["30", 31.0, "x", "", None])],
                  partition=3)
    if conftest.SHARED.is_dir():
        dirty = conftest.SHARED / "dirty"
        made_lake.put(directory, "geo", (dirty / "kinesis-geo.ndjson").read_bytes().splitlines(), start=100)
        made_lake.put(directory, "user", (dirty / "double-encoded.ndjson").read_bytes().splitlines(), start=100)
        made_lake.put(directory, "pin", [path.read_bytes().replace(b"\n", b" ") for path in sorted(
            (conftest.SHARED / "json-parsing").glob("*.json"))], start=100)


def test_dirty_records(tmp_path):
    dirty_lake(tmp_path / "dirty")
    duck, _ = assert_same(tmp_path / "dirty", tmp_path)
    assert letters(duck)


CLICKS = """-- title: Clicks
-- key: id
-- fields: id "the time" AS moment price ok note
-- columns: id string, moment timestamp, price double, ok boolean, n long, pair array<double>, note string
SELECT id, as_timestamp(moment) AS moment, as_double(price) AS price, as_boolean(ok) AS ok,
	CAST(note AS BIGINT) AS n, as_pair(as_double(price), 1.5) AS pair, note, _partition, _offset
FROM raw
"""
REVENUE = """-- title: Revenue
SELECT id, CAST(sum(price) AS DOUBLE) AS revenue, max(moment) AS latest, count(*) AS clicks, NULL AS nothing,
	max(ok) AS ok, CAST(1.5 AS DECIMAL(10, 3)) AS exact, date_trunc('hour', max(moment)) AS hour
FROM clicks GROUP BY id ORDER BY revenue DESC NULLS LAST, id
"""


@pytest.fixture(name="models")
def fixture_models(tmp_path):
    models = shutil.copytree(MODELS, tmp_path / "models")
    (models / "clean" / "clicks.sql").write_text(CLICKS)
    (models / "analyses" / "revenue.sql").write_text(REVENUE)
    return models


def test_a_model_of_ones_own_and_a_record_at_which_it_fails(tmp_path, models):
    clicks = [{"id": f"c{i % 7}", "the time": f"2022-03-01T0{i % 10}:30:00Z", "price": i / 4, "ok": i % 3 == 0,
               "note": str(i)} for i in range(50)]
    clicks[17]["note"] = "cancelled"  # which is a word of Spark's own, too
    made_lake.put(tmp_path / "own", "clicks", clicks)
    _, spark = assert_same(tmp_path / "own", tmp_path, [], models)
    (letter,) = letters(spark)
    assert int(letter[2]) == 17


def test_both_engines_in_turns_on_the_same_tables(course, tmp_path):
    """Each cleans some of the objects; then the tables are those of one alone."""
    turns = tmp_path / "turns"
    objects = sorted((course / "lake" / "topics").rglob("*.json"))
    for turn in range(3):
        for path in objects[turn::3] if turn < 2 else objects:
            placed = turns / "lake" / path.relative_to(course / "lake")
            if placed.name.split("+")[2] != "0000000000.json" and turn == 0:
                continue  # what is missing below is a hole, which waits
            placed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, placed)
        pinpipe("batch", "--dir", turns, "--format", "json", spark=turn % 2 == 1, status=None)
    batch(turns, spark=True)
    alone = uncleaned(course, tmp_path / "alone")
    batch(alone)
    for table in TABLES:
        assert rows(turns, table) == rows(alone, table)
    assert_sound(turns)


def children(pid):
    return [int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/stat")
            if (fields := stat(path)) and int(fields[1]) == pid]


def stat(path):
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return None


def test_killed_at_random(course, tmp_path):
    """pinpipe, or Spark under it; the next run goes on where the commits are."""
    killed = uncleaned(course, tmp_path / "killed")
    chance = random.Random(1018)
    for turn in range(6):
        process = subprocess.Popen([conftest.binary(), "batch", "--dir", killed], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=conftest.die_with_parent,
                                   env=conftest.clean_environment(environment()))
        time.sleep(chance.uniform(0.5, 12))  # a moment of any kind is what is wanted
        spark = children(process.pid)
        if turn % 2 and spark:
            os.killpg(spark[0], signal.SIGKILL)
            assert process.wait(PATIENCE_S) in (0, 75, 1)
        else:
            process.kill()
            process.wait()
            conftest.wait_until(lambda: not any(map(children, spark)), "the end of Spark", PATIENCE_S)
    batch(killed, spark=True)
    alone = uncleaned(course, tmp_path / "alone")
    batch(alone)
    for table in TABLES:
        assert rows(killed, table) == rows(alone, table)
    assert_sound(killed)
    assert not list((killed / "tmp").glob("spark*"))


@pytest.mark.ci
def test_errors_name_file_and_line(course, tmp_path, models):
    """What DuckDB takes and Spark does not; and what breaks only over the rows."""
    own = models / "analyses"
    (own / "dialect.sql").write_text("-- title: D\nSELECT ind,\n\tstrftime(timestamp, '%Y') AS y\nFROM geo\n")
    (own / "value.sql").write_text("-- title: V\nSELECT\n\tCAST(category AS INT) AS n\nFROM pin\n")
    said = pinpipe("models", "--check", "--models", models, spark=True, status=1).stderr
    assert f"{own}/dialect.sql:3: [UNRESOLVED_ROUTINE]" in said and "1 fault in the models" in said
    raw = uncleaned(course, tmp_path / "raw")
    said = pinpipe("batch", "--dir", raw, "--models", models, spark=True, status=1).stderr
    assert f"{own}/dialect.sql:3: " in said and f"{own}/value.sql:3: [CAST_INVALID_INPUT]" in said
    assert "2 of the analyses failed; the others were answered" in said
    assert len(list((raw / "lake" / "results").glob("*.json"))) == 9


@pytest.mark.ci
def test_questions(course):
    def ask(sql):
        return json.loads(pinpipe("sql", "--dir", course, "--format", "json", sql, spark=True))
    assert ask("SELECT ind FROM pin ORDER BY ind DESC LIMIT 3") == \
        json.loads(pinpipe("sql", "--dir", course, "--format", "json", "SELECT ind FROM pin ORDER BY ind DESC LIMIT 3"))
    assert ask("SELECT ind FROM pin WHERE ind < 0") == []
    assert ask("SELECT max(\"ind\") IS NULL AS \"a name\", '${env:HOME}' AS \"text\" FROM pin") == \
        [{"a name": False, "text": "${env:HOME}"}]
    said = pinpipe("sql", "--dir", course, "SHOW TABLES", spark=True, status=2).stderr
    assert "ask with --engine duckdb" in said
    said = pinpipe("sql", "--dir", course, "SELECT INTERVAL 1 DAY AS i", spark=True, status=2).stderr
    assert 'column "i": an interval has no form in Parquet' in said
    said = pinpipe("sql", "--dir", course, "SELECT\n nope FROM pin", spark=True, status=2).stderr
    assert "SQL:2: [UNRESOLVED_COLUMN" in said and "`" in said


def test_rows_keep_their_order(course):
    sql = "SELECT a.ind * 4096 + b.ind % 4096 AS n FROM pin a, pin b WHERE b.ind < 2000 ORDER BY 1"
    found = pinpipe("sql", "--dir", course, "--format", "csv", sql, spark=True).splitlines()[1:]
    assert len(found) > 50000 and found == sorted(found, key=int)


def test_ctrl_c_ends_a_job(course, tmp_path):
    service = conftest.Service([conftest.binary(), "sql", "--dir", course,
                                "SELECT count(*) FROM pin a, pin b, pin c, pin d"
                                " WHERE a.ind + b.ind + c.ind + d.ind = 7"],
                               tmp_path / "said", environment(), tmp_path)
    try:
        spark = conftest.wait_until(lambda: children(service.pid), "Spark")
        log = course / "tmp"
        conftest.wait_until(lambda: list(log.glob("spark-*/blockmgr-*")), "a session")
        time.sleep(3)  # into the job
        assert service.stop(signal.SIGINT) == 128 + signal.SIGINT
        assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in spark)
    finally:
        service.destroy()


def test_paths_that_are_patterns(course, tmp_path):
    strange = tmp_path / "a b[1]*{x,y}%41=c#d?&e"
    uncleaned(course, strange)
    batch(strange, spark=True)
    assert answers(strange, spark=True) == answers(strange)


def test_no_master(course):
    said = pinpipe("sql", "--dir", course, "SELECT 1", spark=True, status=75,
                   PINPIPE_SPARK__MASTER="spark://127.0.0.1:9")
    assert "its master could not be reached, or took no application" in said.stderr


def test_no_java(course):
    said = pinpipe("sql", "--dir", course, "SELECT 1", spark=True, status=2, JAVA_HOME="/nonexistent")
    assert "/nonexistent/bin/java: No such file" in said.stderr
