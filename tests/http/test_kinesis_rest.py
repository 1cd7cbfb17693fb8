"""The API Gateway's Kinesis API: the bytes that are stored, every route, status and error."""

import base64
import json
import re

import pytest

from rest import OWN_STREAMS, PIN_STREAM, ask, put, read_stream

SHARD = "shardId-000000000000"


def error(kind, message):
    return json.dumps({"__type": kind, "message": message}, separators=(",", ":"))


def data_of(records):
    return [base64.b64decode(record["Data"]) for record in records]


def test_put_record_answers_with_shard_and_sequence_number(gateway):
    numbers = []
    for i in range(3):
        reply = put(gateway, {"StreamName": "ignored", "Data": {"i": i}, "PartitionKey": "k"})
        assert (reply.status, reply.type) == (200, "application/json")
        assert re.fullmatch(r'\{"SequenceNumber":"\d{56}","ShardId":"%s"\}' % SHARD, reply.text)
        numbers.append(reply.json()["SequenceNumber"])
    assert numbers == sorted(set(numbers))
    assert [r["SequenceNumber"] for r in read_stream(gateway)] == numbers


@pytest.mark.parametrize("data, stored", [
    ('"abc"', b'"abc"'),                                            # a string keeps its quotes
    ('"a\\u0062\\n"', b'"a\\u0062\\n"'),
    ('{ "a" : 1.50,\n "b": [ 1, 2 ], "a":null }', b'{"a":1.50,"b":[1,2],"a":null}'),
    ("[ ]", b"[]"),
    ("12.0", b"12.0"),
    ("true", b"true"),
    ("null", b"null"),
    ('"\u00e4"', '"\u00e4"'.encode()),
])
def test_record_keeps_data_as_json_text(gateway, data, stored):
    assert put(gateway, '{"PartitionKey":"k","Data":%s}' % data).status == 200
    assert data_of(read_stream(gateway)) == [stored]


@pytest.mark.parametrize("data, stored", [
    ('"abc"', b"abc"),                                              # a string loses them
    ('"a\\u0062\\n\\""', b'ab\n"'),
    ('""', b""),
    ('{ "a" : 1.50,\n "b": [ 1, "x y", {} ], "c":null }', b'{a=1.5, b=[1,"x y",{}], c=null}'),
    ("[ ]", b"[]"),
    ("12", b"12"),
    ("1e2", b"100.0"),
    ("true", b"true"),
])
def test_records_prints_data_as_velocity_does(gateway, data, stored):
    reply = put(gateway, '{"records":[{"data":%s,"partition-key":"k"}]}' % data, "records")
    assert reply.status == 200
    assert data_of(read_stream(gateway)) == [stored]


@pytest.mark.parametrize("key, stored", [
    ('"k"', "k"), ("7", "7"), ("1.50", "1.5"), ("false", "false"), ('"\\u00e4\\u0000"', "\u00e4\0"),
    ('{"a":[1, 2]}', "{a=[1,2]}"), ('"' + "x" * 256 + '"', "x" * 256), ('"' + "\u00e4" * 256 + '"', "\u00e4" * 256),
])
def test_partition_key_is_made_text(gateway, key, stored):
    assert put(gateway, '{"Data":1,"PartitionKey":%s}' % key).status == 200
    assert put(gateway, '{"records":[{"data":1,"partition-key":%s}]}' % key, "records").status == 200
    assert [r["PartitionKey"] for r in read_stream(gateway)] == [stored, stored]


def test_put_records(gateway):
    body = {"records": [{"data": str(i), "partition-key": f"k{i}", "explicit-hash-key": "0"} for i in range(500)]}
    reply = put(gateway, body, "records")
    assert reply.status == 200
    answer = reply.json()
    assert answer["FailedRecordCount"] == 0 and len(answer["Records"]) == 500
    assert set(answer["Records"][0]) == {"SequenceNumber", "ShardId"}
    records = read_stream(gateway)
    assert data_of(records) == [str(i).encode() for i in range(500)]
    assert [r["SequenceNumber"] for r in records] == [r["SequenceNumber"] for r in answer["Records"]]


def test_the_largest_record_is_read_back(start_gateway):
    limits = {"RECORD": "16MiB", "BODY": "20MiB"}
    gateway = start_gateway(env={f"PINPIPE_GATEWAY_{what}_BYTES_MAX": size for what, size in limits.items()})
    values = ["small", "x" * ((16 << 20) - 3), "behind"]
    for value in values:
        assert put(gateway, {"Data": value, "PartitionKey": "k"}).status == 200
    assert data_of(read_stream(gateway)) == [b'"%s"' % value.encode() for value in values]


@pytest.mark.parametrize("body, status, kind", [
    ("", 400, "SerializationException"),
    ("{", 400, "SerializationException"),
    ('{"Data":1,"Data":2,"PartitionKey":"k"}', 400, "SerializationException"),
    ('{"Data":1,"PartitionKey":"k","PartitionKey":"l"}', 400, "SerializationException"),
    ("[]", 400, "ValidationException"),
    ('{"PartitionKey":"k"}', 400, "ValidationException"),
    ('{"Data":1}', 400, "ValidationException"),
    ('{"Data":1,"PartitionKey":""}', 400, "ValidationException"),
    ('{"Data":1,"PartitionKey":null}', 400, "ValidationException"),
    pytest.param('{"Data":1,"PartitionKey":"' + "x" * 257 + '"}', 400, "ValidationException", id="long key"),
    pytest.param('{"Data":"' + "x" * 1048576 + '","PartitionKey":"k"}', 400, "ValidationException", id="long"),
])
def test_bad_record_stores_nothing(empty_gateway, body, status, kind):
    reply = put(empty_gateway, body)
    assert reply.status == status and reply.json()["__type"] == kind, reply
    assert reply.json()["message"]
    assert read_stream(empty_gateway) == []


GOOD = {"data": "x", "partition-key": "k"}


@pytest.mark.parametrize("body, status, kind", [
    ({}, 400, "ValidationException"),
    ({"records": None}, 400, "ValidationException"),
    ({"records": []}, 400, "ValidationException"),
    ({"records": [GOOD] * 501}, 400, "ValidationException"),
    ({"records": [GOOD, 1]}, 400, "ValidationException"),
    ({"records": [GOOD, {"data": "x"}]}, 400, "ValidationException"),
    ({"records": [GOOD, {"partition-key": "k"}]}, 400, "ValidationException"),
    ({"records": [GOOD, {"data": "x", "partition-key": ""}]}, 400, "ValidationException"),
    ({"records": [GOOD, {"data": "x" * 1048576, "partition-key": "k"}]}, 400, "ValidationException"),
    ('{"records":[{"data":1,"data":2,"partition-key":"k"}]}', 400, "SerializationException"),
])
def test_one_bad_record_refuses_all(empty_gateway, body, status, kind):
    reply = put(empty_gateway, body, "records")
    assert reply.status == status and reply.json()["__type"] == kind, reply
    if isinstance(body, dict) and GOOD in (body.get("records") or []) and len(body["records"]) == 2:
        assert "records[1]" in reply.json()["message"]
    assert read_stream(empty_gateway) == []


@pytest.mark.parametrize("content_type, status", [
    (None, 200), ("application/json", 200), ("application/json; charset=utf-8", 200),
    ("application/x-amz-json-1.1", 200), ("text/plain", 415), ("application/vnd.kafka.json.v2+json", 415),
    ("application/json; charset=latin-1", 415),
])
def test_content_type(gateway, content_type, status):
    reply = put(gateway, {"Data": 1, "PartitionKey": "k"}, content_type=content_type)
    assert reply.status == status
    if status == 415:
        assert reply.text == '{"message":"Unsupported Media Type: send Content-Type: application/json"}'
    assert len(read_stream(gateway)) == (status == 200)


@pytest.mark.parametrize("method, path", [
    ("GET", "/streams/a/b"), ("POST", "/streams"), ("DELETE", "/streams"), ("PUT", "/streams/a"),
    ("POST", PIN_STREAM + "/record"), ("GET", PIN_STREAM + "/record"), ("GET", "/streams/a/b/c"),
])
def test_unknown_routes_answer_as_the_api_gateway(empty_gateway, method, path):
    reply = ask(empty_gateway, method, path)
    assert reply.status == 403
    routes = "the routes are PUT /streams/{stream}/record, "
    assert reply.json()["message"].startswith("Missing Authentication Token: " + routes)
    assert "/topics" not in reply.text


def test_streams_are_listed(empty_gateway):
    answer = ask(empty_gateway, "GET", "/streams").json()
    assert answer["HasMoreStreams"] is False
    assert answer["StreamNames"] == OWN_STREAMS
    summary = answer["StreamSummaries"][1]
    assert summary.pop("StreamCreationTimestamp") > 1.6e9
    assert summary == {"StreamARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{OWN_STREAMS[1]}",
                       "StreamModeDetails": {"StreamMode": "PROVISIONED"},
                       "StreamName": OWN_STREAMS[1], "StreamStatus": "ACTIVE"}


def test_describe(gateway):
    description = ask(gateway, "GET", PIN_STREAM).json()["StreamDescription"]
    assert description["StreamName"] == OWN_STREAMS[1]
    assert description["StreamStatus"] == "ACTIVE"
    assert description["EncryptionType"] == "NONE"
    assert description["HasMoreShards"] is False
    assert description["RetentionPeriodHours"] == 168
    shard, = description["Shards"]
    assert shard["ShardId"] == SHARD
    assert shard["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)}
    assert list(shard["SequenceNumberRange"]) == ["StartingSequenceNumber"]
    put(gateway, {"Data": 1, "PartitionKey": "k"})
    first, = read_stream(gateway)
    assert int(shard["SequenceNumberRange"]["StartingSequenceNumber"]) <= int(first["SequenceNumber"])


@pytest.mark.parametrize("body, shards", [("", 5), ("{}", 5), ({"ShardCount": 2}, 2), ({"ShardCount": 3, "x": 1}, 3)])
def test_create_use_and_delete(gateway, body, shards):
    reply = ask(gateway, "POST", "/streams/mine", body)
    assert (reply.status, reply.text) == (200, "")
    described = ask(gateway, "GET", "/streams/mine").json()["StreamDescription"]["Shards"]
    assert len(described) == shards
    ranges = [s["HashKeyRange"] for s in described]
    for here, there in zip(ranges, ranges[1:]):
        assert int(here["EndingHashKey"]) + 1 == int(there["StartingHashKey"])
    assert (int(ranges[0]["StartingHashKey"]), int(ranges[-1]["EndingHashKey"])) == (0, 2**128 - 1)

    body = {"records": [{"data": str(i), "partition-key": f"k{i}"} for i in range(50)]}
    used = {r["ShardId"] for r in put(gateway, body, "records", "/streams/mine").json()["Records"]}
    assert len(used) > 1
    read = [d for s in described for d in data_of(read_stream(gateway, "/streams/mine", s["ShardId"]))]
    assert sorted(read) == sorted(str(i).encode() for i in range(50))

    reply = ask(gateway, "POST", "/streams/mine", {"ShardCount": 1})
    assert (reply.status, reply.text) == (400, error(
        "ResourceInUseException", "Stream mine under account 000000000000 already exists."))
    reply = ask(gateway, "DELETE", "/streams/mine")
    assert (reply.status, reply.text) == (200, "")
    assert ask(gateway, "GET", "/streams").json()["StreamNames"] == OWN_STREAMS
    for method in ("GET", "DELETE"):
        reply = ask(gateway, method, "/streams/mine")
        assert (reply.status, reply.text) == (400, error(
            "ResourceNotFoundException", "Stream mine under account 000000000000 not found."
            " What this gateway makes by itself is named by --id 124df56aef51."))


@pytest.mark.parametrize("body, status", [
    ({"ShardCount": 0}, 400), ({"ShardCount": 1025}, 400), ({"ShardCount": "2"}, 400), ([], 400), ("{", 400),
    pytest.param('{"x":"' + "y" * 70000 + '"}', 413, id="long"),
])
def test_create_that_is_refused(empty_gateway, body, status):
    reply = ask(empty_gateway, "POST", "/streams/mine", body)
    assert reply.status == status, reply
    assert ask(empty_gateway, "GET", "/streams").json()["StreamNames"] == OWN_STREAMS


@pytest.mark.parametrize("name, status, kind", [
    ("nope", 400, "ResourceNotFoundException"),
    ("x" * 129, 400, "ValidationException"),
    ("a%20b", 400, "ValidationException"),
])
def test_streams_that_are_not_there(empty_gateway, name, status, kind):
    stream = f"/streams/{name}"
    for reply in (put(empty_gateway, {"Data": 1, "PartitionKey": "k"}, stream=stream),
                  put(empty_gateway, {"records": [GOOD]}, "records", stream=stream),
                  ask(empty_gateway, "GET", stream), ask(empty_gateway, "DELETE", stream),
                  ask(empty_gateway, "GET", f"{stream}/sharditerator?shard-id={SHARD}")):
        assert reply.status == status and reply.json()["__type"] == kind, reply
    if kind == "ValidationException":
        assert ask(empty_gateway, "POST", stream).status == status
    assert ask(empty_gateway, "GET", "/streams").json()["StreamNames"] == OWN_STREAMS


@pytest.mark.parametrize("query, status, kind", [
    ("", 400, "ValidationException"),
    ("?shard-id=", 400, "ResourceNotFoundException"),
    ("?shard-id=0", 400, "ResourceNotFoundException"),
    ("?shard-id=shardId-000000000001", 400, "ResourceNotFoundException"),
    pytest.param("?shard-id=" + "x" * 1000, 400, "ValidationException", id="long"),
])
def test_shard_iterator_that_is_refused(empty_gateway, query, status, kind):
    reply = ask(empty_gateway, "GET", f"{PIN_STREAM}/sharditerator{query}")
    assert reply.status == status and reply.json()["__type"] == kind, reply


def iterator_of(gateway, stream=PIN_STREAM):
    return ask(gateway, "GET", f"{stream}/sharditerator?shard-id={SHARD}").json()["ShardIterator"]


def get_records(gateway, iterator, stream=PIN_STREAM):
    return ask(gateway, "GET", f"{stream}/records", headers={"Shard-Iterator": iterator} if iterator else {})


def test_reading_goes_on_and_can_be_repeated(gateway):
    start = iterator_of(gateway)
    empty = get_records(gateway, start).json()
    assert empty["Records"] == [] and empty["MillisBehindLatest"] == 0
    put(gateway, {"Data": 1, "PartitionKey": "k"})
    first = get_records(gateway, empty["NextShardIterator"]).json()
    put(gateway, {"Data": 2, "PartitionKey": "k"})
    second = get_records(gateway, first["NextShardIterator"]).json()
    assert data_of(first["Records"]) == [b"1"] and data_of(second["Records"]) == [b"2"]
    assert data_of(get_records(gateway, first["NextShardIterator"]).json()["Records"]) == [b"2"]
    assert data_of(get_records(gateway, start).json()["Records"]) == [b"1", b"2"]
    assert get_records(gateway, second["NextShardIterator"]).json()["Records"] == []
    record = first["Records"][0]
    assert set(record) == {"ApproximateArrivalTimestamp", "Data", "PartitionKey", "SequenceNumber"}
    assert abs(record["ApproximateArrivalTimestamp"] - second["Records"][0]["ApproximateArrivalTimestamp"]) < 60


def test_one_answer_is_bounded_and_says_how_far_behind(gateway):
    for i in range(4):
        assert put(gateway, {"Data": str(i) + "x" * 700000, "PartitionKey": "k"}).status == 200
    pages, iterator = [], iterator_of(gateway)
    while not pages or pages[-1]["Records"]:
        pages.append(get_records(gateway, iterator).json())
        iterator = pages[-1]["NextShardIterator"]
    assert sum(len(p["Records"]) for p in pages) == 4
    assert all(len(p["Records"]) <= 2 for p in pages)
    assert pages[0]["MillisBehindLatest"] >= 0 and pages[-2]["MillisBehindLatest"] == 0


@pytest.mark.parametrize("spoil", [
    lambda it: None,
    lambda it: "",
    lambda it: "garbage",
    lambda it: it[:-4],
    lambda it: it + "AAAA",
    lambda it: ("B" if it[5] == "A" else "A").join([it[:5], it[6:]]),
    lambda it: it[:-6] + ("AAAA" if it[-6:-2] != "AAAA" else "BBBB") + it[-2:],
    lambda it: base64.b64encode(b"\1" * 60).decode(),
    lambda it: "A" * 4000,
])
def test_forged_iterators(empty_gateway, spoil):
    reply = get_records(empty_gateway, spoil(iterator_of(empty_gateway)))
    assert (reply.status, reply.text) == (400, error("InvalidArgumentException", "Invalid ShardIterator."))


def test_an_iterator_is_for_its_stream(empty_gateway):
    reply = get_records(empty_gateway, iterator_of(empty_gateway), "/streams/" + OWN_STREAMS[0])
    assert reply.status == 400 and reply.json()["__type"] == "InvalidArgumentException"


def test_errors_with_status_200_as_the_original(start_gateway):
    gateway = start_gateway("--kinesis-status", "200")
    reply = put(gateway, {"Data": 1}, stream="/prod" + PIN_STREAM)
    assert reply.status == 200 and reply.json()["__type"] == "ValidationException"
    reply = ask(gateway, "GET", "/streams/nope")
    assert reply.status == 200 and reply.json()["__type"] == "ResourceNotFoundException"
    assert put(gateway, {"Data": 1}, content_type="text/plain").status == 415
    assert read_stream(gateway) == []


@pytest.mark.parametrize("auto_create, status", [("none", 400), ("own", 400), ("any", 200)])
def test_auto_create_of_another_stream(start_gateway, auto_create, status):
    gateway = start_gateway("--auto-create", auto_create, "--shards", "2")
    reply = put(gateway, {"Data": 1, "PartitionKey": "k"}, stream="/streams/made.up")
    assert reply.status == status, reply
    names = ask(gateway, "GET", "/streams").json()["StreamNames"]
    assert ("made.up" in names) == (status == 200)
    if status == 200:
        shards = ask(gateway, "GET", "/streams/made.up").json()["StreamDescription"]["Shards"]
        assert len(shards) == 2


def test_an_own_stream_comes_back_when_written_to(gateway):
    assert ask(gateway, "DELETE", PIN_STREAM).status == 200
    assert put(gateway, {"Data": 1, "PartitionKey": "k"}).status == 200
    assert data_of(read_stream(gateway)) == [b"1"]


def test_the_streaming_emulator_of_the_original(gateway, shared):
    """user_posting_emulation_streaming.py: an object as Data, python-requests' headers, a stage."""
    headers = {"User-Agent": "python-requests/2.31.0", "Accept-Encoding": "gzip, deflate",
               "Accept": "*/*", "Connection": "keep-alive", "Content-Type": "application/json"}
    for table in ("pin", "geo", "user"):
        with open(shared / f"{table}.ndjson", encoding="utf-8") as lines:
            row = json.loads(lines.readline())
        stream = f"streaming-124df56aef51-{table}"
        payload = json.dumps({"StreamName": stream, "Data": row, "PartitionKey": "partition-1"}, default=str)
        reply = ask(gateway, "PUT", f"/dev/streams/{stream}/record", payload, headers=headers)
        assert reply.status == 200 and reply.json()["ShardId"] == SHARD
        stored, = data_of(read_stream(gateway, f"/streams/{stream}"))
        assert json.loads(stored) == row and b'": ' not in stored
