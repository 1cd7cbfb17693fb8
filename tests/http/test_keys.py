"""Keys with names and scopes, from a file that is read anew when it changes."""

import hashlib
import os

import pytest

from conftest import wait_until
from rest import PIN, PIN_STREAM, ask, end_offset, produce, put
from test_gateway import metric

WORDS = {"post": ["POST", "PUT"], "read": ["GET"], "admin": ["DELETE"]}


def line(name, scopes, key):
    return f"{name} {scopes} {hashlib.sha256(key.encode()).hexdigest()}\n"


def given(key):
    return {"x-api-key": key}


@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    """A file with a key of each scope, which is its text."""
    path = tmp_path / "keys"
    path.write_text("# who may what\n" + "".join(line(f"the-{scope}er", scope, scope) for scope in WORDS))
    return path


def replace(path, text):
    """As an editor does."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def start_with(start_gateway, keys, **more):
    return start_gateway(env={"PINPIPE_GATEWAY_KEYS": str(keys), **more})


def asked(gateway, key):
    """What each kind of call is answered."""
    return {"post": {produce(gateway, {"records": [{"value": 1}]}, headers=given(key)).status,
                     put(gateway, {"Data": 1, "PartitionKey": "k"}, headers=given(key)).status},
            "read": {ask(gateway, "GET", path, headers=given(key)).status
                     for path in ("/topics", f"{PIN}/partitions/0/offsets", "/streams", PIN_STREAM, "/metrics",
                                  "/readyz", "/brokers")},
            "admin": {ask(gateway, method, "/streams/made", body, kind, headers=given(key)).status
                      for method, body, kind in (("POST", {"ShardCount": 1}, "application/json"),
                                                 ("DELETE", None, None))}}


def test_each_scope_is_for_its_own_routes(start_gateway, keys):
    gateway = start_with(start_gateway, keys)
    for key in WORDS:
        assert asked(gateway, key) == {scope: {200 if scope == key else 403} for scope in WORDS}
        assert ask(gateway, "GET", "/", headers=given(key)).status == 200
        assert ask(gateway, "GET", "/nope", headers=given(key)).status == 404
    reply = ask(gateway, "DELETE", PIN_STREAM, headers=given("post"))
    assert reply.json() == {"__type": "AccessDeniedException",
                            "message": 'the key "the-poster" has not the scope admin, which this wants'}
    reply = ask(gateway, "GET", "/topics", headers=given("post"))
    assert reply.json() == {"error_code": 40301,
                            "message": 'the key "the-poster" has not the scope read, which this wants'}
    for key in ("", "pos", "POST"):
        assert set.union(*asked(gateway, key).values()) == {401}
    assert end_offset(gateway, headers=given("read")) == 1


def test_no_key_is_told(start_gateway, tmp_path):
    path = tmp_path / "keys"
    path.write_text(line("loader", "post", "open sesame"))
    gateway = start_with(start_gateway, path, PINPIPE_VERBOSE="debug")
    for key in ("open sesame", "open sesame!"):
        ask(gateway, "GET", "/topics", headers=given(key))
    assert "status 403" in gateway.said() and "sesame" not in gateway.said()


def test_failures_are_counted_by_their_reason(start_gateway, keys):
    gateway = start_with(start_gateway, keys)
    for headers in ({}, given("x"), given("x"), given("post"), given("read")):
        ask(gateway, "GET", "/topics", headers=headers)
    for reason, count in (("missing", 1), ("wrong", 2), ("scope", 1)):
        assert metric(gateway, 'pinpipe_auth_failures_total{reason="%s"}' % reason, headers=given("read")) == count
    text = ask(gateway, "GET", "/metrics", headers=given("read")).text
    assert text.count("# TYPE pinpipe_auth_failures_total counter") == 1


def test_a_changed_file_is_read_anew(start_gateway, keys):
    gateway = start_with(start_gateway, keys)
    assert ask(gateway, "GET", "/topics", headers=given("read")).status == 200
    replace(keys, line("other", "read,post", "other"))
    wait_until(lambda: ask(gateway, "GET", "/topics", headers=given("read")).status == 401, "the end of a key")
    assert ask(gateway, "GET", "/topics", headers=given("other")).status == 200
    replace(keys, "other read\n")
    gateway.wait_for(r"keys:1: a key is three words.*; the keys that were read before stay in use")
    assert ask(gateway, "GET", "/topics", headers=given("other")).status == 200
    replace(keys, "# nobody\n")
    wait_until(lambda: ask(gateway, "GET", "/topics", headers=given("other")).status == 401, "the end of all keys")


def test_the_key_of_the_options_stays_beside_the_file(start_gateway, keys):
    gateway = start_with(start_gateway, keys,
                         PINPIPE_GATEWAY_API_KEY_SHA256=hashlib.sha256(b"all").hexdigest())
    assert asked(gateway, "all") == {scope: {200} for scope in WORDS}
    assert asked(gateway, "read")["read"] == {200}


def test_a_file_of_keys_is_enough_for_another_address(start_gateway, keys):
    gateway = start_gateway("--listen", "0.0.0.0:0", env={"PINPIPE_GATEWAY_KEYS": str(keys)})
    assert ask(gateway, "GET", "/topics").status == 401


@pytest.mark.parametrize("text, hint", [
    (None, "could not open the keys"),
    ("a post\n", ":1: a key is three words"),
    ("\n" + line("a", "write", "x"), ':2: a scope is post, read or admin, not "write"'),
])
def test_a_wrong_file_is_refused_at_the_start(run, tmp_path, data_dir, text, hint):
    path = tmp_path / "wrong"
    if text is not None:
        path.write_text(text)
    refused = run("gateway", "--dir", data_dir, "--listen", "127.0.0.1:0",
                  env={"PINPIPE_GATEWAY_KEYS": str(path)}, status=2)
    assert hint in refused.stderr and str(path) in refused.stderr


def test_routes_show_their_scope(run):
    rows = [row.split()[:3] for row in run("gateway", "--routes").stdout.splitlines()]
    assert ["POST", "/topics/{topic}", "post"] in rows and ["DELETE", "/streams/{stream}", "admin"] in rows
    assert ["GET", "/metrics", "read"] in rows and ["GET", "/healthz", "-"] in rows and ["GET", "/", "any"] in rows
