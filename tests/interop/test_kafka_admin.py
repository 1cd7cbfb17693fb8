"""What administrators see and do of a real cluster of two brokers: topics, groups, records, REST metadata."""
import csv
import io
import json
import pathlib
import tempfile
import urllib.request

import pytest

import conftest
import kafka_server

PIN = "124df56aef51.pin"


@pytest.fixture(name="kafka", scope="module")
def fixture_kafka():
    with tempfile.TemporaryDirectory(prefix="pinpipe-kafka-") as directory:
        path = pathlib.Path(directory)
        with kafka_server.running(path, nodes=2) as kafka:
            yield kafka


@pytest.fixture(name="ask")
def fixture_ask(run, kafka, tmp_path):
    """ask("topics", "describe", name): the rows that the command prints; the pipeline is told to use the cluster."""
    lines = [f"  {name}: \"{value}\"\n" for name, value in kafka.client().items()]
    (tmp_path / "pinpipe.yaml").write_text("broker:\n  kind: kafka\nkafka:\n" + "".join(lines))

    def ask_it(*words, status=0):
        done = run(*words, "--format", "csv", status=status)
        return list(csv.DictReader(io.StringIO(done.stdout))) if status == 0 else done.stderr
    return ask_it


def theirs(kafka, group, topic, client="theirs"):
    """A consumer of confluent-kafka that has got its partitions."""
    consumer = kafka_server.confluent().Consumer({
        **kafka.client(), "group.id": group, "client.id": client, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])

    def has_joined():
        consumer.poll(0.1)
        return consumer.assignment()
    conftest.wait_until(has_joined, f"a member of {group}")
    return consumer


def committed(kafka, group, topic):
    """As the cluster says itself: {partition: offset}."""
    modules, admin = kafka_server.confluent(), kafka.admin  # one that nobody holds never answers
    future = admin.list_consumer_group_offsets([modules.ConsumerGroupTopicPartitions(group)])[group]
    return {place.partition: place.offset for place in future.result(60).topic_partitions if place.topic == topic}


def test_topics(ask, kafka):
    ask("topics", "create", "made", "--partitions", "3", "--replicas", "2")
    assert "already exists" in ask("topics", "create", "made", status=1)
    found = kafka.admin.list_topics("made", timeout=60).topics["made"].partitions
    told = ask("topics", "describe", "made")
    assert [int(row["partition"]) for row in told] == sorted(found) == [0, 1, 2]
    for row in told:
        there = found[int(row["partition"])]
        assert int(row["leader"]) == there.leader
        assert list(map(int, row["replicas"].split(","))) == there.replicas
        assert sorted(map(int, row["in_sync"].split(","))) == sorted(there.isrs) == [1, 2]
    kafka.produce("made", [b"1", b"2"], partition=1)
    assert {row["name"]: row["records"] for row in ask("topics")}["made"] == "2"
    ask("topics", "delete", "made")
    assert "Unknown topic" in ask("topics", "describe", "made", status=1)


def test_settings(ask, kafka):
    kafka.create("kept", cleanup_policy="compact", retention_ms=123456)
    settings = {row["name"]: row["value"] for row in ask("topics", "describe", "kept", "--settings")}
    assert (settings["cleanup.policy"], settings["retention.ms"]) == ("compact", "123456")
    assert list(settings) == sorted(settings)
    assert "Unknown topic" in ask("topics", "describe", "nothing", "--settings", status=1)


def test_rest_metadata(ask, kafka, start_gateway):
    assert ask("topics") is not None
    kafka.create("seen", partitions=2, min_insync_replicas=1)
    gateway = start_gateway("--auto-create", "none")

    def get(path):
        with urllib.request.urlopen(gateway.url + path, timeout=60) as reply:
            return json.load(reply)
    assert get("/brokers") == {"brokers": [1, 2]}
    assert "seen" in get("/topics")
    topic = get("/topics/seen")
    assert topic["configs"]["min.insync.replicas"] == "1"
    found = kafka.admin.list_topics("seen", timeout=60).topics["seen"].partitions
    for partition in topic["partitions"]:
        there = found[partition["partition"]]
        assert partition["leader"] == there.leader
        assert partition["replicas"] == [
            {"broker": node, "leader": node == there.leader, "in_sync": node in there.isrs} for node in there.replicas]
    assert get("/topics/seen/partitions") == topic["partitions"]
    assert get("/topics/seen/partitions/1") == topic["partitions"][1]


@pytest.mark.parametrize("words, shown", [
    ((), "0 1 2 3 4"),
    (("--from", "3"), "3 4"),
    (("--from", "-2"), "3 4"),
    (("--from", "end"), ""),
    (("--from", "@2000-01-01T00:00Z", "--count", "2"), "0 1"),
    (("--from", "@2999-01-01"), ""),
])
def test_cat(ask, run, kafka, words, shown):
    if "printed" not in kafka.admin.list_topics(timeout=60).topics:
        kafka.create("printed")
        kafka.produce("printed", [b"%d" % n for n in range(5)])
    assert ask("topics")
    assert run("cat", "printed/0", *words).stdout.split() == shown.split()


def test_cat_shows_what_foreign_clients_send(ask, run, kafka):
    kafka.create("whole")
    kafka.produce("whole", [b"{}", None], key=b"k", headers=[("h", b"v"), ("h", b"\xff"), ("n", None)])
    assert ask("topics")
    lines = [json.loads(line) for line in run("cat", "whole", "--format", "json").stdout.splitlines()]
    assert [line["headers"] for line in lines] == [[["h", "v"], ["h", {"base64": "/w=="}], ["n", None]]] * 2
    assert [(line["key"], line["value"]) for line in lines] == [("k", {}), ("k", None)]


def test_groups(ask, kafka):
    kafka.create("read", partitions=2)
    kafka.produce("read", [b"1", b"2", b"3"], partition=0)
    assert "no group" in ask("groups", "describe", "readers", status=1)
    reset = ask("groups", "reset", "readers", "read", "--from", "-2")
    assert [(row["committed"], int(row["reset"])) for row in reset] == [("", 1), ("", 0)]
    assert committed(kafka, "readers", "read") == {0: 1, 1: 0}
    told = ask("groups", "describe", "readers")
    assert [(row["topic"], row["partition"], row["lag"], row["member"]) for row in told] == \
        [("read", "0", "2", ""), ("read", "1", "0", "")]
    assert {row["group"]: row["state"] for row in ask("groups")}["readers"] == "empty"


def test_tables(ask, run, kafka, tmp_path):
    """Under an id of its own: another test wants the usual one's topic and the sinks' group for itself."""
    settings = tmp_path / "pinpipe.yaml"
    settings.write_text(settings.read_text() + "id: counted\n")
    kafka.create("counted.pin", partitions=2)
    for partition, values in enumerate(([b'{"index": 1}', b'{"index": 2}'], [b'{"index": 3}'])):
        kafka.produce("counted.pin", values, partition=partition)

    def waits():
        (row,) = ask("tables", "pin", "--from", "batch", "--dir", tmp_path / "data")
        return row["rows"], row["waiting"], row["objects"], row["state"]
    (tmp_path / "data" / "lake").mkdir(parents=True)
    assert waits() == ("", "3", "", "not there yet")
    run("sink", "--until-end", "--dir", tmp_path / "data")
    run("batch", "--dir", tmp_path / "data")
    assert waits() == ("3", "0", "0", "ok")
    kafka.produce("counted.pin", [b'{"index": 4}'], partition=1)
    assert waits() == ("3", "1", "0", "ok")
    run("sink", "--until-end", "--dir", tmp_path / "data")
    assert waits() == ("3", "1", "1", "ok")


def test_a_group_that_committed_nothing(ask, kafka):
    """The cluster remembers it, and so does who asks for it by name."""
    kafka.create("idle")
    theirs(kafka, "idlers", "idle").close()
    assert {row["group"]: row["state"] for row in ask("groups")}["idlers"] == "empty"
    assert ask("groups", "describe", "idlers") == []


def test_nobody_moves_a_group_that_reads(ask, kafka):
    kafka.create("held", partitions=2)
    kafka.produce("held", [b"1"], partition=0)
    ask("groups", "reset", "holders", "held", "--from", "end")
    consumer = theirs(kafka, "holders", "held")
    told = ask("groups", "describe", "holders")
    assert [row["client"] for row in told] == ["theirs"] * 2
    assert {row["group"]: (row["state"], row["members"]) for row in ask("groups")}["holders"] == ("stable", "1")
    before = committed(kafka, "holders", "held")
    assert "has members" in ask("groups", "reset", "holders", "--from", "beginning", status=75)
    assert committed(kafka, "holders", "held") == before == {0: 1, 1: 0}
    consumer.close()
    ask("groups", "reset", "holders", "--from", "beginning")
    assert committed(kafka, "holders", "held") == {0: 0, 1: 0}


def test_the_sink_takes_what_it_is_told(ask, run, kafka, data_dir, tmp_path):
    for topic in (PIN, "shop", "shop.a", "workshop"):
        kafka.create(topic)
        kafka.produce(topic, [b'{"index":1}'])
    assert ask("topics")
    settings = tmp_path / "pinpipe.yaml"
    settings.write_text(settings.read_text() + "sink:\n  topics: shop*\n")
    run("sink", "--until-end", "--dir", data_dir)
    assert sorted(path.name for path in data_dir.glob("lake/topics/*")) == [PIN, "shop", "shop.a"]
    group, = [row["group"] for row in ask("groups") if row["group"].startswith("pinpipe-124df56aef51-sink-")]
    told = ask("groups", "describe", group)
    assert {(row["topic"], int(row["committed"])) for row in told} == {(PIN, 1), ("shop", 1), ("shop.a", 1)}
    # What others have there, and let go of, is no loss of ours.
    kafka.delete_records("workshop", 1)
    run("batch", "--dir", data_dir)
    checked = {row["topic"]: row for row in ask("check", "--dir", data_dir)}
    assert "workshop" not in checked and checked["shop"]["lines"] == "1"


def test_a_sink_that_comes_back_may_want_other_topics(ask, run, kafka, data_dir, tmp_path):
    """At once: a cluster holds what a member had for as long as its session lasts."""
    for topic in ("first", "second"):
        kafka.create(topic)
        kafka.produce(topic, [b'{"a":1}'])
    assert ask("topics")
    settings = tmp_path / "pinpipe.yaml"
    told = settings.read_text()
    for topic in ("first", "second"):
        settings.write_text(told + f"sink:\n  topics: {topic}\n")
        run("sink", "--until-end", "--take", "named", "--dir", data_dir)
        assert (data_dir / "lake" / "topics" / topic).exists()
