"""engine.kind spark with spark.remote: a Spark Connect server has the session and the executors."""

import json
import shutil
import signal
import subprocess

import pytest

import conftest
import spark_cluster
from spark_home import CACHE, environment
from test_spark import MODELS, assert_same, assert_sound, batch, pinpipe, uncleaned

if subprocess.run([CACHE / "venv" / "bin" / "python", "-c", "import grpc_status, pandas, pyarrow"], check=False,
                  capture_output=True).returncode:
    pytest.skip("needs what pyspark[connect] has: tools/interop/install", allow_module_level=True)


@pytest.fixture(name="raw", scope="module")
def fixture_raw(tmp_path_factory):
    directory = tmp_path_factory.mktemp("raw")
    pinpipe("run", "--dir", directory, "--posts", 400, "--rate", "max", "--format", "json")
    return directory


@pytest.fixture(name="server", scope="module")
def fixture_server(tmp_path_factory):
    server = spark_cluster.Connect(tmp_path_factory.mktemp("connect"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(name="remote")
def fixture_remote(server):
    """Of a pinpipe whose Spark is there."""
    return {"PINPIPE_SPARK__REMOTE": server.url}


def test_a_server_answers_as_duckdb(raw, remote, tmp_path):
    duck, spark = assert_same(raw, tmp_path, **remote)
    assert_sound(spark)
    assert not list((spark / "tmp").glob("spark*"))
    sql = "SELECT ind, title, timestamp FROM pin JOIN geo USING (ind) ORDER BY ind LIMIT 9"
    assert json.loads(pinpipe("sql", "--dir", duck, "--format", "json", sql, spark=True, **remote)) == \
        json.loads(pinpipe("sql", "--dir", duck, "--format", "json", sql))


def test_errors_name_file_and_line(raw, remote, tmp_path):
    models = shutil.copytree(MODELS, tmp_path / "models")
    own = models / "analyses"
    (own / "dialect.sql").write_text("-- title: D\nSELECT ind,\n\tstrftime(timestamp, '%Y') AS y\nFROM geo\n")
    (own / "value.sql").write_text("-- title: V\nSELECT\n\tCAST(category AS INT) AS n\nFROM pin\n")
    lake = uncleaned(raw, tmp_path / "lake")
    said = pinpipe("batch", "--dir", lake, "--models", models, spark=True, status=1, **remote).stderr
    assert f"{own}/dialect.sql:3: [UNRESOLVED_ROUTINE]" in said
    assert f"{own}/value.sql:3: [CAST_INVALID_INPUT]" in said
    assert "2 of the analyses failed; the others were answered" in said


def test_ctrl_c_ends_the_statement_and_not_the_server(raw, remote, server, tmp_path):
    batch(raw)
    jobs = server.jobs()
    service = conftest.Service([conftest.binary(), "sql", "--dir", raw,
                                "SELECT count(*) FROM pin a, pin b, pin c, pin d"
                                " WHERE a.ind + b.ind + c.ind + d.ind = 7"],
                               tmp_path / "said", environment(**remote), tmp_path)
    try:
        conftest.wait_until(lambda: server.jobs() > jobs, "the job", 120)
        assert service.stop(signal.SIGINT) == 128 + signal.SIGINT
    finally:
        service.destroy()
    assert pinpipe("sql", "--dir", raw, "--format", "csv", "SELECT 1 AS a", spark=True, **remote).split() == ["a", "1"]


def test_no_server(raw):
    said = pinpipe("sql", "--dir", raw, "SELECT 1", spark=True, status=75, PINPIPE_ENGINE_START_TIMEOUT="20s",
                   PINPIPE_SPARK__REMOTE=f"sc://127.0.0.1:{conftest.free_port()}").stderr
    assert "spark was not ready after 20 s" in said or "could not be started" in said
