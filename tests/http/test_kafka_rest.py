"""Kafka REST Proxy v2: every route, status, body and error code that clients can see."""

import base64
import datetime
import json

import pytest

from rest import KAFKA, KAFKA_BINARY, KAFKA_JSON, OWN_TOPICS, PIN, ask, end_offset, produce

PARTITION = '{"partition":%d,"leader":1,"replicas":[{"broker":1,"leader":true,"in_sync":true}]}'
OK = ('{"offsets":[{"partition":0,"offset":%d,"error_code":null,"error":null}],'
      '"key_schema_id":null,"value_schema_id":null}')


NOT_OURS = "Topic not found. What this gateway makes by itself is named by --id 124df56aef51."
NO_ROUTE = "HTTP 404 Not Found: the routes are POST /topics/{topic}, PUT /streams/{stream}/record"


def error(code, message):
    return json.dumps({"error_code": code, "message": message}, separators=(",", ":"))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_root_answers_an_empty_object(empty_gateway, method):
    reply = ask(empty_gateway, method, "/")
    assert (reply.status, reply.type, reply.text) == (200, KAFKA, "{}")


@pytest.mark.parametrize("path, body", [
    ("/topics", json.dumps(OWN_TOPICS, separators=(",", ":"))),
    ("/brokers", '{"brokers":[1]}'),
    (PIN, '{"name":"124df56aef51.pin","configs":{},"partitions":[%s]}' % (PARTITION % 0)),
    (PIN + "/", '{"name":"124df56aef51.pin","configs":{},"partitions":[%s]}' % (PARTITION % 0)),
    (PIN + "/partitions", "[%s]" % (PARTITION % 0)),
    (PIN + "/partitions/0", PARTITION % 0),
    (PIN + "/partitions/0/offsets", '{"beginning_offset":0,"end_offset":0}'),
])
def test_metadata(empty_gateway, path, body):
    reply = ask(empty_gateway, "GET", path)
    assert (reply.status, reply.type, reply.text) == (200, KAFKA, body)
    head = ask(empty_gateway, "HEAD", path)
    assert (head.status, head.text, head.headers["Content-Length"]) == (200, "", str(len(body)))


@pytest.mark.parametrize("path, code, message", [
    ("/topics/nope", 40401, NOT_OURS),
    ("/topics/nope/partitions", 404, "HTTP 404 Not Found"),
    ("/topics/nope/partitions/0", 40401, NOT_OURS),
    ("/topics/nope/partitions/0/offsets", 40401, NOT_OURS),
    (PIN + "/partitions/1", 40402, "Partition not found."),
    (PIN + "/partitions/1/offsets", 40402, "Partition not found."),
    (PIN + "/partitions/one", 404, "HTTP 404 Not Found"),
    (PIN + "/partitions/-1", 404, "HTTP 404 Not Found"),
    (PIN + "/partitions/99999999999999999999", 404, "HTTP 404 Not Found"),
    (PIN + "/what", 404, NO_ROUTE),
    ("/what", 404, NO_ROUTE),
    ("/topics//partitions", 404, NO_ROUTE),
])
def test_metadata_of_what_is_not_there(empty_gateway, path, code, message):
    reply = ask(empty_gateway, "GET", path)
    assert (reply.status, reply.json()["error_code"]) == (404, code)
    told = reply.json()["message"]
    assert told.startswith(message) if message == NO_ROUTE else told == message


@pytest.mark.parametrize("method, path, allow", [
    ("DELETE", "/topics", "GET, HEAD"),
    ("PUT", PIN, "GET, HEAD, POST"),
    ("POST", PIN + "/partitions", "GET, HEAD"),
    ("PUT", PIN + "/partitions/0", "GET, HEAD, POST"),
    ("POST", "/brokers", "GET, HEAD"),
    ("PATCH", "/", "GET, HEAD, POST"),
    ("POST", "/metrics", "GET, HEAD"),
])
def test_wrong_method(empty_gateway, method, path, allow):
    reply = ask(empty_gateway, method, path)
    assert (reply.status, reply.text) == (405, error(405, "HTTP 405 Method Not Allowed"))
    assert reply.headers["Allow"] == allow


def test_produce_answers_with_the_offset(gateway):
    for offset in range(3):
        reply = produce(gateway, {"records": [{"value": {"index": offset}}]})
        assert (reply.status, reply.type, reply.text) == (200, KAFKA, OK % offset)
    assert end_offset(gateway) == 3


def test_produce_to_a_partition_and_a_record_to_another(start_gateway):
    gateway = start_gateway("--partitions", "4")
    body = {"records": [{"value": 1}, {"value": 2, "partition": 3}, {"value": 3, "partition": None}]}
    reply = produce(gateway, body, PIN + "/partitions/2")
    assert [(o["partition"], o["offset"]) for o in reply.json()["offsets"]] == [(2, 0), (3, 0), (2, 1)]


def test_same_key_same_partition(start_gateway):
    gateway = start_gateway("--partitions", "4")
    body = {"records": [{"key": f"k{i % 5}", "value": i} for i in range(50)]}
    offsets = produce(gateway, body).json()["offsets"]
    for key in range(5):
        assert len({o["partition"] for o in offsets[key::5]}) == 1
    assert len({o["partition"] for o in offsets}) > 1


@pytest.mark.parametrize("content_type", [
    KAFKA_JSON,
    KAFKA_JSON.upper(),
    KAFKA_JSON + "; charset=utf-8",
    KAFKA_JSON + ';charset="UTF-8"',
    KAFKA_JSON + " ; q=1",
])
def test_json_types_that_are_taken(gateway, content_type):
    assert produce(gateway, {"records": [{"value": 1}]}, content_type=content_type).status == 200


@pytest.mark.parametrize("content_type", [
    KAFKA, "text/plain", "application/x-www-form-urlencoded", "application",
    "application/vnd.kafka.avro.v2+json", "application/vnd.kafka.json.v1+json",
    KAFKA_JSON + "; charset=iso-8859-1", KAFKA_JSON + ", text/plain",
])
def test_other_types_are_refused(empty_gateway, content_type):
    reply = produce(empty_gateway, {"records": [{"value": 1}]}, content_type=content_type)
    assert (reply.status, reply.text) == (
        415, error(415, f"HTTP 415 Unsupported Media Type: send Content-Type: {KAFKA_JSON}, or application/json, or"
                        " application/x-ndjson"))
    assert end_offset(empty_gateway) == 0


@pytest.mark.parametrize("accept, status, content_type", [
    (None, 200, KAFKA),
    ("*/*", 200, KAFKA),
    ("application/*;q=0.5", 200, KAFKA),
    (KAFKA, 200, KAFKA),
    ("application/json", 200, "application/json"),
    ("text/html, application/json;q=0.9", 200, "application/json"),
    ("text/html", 406, "application/json"),
    (KAFKA + ";q=0", 406, "application/json"),
    ("*/*, " + KAFKA + ";q=0", 200, "application/json"),
])
def test_accept(gateway, accept, status, content_type):
    reply = produce(gateway, {"records": [{"value": 1}]}, headers={"Accept": accept} if accept else {})
    assert (reply.status, reply.type) == (status, content_type)
    if status == 406:
        assert reply.text == error(406, "HTTP 406 Not Acceptable: answers are"
                                         " application/vnd.kafka.v2+json or application/json")
        assert end_offset(gateway) == 0


@pytest.mark.parametrize("body, status, code, message", [
    ("", 422, 422, "the body is empty"),
    ("{", 400, 400, "not JSON: at its end (byte 1) a name in quotes or } is missing"),
    ('{"records":[{"value":1}]', 400, 400, None),
    ('{"records":[{"value":1e}]}', 400, 400, None),
    ('{"records":[{"value":"\\ud800"}]}', 400, 400, None),
    (b'{"records":[{"value":"\xff"}]}', 400, 400, "not JSON: at byte 23 this is not UTF-8"),
    (b'\xef\xbb\xbf', 422, 422, "the body is empty"),
    (b'\xef\xbb\xbf\xef\xbb\xbf{"records":[{"value":1}]}', 400, 400, None),
    pytest.param('{"records":[{"value":' + "[" * 70 + "]" * 70 + "}]}", 400, 400,
                 "JSON nested deeper than 64 levels", id="deep"),
    pytest.param("[" * 100000, 400, 400, None, id="100,000 brackets"),
    ('{"records":[{"value":1}],"records":[{"value":2}]}', 400, 400,
     'the body holds "records" more than once'),
    ('{"records":[{"value":1,"v\\u0061lue":2}]}', 400, 400,
     'records[0]: a record holds "value" more than once'),
    ("[]", 422, 422, "the body is not a JSON object"),
    ("null", 422, 422, "the body is not a JSON object"),
    ("{}", 422, 422, None),
    ('{"records":null}', 422, 422, None),
    ('{"records":{}}', 422, 422, None),
    ('{"records":[]}', 422, 422, 'records may not be empty: "records" must be an array of at least one record'),
    ('{"records":[1]}', 422, 422, "records[0] is not an object"),
    ('{"records":[{"value":1},{"vlaue":2}]}', 422, 422, "Unrecognized field: records[1].vlaue"),
    ('{"records":[{"value":1}],"more":1}', 422, 422, "Unrecognized field: more"),
    ('{"records":[{"value":1,"partition":"0"}]}', 422, 422,
     "records[0].partition is not an integer from 0 up"),
    ('{"records":[{"value":1,"partition":-1}]}', 422, 422, None),
    ('{"records":[{"value":1,"partition":0.0}]}', 422, 422, None),
    ('{"records":[{"value":1,"partition":2147483648}]}', 422, 422, None),
    ('{"records":[{"value":1,"partition":7}]}', 404, 40402, "Partition not found."),
])
def test_bad_bodies_store_nothing(empty_gateway, body, status, code, message):
    reply = produce(empty_gateway, body)
    assert reply.status == status and reply.json()["error_code"] == code, reply
    if message:
        assert reply.text == error(code, message)
    assert end_offset(empty_gateway) == 0


@pytest.mark.parametrize("path, status, code", [
    ("/topics/" + "x" * 250, 422, 422),
    ("/topics/a%20b", 422, 422),
    ("/topics/a%2Fb", 404, 404),
    ("/topics/caf%C3%A9", 422, 422),
    ("/topics/..", 422, 422),
    ("/topics/unknown", 404, 40401),
    (PIN + "/partitions/1", 404, 40402),
    (PIN + "/partitions/x", 404, 404),
])
def test_bad_paths_store_nothing(empty_gateway, path, status, code):
    reply = produce(empty_gateway, {"records": [{"value": 1}]}, path)
    assert reply.status == status and reply.json()["error_code"] == code, reply
    assert ask(empty_gateway, "GET", "/topics").json() == OWN_TOPICS
    assert end_offset(empty_gateway) == 0


@pytest.mark.parametrize("record, data", [
    ({"value": "Zg="}, '"Zg="'),
    ({"value": "Zm9v\n"}, '"Zm9v\\n"'),
    ({"value": {"a": 1}}, '{"a": 1}'),
    ({"value": 1}, "1"),
    ({"value": "x" * 101}, '"' + "x" * 39 + "..."),
])
def test_binary_refuses_what_is_not_base64(gateway, record, data):
    body = {"records": [{"value": "Zm9v"}, record]}
    reply = produce(gateway, body, content_type=KAFKA_BINARY)
    assert (reply.status, reply.text) == (
        400, error(400, f"records[1].value: data={data} is not a base64 string"))
    reply = produce(gateway, body)
    assert reply.status == 200


def test_a_body_without_a_type_is_binary(gateway):
    value = base64.b64encode(bytes(range(256))).decode()
    assert produce(gateway, {"records": [{"key": value, "value": value}]}, content_type=None).status == 200
    assert produce(gateway, {"records": [{"value": {}}]}, content_type=None).status == 400


@pytest.mark.parametrize("auto_create, status", [("none", 404), ("own", 404), ("any", 200)])
def test_auto_create_of_another_topic(start_gateway, auto_create, status):
    gateway = start_gateway("--auto-create", auto_create, "--partitions", "3")
    reply = produce(gateway, {"records": [{"value": 1}]}, "/topics/made.up")
    assert reply.status == status, reply
    topics = ask(gateway, "GET", "/topics").json()
    assert ("made.up" in topics) == (status == 200)
    assert (topics == []) == (auto_create == "none")
    if status == 200:
        assert len(ask(gateway, "GET", "/topics/made.up/partitions").json()) == 3


def test_a_record_that_is_too_long_does_not_stop_the_others(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_RECORD_BYTES_MAX": "1KiB"})
    body = {"records": [{"value": "a"}, {"value": "b" * 1023}, {"value": "c", "key": "k" * 1022},
                        {"value": "d" * 1022}]}
    reply = produce(gateway, body)
    too_long = {"partition": None, "offset": None, "error_code": 50002,
                "error": "the record is longer than the largest allowed"}
    kept = [{"partition": 0, "offset": i, "error_code": None, "error": None} for i in range(2)]
    assert reply.status == 200
    assert reply.json()["offsets"] == [kept[0], too_long, too_long, kept[1]]
    assert end_offset(gateway) == 2


def test_a_partition_that_is_not_there_does_not_stop_the_others(gateway):
    reply = produce(gateway, {"records": [{"value": 1}, {"value": 2, "partition": 7}, {"value": 3}]})
    assert reply.status == 200
    assert reply.json()["offsets"] == [
        {"partition": 0, "offset": 0, "error_code": None, "error": None},
        {"partition": None, "offset": None, "error_code": 40402, "error": "Partition not found."},
        {"partition": 0, "offset": 1, "error_code": None, "error": None}]
    assert end_offset(gateway) == 2


def test_only_records_that_are_too_long(start_gateway, data_dir):
    env = {"PINPIPE_GATEWAY_RECORD_BYTES_MAX": "1KiB"}
    body = {"records": [{"value": "b" * 2000}] * 2}
    reply = produce(start_gateway(env=env), body)
    assert (reply.status, reply.text) == (413, error(413, "the record is longer than the largest allowed"))
    gateway = start_gateway("--compat-status", "confluent", env=env, directory=data_dir / "other")
    reply = produce(gateway, body)
    assert reply.status == 200
    assert [o["error_code"] for o in reply.json()["offsets"]] == [50002, 50002]
    assert end_offset(gateway) == 0


def test_a_body_that_is_too_large(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_BODY_BYTES_MAX": "1KiB"})
    body = '{"records":[{"value":"' + "x" * 2000 + '"}]}'
    reply = produce(gateway, body)
    assert reply.status == 413 and reply.json()["error_code"] == 413
    assert end_offset(gateway) == 0


# Stages that public pipelines have.
@pytest.mark.parametrize("stage", ["prod", "dev", "test", "production", "Dev", "test_stage", "milestone5", "kinesis",
                                   "%24default"])
def test_any_stage(gateway, stage):
    assert produce(gateway, {"records": [{"value": 1}]}, f"/{stage}{PIN}").status == 200
    assert ask(gateway, "GET", f"/{stage}/topics").json() == OWN_TOPICS
    assert ask(gateway, "GET", f"/{stage}/streams").status == 200
    assert end_offset(gateway) == 1


def test_stages_of_other_routes(gateway, start_gateway, data_dir):
    assert ask(gateway, "GET", "/prod").text == "{}"
    assert ask(gateway, "GET", "/prod/metrics").status == 200
    assert ask(gateway, "GET", "/stage/metrics").status == 404
    assert produce(gateway, {"records": [{"value": 1}]}, "/prod/prod" + PIN).status == 404
    assert produce(gateway, {"records": [{"value": 1}]}, "/topics" + PIN).status == 404
    other = start_gateway(env={"PINPIPE_GATEWAY_STAGES": "stage"}, directory=data_dir / "other")
    assert ask(other, "GET", "/stage/metrics").status == 200
    assert ask(other, "GET", "/prod/metrics").status == 404


@pytest.mark.parametrize("path", ["/", "/dev"])
def test_records_at_the_root_are_refused(empty_gateway, path):
    """As a probe it answers {}, as the original; records there would be taken for stored."""
    assert ask(empty_gateway, "POST", path).text == "{}"
    for body in ({"records": [{"value": 1}]}, "x"):
        reply = ask(empty_gateway, "POST", path, body, KAFKA_JSON)
        assert reply.status == 404 and reply.json()["message"].startswith(NO_ROUTE), reply


@pytest.mark.parametrize("path", ["/", "/dev", "/kinesis", "/nope/"])
def test_the_api_of_the_service_is_not_spoken(empty_gateway, path):
    """What boto3 sends: an error that it understands."""
    body = {"StreamName": "s", "Data": "eA==", "PartitionKey": "k"}
    reply = ask(empty_gateway, "POST", path, body, "application/x-amz-json-1.1",
                headers={"X-Amz-Target": "Kinesis_20131202.PutRecord"})
    assert reply.status == 400 and reply.json()["__type"] == "UnknownOperationException", reply
    assert "Kinesis_20131202.PutRecord" in reply.text and "PUT /streams/{stream}/record" in reply.text


def test_a_byte_order_mark_is_read(gateway):
    assert produce(gateway, b'\xef\xbb\xbf{"records":[{"value":1}]}').status == 200
    assert end_offset(gateway) == 1


# Digits and all: no number is too large for who only carries it on.
@pytest.mark.parametrize("number", ["327267367867168100000", "-1e400", "18446744073709551616", "0.1e-9999",
                                    "123e100000"])
def test_numbers_of_any_size_are_kept_as_sent(run, gateway, data_dir, number):
    value = '{"ind":5,"country":"x","id":%s}' % number
    assert produce(gateway, '{"records":[{"value":%s}]}' % value).status == 200
    assert run("cat", PIN.split("/")[-1], "--dir", data_dir).stdout == value + "\n"


def test_the_emulator_of_the_original(gateway, shared):
    """user_posting_emulation.py: json.dumps(..., default=str) and python-requests' headers."""
    headers = {"User-Agent": "python-requests/2.31.0", "Accept-Encoding": "gzip, deflate",
               "Accept": "*/*", "Connection": "keep-alive", "Content-Type": KAFKA_JSON}
    for table in ("pin", "geo", "user"):
        with open(shared / f"{table}.ndjson", encoding="utf-8") as lines:
            row = json.loads(lines.readline())
        if table == "geo":
            row["timestamp"] = datetime.datetime(2020, 8, 28, 3, 52, 47)
        payload = json.dumps({"records": [{"value": row}]}, default=str)
        reply = ask(gateway, "POST", f"/test/topics/124df56aef51.{table}", payload, headers=headers)
        assert (reply.status, reply.text) == (200, OK % 0)
