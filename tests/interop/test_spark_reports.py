"""What others reported of Spark that another program starts, each tried with a real one: the settings and variables
that lie about on a machine must not change a row, and what is amiss is told."""

import json

import pytest

from test_spark import assert_same, batch, dirty_lake, pinpipe

# Each of them changes rows, or ends the job, of who does not say what it wants.
DEFAULTS = """
spark.master                                  yarn
spark.submit.deployMode                       cluster
spark.api.mode                                connect
spark.sql.ansi.enabled                        false
spark.sql.ansi.doubleQuotedIdentifiers        false
spark.sql.ansi.enforceReservedKeywords        true
spark.sql.caseSensitive                       true
spark.sql.crossJoin.enabled                   false
spark.sql.files.ignoreMissingFiles            true
spark.sql.files.maxRecordsPerFile             3
spark.sql.groupByAliases                      false
spark.sql.groupByOrdinal                      false
spark.sql.legacy.sizeOfNull                   true
spark.sql.legacy.timeParserPolicy             LEGACY
spark.sql.orderByOrdinal                      false
spark.sql.parquet.compression.codec           zstd
spark.sql.parquet.datetimeRebaseModeInRead    LEGACY
spark.sql.parquet.datetimeRebaseModeInWrite   LEGACY
spark.sql.parquet.outputTimestampType         INT96
spark.sql.session.timeZone                    America/New_York
spark.sql.sources.default                     orc
spark.sql.timestampType                       TIMESTAMP_NTZ
"""
LOGGING = """
rootLogger.level = debug
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_OUT
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = {"done": {}} %m%n
"""


@pytest.fixture(name="others")
def fixture_others(tmp_path):
    """The environment of one who uses Spark in other ways as well."""
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(DEFAULTS)
    (conf / "log4j2.properties").write_text(LOGGING)
    return {"SPARK_CONF_DIR": str(conf), "TZ": "Asia/Tokyo", "LC_ALL": "C", "SPARK_REMOTE": "sc://127.0.0.1:9",
            "PYSPARK_DRIVER_PYTHON": "jupyter", "PYSPARK_DRIVER_PYTHON_OPTS": "notebook",
            "PYSPARK_SUBMIT_ARGS": "--master yarn pyspark-shell", "SPARK_PRINT_LAUNCH_COMMAND": "1"}


def test_settings_of_the_machine_change_no_row(others, tmp_path):
    dirty_lake(tmp_path / "dirty")
    duck, _ = assert_same(tmp_path / "dirty", tmp_path, **others)
    sql = "SELECT IND AS a, count(*) AS n, '${env:HOME}' AS c FROM geo GROUP BY 1 ORDER BY 1 NULLS LAST LIMIT 4"
    assert json.loads(pinpipe("sql", "--dir", duck, "--format", "json", sql, spark=True, **others)) == \
        json.loads(pinpipe("sql", "--dir", duck, "--format", "json", sql))


def test_no_java(tmp_path):
    dirty_lake(tmp_path / "dirty")
    said = pinpipe("sql", "--dir", tmp_path / "dirty", "SELECT 1", spark=True, status=2, JAVA_HOME="/nowhere").stderr
    assert "/nowhere/bin/java: No such file or directory" in said


def test_a_file_of_a_table_that_is_gone(tmp_path, others):
    """It is told, and the rows that are left are no answer."""
    dirty_lake(tmp_path / "dirty")
    batch(tmp_path / "dirty")
    for path in (tmp_path / "dirty" / "lake" / "tables").glob("*_geo_clean/*.parquet"):
        path.unlink()
    said = pinpipe("sql", "--dir", tmp_path / "dirty", "SELECT max(country) FROM geo", spark=True, status=1, **others)
    assert "geo_clean" in said.stderr and said.stdout == ""
