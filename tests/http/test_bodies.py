"""What a body may be besides Kafka REST's own form: plain JSON, lines of JSON, and either packed for its way."""

import ctypes
import gzip
import http.client
import json

import pytest

from rest import KAFKA, KAFKA_BINARY, KAFKA_JSON, PIN, PIN_STREAM, ask, end_offset, produce, put, read_stream

JSON = "application/json"
LINES = "application/x-ndjson"
ROW = {"index": 7528, "title": "Dünen"}
TWO_WAYS = "may be a record, or mean Kafka REST's"


def zstd(text):
    """By the library that the gateway has, too: Python 3.11 has no module for it."""
    library = ctypes.CDLL("libzstd.so.1")
    for function in (library.ZSTD_compressBound, library.ZSTD_compress):
        function.restype = ctypes.c_size_t
    room = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(text))))
    size = library.ZSTD_compress(room, ctypes.c_size_t(len(room)), text, ctypes.c_size_t(len(text)), 3)
    return room.raw[:size]


PACKERS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd}


def lines_of(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def values(run, directory, topic="124df56aef51.pin"):
    return [json.loads(line)["value"] for line in
            run("cat", topic, "--dir", directory, "--format", "json").stdout.splitlines()]


@pytest.mark.parametrize("body, kept", [
    (ROW, [ROW]),
    ([ROW, {"a": [1]}, {}], [ROW, {"a": [1]}, {}]),
    ({"records": [{"value": ROW}, {"key": "k", "value": 3}]}, [ROW, 3]),
    ({"records": [{"value": ROW}], "value_schema_id": None}, [ROW]),
    ({"value": 21.5, "unit": "C"}, [{"value": 21.5, "unit": "C"}]),
    ({"key": "a", "partition": 3}, [{"key": "a", "partition": 3}]),
    ({"record": [1]}, [{"record": [1]}]),
])
def test_plain_json_is_taken_where_it_can_mean_one_thing(run, gateway, data_dir, body, kept):
    reply = produce(gateway, body, content_type=JSON)
    assert (reply.status, reply.type) == (200, KAFKA), reply
    assert [each["offset"] for each in reply.json()["offsets"]] == list(range(len(kept)))
    assert values(run, data_dir) == kept


@pytest.mark.parametrize("body, status, said", [
    ({"records": [{"value": 1}], "more": 1}, 422, f'an object with "records" and others {TWO_WAYS}'),
    ({"Records": [{"value": 1}]}, 422, f'an object with "records" and others {TWO_WAYS}'),
    ({"value": {"index": 1}}, 422, f'an object of "value" and no more {TWO_WAYS}'),
    ([ROW, {"value": 1, "key": "k"}], 422, f'element 1: an object of "value" and no more {TWO_WAYS}'),
    ({"records": [{"sku": 1}]}, 422, "Unrecognized field: records[0].sku"),
    ({"records": 5}, 422, "records may not be empty"),
    ([], 422, "the array has no record"),
    ([ROW, 2], 422, "element 1: a record is a JSON object"),
    ("3", 422, "the body is neither a JSON object nor an array of them"),
    ("null", 422, "the body is neither a JSON object nor an array of them"),
    ("", 422, "the body is empty"),
    ("{", 400, "not JSON"),
    ('{"a":1}\n{"a":2}\n', 400, "lines of JSON are application/x-ndjson"),
])
def test_plain_json_that_may_mean_another_thing_is_refused_with_the_cure(empty_gateway, body, status, said):
    reply = produce(empty_gateway, body, content_type=JSON)
    assert reply.status == status and reply.json()["message"].startswith(said), reply
    if TWO_WAYS in said:
        assert LINES in reply.text and KAFKA_JSON in reply.text
    assert end_offset(empty_gateway) == 0


@pytest.mark.parametrize("content_type", [LINES, "application/ndjson", "application/jsonl", "Application/X-NDJSON",
                                          "application/x-jsonlines", f"{LINES}; charset=utf-8"])
def test_a_line_a_record(run, gateway, data_dir, content_type):
    body = "\ufeff" + lines_of([ROW, {"value": 1}]) + ' \t\r\n\n{"records": [1]}\r\n{"a":1}'
    reply = produce(gateway, body, content_type=content_type)
    assert reply.status == 200, reply
    assert [each["offset"] for each in reply.json()["offsets"]] == [0, 1, 2, 3]
    assert values(run, data_dir) == [ROW, {"value": 1}, {"records": [1]}, {"a": 1}]


def test_lines_for_one_partition(start_gateway):
    gateway = start_gateway("--partitions", "4")
    for body, content_type in ((lines_of([ROW] * 5), LINES), ([ROW] * 5, JSON)):
        reply = produce(gateway, body, PIN + "/partitions/2", content_type)
        assert {each["partition"] for each in reply.json()["offsets"]} == {2}, reply


@pytest.mark.parametrize("body, status, said", [
    ("", 422, "the body is empty"),
    ("\n \r\n", 422, "the body is empty"),
    ('{"a":1}\n\n[1]\n', 422, "line 3: a record is a JSON object"),
    ('{"a":1}\n{"a":\n1}', 400, "line 2: not JSON"),
    (b'{"a":"\xff"}', 400, "line 1: not JSON"),
    ("{}\n" * 100001, 413, "100001 records in one request, 100000 are allowed"),
])
def test_lines_that_are_no_records_store_nothing(empty_gateway, body, status, said):
    reply = produce(empty_gateway, body, content_type=LINES)
    assert reply.status == status and reply.json()["message"].startswith(said), reply
    assert end_offset(empty_gateway) == 0


def test_a_million_blank_lines_are_no_records(gateway):
    assert produce(gateway, "\n" * 10**6 + '{"a":1}', content_type=LINES).status == 200
    assert end_offset(gateway) == 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_another_type_is_told_which_are_taken(empty_gateway, content_type):
    reply = produce(empty_gateway, ROW, content_type=content_type)
    assert (reply.status, reply.json()["message"]) == (
        415, f"HTTP 415 Unsupported Media Type: send Content-Type: {KAFKA_JSON}, or {JSON}, or {LINES}")


@pytest.mark.parametrize("path, meant", [
    ("/topic/124df56aef51.pin", "POST /topics/{topic}"),
    ("/topics/x/partition/0", "POST /topics/{topic}/partitions/{partition}"),
    ("/health", "GET /healthz"),
    ("/metric/", "GET /metrics"),
])
def test_a_path_that_is_mistyped_is_told_the_right_one(empty_gateway, path, meant):
    reply = ask(empty_gateway, "POST", path, ROW, JSON)
    assert reply.status == 404
    assert reply.json()["message"].startswith(f"HTTP 404 Not Found: did you mean {meant}? the routes are "), reply


def test_a_stream_that_is_mistyped_is_told_the_right_one(empty_gateway):
    reply = ask(empty_gateway, "PUT", "/streams/s/recrds", {}, JSON)
    assert reply.status == 403 and "did you mean PUT /streams/{stream}/records? " in reply.text, reply


# --- packed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("content_type, body", [
    (KAFKA_JSON, json.dumps({"records": [{"value": ROW}]})),
    (KAFKA_BINARY, '{"records":[{"value":"eyJpbmRleCI6NzUyOH0="}]}'),
    (JSON, json.dumps(ROW)),
    (LINES, lines_of([ROW])),
])
def test_a_packed_body_is_that_body(run, gateway, data_dir, coding, content_type, body):
    body = ("\ufeff" + body).encode()
    for each in (body, body):
        reply = produce(gateway, PACKERS[coding](each), content_type=content_type, headers={"Content-Encoding": coding})
        assert reply.status == 200, reply
    assert end_offset(gateway) == 2
    produce(gateway, body, content_type=content_type)
    first, second, plain = values(run, data_dir)
    assert first == second == plain


def test_a_packed_body_of_a_stream(gateway):
    body = json.dumps({"Data": ROW, "PartitionKey": "k"}).encode()
    for coding, pack in PACKERS.items():
        assert put(gateway, pack(body), headers={"Content-Encoding": coding}).status == 200
    assert len(read_stream(gateway)) == len(PACKERS)
    reply = put(gateway, b"no gzip", headers={"Content-Encoding": "gzip"})
    assert reply.status == 400 and reply.json()["__type"] == "SerializationException", reply


def test_what_was_packed_in_pieces_is_one_body(gateway):
    halves = [b'{"a":1}\n{"a"', b":2}\n"]
    for coding, pack in PACKERS.items():
        body = b"".join(pack(half) for half in halves)
        assert produce(gateway, body, content_type=LINES, headers={"Content-Encoding": coding}).status == 200
    assert end_offset(gateway) == 2 * len(PACKERS)


def test_a_packed_body_in_chunks(gateway):
    body = gzip.compress(lines_of([ROW] * 1000).encode())
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    connection.request("POST", PIN, iter([body[:7], body[7:]]), {"Content-Type": LINES, "Content-Encoding": "gzip"},
                       encode_chunked=True)
    reply = connection.getresponse()
    assert reply.status == 200 and len(json.loads(reply.read())["offsets"]) == 1000
    connection.close()


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("spoil", [lambda packed: packed[:-9], lambda packed: packed[:20] + b"\0\xff\0" + packed[23:],
                                   lambda packed: b"{}", lambda packed: packed + b"more"])
def test_what_is_not_packed_so_is_refused(empty_gateway, coding, spoil):
    body = spoil(PACKERS[coding](lines_of({"a": i * 7919 % 1000} for i in range(1000)).encode()))
    reply = produce(empty_gateway, body, content_type=LINES, headers={"Content-Encoding": coding})
    assert reply.status == 400 and reply.json()["message"].startswith("the body could not be unpacked: "), reply
    assert end_offset(empty_gateway) == 0


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, zstd", ""])
def test_another_coding_is_told_which_are_taken(empty_gateway, coding):
    reply = produce(empty_gateway, ROW, content_type=JSON, headers={"Content-Encoding": coding})
    assert (reply.status, reply.headers["Accept-Encoding"]) == (415, "gzip, zstd"), reply
    assert "gzip or zstd" in reply.json()["message"]


def test_a_body_is_bounded_by_what_it_unpacks_to(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_BODY_BYTES_MAX": "1KiB"})
    fits, larger = ('{"a":"%s"}' % ("x" * (n - 8)) for n in (1024, 1025))
    for coding, pack in PACKERS.items():
        header = {"Content-Encoding": coding}
        reply = produce(gateway, pack(larger.encode()), content_type=LINES, headers=header)
        assert reply.status == 413 and "unpacked it has more than 1024 bytes" in reply.text, reply
        assert produce(gateway, pack(fits.encode()), content_type=LINES, headers=header).status == 200
    assert end_offset(gateway) == len(PACKERS)


def resident_kib(pid, what):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))


def test_a_bomb_costs_no_more_than_a_body(gateway):
    """Of 400 MiB, of which one says so in its trailer and the other lies; and a window that is too large."""
    ten = gzip.compress(b" " * (40 << 20), 1)
    for bomb in (gzip.compress(b" " * (400 << 20), 1), ten * 10 + gzip.compress(b" ")):
        reply = produce(gateway, bomb, content_type=LINES, headers={"Content-Encoding": "gzip"})
        assert reply.status == 413, reply
    reply = produce(gateway, zstd(b" " * (400 << 20)), content_type=LINES, headers={"Content-Encoding": "zstd"})
    assert reply.status == 413, reply
    wide = b"\x28\xb5\x2f\xfd\x00\xf8" + b"\x01\x00\x00"  # of 2 TiB
    reply = produce(gateway, wide, content_type=LINES, headers={"Content-Encoding": "zstd"})
    assert reply.status == 400, reply
    assert end_offset(gateway) == 0
    assert resident_kib(gateway.pid, "VmHWM") < 600 << 10  # of a build with sanitizers, which holds what is free


def test_a_key_stands_before_what_is_unpacked(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_API_KEY_SHA256": "0" * 64})
    reply = produce(gateway, b"no gzip", content_type=LINES, headers={"Content-Encoding": "gzip"})
    assert reply.status == 401
    assert ask(gateway, "PUT", f"{PIN_STREAM}/record", b"x", JSON, headers={"Content-Encoding": "zstd"}).status == 401
