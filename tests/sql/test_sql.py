"""What SQL may say: it reads the views and nothing else, and ends when it is asked to."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from lake import ID

READING = [
    "SELECT count(*) FROM geo", "FROM geo", "VALUES (1), (2)", "TABLE geo", "DESCRIBE geo", "DESCRIBE SELECT 1",
    "SHOW geo", "SHOW TABLES", "SUMMARIZE geo", "SUMMARIZE SELECT ind FROM geo", "EXPLAIN SELECT * FROM geo",
    "EXPLAIN ANALYZE SELECT * FROM geo", "explain (format json) select 1", "EXPLAIN (SELECT 1)",
    "WITH a AS (FROM geo), b AS (FROM a) SELECT * FROM b",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT sum(i) FROM n",
    "SELECT * FROM range(3), generate_series(1, 2), unnest([1, 2]), repeat(1, 2)",
    "SELECT key, value FROM json_each('{\"a\": 1}')", "SELECT unnest([1, 2]), (SELECT max(ind) FROM geo_all)",
    "FROM (PIVOT geo ON country IN ('Fiji') USING count(*) GROUP BY ind)", "SELECT 1;", "SELECT 1 ; ;\n",
    "SELECT 1 -- and no more", "SELECT * FROM geo POSITIONAL JOIN geo_all", "FROM GEO",
    "SELECT 'COPY geo TO x' AS text, \"ind\" FROM geo",
    "SELECT 1 UNION ALL SELECT ind FROM geo EXCEPT SELECT 2 ORDER BY 1 LIMIT 3",
]
REFUSED = [
    # files, whatever names them
    "FROM read_text('/etc/hostname')", "SELECT * FROM read_csv('{lake}/x.csv')", "FROM '{lake}/x.csv'",
    'FROM "{lake}/x.csv"', "DESCRIBE '{lake}/x.csv'", "SUMMARIZE '{lake}/x.csv'", "SELECT (FROM '{lake}/x.csv')",
    "EXPLAIN FROM '{lake}/x.csv'", "EXPLAIN ANALYZE SELECT * FROM read_csv('{lake}/x.csv')", "FROM glob('/*')",
    "WITH x AS (FROM '{lake}/x.csv') FROM x", 'WITH "{lake}/x.csv" AS (FROM "{lake}/x.csv") FROM "{lake}/x.csv"',
    "SELECT * FROM (WITH \"{lake}/x.csv\" AS (SELECT 1) SELECT 1), '{lake}/x.csv'", "FROM query('FROM geo')",
    "FROM query_table('{lake}/x.csv')", "FROM histogram('{lake}/x.csv', 'a')", "FROM sql_auto_complete('FROM ''/etc/')",
    "FROM parquet_metadata('{lake}/x.parquet')", "FROM sniff_csv('{lake}/x.csv')",
    "FROM json_execute_serialized_sql('x')", "SELECT json_serialize_plan('FROM read_csv(''{lake}/x.csv'')')",
    "SELECT ind FROM geo ORDER BY (FROM '{lake}/x.csv')", "SELECT * FROM geo WHERE ind IN (FROM '{lake}/x.csv')",
    "SELECT * FROM geo JOIN LATERAL (SELECT * FROM read_text('{lake}/x.csv')) AS l ON true",
    "FROM (PIVOT '{lake}/x.csv' ON a IN (1) USING count(*))",
    # writing, and statements that are no question
    "COPY geo TO '{lake}/y.csv'", "COPY (SELECT 1) TO '{lake}/y.csv'", "EXPLAIN ANALYZE COPY geo TO '{lake}/y.csv'",
    "EXPLAIN (ANALYZE) COPY geo TO '{lake}/y.csv'", "explain/**/analyze copy geo to '{lake}/y.csv'",
    "EXPLAIN /* /* */ SELECT 1 -- */ ANALYZE COPY geo TO '{lake}/y.csv'",
    "EXPLAIN (ANALYZE /* ) SELECT 1 -- */ ) COPY geo TO '{lake}/y.csv'", "ATTACH '{lake}/y.db'",
    "EXPORT DATABASE '{lake}/y'", "CREATE TABLE t (a INT)", "CREATE VIEW geo AS SELECT 1", "DROP VIEW geo",
    "INSERT INTO geo SELECT 1", "DELETE FROM pinpipe.geo_latest", "SET threads = 1", "RESET threads", "PRAGMA version",
    "CALL range(3)", "INSTALL httpfs", "LOAD httpfs", "BEGIN", "CHECKPOINT", "USE memory", "PREPARE q AS SELECT 1",
    "EXECUTE q", "SET VARIABLE a = 1",
    # what else there is to see
    "FROM duckdb_secrets()", "FROM duckdb_settings()", "FROM duckdb_views()", "FROM duckdb_views", "FROM sqlite_master",
    "FROM pragma_version()", "SELECT current_setting('temp_directory')", "SELECT getvariable('a')", "SHOW ALL TABLES",
    "FROM information_schema.tables", "FROM pg_catalog.pg_class", "FROM pg_class", "SHOW DATABASES",
    "FROM pinpipe.answer", "FROM memory.main.geo", "FROM raw_records()", "SELECT * FROM raw", "FROM repeated",
    "FROM which_secret('a', 's3')",
    "SELECT * FROM (WITH sqlite_master AS (SELECT 1) FROM sqlite_master), sqlite_master",
    "", ";", "/* nothing */", "SELEC 1",
]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """What tests begin with, made by the first that asks for it."""
    return tmp_path_factory.mktemp("begun") / "data"


@pytest.fixture
def fiji(lake, begun):
    if begun.exists():
        shutil.copytree(begun, lake.dir)
        return lake
    lake.put("geo", [{"ind": i, "country": "Fiji", "latitude": 1.5, "longitude": None} for i in range(3)])
    lake.batch()
    (lake.dir / "lake" / "x.csv").write_text("a\n1\n")
    shutil.copytree(lake.dir, begun)
    return lake


def files(lake):
    return {path for path in lake.dir.rglob("*") if path.is_file()}


def test_reading_statements(fiji):
    for sql in READING:
        assert fiji.sql(sql), sql


def test_everything_else_is_refused(fiji):
    before = files(fiji)
    for sql in REFUSED:
        result = fiji.run("sql", "--dir", fiji.dir, sql.replace("{lake}", str(fiji.dir / "lake")), status=2)
        assert result.stdout == "" and "SQL:1: " in result.stderr, sql
    assert files(fiji) == before


def test_however_deeply_it_is_nested(fiji):
    def nested(inner, depth=300):
        return "SELECT " + "abs(" * depth + inner + ")" * depth + " AS deep FROM geo WHERE ind = 2"

    assert fiji.sql(nested("ind")) == [{"deep": 2}]
    assert fiji.sql(nested("(SELECT -7 FROM pin_all RIGHT JOIN geo ON false LIMIT 1)")) == [{"deep": 7}]
    for inner, named in [("(SELECT length(content) FROM read_text('/etc/hostname'))", "read_text"),
                         ("getenv('HOME')", "getenv"), ("(SELECT count(*) FROM main.geo)", "geo")]:
        said = fiji.run("sql", "--dir", fiji.dir, nested(inner), status=2).stderr
        assert "SQL:1: " in said and f'"{named}"' in said


def test_a_question_sees_every_view_whatever_it_names(fiji):
    every = {f"{name}{end}" for name in ("geo", "pin", "user") for end in ("", "_all", "_live")}
    for sql in ["SHOW TABLES", "SELECT name FROM (SHOW TABLES) WHERE name <> 'none' AND 'geo' <> ''"]:
        assert {row["name"] for row in fiji.sql(sql)} == every
    assert fiji.sql('SELECT count(*) AS n FROM "GEO_All" JOIN (FROM Pin) AS p ON true') == [{"n": 0}]
    for name in ["E'g\\x65o'", "E'g\\145o_all'", "'g'\n'eo'"]:  # read it or refuse it, but never as if it were empty
        said = fiji.run("sql", "--dir", fiji.dir, f"SELECT count(*) AS n FROM {name}", status=2).stderr
        assert 'write the name of the table "geo" out' in said
    said = fiji.run("sql", "--dir", fiji.dir, "SELECT * FROM geo JOIN usr ON true", status=2).stderr
    assert 'Did you mean "user"?' in said


def test_models_are_held_to_the_same(fiji, models):
    path = models / "analyses" / "users_joined_by_year.sql"
    text = path.read_text()
    for sql in ["SELECT * FROM read_text('/etc/hostname')", "DESCRIBE geo", "COPY geo TO '/tmp/pinpipe-was-here'",
                "FROM 'x.parquet'"]:
        path.write_text(f"-- title: T\n-- chart: none\n{sql}\n")
        failed = fiji.batch("--models", models, status=None)
        assert failed.returncode in (1, 2) and f"{path}:3: " in failed.stderr, sql
    path.write_text(text)
    path = models / "clean" / "geo.sql"
    head = "".join(line + "\n" for line in path.read_text().splitlines() if line.startswith("--"))
    fiji.put("geo", [{"ind": 9, "country": "Fiji"}], 3)
    for sql in ["SELECT * FROM read_text('/etc/hostname')", "SELECT * FROM raw; SELECT 1", "FROM user_all",
                "SELECT 1)) TO '/tmp/pinpipe-was-here' --"]:
        path.write_text(f"{head}{sql}\n")
        failed = fiji.batch("--models", models, status=None)
        assert failed.returncode in (1, 2) and f"{path}:{head.count(chr(10)) + 1}: " in failed.stderr, sql
    assert not os.path.exists("/tmp/pinpipe-was-here")


def test_hints_of_duckdb_are_shown(fiji):
    said = fiji.run("sql", "--dir", fiji.dir, "SELECT ind,\n  1 FROM geos", status=2).stderr
    assert 'Did you mean "geo"?' in said and "\nLINE 2:   1 FROM geos\n" in said and "--help" not in said
    assert said.splitlines()[-1].strip() == "^"


def test_values_in_json_csv_and_results(fiji, models):
    sql = ("SELECT coordinates, sum(ind) AS total, {'a': [1]} AS s, 18446744073709551615 AS u, 1.50::DECIMAL(9, 2) AS d"
           " FROM geo GROUP BY ALL")
    text = fiji.run("sql", "--dir", fiji.dir, "--format", "json", sql).stdout
    row = {"coordinates": [1.5, None], "total": 3, "s": {"a": [1]}, "u": 18446744073709551615, "d": 1.5}
    assert json.loads(text) == [row]
    assert '"d": 1.50' in text
    assert '"[1.5,null]",3,"{""a"":[1]}",184' in fiji.run("sql", "--dir", fiji.dir, "--format", "csv", sql).stdout
    assert "[1.5,null]" in fiji.run("sql", "--dir", fiji.dir, "--format", "table", sql).stdout
    (models / "analyses" / "shapes.sql").write_text(f"-- title: Shapes\n{sql}\n")
    fiji.batch("--models", models)
    rows = json.loads((fiji.dir / "lake" / "results" / "shapes.json").read_text())["rows"]
    assert rows == [list(row.values())]


# Of the first each column that it could give a value to is looked at; taken for a pattern the second is not found.
@pytest.mark.parametrize("name", ["country=Peru/ind=7/user_name=x", "a*b?[1], it's {x}"])
def test_whatever_the_directory_is_called(run, tmp_path, name):
    directory = tmp_path / name / "data"
    directory.mkdir(parents=True)
    run("run", "--posts", 100, "--dir", directory)
    for side in ("batch", "stream"):
        words = ("sql", "--dir", directory, "--from", side, "--format", "json")
        countries = json.loads(run(*words, "SELECT country, count(*) AS n FROM geo GROUP BY 1").stdout)
        assert len(countries) > 20 and max(row["n"] for row in countries) < 50
        users = json.loads(run(*words, "SELECT count(DISTINCT ind) AS n, count(DISTINCT user_name) AS names"
                                       " FROM user").stdout)
        assert users[0]["n"] > 50 and users[0]["names"] > 20
    run("check", "--dir", directory)


def break_table(lake, table):
    """Another writer's feature, which this program does not know."""
    log = lake.dir / "lake" / "tables" / f"{ID}_{table}_clean" / "_delta_log"
    last = sorted(log.glob("*.json"))[-1]
    action = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
                           "writerFeatures": ["deletionVectors"]}}
    (log / f"{int(last.stem) + 1:020}.json").write_text(json.dumps(action) + "\n")


def test_a_table_that_cannot_be_read_takes_no_other_with_it(fiji):
    fiji.put("user", [{"ind": 1, "first_name": "A", "last_name": "B", "date_joined": "2016-01-01"}])
    fiji.batch()
    break_table(fiji, "geo")
    assert fiji.sql("SELECT user_name FROM user") == [{"user_name": "A B"}]
    for sql in ("SELECT * FROM geo", "SELECT count(*) FROM user JOIN geo_all USING (ind)"):
        failed = fiji.run("sql", "--dir", fiji.dir, sql, status=1)
        assert 'table "geo" cannot be read: ' in failed.stderr and "deletionVectors" in failed.stderr
    done = fiji.run("analyse", "--dir", fiji.dir, "--format", "json", status=1)
    assert json.loads(done.stdout)["users_joined_by_year"]["rows"] == [[2016, 1]]
    assert "most_popular_category_by_country" not in done.stdout
    assert "most_popular_category_by_country.sql:" in done.stderr and 'table "geo" cannot be read' in done.stderr


def test_a_missing_file_of_a_table_takes_no_other_with_it(fiji):
    next((fiji.dir / "lake" / "tables" / f"{ID}_geo_clean").glob("*.parquet")).unlink()
    assert fiji.sql("SELECT count(*) AS n FROM user") == [{"n": 0}]
    assert 'table "geo" cannot be read: ' in fiji.run("sql", "--dir", fiji.dir, "FROM geo", status=1).stderr


def worked_s(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rsplit(") ", 1)[-1].split()[11]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM range(1e18::bigint)",
                                 "SELECT max(hash(a.range, b.range)) FROM range(1000000000) a, range(1000000000) b"])
def test_ctrl_c_ends_a_query(fiji, start, sql):
    query = start("sql", "--dir", fiji.dir, sql)
    while worked_s(query.pid) < 1:
        assert query.process.poll() is None, query.said()
        time.sleep(0.01)
    asked = time.monotonic()
    assert query.stop(signal.SIGINT) == 130
    assert time.monotonic() - asked < 5  # 0.1 s on a machine that does nothing else
    assert query.said() == "pinpipe sql: interrupted\n"


SLOW = "SELECT max(hash(a.range, b.range)) AS n FROM range(1000000000) a, range(1000000000) b"


def ends_at_once(command, works_s=1):
    """Once it has worked for some time, so that a statement runs, Ctrl-C ends it."""
    while worked_s(command.pid) < works_s:
        assert command.process.poll() is None, command.said()
        time.sleep(0.01)
    asked = time.monotonic()
    assert command.stop(signal.SIGINT) == 130
    assert time.monotonic() - asked < 5  # 0.1 s on a machine that does nothing else


@pytest.mark.parametrize("command", ["analyse", "batch"])
def test_ctrl_c_ends_an_analysis(fiji, models, start, command):
    (models / "analyses" / "slow.sql").write_text(f"-- title: Slow\n-- chart: none\n{SLOW}\n")
    ends_at_once(start(command, "--dir", fiji.dir, "--models", models))


def test_ctrl_c_ends_a_clean_model(fiji, models, start):
    """Nothing of it is committed, and the next run cleans it."""
    path = models / "clean" / "geo.sql"
    fiji.put("geo", [{"ind": 9, "country": "Fiji"}], 3)
    path.write_text(path.read_text().replace(
        "as_int(ind)", f"CASE WHEN ({SLOW}) IS NULL THEN NULL ELSE as_int(ind) END", 1))
    ends_at_once(start("batch", "--dir", fiji.dir, "--models", models))
    assert fiji.sql("SELECT count(*) AS n FROM geo_all") == [{"n": 3}]
    fiji.batch()
    assert fiji.sql("SELECT count(*) AS n FROM geo_all") == [{"n": 4}]


def read_until(terminal, word):
    said = b""
    while word not in said:
        assert select.select([terminal], [], [], 60)[0], f"{word} was not said: {said}"
        said += os.read(terminal, 1000)
    return said


def test_progress_is_shown_on_a_terminal(lake, pinpipe, terminal):
    lake.put("geo", [{"ind": i, "country": "Fiji"} for i in range(1500)])
    lake.batch()
    ours, its = terminal
    env = {name: value for name, value in os.environ.items() if not name.startswith("PINPIPE")}
    sql = "SELECT max(hash(a.ind, b.ind, c.ind, d.ind)) FROM geo a, geo b, geo c, geo d"
    query = subprocess.Popen([pinpipe, "sql", "--dir", lake.dir, sql], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=its, env=env, start_new_session=True)
    os.close(its)
    try:
        assert re.search(rb"\rasking  \[ *#* *\] +\d+ %", read_until(ours, b"%"))
        query.send_signal(signal.SIGINT)
        said = read_until(ours, b"interrupted")
        assert re.search(rb"\r\x1b\[Kpinpipe sql: interrupted", said)  # on a line that was emptied
    finally:
        query.kill()
        query.wait()
        os.close(ours)
