"""recipes/structured_streaming.py with a real Spark on a real Kafka: each record once, whenever it is killed, and the
rows and dead letters that `pinpipe batch` makes of the same topics."""

import json
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

import conftest
import kafka_server
import spark_home

ID = "124df56aef51"
TABLES = ["pin", "geo", "user"]
RECIPE = conftest.TOP / "recipes" / "structured_streaming.py"
PARTITIONS = 3
POSTS = 1200
PATIENCE_S = 300
JARS = [jar for place in ("interop", "interop-recipe") for jar in sorted(
    (conftest.TOP / ".cache" / place / "jars").glob("*.jar"))]
# As the sink writes values, without blanks: its letters have them so.
DIRTY = [None, b"", b"[]", b"not json", b'"{}"', b'{"index":1', b'{"index":"x","title":"a"}',
         b'{"index":1,"index":2,"title":"a"}', b'{"title":"a"}', b'{"index":"","title":"a"}',
         b'{"ind":5,"country":"x"}', b'{"index":4294967296,"title":"a"}', b'{"index":1,"title":"\xff"}', b"{}",
         b'{"index":1,"title":"a\tb"}']
ODD = [b'{"index": 7, "title": "", "follower_count": "1.5M", "category": null, "more": 1}', b'{"index": "8"}',
       '{"index": 9.0, "description": "a\\tb\\n\\u00e9\U0001f600\'\\"\\\\", "tag_list": "N,o, ,T,a,g,s"}'.encode()]


@pytest.fixture(scope="module", name="kafka")
def fixture_kafka(tmp_path_factory):
    with kafka_server.running(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(name="topics")
def fixture_topics(kafka, tmp_path):
    """Empty ones, and pinpipe.yaml for all commands of the test."""
    there = kafka.admin.list_topics(timeout=60).topics
    for table in TABLES:
        if f"{ID}.{table}" in there:
            kafka.delete(f"{ID}.{table}")
        kafka.create(f"{ID}.{table}", PARTITIONS)
    (tmp_path / "pinpipe.yaml").write_text(json.dumps({"broker": {"kind": "kafka"}, "kafka": kafka.client()}))


class Job:
    """The recipe at work. What it starts is its group's."""

    def __init__(self, kafka, directory, output, *words):
        self.output = output
        settings = {"spark.jars": ",".join(map(str, JARS)), "spark.ui.enabled": "false", "spark.log.level": "ERROR",
                    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
                    "spark.driver.memory": "1g", "spark.local.dir": directory / "scratch",
                    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
        environment = {**os.environ, **spark_home.environment(), "TMPDIR": str(directory)}
        submit = pathlib.Path(environment["SPARK_HOME"]) / "bin" / "spark-submit"
        conf = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
        with open(output, "wb") as said:
            self.process = subprocess.Popen(
                [submit, "--master", "local[2]", *conf, RECIPE, "--bootstrap-servers", kafka.bootstrap(), "--lake",
                 f"file:{directory}/lake", *words], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, env=environment, start_new_session=True, preexec_fn=conftest.die_with_parent)

    def said(self):
        return self.output.read_text(errors="replace")

    def await_commits(self, count):
        def committed():
            assert self.process.poll() is None, self.said()[-3000:]
            return self.said().count("to offset") >= count
        conftest.wait_until(committed, f"{count} commits", PATIENCE_S)

    def kill(self):
        """-9, driver, JVM and all; returns when none of them can write any more."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

        def is_gone():
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return True
            return False
        conftest.wait_until(is_gone, "the end of Spark")

    def end(self, status=0):
        try:
            assert self.process.wait(PATIENCE_S) == status, self.said()[-3000:]
        finally:
            if self.process.poll() is None:
                self.kill()
        return self.said()


def rows(run, directory, table, path):
    """A partition is a shard on the streaming path."""
    partition = "_partition" if path == "batch" else "CAST(CAST(substr(_partition, 9) AS INT) AS STRING)"
    return run("sql", "--dir", directory, "--from", path, "--format", "csv",
               f"SELECT * REPLACE ({partition} AS _partition) FROM {table}_all ORDER BY _partition, _offset").stdout


def letters(directory, name):
    """Of a topic or a stream: where, and the record; those of the sink, too."""
    found = [json.loads(line) for path in (directory / "lake" / "dlq" / name).rglob("*.ndjson")
             for line in path.read_text().splitlines()]
    return sorted((int(letter["partition"][-1]), letter["offset"], letter["value"] or "") for letter in found)


def post(run, gateway, directory, seed):
    run("emulate", "--dir", directory, "--url", gateway.url, "--posts", POSTS, "--rate", "max", "--batch-size", 20,
        "--seed", seed)


def test_each_record_once(kafka, topics, start_gateway, run, tmp_path, data_dir):
    """Killed -9 three times, amid its commits; more is posted meanwhile."""
    chance = random.Random(1018)
    gateway = start_gateway()
    post(run, gateway, data_dir, 0)
    for turn in range(3):
        job = Job(kafka, data_dir, tmp_path / f"said{turn}", "--batch-records", "150")
        kafka.produce(f"{ID}.pin", DIRTY[turn::3] + ODD, partition=turn)
        try:
            job.await_commits(chance.randrange(1, 12))
            time.sleep(chance.uniform(0, 2))  # a moment of any kind is what is wanted
        finally:
            job.kill()
        post(run, gateway, data_dir, turn + 1)
    left = data_dir / f"lake/dlq/streaming-{ID}-pin/partition=shardId-{0:012}/{8000:020}-{9000:020}+pin.ndjson"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_text("what a killed one left of a write that never came\n")
    Job(kafka, data_dir, tmp_path / "said", "--until-end").end()
    assert not left.exists()

    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    for table in TABLES:
        ours = rows(run, data_dir, table, "stream")
        assert ours == rows(run, data_dir, table, "batch"), table
        assert ours.count("\r\n") > 4 * POSTS
    ours = letters(data_dir, f"streaming-{ID}-pin")
    assert ours == letters(data_dir, f"{ID}.pin") and len(ours) == len(DIRTY)
    assert len(json.loads(run("dlq", "--dir", data_dir, "--format", "json").stdout)) >= len(DIRTY)
    checked = {row["topic"]: row for row in json.loads(run("check", "--dir", data_dir, "--format", "json").stdout)}
    assert checked[f"streaming-{ID}-pin"]["rows"] == checked[f"{ID}.pin"]["rows"]


def test_what_it_stops_at(kafka, topics, run, tmp_path, data_dir):
    """What retention took before it was read, and a topic that was made anew, whose offsets begin again."""
    def expect(status, said):
        assert said in Job(kafka, data_dir, tmp_path / "said", "--until-end").end(status)
        assert rows(run, data_dir, "pin", "stream").count("\r\n") == 1 + len(ODD)

    kafka.produce(f"{ID}.pin", ODD, partition=0)
    expect(0, f"pin: partition 0 to offset {len(ODD) - 1}")
    kafka.produce(f"{ID}.pin", ODD, partition=0)
    kafka.delete_records(f"{ID}.pin", len(ODD) + 1)
    expect(1, "data may have been lost")
    kafka.delete(f"{ID}.pin")
    kafka.create(f"{ID}.pin", PARTITIONS)
    kafka.produce(f"{ID}.pin", ODD, partition=0)
    expect(1, "has rows of another stream or topic")
