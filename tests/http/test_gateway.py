"""The gateway as a process: who may reach it, who may call it, how it starts, reports and ends."""

import hashlib
import http.client
import re
import signal
import socket
import ssl
import threading

import pytest

from conftest import wait_until
from rest import KAFKA_JSON, OWN_TOPICS, PIN, PIN_STREAM, ask, end_offset, produce, put, read_stream

KEY = "correct horse"
WITH_KEY = {"PINPIPE_GATEWAY_API_KEY_SHA256": hashlib.sha256(KEY.encode()).hexdigest()}
GIVEN = {"x-api-key": KEY}


def metric(gateway, name, **more):
    text = ask(gateway, "GET", "/metrics", **more).text
    return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.MULTILINE)[1])


@pytest.mark.parametrize("key", [{}, {"x-api-key": ""}, {"x-api-key": KEY + "x"}, {"x-api-key": KEY.upper()},
                                 {"Authorization": KEY}])
def test_nothing_without_the_key(start_gateway, key):
    gateway = start_gateway(env=WITH_KEY)
    for reply in (produce(gateway, {"records": [{"value": 1}]}, headers=key),
                  put(gateway, {"Data": 1, "PartitionKey": "k"}, headers=key),
                  ask(gateway, "GET", "/topics", headers=key),
                  ask(gateway, "GET", "/metrics", headers=key),
                  ask(gateway, "GET", "/nope", headers=key)):
        assert reply.status == 401, reply
        assert reply.json().get("error_code", 40101) == 40101
    assert ask(gateway, "GET", "/healthz", headers=key).status == 200
    assert end_offset(gateway, headers=GIVEN) == 0
    assert read_stream_with_key(gateway) == []
    reason = "wrong" if "x-api-key" in key else "missing"
    assert metric(gateway, 'pinpipe_auth_failures_total{reason="%s"}' % reason, headers=GIVEN) == 5


def read_stream_with_key(gateway):
    reply = ask(gateway, "GET", f"{PIN_STREAM}/sharditerator?shard-id=shardId-000000000000", headers=GIVEN)
    headers = {**GIVEN, "Shard-Iterator": reply.json()["ShardIterator"]}
    return ask(gateway, "GET", f"{PIN_STREAM}/records", headers=headers).json()["Records"]


def test_everything_with_the_key(start_gateway):
    gateway = start_gateway(env=WITH_KEY)
    assert produce(gateway, {"records": [{"value": 1}]}, headers=GIVEN).status == 200
    assert put(gateway, {"Data": 1, "PartitionKey": "k"}, headers=GIVEN).status == 200
    assert len(read_stream_with_key(gateway)) == 1
    assert end_offset(gateway, headers=GIVEN) == 1


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_others_need_a_key(run, start_gateway, data_dir, address):
    refused = run("gateway", "--listen", address, "--dir", data_dir, status=2)
    assert "--insecure" in refused.stderr and "gateway.api_key_sha256" in refused.stderr
    assert not list(data_dir.glob("*"))
    if address == "0.0.0.0:0":
        assert ask(start_gateway("--listen", address, "--insecure"), "GET", "/healthz").status == 200
        other = start_gateway("--listen", address, env=WITH_KEY, directory=data_dir / "other")
        assert ask(other, "GET", "/healthz").status == 200


@pytest.mark.parametrize("words, env, hint", [
    (["--listen", "nonsense"], {}, "nonsense"),
    (["--listen", "127.0.0.1:99999"], {}, "99999"),
    ([], {"PINPIPE_GATEWAY_API_KEY_SHA256": "abc"}, "64"),
    ([], {"PINPIPE_GATEWAY_API_KEY_SHA256": "x" * 64}, "hex"),
    (["--id", "no spaces"], {}, "0x20"),
    (["--id", "x" * 300], {}, "too long"),
    (["--tls-cert", "/nonexistent"], {}, "both a certificate and its key"),
    (["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"], {}, "nonexistent"),
    (["--shards", "0"], {}, "shards"),
])
def test_bad_options(run, data_dir, words, env, hint):
    refused = run("gateway", "--dir", data_dir, "--listen", "127.0.0.1:0", *words, env=env, status=2)
    assert hint in refused.stderr


def test_port_in_use(run, gateway, tmp_path):
    refused = run("gateway", "--dir", tmp_path / "other", "--listen", f"127.0.0.1:{gateway.port}", status=None)
    assert refused.returncode not in (0, 2)
    assert str(gateway.port) in refused.stderr


def test_tls_to_the_plain_port_is_told_once(gateway):
    context = ssl.create_default_context()
    for _ in range(3):
        with pytest.raises((ssl.SSLError, OSError)), \
                socket.create_connection((gateway.host, gateway.port), timeout=60) as connection:
            context.wrap_socket(connection, server_hostname="localhost")
    said = gateway.wait_for("speaks TLS to port").string
    assert said.count("speaks TLS") == 1
    assert produce(gateway, {"records": [{"value": 1}]}).status == 200


def test_two_gateways_on_one_directory(run, gateway, data_dir):
    refused = run("gateway", "--dir", data_dir, "--listen", "127.0.0.1:0", status=73)
    assert f"another process ({gateway.pid}) writes it" in refused.stderr and "--dir" in refused.stderr
    assert produce(gateway, {"records": [{"value": 1}]}).status == 200


def test_what_was_acknowledged_is_there_after_a_kill(start_gateway):
    gateway = start_gateway()
    assert produce(gateway, {"records": [{"value": 1}, {"value": 2}]}).status == 200
    number = put(gateway, {"Data": 1, "PartitionKey": "k"}).json()["SequenceNumber"]
    gateway.kill()
    again = start_gateway()
    assert end_offset(again) == 2
    assert [r["SequenceNumber"] for r in read_stream(again)] == [number]
    assert produce(again, {"records": [{"value": 3}]}).json()["offsets"][0]["offset"] == 2


def test_health_and_readiness(gateway):
    reply = ask(gateway, "GET", "/healthz")
    assert (reply.status, reply.text) == (200, '{"status":"ok"}')
    reply = ask(gateway, "GET", "/readyz")
    assert (reply.status, reply.text) == (200, '{"status":"ready"}')


def test_metrics_count(gateway):
    before = metric(gateway, "pinpipe_records_appended_total")
    produce(gateway, {"records": [{"value": 1}, {"value": 2}]})
    put(gateway, {"Data": 1, "PartitionKey": "k"})
    assert metric(gateway, "pinpipe_records_appended_total") == before + 3
    refused = metric(gateway, "pinpipe_http_requests_4xx_total")
    produce(gateway, "{")
    assert metric(gateway, "pinpipe_http_requests_4xx_total") == refused + 1
    reply = ask(gateway, "GET", "/metrics")
    assert reply.type == "text/plain; version=0.0.4; charset=utf-8"
    sample = r'pinpipe_\w+({\w+="[^"]+"(,\w+="[^"]+")*})? -?[\d.]+'
    for line in reply.text.splitlines():
        assert re.fullmatch(rf"# (HELP|TYPE) pinpipe_\w+ .+|{sample}", line), line
    assert 'pinpipe_topic_records_total{topic="124df56aef51.geo"} 0\n' in reply.text


def test_routes_are_printed_and_answer(run, gateway):
    lines = run("gateway", "--routes").stdout.splitlines()
    assert len(lines) >= 22
    for line in lines:
        method, pattern = line.split()[:2]
        path = pattern.format(topic="124df56aef51.geo", partition=0, stream="streaming-124df56aef51-geo")
        reply = ask(gateway, method, path)
        assert reply.status not in (404, 405) and "Authentication Token" not in reply.text, (line, reply)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_is_in_flight(start_gateway, sig):
    """Clients that post all the time see only answers and closed connections, never a lost record."""
    gateway = start_gateway()
    acknowledged = [0] * 4
    started = threading.Barrier(len(acknowledged) + 1)

    def post(client):
        connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
        try:
            while True:
                connection.request("POST", PIN, '{"records":[{"value":1}]}', {"Content-Type": KAFKA_JSON})
                reply = connection.getresponse()
                reply.read()
                assert reply.status in (200, 503)
                acknowledged[client] += reply.status == 200
                if reply.status == 200 and acknowledged[client] == 1:
                    started.wait()
        except (OSError, http.client.HTTPException):
            pass

    clients = [threading.Thread(target=post, args=(i,)) for i in range(len(acknowledged))]
    for client in clients:
        client.start()
    started.wait()
    assert gateway.stop(sig) == 128 + sig
    for client in clients:
        client.join()
    assert sum(acknowledged) >= 4
    # One that was in flight may be stored although its client saw the connection close.
    assert 0 <= end_offset(start_gateway()) - sum(acknowledged) <= len(acknowledged)


def test_pipelined_requests_are_answered_in_order(gateway):
    """Answers of the loop, the worker and the log, all on one connection."""
    body = b'{"records":[{"value":1}]}'
    post = (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
            % (PIN.encode(), KAFKA_JSON.encode(), len(body), body))
    get = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    sent = post + get % b"/topics" + get % b"/" + post + get % b"/nope" + last
    with socket.create_connection((gateway.host, gateway.port), timeout=60) as connection:
        connection.sendall(sent)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", received)
    assert statuses == [b"200", b"200", b"200", b"200", b"404", b"200"]
    assert [int(n) for n in re.findall(rb'"offset":(\d+)', received)] == [0, 1]
    assert received.index(b'["124df') < received.index(b"\r\n\r\n{}") < received.rindex(b'"offset"')


def test_a_log_that_cannot_be_opened_yet(start_gateway, data_dir):
    """A disk that is not mounted, a file in the log's place: the gateway says so at once, and takes up by itself."""
    data_dir.mkdir()
    (data_dir / "log").write_text("")
    gateway = start_gateway()
    assert ask(gateway, "GET", "/healthz").status == 200
    for reply in (produce(gateway, {"records": [{"value": 1}]}), put(gateway, {"Data": 1, "PartitionKey": "k"}),
                  ask(gateway, "GET", "/readyz"), ask(gateway, "GET", "/topics")):
        assert reply.status == 503 and reply.headers["Retry-After"] == "1", reply
        assert "could not open the log" in reply.text and "Not a directory" in reply.text
    assert ask(gateway, "GET", "/metrics").status == 200
    (data_dir / "log").unlink()
    wait_until(lambda: ask(gateway, "GET", "/readyz").status == 200, "the log")
    assert produce(gateway, {"records": [{"value": 1}]}).status == 200
    assert sorted(ask(gateway, "GET", "/topics").json()) == OWN_TOPICS
    assert gateway.said().count("could not open the log") == 1
