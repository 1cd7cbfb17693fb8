"""engine.kind spark without a Spark that is well: what a command says then, how it ends, and what it leaves.

What a real Spark does is in tests/interop/test_spark.py.
"""

import importlib
import json
import os
import pathlib
import signal
import sys

import pytest

from conftest import TOP, wait_until

UNWELL = pathlib.Path(__file__).parent / "unwell_spark.py"


@pytest.fixture
def spark(tmp_path, data_dir):
    """spark("hangs", **settings): the environment for a Spark that is unwell in this way."""
    (data_dir / "lake").mkdir(parents=True)

    def make(unwell, **settings):
        return {"UNWELL": unwell, "SPARK_HEARD": str(tmp_path / "heard"), "PINPIPE_ENGINE_KIND": "spark",
                "PINPIPE_ENGINE_SPARK_SUBMIT": str(UNWELL), **settings}
    return make


@pytest.fixture
def heard(tmp_path):
    """What was said to it: first its arguments."""
    return lambda: [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()]


def left(data_dir):
    """What is still there of an exchange of files, and of processes."""
    running = [path.parent.name for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")
               if UNWELL.name.encode() in read(path) and str(data_dir.parent).encode() in read(path.parent / "environ")]
    return [*(data_dir / "tmp").glob("spark*"), *running]


def read(path):
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.parametrize(("unwell", "status", "words"), [
    ("ends", 2, 'spark could not be started (status 1): Exception in thread "main" java.lang.Oops: no such thing'),
    ("never comes", 75, "spark was not ready after 1 s (engine.start_timeout)"),
    ("dawdles", 75, "spark was not ready after 5 s (engine.start_timeout)"),
    ("too old", 2, "this is Spark 3.5.7; it is too old"),
    ("killed", 75, "spark was ended by signal 9"),
    ("babbles", 74, "spark has answered what is no JSON"),
    ("writes nothing", 74, "nothing is there: every executor has to reach engine.exchange"),
    ("hangs", 75, "spark had not answered after 1 s (engine.timeout)"),
])
def test_a_spark_that_is_unwell(run, spark, data_dir, unwell, status, words):
    env = spark(unwell, PINPIPE_ENGINE_START_TIMEOUT={"never comes": "1s", "dawdles": "5s"}.get(unwell, "60s"),
                PINPIPE_ENGINE_TIMEOUT="1s" if unwell == "hangs" else "60s")
    said = run("sql", "--dir", data_dir, "SELECT 1 AS a", env=env, status=status)
    assert words in said.stderr
    assert said.stdout == ""
    assert left(data_dir) == []


def test_what_it_prints_is_not_kept_for_ever(run, spark, data_dir):
    """As with a root logger at debug. It prints on only when what it has printed is gone."""
    env = spark("prints", PINPIPE_ENGINE_TIMEOUT="60s")
    said = run("sql", "--dir", data_dir, "SELECT 1 AS a", env=env, status=74)
    assert "all is printed" in said.stderr


def test_a_python_for_notebooks_runs_no_script(run, spark, data_dir, heard):
    for driver, given in [("/opt/conda/bin/jupyter", True), ("ipython3", True), ("/usr/bin/python3", False)]:
        run("sql", "--dir", data_dir, "SELECT 1", status=75,
            env=spark("killed", PYSPARK_DRIVER_PYTHON=driver, PYSPARK_PYTHON="/opt/python"))
        arguments = [said for said in heard() if isinstance(said, list)][-1]
        assert ("spark.pyspark.driver.python=/opt/python" in arguments) == given
    assert {"spark.ui.port=0", "spark.submit.deployMode=client"} < set(arguments)


def test_no_spark(run, spark, data_dir):
    env = {**spark("ends"), "PINPIPE_ENGINE_SPARK_SUBMIT": "", "SPARK_HOME": "/nowhere"}
    said = run("sql", "--dir", data_dir, "SELECT 1", env=env, status=2)
    assert 'there is no "/nowhere/bin/spark-submit" to run; install Spark 4 and set SPARK_HOME' in said.stderr


def test_ctrl_c_ends_what_hangs(start, spark, data_dir, heard):
    env = spark("hangs")
    query = start("sql", "--dir", data_dir, "SELECT 1", env=env)
    wait_until(lambda: (data_dir.parent / "heard").exists() and any(
        "do" in message and message["do"] == "ask" for message in heard()), "the question")
    assert query.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert left(data_dir) == []


def test_secrets_are_not_on_the_command_line(run, spark, data_dir, heard):
    env = spark("killed", PINPIPE_SPARK__MASTER="spark://example:7077", PINPIPE_SPARK__EXECUTOR_MEMORY="2g",
                PINPIPE_SPARK__HADOOP_FS_S3A_SECRET_KEY="open sesame")
    run("sql", "--dir", data_dir, "SELECT 1", env=env, status=75)
    arguments, configured = heard()[:2]
    assert "spark.master=spark://example:7077" in arguments and "spark.executor.memory=2g" in arguments
    assert "sesame" not in str(arguments)
    assert configured["settings"] == {"spark.hadoop.fs.s3a.secret.key": "open sesame"}


def test_a_master_of_ones_own_is_not_held_to_this_machine(run, spark, data_dir, heard):
    run("sql", "--dir", data_dir, "SELECT 1", env=spark("killed", PINPIPE_SPARK__MASTER="spark://example"), status=75)
    run("sql", "--dir", data_dir, "SELECT 1", env=spark("killed"), status=75)
    first, second = [said for said in heard() if isinstance(said, list)]
    assert "spark.master=spark://example" in first
    assert "127.0.0.1" not in str(first) and "spark.driver.host=127.0.0.1" in second
    assert any(word.startswith("spark.master=local[") for word in second)


def test_settings_of_spark_connect_are_the_sessions(run, spark, data_dir, heard):
    """Not the command line's, which would start a Spark here, and where others would see the token."""
    env = spark("killed", PINPIPE_SPARK__REMOTE="sc://example/;token=sesame", PINPIPE_SPARK__SQL_SHUFFLE_PARTITIONS="3")
    run("sql", "--dir", data_dir, "SELECT 1", env=env, status=75)
    arguments, configured = heard()[:2]
    assert "example" not in str(arguments) and "shuffle" not in str(arguments)
    assert any(word.startswith("spark.master=local[") for word in arguments)
    assert configured["settings"] == {"spark.remote": "sc://example/;token=sesame", "spark.sql.shuffle.partitions": "3"}


def test_sql_reads_views_alone(run, spark, data_dir):
    for sql, words in [("SELECT java_method('java.lang.System', 'exit', 1)", 'function "java_method" is not allowed'),
                       ("SELECT * FROM parquet.`/etc/passwd`", "syntax error"),
                       ("SELECT * FROM read_csv('/etc/passwd')", 'function "read_csv" is not allowed'),
                       ("DROP VIEW pin", "can be run"),
                       # To DuckDB a text or a comment, to Spark SQL.
                       ("SELECT '\\' -- ' || reflect('java.lang.System', 'exit', 1)", "SQL:1: a backslash is"),
                       ("SELECT 1 -- \\\n, 2 AS b", "SQL:1: a backslash is"),
                       ("SELECT\n1 `'`, 2 `'`", "SQL:2: a name in backquotes"),
                       ("SELECT 1 /* /*+ */ , reflect('a', 'b') -- */ */", "a comment within a comment"),
                       ("SELECT $$'$$ AS a /* /*+ */ , 2 -- ' */", "a text in dollars"),
                       ("SELECT 1 /*+ x */ AS a", "a comment within a comment")]:
        said = run("sql", "--dir", data_dir, sql, env=spark("writes nothing"), status=2)
        assert words in said.stderr, said.stderr


def test_what_both_dialects_have_for_texts_and_comments_goes_on(run, spark, data_dir):
    """As far as the answer, which this one never has."""
    for sql in ["SELECT 'it''s $1 -- /* `' AS a -- `x` is 'one\n", "SELECT 1 /* ` ' -- */ AS \"a`b\"", "SELECT 1 --"]:
        said = run("sql", "--dir", data_dir, sql, env=spark("writes nothing"), status=74)
        assert "nothing is there" in said.stderr, said.stderr


def test_what_an_error_quotes_does_not_say_of_what_kind_it_is():
    sys.path.insert(0, str(TOP / "spark"))
    kind_of = importlib.import_module("engine").kind_of
    for value in ["cancelled", "Interrupted", "No space left on device", "OutOfMemoryError", "FILE_NOT_EXIST"]:
        assert kind_of("22018", f"[CAST_INVALID_INPUT] The value '{value}' of the type") == "shape"
        assert kind_of("42703", f"[UNRESOLVED_COLUMN] nope\n== SQL ==\nSELECT nope, '{value}'") == "usage"
        assert kind_of(None, f"An error occurred while calling o1.parquet.\n: x {value}") != "io"
    assert kind_of("42K03", "[PATH_NOT_FOUND] Path does not exist") == "absent"


def test_settings_of_a_file_or_the_environment_wait_for_the_engine(run, data_dir, tmp_path):
    (data_dir / "lake").mkdir(parents=True)
    (tmp_path / "pinpipe.yaml").write_text("spark:\n  master: yarn\n")
    for env in ({}, {"PINPIPE_SPARK__EXECUTOR_MEMORY": "2g"}):
        assert run("sql", "--dir", data_dir, "SELECT 1 AS a", "--format", "csv", env=env).stdout == "a\r\n1\r\n"
    said = run("sql", "--dir", data_dir, "SELECT 1", "--spark", "master=yarn", status=2)
    assert "nothing reads" in said.stderr
