"""deploy/openapi.json: what the gateway serves of it, its routes, and its examples, which work as they are."""

import hashlib
import json
import re

import pytest

import described
from rest import ask

KEY = "correct horse"
WITH_KEY = {"PINPIPE_GATEWAY_API_KEY_SHA256": hashlib.sha256(KEY.encode()).hexdigest()}
OPERATIONS = {operation["operationId"]: (method, path, operation) for method, path, operation in described.operations()}


def example_path(path, operation):
    query = ""
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace("{%s}" % parameter["name"], str(parameter["example"]))
        elif parameter["in"] == "query":
            query += f"&{parameter['name']}={parameter['example']}"
    return path + query.replace("&", "?", 1)


def examples_of(operation):
    """(Content-Type, body) of each; (None, None) where no body is sent."""
    content = operation.get("requestBody", {}).get("content", {})
    return [(kind, said["example"]) for kind, said in content.items() if "example" in said] or [(None, None)]


def test_it_is_served_as_it_is_in_deploy(gateway):
    for path in ("/openapi.json", "/prod/openapi.json"):
        reply = ask(gateway, "GET", path)
        assert (reply.status, reply.type) == (200, "application/json")
        assert reply.json() == described.DOCUMENT
    assert len(reply.text) < (described.TOP / "deploy" / "openapi.json").stat().st_size  # without the blanks


def scope_of(operation):
    """As --routes has it."""
    security = operation.get("security", described.DOCUMENT["security"])
    return (security[0]["apiKey"] or ["any"])[0] if security else "-"


def test_every_route_is_described_and_no_other(run):
    lines = [line.split(maxsplit=3) for line in run("gateway", "--routes").stdout.splitlines()]
    assert sorted((method, path) for method, path, _, _ in lines) \
        == sorted((method, path) for method, path, _ in OPERATIONS.values())
    for method, path, scope, summary in lines:
        operation, = [each for m, p, each in OPERATIONS.values() if (m, p) == (method, path)]
        assert operation["summary"].lower().startswith(summary.lower()), (method, path)
        assert scope_of(operation) == scope, (method, path)


def test_it_has_the_version_of_the_program(run):
    assert run("version").stdout == f"pinpipe {described.DOCUMENT['info']['version']}\n"


def test_it_says_where_no_key_is_asked_for(start_gateway):
    gateway = start_gateway(env=WITH_KEY)
    for method, path, operation in OPERATIONS.values():
        reply = ask(gateway, method, example_path(path, operation))
        assert (reply.status != 401) == (operation.get("security") == []), (method, path, reply)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("deleteStream", "getRecords")])
def test_examples_work(gateway, name):
    method, path, operation = OPERATIONS[name]
    for content_type, body in examples_of(operation):
        reply = ask(gateway, method, example_path(path, operation), body, content_type)
        assert reply.status == 200, reply


def test_links_lead_on(gateway):
    """From an answer to the request that it names, with what that takes out of it, as a generated client goes on."""
    _, path, operation = OPERATIONS["putRecord"]
    (content_type, body), = examples_of(operation)
    assert ask(gateway, "PUT", example_path(path, operation), body, content_type).status == 200
    at, headers, seen = "getShardIterator", {}, []
    for _ in range(3):
        method, path, operation = OPERATIONS[at]
        reply = ask(gateway, method, example_path(path, operation), headers=headers)
        seen += reply.json().get("Records", [])
        link, = operation["responses"]["200"]["links"].values()
        at = link["operationId"]
        headers = {name.removeprefix("header."): reply.json()[value.removeprefix("$response.body#/")]
                   for name, value in link["parameters"].items()}
    assert [record["PartitionKey"] for record in seen] == [body["PartitionKey"]]


def test_a_stream_of_the_examples_comes_and_goes(gateway):
    for name, status in (("deleteStream", 400), ("createStream", 200), ("deleteStream", 200)):
        method, path, operation = OPERATIONS[name]
        content_type, body = examples_of(operation)[0]
        assert ask(gateway, method, example_path(path, operation), body, content_type).status == status


def examples_in(node, at="#"):
    """(where, schema, example) of what has both."""
    if isinstance(node, dict):
        if "example" in node and "schema" in node:
            yield at, node["schema"], node["example"]
        for name, each in node.items():
            yield from examples_in(each, f"{at}/{name}")


def test_examples_are_what_they_are_said_to_be():
    checked = [described.check_value(schema, example, at, answered="/responses/" in at)
               for at, schema, example in examples_in(described.DOCUMENT)]
    assert len(checked) > 20


def test_whatever_is_defined_is_used():
    text = json.dumps(described.DOCUMENT)
    for kind in ("schemas", "responses", "parameters"):
        for name in described.DOCUMENT["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name}"
    for used in re.findall(r'"\$ref": "([^"]*)"', text):
        assert described.resolved({"$ref": used})


class Answer:
    """As an answer of a gateway that is not what is described."""

    def __init__(self, status, text, kind="application/json"):
        self.status, self.text, self.type = status, text, kind

    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return f"{self.status} {self.text}"


@pytest.mark.parametrize("method, path, answer, complaint", [
    ("GET", "/healthz", Answer(200, '{"status":"fine"}'), "'fine'"),
    ("GET", "/healthz", Answer(200, '{"status":"ok","more":1}'), "'more' was unexpected"),
    ("GET", "/healthz", Answer(200, '{"status":"ok"}', "text/html"), "type is not described"),
    ("GET", "/healthz", Answer(418, "{}"), "status is not described"),
    ("GET", "/topics", Answer(404, '{"message":"what"}'), "'error_code' is a required"),
    ("GET", "/nope/what", Answer(200, "{}"), "which is not described"),
    ("GET", "/nope", Answer(404, '"no"'), "is not valid under any"),
    ("DELETE", "/streams/clicks", Answer(200, "{}"), "deleteStream"),
    ("GET", "/streams/s p", Answer(200, "{}"), "'StreamDescription' is a required"),
    ("GET", "/streams/s/sharditerator", Answer(200, '{"ShardIterator":"x"}'), "query shard-id is missing"),
    ("PUT", "/streams/s/record", Answer(200, '{"SequenceNumber":"%s","ShardId":"shardId-000000000000"}' % ("4" * 56)),
     "'Data' is a required"),
    ("GET", "/topics/x/partitions/-1/offsets", Answer(200, '{"beginning_offset":0,"end_offset":1}'), "path partition"),
])
def test_other_answers_and_requests_are_seen(method, path, answer, complaint):
    with pytest.raises(AssertionError, match=complaint):
        described.check(method, path, {}, b"{}", answer)
