"""Several addresses, each with the faces that are meant to be seen there."""

import re
import types

import pytest

from conftest import free_port
from rest import KAFKA_JSON, PIN, ask, produce, put

FACES = {"kafka": ("GET", "/topics"), "kinesis": ("GET", "/streams"), "page": ("GET", "/ui/session"),
         "ops": ("GET", "/metrics")}


def addresses(gateway):
    """As gateways of their own, in the order in which they are told."""
    said = gateway.wait_for(r"page: ").string
    return [types.SimpleNamespace(host=host, port=int(port), command=gateway.command)
            for host, port in re.findall(r"listening on http://([\d.]+):(\d+)", said)]


def test_each_address_has_its_faces(start_gateway):
    gateway = start_gateway("--listen-also", "127.0.0.1:0 kafka,kinesis; 127.0.0.1:0 page ;127.0.0.1:0 ops;127.0.0.1:0")
    assert re.search(r"listening on \S+ \(kafka,kinesis\)\n.*\(page\)\n.*\(ops\)\nlistening on \S+\npage: ",
                     gateway.wait_for("page: .*\n").string)
    seen = [{face for face, (method, path) in FACES.items() if ask(one, method, path).status == 200}
            for one in addresses(gateway)]
    assert seen == [set(FACES), {"kafka", "kinesis"}, {"page"}, {"ops"}, set(FACES)]


def test_what_is_not_there_is_told_as_if_it_did_not_exist(start_gateway):
    gateway = start_gateway("--listen-also", "127.0.0.1:0 ops; 127.0.0.1:0 kafka")
    _, ops, kafka = addresses(gateway)
    reply = produce(ops, {"records": [{"value": 1}]})
    assert reply.status == 404 and "/metrics" in reply.text and "/topics" not in reply.text
    assert put(ops, {"Data": 1, "PartitionKey": "k"}).status == 403  # as the API Gateway has it
    assert ask(ops, "DELETE", PIN, content_type=KAFKA_JSON).status == 404  # not 405
    for method, path, headers in (("GET", "/ui", {}), ("POST", "/ui/run", {}), ("DELETE", "/ui/session", {}),
                                  ("GET", "/ui/tables", {"Sec-Fetch-Site": "same-site"})):
        reply = ask(kafka, method, path, headers=headers)
        assert reply.status == 404 and "/topics" in reply.text and "/ui" not in reply.text, (method, path, reply)
    reply = ask(kafka, "GET", "/metric")
    assert reply.status == 404 and "/metrics" not in reply.text and "/topics" in reply.text
    assert produce(kafka, {"records": [{"value": 1}]}).status == 200


def test_each_address_is_held_to_the_rule_of_keys(run, data_dir):
    words = ["gateway", "--dir", data_dir, "--listen", "127.0.0.1:0"]
    refused = run(*words, "--listen-also", "0.0.0.0:0 ops", status=2)
    assert 'others can reach "0.0.0.0:0"' in refused.stderr and "--insecure" in refused.stderr


@pytest.mark.parametrize("also, status, hint", [
    ("127.0.0.1:0 http", 2, 'no face "http"'),
    ("nonsense", 2, "nonsense"),
    (";".join(["127.0.0.1:0"] * 8), 2, "7 addresses are the most"),
])
def test_what_is_not_right_is_told(run, data_dir, also, status, hint):
    refused = run("gateway", "--dir", data_dir, "--listen", "127.0.0.1:0", "--listen-also", also, status=status)
    assert hint in refused.stderr


def test_one_that_is_taken_is_named(run, gateway, tmp_path):
    port = free_port()
    refused = run("gateway", "--dir", tmp_path / "other", "--listen", f"127.0.0.1:{port}", "--listen-also",
                  f"127.0.0.1:{gateway.port} ops", status=None)
    assert refused.returncode not in (0, 2)
    assert f"127.0.0.1:{gateway.port}" in refused.stderr and "listen_also" in refused.stderr
    assert f":{port}" not in refused.stderr


def test_a_pipeline_of_one_run_listens_nowhere_else(run, start_gateway, data_dir):
    also = f"127.0.0.1:{free_port()}"
    start_gateway("--listen-also", also)
    done = run("run", "--posts", "1", "--dir", data_dir.parent / "own", env={"PINPIPE_GATEWAY_LISTEN_ALSO": also})
    assert done.returncode == 0
