"""Tables as they were: clicks@v3, clicks@2026-11-27T10:00."""

import datetime
import json
import re

import pytest

from lake import ID


def log_of(lake, table):
    return lake.dir / "lake" / "tables" / f"{ID}_{table}_clean" / "_delta_log"


@pytest.fixture
def grown(lake):
    """geo has one row at version 1, two at version 2 …, up to 4; the last is another row of key 0."""
    for version in range(4):
        lake.put("geo", [{"ind": version % 3, "country": f"country {version}"}], version)
        lake.batch()
    return lake


def refused(lake, sql, status=2, words=()):
    return lake.run("sql", "--dir", lake.dir, *words, sql, status=status).stderr


def committed(lake, version):
    """When a version was committed, in ms."""
    for line in (log_of(lake, "geo") / f"{version:020}.json").read_text().splitlines():
        action = json.loads(line)
        if "commitInfo" in action:
            return action["commitInfo"]["timestamp"]
    raise AssertionError("no commitInfo")


def iso(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def test_versions(grown):
    for version in range(5):
        assert grown.sql(f"SELECT count(*) AS n FROM geo_all@v{version}") == [{"n": version}]
    assert grown.sql("SELECT country FROM geo@v3 WHERE ind = 0") == [{"country": "country 0"}]
    assert grown.sql("SELECT country FROM geo@v4 WHERE ind = 0") == [{"country": "country 3"}]
    assert grown.sql("SELECT country FROM geo WHERE ind = 0") == [{"country": "country 3"}]
    assert grown.sql('SELECT country FROM geo@v4 EXCEPT SELECT country FROM "geo@v3"') == [{"country": "country 3"}]
    assert grown.sql("SELECT count(*) AS n FROM geo_all JOIN geo_all@v1 USING (ind)") == [{"n": 2}]
    assert grown.sql("SELECT 'geo@v1' AS text -- geo@v9") == [{"text": "geo@v1"}]
    assert {row["column_name"] for row in grown.sql("DESCRIBE geo@v1")} >= {"ind", "country"}


def test_times(grown):
    for version in range(5):
        at, between = iso(committed(grown, version)), iso(committed(grown, version) - 1)
        assert grown.sql(f"SELECT count(*) AS n FROM geo_all@{at}") == [{"n": version}]
        if version:
            assert grown.sql(f'SELECT count(*) AS n FROM "geo_all@{between}Z"') == [{"n": version - 1}]
    in_berlin = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=1))).isoformat(timespec="seconds")
    assert grown.sql(f"SELECT count(*) AS n FROM geo_all@{in_berlin}")[0]["n"] <= 4


def test_what_there_is_not(grown):
    said = refused(grown, "FROM geo@v5", status=1)
    assert re.search('"geo" has no version 5 yet: its oldest version is 0, of 20.*, its newest version is 4, of', said)
    assert said.count("\n") == 1, "the kept versions are the advice"
    said = refused(grown, "FROM geo@2019-01-01", status=1)
    assert "no version of 2019-01-01T00:00:00.000Z: its oldest version is 0" in said
    assert "its newest version is 4" in refused(grown, "FROM geo@9999-01-01", status=1)
    assert 'there is no table "gio", did you mean "geo"?' in refused(grown, "FROM gio@v1")
    assert "neither a version" in refused(grown, "SELECT 1,\n 2 FROM geo@yesterday")
    assert "SQL:2: " in refused(grown, "SELECT 1,\n 2 FROM geo@yesterday")
    assert "is in a schema" in refused(grown, "FROM main.geo@v1")
    assert "with --engine duckdb" in refused(grown, "FROM geo@v1", words=("--engine", "spark"))
    said = refused(grown, "FROM geo@v1, geo@v77", status=1)
    assert "version 77" in said and said.count("\n") <= 2


def test_versions_whose_log_is_gone(grown):
    for version in range(12):
        grown.put("user", [{"ind": version, "first_name": "A", "last_name": "B", "date_joined": "2016-01-01"}], version)
        grown.batch()
    log = log_of(grown, "user")
    assert (log / f"{10:020}.checkpoint.parquet").exists()
    for version in range(10):
        (log / f"{version:020}.json").unlink()
    assert grown.sql("SELECT count(*) AS n FROM user_all@v11") == [{"n": 11}]
    said = refused(grown, "FROM user@v9", status=1)
    assert 'no version 9 any more: its oldest version is 10, of 20' in said and "its newest version is 12" in said
    assert "delta.logRetentionDuration" in said


def test_versions_whose_files_are_gone(grown):
    """A vacuum took what only older versions have; those of today are read all the same."""
    actions = [json.loads(line) for line in (log_of(grown, "geo") / f"{1:020}.json").read_text().splitlines()]
    name = next(action["add"]["path"] for action in actions if "add" in action)
    (log_of(grown, "geo").parent / name).unlink()
    said = refused(grown, "FROM geo@v1", status=1)
    assert 'table "geo@v1" cannot be read: files of version 1 are not there any more' in said
    assert "delta.deletedFileRetentionDuration" in said and name in said
    assert grown.sql("SELECT count(*) AS n FROM user") == [{"n": 0}]
    assert grown.sql("SELECT count(*) AS n FROM geo@v0") == [{"n": 0}]


def test_analyses_read_the_tables_as_they_are(grown, models):
    path = models / "analyses" / "old.sql"
    path.write_text("-- title: Old\n-- chart: none\nSELECT count(*)\nFROM geo@v1\n")
    failed = grown.run("models", "--check", "--models", models, status=None)
    assert f'{path}:4: "geo@v1": an analysis reads the tables as they are now' in failed.stdout + failed.stderr
    failed = grown.batch("--models", models, status=None)
    assert "as they are now" in failed.stderr
