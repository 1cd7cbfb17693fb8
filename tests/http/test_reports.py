"""What others reported of services that take records over HTTP, each tried on the gateway.

A number is that of an issue: confluentinc/kafka-rest, elastic/beats, vectordotdev/vector.
"""

import gzip
import json

import pytest

from rest import KAFKA, KAFKA_BINARY, KAFKA_JSON, ask, end_offset, produce

JSON, LINES = "application/json", "application/x-ndjson"
ALERT = {"receiver": "email-logs", "status": "firing", "alerts": [{"status": "firing", "labels": {"severity": "warn"}}]}


@pytest.mark.parametrize("what, content_type, body, kept", [
    ("kafka-rest#759", JSON, {"records": [{"value": {"name": "testUser"}}]}, 1),
    ("kafka-rest#669", JSON, ALERT, 1),
    ("beats#31005", LINES, '{"a":1}\n{"a":2}\n', 2),
])
def test_what_is_to_be_taken_is_taken(gateway, what, content_type, body, kept):
    before = end_offset(gateway)
    reply = produce(gateway, body, content_type=content_type)
    assert reply.status == 200 and end_offset(gateway) == before + kept, what


@pytest.mark.parametrize("what, content_type, body, status, said", [
    ("kafka-rest#669", KAFKA_JSON, ALERT, 422, "Unrecognized field: receiver"),
    ("kafka-rest#443", KAFKA_BINARY, {"records": [{"value": {"name": "n"}}]}, 400, "is not a base64 string"),
    ("kafka-rest#129", "application/vnd.kafka.json.v1+json", {"records": []}, 415, "send Content-Type: " + KAFKA_JSON),
    ("kafka-rest#589", "application/x-www-form-urlencoded", "{}", 415, "send Content-Type: " + KAFKA_JSON),
])
def test_what_is_refused_says_why(empty_gateway, what, content_type, body, status, said):
    reply = produce(empty_gateway, body, content_type=content_type)
    assert reply.status == status and said in reply.json()["message"], what
    assert end_offset(empty_gateway) == 0


def test_a_packed_body_in_brackets_is_no_packed_body(empty_gateway):
    """vector#4280: a sender that packed its lines, and put the brackets of a list around them."""
    body = b"[" + gzip.compress(b'{"a":1}') + b"]"
    reply = produce(empty_gateway, body, content_type=JSON, headers={"Content-Encoding": "gzip"})
    assert reply.status == 400 and "no gzip file" in reply.json()["message"] and end_offset(empty_gateway) == 0


def test_an_accept_that_is_refused_names_what_is_given(empty_gateway):
    """kafka-rest#417, #557: what to send was found by trying."""
    reply = ask(empty_gateway, "GET", "/topics", headers={"Accept": KAFKA_JSON})
    assert reply.status == 406 and KAFKA in json.loads(reply.text)["message"]
