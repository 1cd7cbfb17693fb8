"""What people have reported of other programs that stand between Kafka and HTTP, or Kafka and a lake.

Each test names the report; what it asks for is the answer that the reporter missed.
"""
import json
import re
import signal
import time
import urllib.error
import urllib.request

import pytest

import conftest
import kafka_server
from test_kafka import landed, post

ID = "reports"
PIN = f"{ID}.pin"
SOON_S = 8  # the answer does not wait for a timeout


@pytest.fixture(scope="module", name="kafka")
def fixture_kafka(tmp_path_factory):
    with kafka_server.running(tmp_path_factory.mktemp("kafka"), nodes=2) as kafka:
        yield kafka


@pytest.fixture(name="configure", autouse=True)
def fixture_configure(kafka, tmp_path):
    """configure({"sink.group": "mine"}, linger_ms=5): pinpipe.yaml for all commands of the test."""
    def configure_it(options=None, **more):
        client = {**kafka.client(), **{name.replace("_", "."): value for name, value in more.items()}}
        lines = [f"id: {ID}", "broker.kind: kafka", *(f"{name}: {json.dumps(value)}"
                                                      for name, value in (options or {}).items())]
        lines += ["kafka:", *(f"  {name}: {json.dumps(value)}" for name, value in client.items())]
        (tmp_path / "pinpipe.yaml").write_text("\n".join(lines) + "\n")
    configure_it()
    return configure_it


def codes(answer):
    return [offset["error_code"] for offset in answer["offsets"]]


def test_a_record_without_a_key_for_a_compacted_topic(kafka, start_gateway, tmp_path):
    """confluentinc/kafka-rest#586: 200 after two minutes. And who was only beside it may try again."""
    kafka.create("compacted", cleanup_policy="compact")
    gateway = start_gateway("--auto-create", "none")
    before = time.monotonic()
    status, answer, _ = post(gateway, "compacted", [1])
    assert status == 422 and "without a key" in answer["message"]
    assert time.monotonic() - before < SOON_S
    assert post(gateway, "compacted", [1], key="k")[0] == 200
    gateway = start_gateway("--auto-create", "none", "--compat-status", "confluent", directory=tmp_path / "confluent")
    body = json.dumps({"records": [{"key": "k", "value": 1}, {"value": 2}]}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/compacted", body,
                                     {"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request) as reply:
        assert codes(json.load(reply)) == [50003, 50002]


def test_records_that_are_too_large_together(kafka, configure, start_gateway):
    """confluentinc/librdkafka#488 and #1716: a topic's limit is one of batches; small records were refused for good."""
    kafka.create("narrow", max_message_bytes=5000)
    gateway = start_gateway("--auto-create", "none")
    assert post(gateway, "narrow", ["x" * 6000])[0] == 413
    status, answer, headers = post(gateway, "narrow", ["x" * 200] * 100)
    # The first ones may have gone before the others came: then they are there, and those are to be sent again.
    taken = codes(answer).count(None) if status == 200 else 0
    assert status == 200 or (status == 503 and headers["Retry-After"])
    assert taken < 100 and (status == 503 or set(codes(answer)) == {None, 50003})
    assert re.search(r'"narrow" does not take \d+ records that were sent as one batch', gateway.said())
    configure(batch_size=4000)
    gateway.stop()
    gateway = start_gateway("--auto-create", "none")
    assert post(gateway, "narrow", ["x" * 200] * 100)[0] == 200
    assert len(kafka.consume("narrow")) == taken + 100


def test_a_topic_that_is_not_there(start_gateway):
    """strimzi/strimzi-kafka-bridge#327: after 60 s, and asked for ever after."""
    gateway = start_gateway("--auto-create", "none")
    before = time.monotonic()
    for _ in range(3):
        status, answer, _ = post(gateway, "nowhere", [1])
        assert (status, answer["error_code"]) == (404, 40401)
    assert time.monotonic() - before < SOON_S


def test_a_group_whose_members_share_in_another_way(kafka, configure, start, run, data_dir):
    """boom-astro/boom#526: "inconsistent group protocol", for ever; here it is told once, and over when they leave."""
    kafka.create(PIN)
    kafka.produce(PIN, [b'{"index":1}'])
    other = kafka_server.confluent().Consumer({**kafka.client(), "group.id": "shared",
                                               "partition.assignment.strategy": "range"})
    other.subscribe([PIN])
    conftest.wait_until(lambda: other.poll(0.1) is None and other.assignment(), "the other member")
    configure({"sink.group": "shared"})
    sink = start("sink", "--dir", data_dir)
    sink.wait_for(r'group "shared": JoinGroup failed: Broker: Inconsistent group protocol')
    other.close()
    conftest.wait_until(lambda: run("groups", "describe", "shared", "--format", "csv").stdout.count("pinpipe"),
                        "the sink in its group")
    sink.stop()
    assert len(landed(data_dir, PIN)) == 1
    assert sink.said().count("Inconsistent group protocol") == 1


def test_a_session_that_the_cluster_does_not_allow(kafka, configure, run, data_dir):
    configure(session_timeout_ms=1000, heartbeat_interval_ms=300)
    if PIN not in kafka.admin.list_topics(timeout=60).topics:
        kafka.create(PIN)
    assert "Invalid session timeout" in run("sink", "--until-end", "--dir", data_dir, status=2).stderr


def test_a_reader_of_many_partitions(kafka, start, data_dir, configure):
    """confluentinc/librdkafka#2076 and #5140: its memory grew with them, far over its bound."""
    kafka.create("many", partitions=48)
    value = json.dumps({"text": "x" * 20000}).encode()
    for partition in range(48):
        kafka.produce("many", [value] * 100, partition=partition)
    configure({"sink.topics": "many"})
    sink = start("sink", "--until-end", "--take", "named", "--dir", data_dir)
    assert sink.process.wait(240) == 0
    assert len(landed(data_dir, "many")) == 4800
    configure()


def test_where_a_record_is(kafka, configure, run, data_dir):
    """Also of one that was taken back, and of a number that is a transaction's marker."""
    configure()
    topic = f"{ID}.geo"
    kafka.create(topic)
    kafka.produce(topic, [b'{"ind":1,"country":"Fiji"}', b"no JSON"])
    kafka.transact(topic, [([b'{"ind":2,"country":"Chad"}'], True), ([b'{"ind":3,"country":"Peru"}'], False),
                           ([b'{"ind":4,"country":"Cuba"}'], True)])

    def where(offset, status=0):
        done = run("where", f"{topic}/0", offset, "--dir", data_dir, "--format", "json", status=status)
        return json.loads(done.stdout) if status == 0 else done.stderr
    (data_dir / "lake").mkdir(parents=True)
    assert where(0)["log"]["state"] == "there" and where(0)["lake"]["state"] == "waits"
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    for offset, ind, line in ((0, 1, 1), (2, 2, 2), (6, 4, 3)):
        told = where(offset)
        assert told["log"]["state"] == "there" and told["tables"][0]["row"]["ind"] == ind
        text = (data_dir / "lake" / told["lake"]["key"]).read_text().splitlines()[told["lake"]["line"] - 1]
        assert json.loads(text)["ind"] == ind
    assert where(1)["lake"]["state"] == "letter"
    for offset in (3, 4, 5):  # a marker; what was taken back; the marker of that
        assert "no record has the number" in where(offset, status=1)
    assert "yet" in where(99, status=1)


# The last ones: a broker of the cluster is gone from here on.

def get(gateway, path):
    try:
        with urllib.request.urlopen(gateway.url + path, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer)


def test_a_partition_that_nobody_leads(kafka, run, start_gateway, start, data_dir, configure):
    """Metadata of the topic hung, and a reader of all partitions with it: who administers wants to see just that."""
    kafka.create("split", partitions=2, copies=1)
    for partition in (0, 1):
        kafka.produce("split", [b'{"a":1}'] * 3, partition=partition)
    leaders = kafka.admin.list_topics("split", timeout=60).topics["split"].partitions
    lost, = [partition for partition, there in leaders.items() if there.leader == 2]
    kafka.nodes[1].kill()
    gateway = start_gateway("--auto-create", "none")
    conftest.wait_until(lambda: get(gateway, f"/topics/split/partitions/{lost}")[1].get("leader") == -1,
                        "a partition without a leader")
    before = time.monotonic()
    assert [there["leader"] for there in get(gateway, "/topics/split/partitions")[1]] == \
        [-1 if partition == lost else 1 for partition in (0, 1)]
    rows = json.loads(run("topics", "describe", "split", "--format", "json").stdout)
    assert [row["leader"] for row in rows] == [None if partition == lost else 1 for partition in (0, 1)]
    assert [row["next"] == "unknown" for row in rows] == [partition == lost for partition in (0, 1)]
    assert time.monotonic() - before < SOON_S
    configure({"sink.topics": "split"})
    sink = start("sink", "--take", "named", "--dir", data_dir, "--format", "json")
    conftest.wait_until(lambda: re.search(r"split", sink.said()) or landed(data_dir, "split"), "an object", 60)
    sink.kill()
    sink.is_reported = True


def test_a_cluster_that_is_gone(kafka, run, start, start_gateway, data_dir):
    """strimzi/strimzi-kafka-bridge#488: 404, and ready; vectordotdev/vector#9739, restatedev/restate#812: who is asked
    to end does not, as long as Kafka is away."""
    gateway = start_gateway("--auto-create", "none")
    sink = start("sink", "--dir", data_dir)
    conftest.wait_until(lambda: get(gateway, "/readyz")[0] == 200, "a gateway that is ready")
    kafka.kill()
    conftest.wait_until(lambda: get(gateway, "/readyz")[0] == 503, "word of it")
    before = time.monotonic()
    assert post(gateway, PIN, [1])[0] == 503
    for path in ("/topics", f"/topics/{PIN}", "/brokers"):
        status, answer = get(gateway, path)
        assert (status, answer["error_code"]) == (503, 50003) and "no broker" in answer["message"]
    assert "no broker" in run("topics", status=75).stderr
    assert time.monotonic() - before < 4 * SOON_S
    before = time.monotonic()
    for service in (sink, gateway):
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) is not None
        service.is_reported = True
    assert time.monotonic() - before < 2 * SOON_S
