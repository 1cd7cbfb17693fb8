"""What pages in a browser may do with a gateway: nothing, unless it is told to let them."""

import hashlib

import pytest

from rest import KAFKA_JSON, OWN_STREAMS, PIN, PIN_STREAM, ask, end_offset, produce, put

KEY = "correct horse"
WITH_KEY = {"PINPIPE_GATEWAY_API_KEY_SHA256": hashlib.sha256(KEY.encode()).hexdigest()}
APP = "https://app.example"
LETS_APP_IN = {"PINPIPE_GATEWAY_CORS_ORIGINS": f"http://localhost:3000, {APP}"}
BODY = {"records": [{"value": 1}]}


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "http://127.0.0.1:1", "null", ""])
def test_a_page_of_another_origin_stores_nothing(gateway, origin):
    """A post without a type, or as text, is sent by browsers without asking first."""
    page = {"Origin": origin}
    for reply in (produce(gateway, BODY, content_type=None, headers=page),
                  produce(gateway, BODY, headers=page),
                  put(gateway, {"Data": 1, "PartitionKey": "k"}, headers=page),
                  ask(gateway, "POST", "/streams/x", {"ShardCount": 1024}, headers=page),
                  ask(gateway, "POST", "/streams/x", {"ShardCount": 1024}, "text/plain", headers=page),
                  ask(gateway, "GET", "/topics", headers=page),
                  ask(gateway, "GET", "/nope", headers=page)):
        assert reply.status == 403 and "gateway.cors_origins" in reply.text, reply
        assert "Access-Control-Allow-Origin" not in reply.headers
    reply = ask(gateway, "OPTIONS", PIN, headers={**page, "Access-Control-Request-Method": "POST"})
    assert reply.status == 403
    assert end_offset(gateway) == 0
    assert ask(gateway, "GET", "/streams").json()["StreamNames"] == OWN_STREAMS


def test_refused_although_errors_are_200(start_gateway):
    gateway = start_gateway("--kinesis-status", "200")
    assert put(gateway, {"Data": 1, "PartitionKey": "k"}, headers={"Origin": "null"}).status == 403
    assert ask(gateway, "GET", "/streams", headers={"Host": "evil.example"}).status == 403


def test_a_page_of_our_own_is_let_in(gateway):
    page = {"Origin": f"http://127.0.0.1:{gateway.port}"}
    assert produce(gateway, BODY, headers=page).status == 200
    page = {"Origin": f"http://localhost:{gateway.port}", "Host": f"localhost:{gateway.port}"}
    assert produce(gateway, BODY, headers=page).status == 200


@pytest.mark.parametrize("path", ["/topics", PIN, "/streams", PIN_STREAM, "/metrics", "/readyz", "/"])
def test_a_name_that_resolves_to_us_reads_nothing(gateway, path):
    """DNS rebinding: to the browser the page is of the same origin."""
    for host in ("evil.example", f"evil.example:{gateway.port}", "127.0.0.1.evil.example"):
        reply = ask(gateway, "GET", path, headers={"Host": host})
        assert reply.status == 403 and "gateway.hosts" in reply.text, reply
        reply = ask(gateway, "GET", path, headers={"Host": host, "Origin": f"http://{host}"})
        assert reply.status == 403, reply
    assert ask(gateway, "GET", "/healthz", headers={"Host": "evil.example"}).status == 200
    for host in ("127.0.0.1", f"localhost:{gateway.port}", "[::1]:8082"):
        assert ask(gateway, "GET", path, headers={"Host": host}).status == 200


def test_names_that_are_configured(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_HOSTS": "pins.example,other"})
    for host in ("pins.example", "PINS.example:8082", "other"):
        assert ask(gateway, "GET", "/topics", headers={"Host": host}).status == 200
    assert ask(gateway, "GET", "/topics", headers={"Host": "evil.example"}).status == 403


def test_with_a_key_any_name_will_do(start_gateway):
    gateway = start_gateway(env=WITH_KEY)
    reply = ask(gateway, "GET", "/topics", headers={"Host": "pins.example", "x-api-key": KEY})
    assert reply.status == 200
    assert ask(gateway, "GET", "/topics", headers={"Host": "pins.example"}).status == 401
    page = {"Origin": "http://evil.example", "x-api-key": KEY}
    assert ask(gateway, "GET", "/topics", headers=page).status == 403


def test_cors(start_gateway):
    gateway = start_gateway(env={**LETS_APP_IN, **WITH_KEY})
    page = {"Origin": APP}
    asked = {**page, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "content-type,x-api-key"}
    reply = ask(gateway, "OPTIONS", PIN, headers=asked)
    assert (reply.status, reply.text) == (204, "")
    assert reply.headers["Access-Control-Allow-Origin"] == APP
    assert reply.headers["Vary"] == "Origin"
    assert {"POST", "PUT", "DELETE"} <= set(reply.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = reply.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"content-type", "x-api-key", "shard-iterator"} <= set(allowed)
    for key, status in ((KEY, 200), ("wrong", 401)):
        reply = produce(gateway, BODY, headers={**page, "x-api-key": key})
        assert reply.status == status
        assert reply.headers["Access-Control-Allow-Origin"] == APP  # or the page could not read why
        assert reply.headers["Vary"] == "Origin"
    reply = ask(gateway, "GET", "/topics", headers={**page, "x-api-key": KEY})  # answered by the worker
    assert reply.headers["Access-Control-Allow-Origin"] == APP
    reply = produce(gateway, BODY, headers={"Origin": "http://localhost:3001", "x-api-key": KEY})
    assert reply.status == 403
    assert "Access-Control-Allow-Origin" not in produce(gateway, BODY, headers={"x-api-key": KEY}).headers


def test_cors_for_all(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_CORS_ORIGINS": "*"})
    for origin in (APP, "null"):
        reply = produce(gateway, BODY, headers={"Origin": origin})
        assert reply.status == 200 and reply.headers["Access-Control-Allow-Origin"] == "*"


def test_options_of_no_page(gateway):
    reply = ask(gateway, "OPTIONS", PIN)
    assert (reply.status, reply.headers["Allow"]) == (204, "GET, HEAD, POST")


def test_an_origin_that_is_none(run, data_dir):
    refused = run("gateway", "--dir", data_dir, "--listen", "127.0.0.1:0", status=2,
                  env={"PINPIPE_GATEWAY_CORS_ORIGINS": "app.example"})
    assert "gateway.cors_origins" in refused.stderr and "app.example" in refused.stderr


@pytest.mark.parametrize("content_type", ["application/vnd.kafka.avro.v2+json", "text/plain"])
def test_types_that_are_refused_name_the_right_one(gateway, content_type):
    assert KAFKA_JSON in produce(gateway, BODY, content_type=content_type).json()["message"]
