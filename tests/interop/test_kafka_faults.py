"""Faults of a real Kafka, and of those who read it: what was acknowledged is in the lake, once; `check` is clean."""
import json
import os
import random
import signal

import pytest

import conftest
import kafka_server
from kafka_load import BACK_S, GEO, ID, PIN, Load, checked, expect_once, pin, prepare
from test_kafka import landed, post


@pytest.fixture(scope="module", name="kafka")
def fixture_kafka(tmp_path_factory):
    settings = {"log.cleaner.backoff.ms": 200}
    with kafka_server.running(tmp_path_factory.mktemp("kafka"), settings=settings) as kafka:
        yield kafka


@pytest.fixture(name="pipeline", autouse=True)
def fixture_pipeline(kafka, tmp_path):
    prepare(kafka, tmp_path)


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


def test_a_broker_that_stands_still(kafka, start, start_gateway, run, tmp_path, data_dir):
    """It holds its connections, so that nothing tells that it is away but the time that a record waits."""
    prepare(kafka, tmp_path, message_timeout_ms=4000)
    kafka.create(PIN)
    gateway = start_gateway()
    start("sink", "--dir", data_dir, "--flush-age", "100ms")
    load = Load(gateway)
    try:
        load.await_more()
        kafka.pause()
        refused = load.refused
        conftest.wait_until(lambda: load.refused >= refused + 8, "refusals")
        status, answer, headers = post(gateway, PIN, [{"index": 0}])
        assert (status, answer["error_code"]) == (503, 50003) and headers["Retry-After"], answer
        kafka.resume()
        load.await_more()
    finally:
        kafka.resume()
        load.end()
    acknowledged = len(load.acknowledged)
    conftest.wait_until(lambda: len(landed(data_dir, PIN)) >= acknowledged, "the sink to go on")
    run("sink", "--until-end", "--dir", tmp_path / "other", "--lake", f"file:{data_dir}/lake")
    expect_once(load, data_dir)
    row = checked(run, data_dir)
    assert (row["lost"], row["faults"]) == (0, 0) and row["in_log"] == row["lines"]


def test_a_sink_ends_beside_a_broker_that_stands_still(kafka, start, start_gateway, run, tmp_path, data_dir):
    """What it had asked for, commits above all, is answered by nobody: it leaves nevertheless."""
    prepare(kafka, tmp_path, message_timeout_ms=4000)
    kafka.create(PIN)
    gateway = start_gateway()
    sink = start("sink", "--dir", data_dir, "--flush-age", "20ms", "--flush-size", "10")
    load = Load(gateway)
    try:
        load.await_more(200)
        kafka.pause()
        refused = load.refused
        conftest.wait_until(lambda: load.refused >= refused + 8, "refusals")
        sink.stop()
    finally:
        kafka.resume()
        load.end()
    run("sink", "--until-end", "--dir", data_dir)
    expect_once(load, data_dir)


def test_a_compacted_topic(kafka, run, data_dir):
    """What is compacted away before it was read is no loss, and what was read before stays in the lake."""
    kafka.create(PIN, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio="0.01",
                 max_compaction_lag_ms=1)
    kafka.produce(PIN, [pin(n) for n in range(3)], key="a")
    run("sink", "--until-end", "--dir", data_dir)
    written = 3

    def compacted():
        nonlocal written
        kafka.produce(PIN, [pin(written)], key="ab"[written % 2])  # a segment ends when more comes
        written += 1
        return len(kafka.consume(PIN)) < written / 2
    conftest.wait_until(compacted, "the compaction", BACK_S)
    kept = [json.loads(message.value())["index"] for message in kafka.consume(PIN)]
    run("sink", "--until-end", "--dir", data_dir)
    assert [value["index"] for value in landed(data_dir, PIN)] == [0, 1, 2, *(n for n in kept if n > 2)]
    run("batch", "--dir", data_dir)
    row = checked(run, data_dir)
    assert (row["lost"], row["behind"], row["faults"]) == (0, 0, 0) and row["rows"] == row["lines"]


def test_a_storm_of_rebalances(kafka, start, start_gateway, run, tmp_path, data_dir):
    """Members come, go and die all the time, sooner than a rebalance ends."""
    kafka.create(PIN, partitions=6)
    gateway = start_gateway()
    rng = random.Random(17)
    lake = ["--lake", f"file:{data_dir}/lake", "--create", "--flush-age", "100ms", "--flush-size", "100"]
    sinks = {n: start("sink", "--dir", tmp_path / f"sink{n}", *lake) for n in range(4)}
    load = Load(gateway)
    try:
        for _ in range(20):
            load.await_more(rng.randrange(1, 100))
            n = rng.randrange(4)
            if rng.random() < 0.5:
                sinks[n].kill()
            else:
                sinks[n].stop()
            sinks[n] = start("sink", "--dir", tmp_path / f"sink{n}", *lake)
    finally:
        load.end()
    acknowledged = len(load.acknowledged)
    conftest.wait_until(lambda: len(landed(data_dir, PIN)) >= acknowledged, "the sinks to go on", BACK_S)
    for sink in sinks.values():
        sink.stop()
    run("sink", "--until-end", "--dir", data_dir)
    expect_once(load, data_dir)
    row = checked(run, data_dir)
    assert (row["lost"], row["faults"]) == (0, 0) and row["in_log"] == row["lines"]
