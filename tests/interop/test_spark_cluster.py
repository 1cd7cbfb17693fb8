"""engine.kind spark on a cluster: another process has the executors, which see what the machine lets them see.

Spark's standalone Master and Worker, and Spark Connect, run here on loopback.
"""

import json
import signal
import subprocess

import pytest

import conftest
import spark_cluster
from spark_home import environment
from test_spark import (HOSTILE, answers, assert_same, assert_sound, batch, made_lake, pinpipe, rows, uncleaned)

POSTS = 400


@pytest.fixture(name="raw", scope="module")
def fixture_raw(tmp_path_factory):
    """Posts, and some records that are none."""
    directory = tmp_path_factory.mktemp("raw")
    pinpipe("run", "--dir", directory, "--posts", POSTS, "--rate", "max", "--format", "json")
    made_lake.put(directory, "pin", HOSTILE, start=POSTS)
    return directory


@pytest.fixture(name="cluster", scope="module")
def fixture_cluster(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cluster")
    cluster = spark_cluster.Cluster(directory)
    try:
        yield cluster
    finally:
        cluster.stop()
        conftest.wait_until(lambda: not spark_cluster.left_of(directory), "the end of the executors")


@pytest.fixture(name="worker")
def fixture_worker(cluster):
    """start_worker(before): one that is there for this test."""
    started = []

    def start_it(before=(), **options):
        started.append(cluster.start_worker(before, **options))
        return started[-1]
    yield start_it
    for worker in started:
        worker.stop()
    conftest.wait_until(lambda: not any(known["state"] == "ALIVE" for known in cluster.state()["workers"]),
                        "the master's notice")


@pytest.fixture(name="config")
def fixture_config(cluster, tmp_path):
    """pinpipe.yaml, as docs/spark.md has it; the exchange is a place of its own."""
    exchange = tmp_path / "exchange"
    (tmp_path / "pinpipe.yaml").write_text(f"""engine:
  kind: spark
  exchange: {exchange}
spark:
  master: {cluster.url}
  driver.host: 127.0.0.1
  driver.bindAddress: 127.0.0.1
  executor.memory: 600m
""")
    exchange.mkdir()
    return tmp_path / "pinpipe.yaml"


def of_config(config):
    return {"PINPIPE_CONFIG": str(config)}


def assert_nothing_left(config):
    """In the exchange."""
    assert not list((config.parent / "exchange").iterdir())


def ask(directory, sql, config, status=0):
    return pinpipe("sql", "--dir", directory, "--format", "csv", sql, spark=True, status=status, **of_config(config))


def test_a_cluster_answers_as_duckdb(raw, worker, config, tmp_path):
    worker()
    duck, spark = assert_same(raw, tmp_path, **of_config(config))
    assert_sound(spark)
    assert ask(duck, "SELECT * FROM pin_all ORDER BY _partition, _offset", config) == \
        pinpipe("sql", "--dir", duck, "--format", "csv", "SELECT * FROM pin_all ORDER BY _partition, _offset")
    assert_nothing_left(config)


def test_rows_of_several_executors_keep_their_order(raw, worker, config, cluster):
    worker(cores=1)
    worker(cores=1)
    batch(raw)
    sql = "SELECT a.ind * 4096 + b.ind % 4096 AS n FROM pin a, pin b WHERE b.ind % 2 = 0 ORDER BY 1"
    found = ask(raw, sql, config).splitlines()[1:]
    assert len(found) > 20000 and found == sorted(found, key=int)
    (app,) = [app for app in cluster.state()["completedapps"]][:1]
    assert app["name"] == "pinpipe" and app["state"] == "FINISHED"


def test_executors_that_do_not_reach_the_exchange(raw, worker, config, tmp_path):
    """Then nothing is committed, and it is told what to do; with a shared place the same run succeeds."""
    exchange = config.parent / "exchange"
    if not (hidden := spark_cluster.hides(exchange)):
        pytest.skip("needs user namespaces")
    alone = worker(hidden)
    lake = uncleaned(raw, tmp_path / "lake")
    said = pinpipe("batch", "--dir", lake, spark=True, status=74, **of_config(config)).stderr
    assert "spark's executors cannot use the exchange; set engine.exchange to a directory that they all share" in said
    assert f"{exchange}/spark-" in said and "clean-1.parquet does not exist" in said
    assert "models/clean" not in said
    assert "3 of 3 tables could not be cleaned" in said
    assert not list((lake / "lake" / "tables").rglob("*.parquet"))
    said = ask(raw, "SELECT 1 AS a", config, status=74).stderr
    assert "nothing is there: every executor has to reach engine.exchange" in said
    assert_nothing_left(config)
    assert pinpipe("check", "--dir", lake, "--lake", lake / "lake", status=None).returncode == 0
    alone.stop()
    worker()
    batch(lake, spark=True, **of_config(config))
    by_duck = uncleaned(raw, tmp_path / "duck")
    batch(by_duck)
    assert rows(lake, "pin") == rows(by_duck, "pin")
    assert_sound(lake)


def test_executors_of_which_one_does_not_reach_the_exchange(raw, worker, config):
    """What the other wrote is no answer."""
    if not (hidden := spark_cluster.hides(config.parent / "exchange")):
        pytest.skip("needs user namespaces")
    worker(cores=1)
    worker(hidden, cores=1)
    batch(raw)
    # Eight files, begun only when both are there.
    both = {"PINPIPE_SPARK__CORES_MAX": "2", "PINPIPE_SPARK__scheduler_minRegisteredResourcesRatio": "1.0",
            "PINPIPE_SPARK__scheduler_maxRegisteredResourcesWaitingTime": "300s",
            "PINPIPE_SPARK__SQL_ADAPTIVE_ENABLED": "false", "PINPIPE_SPARK__SQL_SHUFFLE_PARTITIONS": "8"}
    said = pinpipe("sql", "--dir", raw, "SELECT a.ind FROM pin a, pin b WHERE b.ind % 8 = 0 ORDER BY 1", spark=True,
                   status=74, **both, **of_config(config))
    assert "every executor has to reach engine.exchange" in said.stderr and said.stdout == ""
    assert_nothing_left(config)


def test_executors_that_do_not_have_the_lake(raw, worker, config):
    batch(raw)
    if not (hidden := spark_cluster.hides(raw / "lake")):
        pytest.skip("needs user namespaces")
    worker(hidden)
    said = ask(raw, "SELECT max(title) FROM pin", config, status=1).stderr
    assert "spark's executors do not have the lake at this path, as they must: file://" in said
    assert_nothing_left(config)


def test_a_command_that_is_killed_leaves_the_cluster(raw, worker, config, cluster):
    worker()
    batch(raw)
    before = {app["id"] for app in cluster.state()["completedapps"]}
    process = subprocess.Popen(
        [conftest.binary(), "sql", "--dir", raw,
         "SELECT count(*) FROM pin a, pin b, pin c, pin d WHERE a.ind + b.ind + c.ind + d.ind = 7"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=conftest.die_with_parent,
        env=conftest.clean_environment(environment(**of_config(config))))
    try:
        conftest.wait_until(lambda: any(app["state"] == "RUNNING" for app in cluster.state()["activeapps"]), "the job")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    conftest.wait_until(lambda: not cluster.state()["activeapps"], "the end of the job")
    assert len({app["id"] for app in cluster.state()["completedapps"]} - before) == 1
    ask(raw, "SELECT 1 AS a", config)
    assert_nothing_left(config)


def test_a_worker_that_ends_and_another_that_comes(raw, worker, config, tmp_path, cluster):
    """Its tasks are run again, and each row is there once."""
    first = worker()
    lake = uncleaned(raw, tmp_path / "lake")
    process = subprocess.Popen([conftest.binary(), "batch", "--dir", lake], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, preexec_fn=conftest.die_with_parent,
                               env=conftest.clean_environment(environment(**of_config(config))))
    try:
        conftest.wait_until(lambda: list((config.parent / "exchange").glob("spark-*/clean-*/_temporary")), "a task",
                            120)
        first.process.kill()
        worker()
        said = process.communicate(timeout=300)[0]
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.wait()
    by_duck = uncleaned(raw, tmp_path / "duck")
    batch(by_duck)
    assert rows(lake, "pin") == rows(by_duck, "pin") and json.loads(
        pinpipe("analyse", "--dir", lake, "--format", "json")) == json.loads(answers(by_duck))
    assert_sound(lake)
