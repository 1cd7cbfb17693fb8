"""Logs of other versions than today's, made by the description of their bytes (src/broker/local/journal.h), not
by the program: what is old is read and written on, what records may bring is shown, what is newer is refused.
"""

import base64
import http.client
import json
import struct

import pytest
from crc32c import crc32c

BASE, UID, LOG_ID = 4096, 0x1234, 0xABCD
NULL, EXTRA = 0xFFFFFFFF, 0xFFFFFFFE
TIME = 1600000000000


def sized(first, second):
    """Two byte strings, or None, behind their lengths."""
    lengths = [NULL if part is None else len(part) for part in (first, second)]
    return struct.pack("<II", *lengths) + (first or b"") + (second or b"")


def record(value, key=None, time=0, headers=()):
    extra = b"" if not time and not headers else struct.pack("<qI", time, len(headers)) + b"".join(
        sized(name, value) for name, value in headers)
    return (struct.pack("<II", EXTRA, len(extra)) + extra if extra else b"") + sized(key, value)


def make_log(directory, version, records, catalog_version=None):
    """One topic "t" of one partition, with one batch of these records, whose writer has come to rest."""
    log = directory / "log"
    log.mkdir(parents=True)
    text = (f"pinpipe topics {catalog_version or min(version, 2)}\nlog {LOG_ID:016x}\ntopic log {UID:016x} {TIME} 1 t\n"
            f"partition 0 open -1 -1 0 {TIME // 1000} {0:032x} {2**128 - 1:032x}\n").encode()
    (log / "topics").write_bytes(text + b"crc %08x\n" % crc32c(text))
    body = struct.pack("<QQQQqQ", BASE, 16384, 1, LOG_ID, TIME, 0 if version == 1 else 77)
    summed = body if version == 1 else struct.pack("<I", version) + body
    chain = crc32c(summed)
    segment = (b"PINPIPEJ" + struct.pack("<II", version, chain) + body).ljust(4096, b"\0")
    state = struct.pack("<QQ", 0, 0) + struct.pack("<QiIQ", UID, 0, 0, 0)
    payload = b"".join(records)
    for kind, count, content in ((2, 1, state), (1, len(records), payload), (3, 0, b"")):
        address = BASE + len(segment)
        head = struct.pack("<QIIIIQQqQiIQ", address, len(content), crc32c(content), chain, kind, 1,
                           address if kind == 3 else 0, TIME, UID if kind == 1 else 0, 0, count, 0)
        chain = crc32c(head)
        segment += struct.pack("<II", 0x424A5050, chain) + head + content
        segment += b"\0" * (-len(segment) % 8)
    (log / f"{BASE:020}.segment").write_bytes(segment.ljust(16384, b"\0"))
    return log


def cat(run, directory):
    lines = run("cat", "t", "--format", "json", "--dir", directory).stdout.splitlines()
    return [json.loads(line) for line in lines]


def files(directory):
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def post(gateway, value):
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    connection.request("POST", "/topics/t", json.dumps({"records": [{"value": value}]}),
                       {"Content-Type": "application/vnd.kafka.json.v2+json"})
    return json.load(connection.getresponse())["offsets"][0]["offset"]


def test_a_log_of_the_first_version_is_read_and_written_on(run, start_gateway, data_dir):
    log = make_log(data_dir, 1, [record(b'{"n":0}'), record(b'{"n":1}', key=b"k")])
    assert [(r["value"], r["key"], r["timestamp_ms"]) for r in cat(run, data_dir)] == [
        ({"n": 0}, None, TIME), ({"n": 1}, "k", TIME)]
    assert (log / "topics").read_bytes().startswith(b"pinpipe topics 1\n"), "a reader changed it"
    gateway = start_gateway()
    assert post(gateway, {"n": 2}) == 2
    gateway.stop()
    assert [r["value"]["n"] for r in cat(run, data_dir)] == [0, 1, 2]
    # Programs of the first version refuse what has this line, before they look at a segment.
    for name in ("topics", "topics.copy"):
        assert (log / name).read_bytes().startswith(b"pinpipe topics 2\n")


def test_headers_and_times_are_shown(run, data_dir):
    headers = [(b"trace", b"a b"), (b"trace", None), (b"bin", b"\xff\0"), (b"", b"")]
    make_log(data_dir, 2, [record(b'{"n":0}', time=5, headers=headers), record(b'{"n":1}'),
                           record(b'{"n":2}', time=7), record(None, key=b"k", headers=headers[:1])])
    shown = cat(run, data_dir)
    assert shown[0]["headers"] == [["trace", "a b"], ["trace", None],
                                   ["bin", {"base64": base64.b64encode(b"\xff\0").decode()}], ["", ""]]
    assert [r["timestamp_ms"] for r in shown] == [5, TIME, 7, TIME]
    assert ["headers" in r for r in shown] == [True, False, False, True]
    assert shown[3]["tombstone"] is True and shown[3]["key"] == "k"


@pytest.mark.parametrize("version,catalog_version", [(3, 2), (2, 3)])
def test_what_a_newer_program_wrote_is_refused_and_left_alone(run, data_dir, version, catalog_version):
    make_log(data_dir, version, [record(b'{"n":0}')], catalog_version)
    before = files(data_dir)
    for command in (["cat", "t"], ["gateway", "--listen", "127.0.0.1:0"], ["check"]):
        refused = run(*command, "--dir", data_dir, status=None)
        assert refused.returncode not in (0, -6, -11) and "newer version" in refused.stderr, refused.stderr
    after = files(data_dir)
    assert {name: after[name] for name in before} == before
