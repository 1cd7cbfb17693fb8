"""Faults of a real Kafka, and of those who read it: what was acknowledged is in the lake, once; `check` is clean."""
import collections
import json
import os
import signal
import threading

import pytest

import conftest
import kafka_server
from test_kafka import landed, post

ID = "faults"
PIN, GEO = f"{ID}.pin", f"{ID}.geo"
BACK_S = 90  # until a broker that was killed serves again, on a busy machine


@pytest.fixture(scope="module", name="kafka")
def fixture_kafka(tmp_path_factory):
    with kafka_server.running(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(name="pipeline", autouse=True)
def fixture_pipeline(kafka, tmp_path):
    """pinpipe.yaml for all commands of the test, and the topics of its id anew."""
    lines = [f"  {name}: {json.dumps(value)}" for name, value in kafka.client().items()]
    lines = [f"id: {ID}", "broker:", "  kind: kafka", "kafka:", *lines]
    (tmp_path / "pinpipe.yaml").write_text("\n".join(lines) + "\n")
    there = kafka.admin().list_topics(timeout=60).topics
    for topic in (PIN, GEO):
        if topic in there:
            kafka.delete(topic)


def pin(index):
    return json.dumps({"index": index, "title": f"t{index}"}).encode()


def checked(run, data_dir, topic=PIN):
    done = run("check", "--dir", data_dir, "--format", "json")
    return {row["topic"]: row for row in json.loads(done.stdout)}[topic]


class Load:
    """Posts one record after the other until it is ended; knows which were acknowledged."""

    def __init__(self, gateway, threads=4):
        self.gateway, self.ending, self.acknowledged, self.refused = gateway, False, [], 0
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def work(self, thread):
        number = 0
        while not self.ending:
            number += 1
            key = f"{thread}-{number}"
            status, answer, _ = post(self.gateway, PIN, [{"index": number, "title": key}])
            if status == 200 and answer["offsets"][0].get("offset") is not None:
                self.acknowledged.append(key)
            else:
                self.refused += 1

    def await_more(self, count=50):
        want = len(self.acknowledged) + count
        conftest.wait_until(lambda: len(self.acknowledged) >= want, "more acknowledgements", BACK_S)

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join()


def expect_once(load, data_dir):
    titles = collections.Counter(value["title"] for value in landed(data_dir, PIN))
    assert not [key for key in load.acknowledged if titles[key] == 0]
    assert not [key for key, times in titles.items() if times > 1]


def test_the_whole_pipeline(run, tmp_path):
    """The same answers as on the log of --dir."""
    own = tmp_path / "own"  # without pinpipe.yaml
    own.mkdir()
    answers = []
    for directory in (own, tmp_path):
        done = run("run", "--posts", "200", "--id", ID, "--format", "json", cwd=directory)
        answers.append({name: value for name, value in json.loads(done.stdout).items() if name != "seconds"})
    assert answers[0] == answers[1]


def test_transactions(kafka, run, data_dir):
    kafka.create(PIN)
    kafka.transact(PIN, [([pin(10 * n + k) for k in range(10)], n % 3 != 1) for n in range(9)])
    run("sink", "--until-end", "--dir", data_dir)
    want = [10 * n + k for n in range(9) if n % 3 != 1 for k in range(10)]
    assert [value["index"] for value in landed(data_dir, PIN)] == want
    run("batch", "--dir", data_dir)
    row = checked(run, data_dir)
    assert (row["lines"], row["rows"], row["lost"], row["behind"], row["faults"]) == (60, 60, 0, 0, 0)


def test_what_went_before_it_was_read(kafka, run, data_dir):
    kafka.create(PIN)
    kafka.produce(PIN, [pin(n) for n in range(5)])
    run("sink", "--until-end", "--dir", data_dir)
    kafka.produce(PIN, [pin(n) for n in range(5, 20)])
    kafka.delete_records(PIN, 12)
    run("sink", "--until-end", "--dir", data_dir)
    assert [value["index"] for value in landed(data_dir, PIN)] == [*range(5), *range(12, 20)]
    run("batch", "--dir", data_dir)
    row = checked(run, data_dir)
    assert (row["lost"], row["behind"], row["faults"]) == (7, 0, 0)


def test_a_topic_made_anew(kafka, run, start, data_dir):
    """Longer than the one before: librdkafka goes on in the middle of it, and the sink does not."""
    for topic in (PIN, GEO):
        kafka.create(topic)
    kafka.produce(PIN, [pin(n) for n in range(5)])
    sink = start("sink", "--dir", data_dir, "--flush-age", "100ms")
    conftest.wait_until(lambda: len(landed(data_dir, PIN)) == 5, "the first records")
    kafka.delete(PIN)
    kafka.create(PIN)
    kafka.produce(PIN, [pin(100 + n) for n in range(10)])
    sink.wait_for("new_history")
    kafka.produce(GEO, [b'{"ind": 1}'])
    conftest.wait_until(lambda: landed(data_dir, GEO), "the other topic")
    assert [value["index"] for value in landed(data_dir, PIN)] == [*range(5)]
    assert sink.process.poll() is None
    sink.process.send_signal(signal.SIGTERM)
    assert sink.process.wait(conftest.PATIENCE_S) == 1
    sink.is_reported = True
    run("sink", "--until-end", "--dir", data_dir, "--new-history", "continue")
    anew = sorted((data_dir / "lake" / "topics" / PIN).glob("generation=*/partition=*/*.json"))
    lines = [json.loads(line)["index"] for path in anew for line in path.read_text().splitlines()]
    assert lines == [*range(100, 110)]


def test_a_broker_that_is_killed_under_load(kafka, start, start_gateway, run, data_dir):
    kafka.create(PIN, partitions=3)
    gateway = start_gateway()
    sink = start("sink", "--dir", data_dir, "--flush-age", "200ms", "--flush-size", "100")
    load = Load(gateway)
    try:
        for _ in range(2):
            load.await_more()
            kafka.kill()
            refused = load.refused
            conftest.wait_until(lambda: load.refused > refused + 10, "refusals")
            kafka.start()
            load.await_more()
    finally:
        load.end()
    sink.stop()
    run("sink", "--until-end", "--dir", data_dir)
    expect_once(load, data_dir)
    row = checked(run, data_dir)
    assert (row["lost"], row["faults"]) == (0, 0) and row["in_log"] == row["lines"]


def test_sinks_that_stop_and_die(kafka, start, start_gateway, run, tmp_path, data_dir):
    """Members of one group, on one lake: one sleeps for longer than its session, another is killed."""
    kafka.create(PIN, partitions=4)
    gateway = start_gateway()
    lake = ["--lake", f"file:{data_dir}/lake", "--create", "--flush-age", "200ms", "--flush-size", "100"]
    sinks = [start("sink", "--dir", tmp_path / f"sink{n}", *lake) for n in range(3)]
    load = Load(gateway)
    try:
        load.await_more()
        os.kill(sinks[0].pid, signal.SIGSTOP)
        sinks[1].kill()
        there = len(landed(data_dir, PIN))
        conftest.wait_until(lambda: all(  # what both had is read by the third
            list((data_dir / "lake" / "topics" / PIN).glob(f"partition={p}/*")) for p in range(4)) and
            len(landed(data_dir, PIN)) > there + 200, "all partitions", BACK_S)
        os.kill(sinks[0].pid, signal.SIGCONT)
        load.await_more()
    finally:
        load.end()
    for sink in (sinks[0], sinks[2]):
        sink.stop()
    run("sink", "--until-end", "--dir", data_dir)
    expect_once(load, data_dir)
    row = checked(run, data_dir)
    assert (row["lost"], row["faults"]) == (0, 0) and row["in_log"] == row["lines"]
