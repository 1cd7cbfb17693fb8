"""pinpipe on a real Kafka, by each way in that a cluster may want, and what others write and read there beside it.

The gateway produces, kcat, confluent-kafka and the Java tools read; they produce, and the sink lands it. Who may not in
is told so: with the right code, once, and soon.
"""
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import conftest
import kafka_server

JSON = "application/vnd.kafka.json.v2+json"
WAYS_IN = ["PLAINTEXT", "SASL_PLAIN", "SCRAM", "TLS", "MTLS"]
REFUSED_S = 9  # sooner than a broker that does not answer is given up


@pytest.fixture(scope="module", name="kafka")
def fixture_kafka(tmp_path_factory):
    settings = {"group.min.session.timeout.ms": 1000}  # the contract's members come and go
    with kafka_server.running(tmp_path_factory.mktemp("kafka"), settings=settings) as kafka:
        yield kafka


@pytest.fixture(name="configure")
def fixture_configure(tmp_path):
    """configure({librdkafka's name: value}, id="ann"): pinpipe.yaml, where all commands of the test find it."""
    def configure(client, **options):
        lines = [f"{name}: {json.dumps(value)}" for name, value in options.items()]
        lines += ["broker:", "  kind: kafka", "kafka:"]
        lines += [f"  {name}: {json.dumps(value)}" for name, value in client.items()]
        (tmp_path / "pinpipe.yaml").write_text("\n".join(lines) + "\n")
    return configure


def post(gateway, topic, values, **of_record):
    """Status and answer."""
    body = json.dumps({"records": [{"value": value, **of_record} for value in values]}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{topic}", body, {"Content-Type": JSON})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer), answer.headers


def landed(directory, topic):
    """The values in the lake, by partition and in order."""
    objects = sorted((directory / "lake" / "topics" / topic).glob("partition=*/*.json"))
    return [json.loads(line) for path in objects for line in path.read_text().splitlines()]


@pytest.mark.ci
@pytest.mark.parametrize("suite", ["test_broker", "test_reader", "test_broker_groups"])
def test_contract(kafka, suite):
    """broker.h's own, on this cluster, which it empties."""
    kafka.await_groups()
    done = subprocess.run([conftest.TOP / "build-san" / "tests" / suite], capture_output=True, text=True, timeout=300,
                          check=False, env={**os.environ, "PINPIPE_TEST_KAFKA": kafka.bootstrap()})
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert "open_kafka" in done.stdout


@pytest.mark.parametrize("way", WAYS_IN)
def test_both_ways(kafka, way, configure, start_gateway, run, data_dir):
    topic = f"{way.lower()}.pin"
    configure(kafka.client(way), id=way.lower())
    gateway = start_gateway()
    own = [{"index": n, "title": "ä"} for n in range(3)]
    status, answer, _ = post(gateway, topic, own, key="k", partition=0)
    assert status == 200, answer
    assert [offset["offset"] for offset in answer["offsets"]] == [0, 1, 2]

    reader = "PLAINTEXT" if way == "SCRAM" else way
    read = kafka.kcat("-C", "-t", topic, "-e", "-q", "-f", "%k %s\n", listener=reader).decode().splitlines()
    assert [line.split(" ", 1)[0] for line in read] == ['"k"'] * 3
    assert [json.loads(line.split(" ", 1)[1]) for line in read] == own
    assert [json.loads(message.value()) for message in kafka.consume(topic, way)] == own

    theirs = [{"index": n} for n in range(3, 6)]
    kafka.kcat("-P", "-t", topic, "-p", "0", listener=reader, stdin=b"".join(
        json.dumps(value).encode() + b"\n" for value in theirs))
    kafka.produce(topic, [b'{"index": 6}'], partition=0)
    run("sink", "--until-end", "--dir", data_dir)
    assert landed(data_dir, topic) == [*own, *theirs, {"index": 6}]


def test_live_views(kafka, configure, start_gateway, run, data_dir):
    """Read out of the cluster, by no group, before and after a sink has landed some."""
    topic = "live.pin"
    configure(kafka.client(), id="live")
    gateway = start_gateway()
    groups = run("groups", "--dir", data_dir, "--format", "json").stdout

    def seen():
        words = ("--from", "batch-live", "--dir", data_dir, "--format", "json")
        rows = json.loads(run("sql", *words, "SELECT ind, _offset FROM pin_live ORDER BY _offset").stdout)
        assert [row["_offset"] for row in rows] == [f"{at:020}" for at in range(len(rows))]
        return [row["ind"] for row in rows]
    assert post(gateway, topic, [{"index": n} for n in range(3)], partition=0)[0] == 200
    assert seen() == [0, 1, 2]
    assert run("groups", "--dir", data_dir, "--format", "json").stdout == groups
    run("sink", "--until-end", "--dir", data_dir)
    kafka.produce(topic, [b'{"index": 3}'], partition=0)
    assert seen() == [0, 1, 2, 3]
    run("batch", "--dir", data_dir)
    kafka.produce(topic, [b'{"index": 4}'], partition=0)
    assert seen() == [0, 1, 2, 3, 4]
    run("sink", "--until-end", "--dir", data_dir)
    kafka.delete_records(topic, 5)
    assert seen() == [0, 1, 2, 3, 4]


def test_java_tools_beside_it(kafka, configure, start_gateway, run, data_dir):
    topic = "java.pin"
    configure(kafka.client(), id="java")
    gateway = start_gateway()
    assert post(gateway, topic, [{"index": 0}], key="k")[0] == 200
    kafka.tool("ConsoleProducer", "--topic", topic, "--property", "parse.headers=true", "--property",
               "parse.key=true", stdin=b'h1:v1,h2:v2\tkey\t{"index": 1}\n')
    read = kafka.tool("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--max-messages", "2",
                      "--property", "print.headers=true", "--property", "print.key=true")
    assert sorted(read.decode().splitlines()) == ['NO_HEADERS\t"k"\t{"index":0}', 'h1:v1,h2:v2\tkey\t{"index": 1}']
    lines = run("cat", topic, "--dir", data_dir, "--format", "json").stdout.splitlines()
    headers = [record["headers"] for record in map(json.loads, lines) if record["key"] == "key"]
    assert headers and "v2" in json.dumps(headers)


def test_weak_topics_are_told_of(kafka, configure, start_gateway):
    configure(kafka.client(), id="weak")
    start_gateway().wait_for(r"warn gateway: \"weak\.geo\" and 2 more: there is one replica")


REFUSALS = {
    "wrong password": (lambda kafka: kafka.client("SASL_PLAIN", password="wrong"), "Invalid username or password"),
    "wrong password by SCRAM": (lambda kafka: kafka.client("SCRAM", password="wrong"), "invalid credentials"),
    "another CA": (lambda kafka: kafka.client("TLS", ca="other-ca"), "certificate verify failed"),
    "no certificate": (lambda kafka: {**kafka.client("TLS"), "bootstrap.servers": kafka.bootstrap("MTLS")},
                       "bad certificate|certificate required"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_who_is_not_let_in_is_told_so(kafka, refusal, configure, start_gateway, run, data_dir):
    client, why = REFUSALS[refusal]
    configure(client(kafka), id="refused")
    started = time.monotonic()
    said = run("topics", "list", "--dir", data_dir, status=1).stderr
    assert time.monotonic() - started < REFUSED_S
    assert re.search(why, said) and len(said.splitlines()) <= 3, said

    gateway = start_gateway()
    gateway.wait_for(why)
    status, answer, headers = post(gateway, "refused.pin", [{"index": 0}])
    assert (status, answer["error_code"]) == (503, 50003), answer
    assert headers["Retry-After"]
    with pytest.raises(urllib.error.HTTPError) as ready:
        urllib.request.urlopen(f"{gateway.url}/readyz", timeout=60)
    assert ready.value.code == 503 and re.search(why, ready.value.read().decode())
    assert len(re.findall(why, gateway.said())) <= 3, gateway.said()


def test_who_has_no_rights_is_told_so(kafka, configure, start_gateway, run, data_dir):
    topic = "denied.pin"
    kafka.create(topic)
    configure(kafka.client("SASL_PLAIN", user=kafka_server.STRANGER), id="denied")
    assert "authorization failed" in run("cat", topic, "--dir", data_dir, status=1).stderr
    gateway = start_gateway()
    status, answer, _ = post(gateway, topic, [{"index": 0}])
    assert (status, answer["error_code"]) == (403, 40301), answer
    assert not kafka.consume(topic)


def test_a_broker_that_comes_later(kafka, configure, start_gateway):
    """It starts without one, says so at once, and goes on by itself."""
    configure(kafka.client(), id="later")
    kafka.kill()
    gateway = start_gateway()
    conftest.wait_until(lambda: post(gateway, "later.pin", [{"index": 0}])[0] == 503, "a refusal")
    started = time.monotonic()
    assert post(gateway, "later.pin", [{"index": 0}])[0] == 503
    assert time.monotonic() - started < 1
    kafka.start()
    conftest.wait_until(lambda: post(gateway, "later.pin", [{"index": 1}])[0] == 200, "the first record")
    assert json.loads(kafka.consume("later.pin")[-1].value()) == {"index": 1}
