"""Several brokers: leaders that change and die under load, and one that leads without all that was acknowledged."""
import json
import os
import signal

import pytest

import conftest
import kafka_server
from kafka_load import BACK_S, GEO, PIN, Load, checked, expect_once, prepare
from test_kafka import landed, post


@pytest.fixture(scope="module", name="kafka")
def fixture_kafka(tmp_path_factory):
    """Of three; the first is the controller, and has to live."""
    settings = {"broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500}
    with kafka_server.running(tmp_path_factory.mktemp("kafka"), nodes=3, settings=settings) as kafka:
        yield kafka


@pytest.fixture(name="pipeline", autouse=True)
def fixture_pipeline(kafka, tmp_path):
    for node in kafka.nodes:
        if not node.is_up():
            node.start()
            node.wait()
    prepare(kafka, tmp_path, session_timeout_ms=45000)


def await_in_sync(kafka, topic, nodes):
    conftest.wait_until(lambda: all(sorted(partition.isrs) == nodes for partition in kafka.partitions(topic)),
                        f"{nodes} to be in sync", BACK_S)


def test_leaders_that_change_and_die(kafka, start, start_gateway, run, data_dir):
    kafka.create(PIN, partitions=6, min_insync_replicas=2)
    gateway = start_gateway()
    sink = start("sink", "--dir", data_dir, "--flush-age", "200ms", "--flush-size", "100")
    load = Load(gateway)
    try:
        load.await_more()
        for node in kafka.nodes[1:]:
            assert node.number in [partition.leader for partition in kafka.partitions(PIN)]
            node.kill()
            conftest.wait_until(lambda: all(partition.leader not in (-1, node.number)
                                            for partition in kafka.partitions(PIN)), "other leaders", BACK_S)
            load.await_more(200)
            node.start()
            await_in_sync(kafka, PIN, [1, 2, 3])
            kafka.elect(PIN)
            load.await_more(200)
    finally:
        load.end()
    sink.stop()
    run("sink", "--until-end", "--dir", data_dir)
    expect_once(load, data_dir)
    row = checked(run, data_dir)
    assert (row["lost"], row["faults"]) == (0, 0) and row["in_log"] == row["lines"]


def acknowledge(gateway, topic, first, count):
    for number in range(first, first + count):
        status, answer, _ = post(gateway, topic, [{"index": number, "ind": number, "title": f"t{number}"}])
        assert status == 200, answer


def cut(kafka, gateway, before, between):
    """Of the topic that nodes 2 and 3 have, 3 lacks what only 2 acknowledged, and leads."""
    acknowledge(gateway, PIN, 0, before)
    await_in_sync(kafka, PIN, [2, 3])
    kafka.nodes[2].kill()
    await_in_sync(kafka, PIN, [2])
    acknowledge(gateway, PIN, before, between)


def lead_without(kafka):
    kafka.nodes[1].kill()
    kafka.nodes[2].start()
    kafka.nodes[2].wait()
    conftest.wait_until(lambda: kafka.partitions(PIN)[0].leader in (-1, 3), "the leader to be missed", BACK_S)
    if kafka.partitions(PIN)[0].leader == -1:
        kafka.elect(PIN, is_unclean=True)
    conftest.wait_until(lambda: kafka.partitions(PIN)[0].leader == 3, "the other one to lead", BACK_S)


@pytest.mark.parametrize("sink_is", ["running", "asleep", "ended"])
def test_what_a_leader_alone_had_is_lost(kafka, sink_is, start, start_gateway, run, data_dir):
    """The lake has it, the log has others there: that partition halts and says why, whether the sink sees a log that is
    shorter, or one that is longer again; the other topics go on."""
    kafka.create(PIN, places=[[2, 3]], min_insync_replicas=1, unclean_leader_election_enable="true")
    kafka.create(GEO, places=[[1]])
    gateway = start_gateway()
    gateway.wait_for("unclean.leader.election.enable")
    words = ["sink", "--dir", data_dir, "--flush-age", "100ms"]
    sink = start(*words)
    cut(kafka, gateway, 10, 50)
    conftest.wait_until(lambda: len(landed(data_dir, PIN)) == 60, "what was acknowledged")
    if sink_is == "asleep":
        os.kill(sink.pid, signal.SIGSTOP)
    elif sink_is == "ended":
        sink.stop()
    lead_without(kafka)
    if sink_is == "running":
        sink.wait_for(f"{PIN}, partition 0: .* halts")
    conftest.wait_until(lambda: post(gateway, PIN, [{"index": 1000}])[0] == 200, "the gateway to go on", BACK_S)
    acknowledge(gateway, PIN, 1001, 100)
    if sink_is == "asleep":
        os.kill(sink.pid, signal.SIGCONT)
    elif sink_is == "ended":
        sink = start(*words)
    sink.wait_for(f"{PIN}, partition 0: .* halts")
    acknowledge(gateway, GEO, 0, 5)
    conftest.wait_until(lambda: len(landed(data_dir, GEO)) == 5, "the other topic")
    sink.process.send_signal(signal.SIGTERM)
    assert sink.process.wait(conftest.PATIENCE_S) == 1
    sink.is_reported = True
    assert [value["index"] for value in landed(data_dir, PIN)] == list(range(60))
    assert PIN in run("sink", "--until-end", "--dir", data_dir, status=1).stderr
    found = {row["topic"]: row for row in json.loads(
        run("check", "--dir", data_dir, "--format", "json", status=1).stdout)}
    assert found[PIN]["faults"] and not found[GEO]["faults"]
