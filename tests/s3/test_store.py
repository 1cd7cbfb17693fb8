"""The S3 backend, call by call, against a server that does to it what services do: `store_tool` makes the calls."""
import os
import pathlib
import re
import ssl
import subprocess
import time

import pytest

import s3_server
from conftest import binary, clean_environment
from s3_server import BUCKET, Faults, Server

URL = f"s3://{BUCKET}/pre fix"
KEY = "tables/t/part-1.parquet"
LARGE = (16 << 20) + 5  # three parts would be 32 MiB and more
DAY_S = 24 * 3600


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


@pytest.fixture(name="tool")
def fixture_tool(server):
    """tool("put", "a", "text", "--", "get", "a"): (codes and what was given, line by line; what stderr says)."""
    program = binary().parent / "tests" / "store_tool"
    if not program.exists():
        pytest.skip(f"{program} is not built")

    def call(*words, url=URL, env=None, bare=True):
        environment = {**server.environment(), **({"PINPIPE_TEST_BARE": "1"} if bare else {}), **(env or {})}
        done = subprocess.run([str(program), url, *map(str, words)], capture_output=True, timeout=120, check=False,
                              env=clean_environment(environment), stdin=subprocess.DEVNULL)
        assert done.returncode in (0, 1, 2), done.stderr.decode()
        return done.stdout.decode(errors="replace").splitlines(), done.stderr.decode()
    return call


@pytest.fixture(name="large")
def fixture_large(tmp_path):
    """A file that goes in parts; a put removes it."""
    path = tmp_path / "large"

    def make(size=LARGE):
        path.write_bytes(os.urandom(1 << 20) * (size >> 20) + b"x" * (size & 0xfffff))
        return path
    return make


# --- what is put


def test_an_object_is_where_the_url_says(server, tool):
    assert tool("create", "a/b+c=d %ä", "text") == (["ok"], "")
    assert server.objects() == {"pre fix/a/b+c=d %ä": b"text"}
    found = server.buckets[BUCKET]["pre fix/a/b+c=d %ä"].headers
    assert found["x-amz-meta-of"] == "the tool" and re.fullmatch("[0-9a-f]{32}", found["x-amz-meta-pinpipe-put"])
    assert tool("stat", "a/b+c=d %ä")[0] == ["4 bytes, of=the tool", "ok"]  # without our own word


@pytest.mark.parametrize("url", [f"s3://{BUCKET}", f"s3://{BUCKET}/", f"s3://{BUCKET}/a/b", f"s3://{BUCKET}/a/b//"])
def test_prefixes(server, tool, url):
    prefix = url.removeprefix(f"s3://{BUCKET}").strip("/")
    prefix += "/" if prefix else ""
    assert tool("put", "x/y", "1", "--", "list", "", "", "--", "get", "x/y", url=url)[0] == \
        ["ok", "x/y 1", "ok", "1", "ok"]
    assert list(server.objects()) == [f"{prefix}x/y"]


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://ab", "s3://Upper/x", "s3://b%20d/x", f"s3://{BUCKET}//x",
                                 f"s3://{BUCKET}/../x", f"s3://{BUCKET}/" + "x" * 130, "s3:bucket"])
def test_what_is_no_place(tool, url):
    codes, said = tool("stat", "x", url=url, bare=False)
    assert codes == [] and said


def test_how_objects_are_encrypted(server, tool):
    env = {"PINPIPE_TEST_SSE": "aws:kms", "PINPIPE_TEST_KMS_KEY": "arn:aws:kms:eu-test-1:1:key/2"}
    assert tool("put", "a", "1", env=env)[0] == ["ok"]
    assert server.buckets[BUCKET]["pre fix/a"].headers["x-amz-server-side-encryption"] == "aws:kms"
    assert "key/2" in server.buckets[BUCKET]["pre fix/a"].headers["x-amz-server-side-encryption-aws-kms-key-id"]
    assert tool("put", "a", "1", env={"PINPIPE_TEST_KMS_KEY": "x"})[0] == []  # a key, and nothing that uses it


def test_a_large_file_goes_in_parts(server, tool, large):
    path = large()
    body = path.read_bytes()
    assert tool("create-file", KEY, path, "--", "stat", KEY)[0] == ["ok", f"{LARGE} bytes, of=the tool", "ok"]
    assert server.objects()["pre fix/" + KEY] == body
    assert not path.exists() and not server.uploads
    assert (server.requests["create"], server.requests["part"], server.requests["complete"]) == (1, 2, 1)
    assert server.requests["put"] == 0


def test_etags_that_are_no_md5(server, tool, large):
    """Of what the keys of a KMS encrypt."""
    server.etags_are_md5 = False
    assert tool("create", "a", "1", "--", "get", "a", "--", "create-file", KEY, large(), "--", "list", "", "")[0] == \
        ["ok", "1", "ok", "ok", "a 1", f"{KEY} {LARGE}", "ok"]


def test_a_server_that_refuses_checksums(server, tool, large):
    server.knows_checksums = False
    codes, said = tool("create", "a", "1")
    assert codes == ["unsupported"] and "x-amz-checksum-crc32c" in said and "not implemented" in said
    env = {"AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED"}
    path = large()
    body = path.read_bytes()
    assert tool("create", "a", "1", "--", "create-file", KEY, path, env=env)[0] == ["ok", "ok"]
    assert server.objects() == {"pre fix/a": b"1", "pre fix/" + KEY: body}


@pytest.mark.parametrize("late", [False, True])
def test_a_large_file_replaces_nothing(server, tool, large, late):
    """Also where that is told in an answer that began with 200."""
    server.refuses_late = late
    path = large()
    assert tool("create", KEY, "first", "--", "create-file", KEY, path)[0] == ["ok", "exists"]
    assert server.objects()["pre fix/" + KEY] == b"first"
    assert path.exists() and not server.uploads and server.requests["complete"] == 1


def leave_upload(server, key, age_s):
    server.uploads[f"upload of {key}"] = s3_server.Upload((BUCKET, f"pre fix/{key}"), {}, server.now() - age_s)


@pytest.mark.parametrize("clock_s", [0, 3 * DAY_S, -3 * DAY_S])
def test_parts_that_nobody_ended_are_removed(server, tool, large, clock_s):
    """By the server's clock, which says since when they are there."""
    server.clock_s = clock_s
    for key, age_s in (("tables/t/old", 2 * DAY_S), ("tables/t/young", 60), ("tables/u/old", 2 * DAY_S)):
        leave_upload(server, key, age_s)
    assert tool("create-file", KEY, large())[0] == ["ok"]
    assert sorted(server.uploads) == ["upload of tables/t/young", "upload of tables/u/old"]


def test_many_parts_that_nobody_ended(server, tool, large):
    """The put that finds them does not wait until all of them are gone."""
    for i in range(20):
        leave_upload(server, f"tables/t/{i:02}", 2 * DAY_S)
    for left in (12, 4, 0):
        assert tool("put", KEY, "", "--", "remove", KEY, "--", "create-file", KEY, large())[0] == ["ok"] * 3
        assert len(server.uploads) == left


# --- answers that are lost, and answers that are wrong


@pytest.mark.parametrize("kind", ["reset before", "reset after", "500", "500 after", "503"])
@pytest.mark.parametrize("call", ["create", "put"])
def test_a_put_is_made_once_whatever_becomes_of_its_answer(server, tool, call, kind):
    server.faults = Faults(1, 0).plan("PUT", "/a", kind)
    assert tool(call, "a", "text")[0] == ["ok"]
    assert server.objects() == {"pre fix/a": b"text"} and server.faults.counts[kind] == 1


@pytest.mark.parametrize("kind", ["reset before", "reset after", "500 after"])
def test_a_file_is_put_whatever_becomes_of_an_answer(server, tool, large, kind):
    """Over a connection that is open already, so that libcurl is tempted to send it again itself."""
    server.faults = Faults(1, 0).plan("PUT", KEY, kind)
    assert tool("put", "a", "x", "--", "create-file", KEY, large(100))[0] == ["ok", "ok"]
    assert len(server.objects()["pre fix/" + KEY]) == 100 and server.faults.counts[kind] == 1


@pytest.mark.parametrize("kind", ["reset before", "reset after", "500", "500 after", "503"])
@pytest.mark.parametrize("step", [("POST", "?uploads"), ("PUT", "partNumber=2"), ("POST", "?uploadId")])
def test_a_large_file_is_put_whatever_becomes_of_an_answer(server, tool, large, step, kind):
    path = large()
    body = path.read_bytes()
    server.faults = Faults(1, 0).plan(*step, kind)
    assert tool("create-file", KEY, path)[0] == ["ok"]
    assert server.objects() == {"pre fix/" + KEY: body} and server.faults.counts[kind] == 1


@pytest.mark.parametrize("kind", ["reset before", "reset after", "500", "500 after", "503"])
def test_a_part_is_put_again_though_a_stop_is_asked(server, tool, large, kind):
    """And not all of them, of which one always fails."""
    server.faults = Faults(1, 0).plan("PUT", "partNumber=2", kind, 3)
    assert tool("create-file", KEY, large(), env={"PINPIPE_TEST_STOP": "1"})[0] == ["ok"]
    assert server.requests["create"] == 1 and server.faults.counts[kind] == 3


@pytest.mark.parametrize("kind", ["reset before", "500"])
def test_an_upload_whose_end_is_unknown_is_not_left_behind(server, tool, large, kind):
    """A new one takes its place, as a call is one request when a stop is asked: the parts of the first would stay."""
    server.faults = Faults(1, 0).plan("POST", "?uploadId", kind).plan("DELETE", "?uploadId", "503")
    assert tool("create-file", KEY, large(), env={"PINPIPE_TEST_STOP": "1"})[0] == ["ok"]
    assert server.faults.counts.total() == 2 and server.requests["create"] == 2 and not server.uploads


@pytest.mark.parametrize("kind", ["200 with error", "200 with error after"])
def test_an_error_may_come_with_200(server, tool, large, kind):
    path = large()
    body = path.read_bytes()
    server.faults = Faults(1, 0).plan("POST", "?uploadId", kind)
    assert tool("create-file", KEY, path)[0] == ["ok"]
    assert server.faults.counts[kind] == 1
    assert server.objects() == {"pre fix/" + KEY: body} and not server.uploads


@pytest.mark.parametrize("kind", ["reset after", "500 after", "truncated"])
@pytest.mark.parametrize("call, method, answers", [
    (("create", "a", "ours"), "PUT", ["exists"]), (("get", "b"), "GET", ["absent"]),
    (("stat", "b"), "HEAD", ["absent"]), (("get", "a", "9", "1"), "GET", ["", "ok"]),
    (("remove", "b"), "DELETE", ["ok"]), (("list", "b/", ""), "GET", ["ok"])])
def test_a_refusal_may_be_lost_as_well(server, tool, call, method, answers, kind):
    server.buckets[BUCKET]["pre fix/a"] = s3_server.Object(b"theirs", time.time(), '"e"', {})
    assert tool(*call)[0] == answers
    without, server.count = server.count, 0
    server.faults = Faults(1, 0).plan(method, "", kind)
    assert tool(*call)[0] == answers
    assert server.faults.counts.total() == 1 and server.count == without + 1
    assert server.objects() == {"pre fix/a": b"theirs"}


def test_anothers_object_is_not_taken_for_ours(server, tool):
    """The answer to ours is lost, before it was written; meanwhile another writes."""
    assert tool("create", "a", "theirs")[0] == ["ok"]
    server.faults = Faults(1, 0).plan("PUT", "/a", "reset before")
    assert tool("create", "a", "ours")[0] == ["exists"]
    assert server.objects() == {"pre fix/a": b"theirs"}


def shut_after_the_first_put(server, monkeypatch, shut):
    store = Server.store

    def storing(self, *what):
        store(self, *what)
        shut()
    monkeypatch.setattr(Server, "store", storing)
    server.faults = Faults(1, 0).plan("PUT", "/a", "500 after")


@pytest.mark.parametrize("call", ["create", "put"])
@pytest.mark.parametrize("methods, code", [({"PUT"}, "ok"), ({"PUT", "GET", "HEAD"}, "unknown")])
def test_rights_that_end_after_a_put_whose_answer_was_lost(server, tool, monkeypatch, call, methods, code):
    """It is there, so "denied", after which it would not be, is no answer."""
    shut_after_the_first_put(server, monkeypatch, lambda: server.denied.update(methods))
    codes, said = tool(call, "a", "text")
    assert codes == [code] and server.objects() == {"pre fix/a": b"text"}
    assert code == "ok" or "no right" in said


@pytest.mark.parametrize("call", ["create", "put"])
def test_keys_that_end_after_a_put_whose_answer_was_lost(server, tool, monkeypatch, call):
    shut_after_the_first_put(server, monkeypatch, server.keys.clear)
    codes, said = tool(call, "a", "text")
    assert codes == ["unknown"] and "nobody has these keys" in said
    assert server.objects() == {"pre fix/a": b"text"}


def test_a_conflict_after_a_put_whose_answer_was_lost(server, tool, monkeypatch):
    store, puts = Server.store, []

    def conflicting(self, *what):
        puts.append(what)
        if len(puts) > 1:
            raise s3_server.Refused(409, "ConditionalRequestConflict")
        store(self, *what)
    monkeypatch.setattr(Server, "store", conflicting)
    server.faults = Faults(1, 0).plan("PUT", "/a", "500 after")
    assert tool("create", "a", "text")[0] == ["ok"]
    assert len(puts) > 1 and server.objects() == {"pre fix/a": b"text"}


@pytest.mark.parametrize("kind", ["truncated", "reset before", "reset after", "500", "503"])
@pytest.mark.parametrize("call", [("get", "a"), ("stat", "a"), ("list", "", ""), ("fetch", "a")])
def test_reading_is_tried_again(server, tool, call, kind):
    text = "0123456789" * 1000
    assert tool("put", "a", text)[0] == ["ok"]
    without = tool(*call)
    method, part = "HEAD" if call[0] == "stat" else "GET", "list-type" if call[0] == "list" else "/a"
    server.faults = Faults(1, 0).plan(method, part, kind)
    assert tool(*call) == without and without[0][-1] == "ok"
    assert server.faults.counts.total() == 1


@pytest.mark.parametrize("kind", ["reset before", "reset after", "500", "503"])
def test_removing_is_tried_again(server, tool, kind):
    server.faults = Faults(1, 0).plan("DELETE", "/a", kind)
    assert tool("put", "a", "x", "--", "remove", "a", "--", "remove", "a")[0] == ["ok"] * 3
    assert server.objects() == {} and server.faults.counts[kind] == 1


@pytest.mark.parametrize("kind", ["reset before", "reset after", "500", "500 after", "503"])
def test_removing_is_tried_again_though_a_stop_is_asked(server, tool, kind):
    """As of letters that are settled while the program drains."""
    assert tool("put", "a", "x")[0] == ["ok"]
    server.faults = Faults(1, 0).plan("DELETE", "/a", kind, 3)
    assert tool("remove", "a", bare=False, env={"PINPIPE_TEST_STOP": "1"})[0] == ["ok"]
    assert server.objects() == {} and server.faults.counts[kind] == 3


def test_a_conflict_is_no_object(server, tool, monkeypatch):
    """409 is "try again", or a key that is another's directory: the <Code> tells which."""
    store, answers = Server.store, ["ConditionalRequestConflict"] * 2

    def conflicting(self, bucket, key, found, headers):
        if answers:
            raise s3_server.Refused(409, answers.pop())
        store(self, bucket, key, found, headers)
    monkeypatch.setattr(Server, "store", conflicting)
    assert tool("create", "a", "x", bare=False)[0] == ["ok"]
    assert not answers and server.objects()["pre fix/a"] == b"x"
    answers[:] = ["ObjectParentIsFile"] * 9
    assert tool("put", "a/b", "x")[0] == ["shape"]


def test_a_slow_store_that_gave_no_answer_has_its_time_again(server, tool):
    """Each try of the first call is cut off, by somebody who is there all the same."""
    assert tool("put", "b", "x")[0] == ["ok"]
    server.faults = Faults(1, 0, delay_s=1.5).plan("HEAD", "/b", "delay")
    for _ in range(8):
        server.faults.plan("GET", "/a", "reset before")
    assert tool("get", "a", "--", "stat", "b")[0] == ["busy", "1 bytes, of=the tool", "ok"]
    assert server.faults.counts["delay"] == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_head_that_tells_no_size(server, tool, ranges):
    """As proxies leave it: a put whose answer was lost knows its object, and the size is asked for."""
    server.tells_size, server.knows_ranges = False, ranges
    server.faults = Faults(1, 0)
    server.faults.plan("PUT", "/a", "reset after")
    assert tool("create", "a", "12345", "--", "stat", "a", "--", "create", "b", "", "--", "stat", "b", "--", "stat",
                "c")[0] == ["ok", "5 bytes, of=the tool", "ok", "ok", "0 bytes, of=the tool", "ok", "absent"]


def test_a_server_without_ranges(server, tool):
    server.knows_ranges = False
    assert tool("put", "a", "0123456789", "--", "get", "a", "3", "4", "--", "get", "a", "8", "--", "get", "a", "10", "2"
                )[0] == ["ok", "3456", "ok", "89", "ok", "", "ok"]
    assert tool("fetch", "a")[0] == ["10 bytes", "ok"]


# --- lines that are slow, and lines that are dead

SOON = {"PINPIPE_TEST_CALL_MS": "700"}
SLOW_S = 2.4  # more than all tries together may take without a byte


@pytest.mark.parametrize("call, method, size", [("get", "GET", 1 << 16), ("fetch", "GET", 1 << 16),
                                                ("create-file", "PUT", 16 << 20), ("create-pieces", "PUT", 16 << 20),
                                                ("create-file", "PUT", LARGE), ("create-pieces", "PUT", LARGE)])
def test_bytes_that_flow_are_waited_for(server, tool, large, call, method, size):
    """However long all of them take."""
    path = large(size)
    body = path.read_bytes()
    if method == "GET":
        server.buckets[BUCKET]["pre fix/" + KEY] = s3_server.Object(body, time.time(), '"e"', {})
    part = "partNumber=1&" if size == LARGE else KEY
    server.faults = Faults(1, 0, trickle_s=SLOW_S).plan(method, part, "trickle", 9)
    codes, said = tool(call, KEY, *([path] if method == "PUT" else []), env=SOON)
    assert codes[-1] == "ok", said
    assert server.objects() == {"pre fix/" + KEY: body}
    assert server.faults.counts["trickle"] == 1  # nothing was begun anew


def test_a_listing_that_flows_is_waited_for(server, tool):
    for i in range(1000):
        server.buckets[BUCKET][f"pre fix/{i:04}"] = s3_server.Object(b"", time.time(), '"e"', {})
    server.faults = Faults(1, 0, trickle_s=SLOW_S).plan("GET", "list-type", "trickle", 9)
    assert len(tool("list", "", "", env=SOON)[0]) == 1001
    assert server.faults.counts["trickle"] == 1


@pytest.mark.parametrize("call, method", [("get", "GET"), ("create-file", "PUT"), ("create-pieces", "PUT")])
def test_bytes_that_do_not_flow_are_not_waited_for(server, tool, large, call, method):
    """Though the connection stands, and for ever."""
    path = large(16 << 20)
    if method == "GET":
        server.buckets[BUCKET]["pre fix/" + KEY] = s3_server.Object(path.read_bytes(), time.time(), '"e"', {})
    server.faults = Faults(1, 0).plan(method, KEY, "stall", 9)
    codes, said = tool(call, KEY, *([path] if method == "PUT" else []), env=SOON)
    assert codes == ["timeout"] or codes == ["busy"], said
    assert "no byte" in said and 1 <= server.faults.counts["stall"] <= 2


@pytest.mark.parametrize("trickle_s, times", [(SLOW_S, 1), (SLOW_S, 3), (0.5, 6)])
def test_a_line_that_breaks_is_taken_up_again(server, tool, large, trickle_s, times):
    """After more time than there is for tries of which nothing came; also where each broke soon."""
    body = large(1 << 16).read_bytes()
    server.buckets[BUCKET]["pre fix/" + KEY] = s3_server.Object(body, time.time(), '"e"', {})
    server.faults = Faults(1, 0, trickle_s=trickle_s).plan("GET", KEY, "trickle and reset", times)
    assert tool("fetch", KEY, env=SOON)[0] == [f"{1 << 16} bytes", "ok"]
    assert server.faults.counts.total() == times


HANGING = [(call, method, kind) for kind in ("silence", "stall", "drip") for call, method in (
    (("get", KEY), "GET"), (("get", KEY, 0, 9999), "GET"), (("fetch", KEY), "GET"), (("list", "", ""), "GET"),
    (("stat", KEY), "HEAD"), (("put", KEY, "x" * 2000), "PUT"), (("create", KEY, "x" * 2000), "PUT"))
    if kind == "silence" or method == "GET" or (kind, method) == ("stall", "PUT")]


@pytest.mark.parametrize("call, method, kind", HANGING, ids=[f"{kind}-{call[0]}" for call, _, kind in HANGING])
def test_one_try_that_hangs_is_not_the_last(server, tool, call, method, kind):
    """Whatever room there is for an answer; of one that hardly comes no more is awaited than of one that does not."""
    server.buckets[BUCKET]["pre fix/" + KEY] = s3_server.Object(b"x" * 2000, time.time(), '"e"', {})
    if call[0] == "create":
        server.buckets[BUCKET].clear()
    without = tool(*call)
    assert without[0][-1] == "ok"
    if call[0] == "create":
        server.buckets[BUCKET].clear()
    part = "list-type" if call[0] == "list" else KEY
    server.faults = Faults(1, 0).plan(method, part, kind)
    server.count = 0
    assert tool(*call, env=SOON) == without
    assert server.faults.counts[kind] == 1 and server.count == 2


def test_what_only_reads_ends_soon_after_a_stop(server, tool, large):
    """Also what flows, as long as it may take."""
    server.buckets[BUCKET]["pre fix/" + KEY] = s3_server.Object(large(4 << 20).read_bytes(), time.time(), '"e"', {})
    server.faults = Faults(1, 0).plan("GET", KEY, "flow", 9)
    codes, said = tool("get", KEY, env={**SOON, "PINPIPE_TEST_STOP": "1"})
    assert codes in (["timeout"], ["busy"]) and "a stop was asked" in said and server.faults.counts["flow"] == 1


def test_pieces_that_do_not_come(server, tool, large):
    """The writer has said more than there is: of one piece, and of several."""
    path = large(LARGE)
    for size in (1 << 20, LARGE + 1, 40 << 20):
        path.write_bytes(b"x" * (size - 1))
        assert tool("create-pieces", KEY, path, size)[0] == ["io"]
    assert not server.objects() and not server.uploads


# --- listings


@pytest.mark.parametrize("encoding", [True, False])
def test_listings_come_in_pages(server, tool, encoding):
    keys = sorted(f"k/{name}{i:02}" for i in range(7) for name in ("a+b", "a b", "ä&<>", "%41"))
    for key in keys:
        server.buckets[BUCKET]["pre fix/" + key] = s3_server.Object(b"xy", time.time(), '"e"', {})
    server.page, server.knows_encoding = 5, encoding
    keys.sort(key=str.encode)
    assert tool("list", "k/", "")[0] == [f"{key} 2" for key in keys] + ["ok"]
    assert server.requests["list"] == 6
    assert tool("list", "k/", keys[20])[0] == [f"{key} 2" for key in keys[21:]] + ["ok"]


@pytest.mark.parametrize("oddity", [{"empty_pages": True}, {"begins_behind": False},
                                    {"empty_pages": True, "begins_behind": False}])
def test_servers_that_list_in_other_ways(server, tool, oddity):
    """Pages without a key, as where much was removed; a listing that begins with the key that it is to begin behind."""
    keys = [f"k/{i:02}" for i in range(11)]
    for key in keys:
        server.buckets[BUCKET]["pre fix/" + key] = s3_server.Object(b"xy", time.time(), '"e"', {})
    server.page = 5
    vars(server).update(oddity)
    assert tool("list", "k/", "")[0] == [f"{key} 2" for key in keys] + ["ok"]
    assert tool("list", "k/", keys[3])[0] == [f"{key} 2" for key in keys[4:]] + ["ok"]
    assert tool("list", "k/", keys[-1])[0] == ["ok"]
    assert tool("list", "none/", "")[0] == ["ok"]


def test_other_programs_objects_are_passed_over(server, tool):
    for key in ("pre fix/", "pre fix/dir/", "pre fix/a//b", "pre fix/ok", "pre fix/" + "x" * 1000, "prefix", "pre"):
        server.buckets[BUCKET][key] = s3_server.Object(b"", time.time(), '"e"', {})
    assert tool("list", "", "")[0] == ["ok 0", "ok"]
    server.page = 1
    assert tool("list", "", "")[0] == ["ok 0", "ok"]


@pytest.mark.parametrize("body", [b"", b"no xml", b"<ListBucketResult>", b"<html><body>hello</body></html>",
                                  b"<!DOCTYPE a [<!ENTITY b 'c'>]><ListBucketResult/>",
                                  b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
                                  b"<ListBucketResult><Contents><Key>pre fix/b</Key><Size>x</Size></Contents>"
                                  b"</ListBucketResult>",
                                  b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
                                  b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x"
                                  b"</NextContinuationToken></ListBucketResult>",  # and so on for ever
                                  b"<ListBucketResult><Contents><Key>pre fix/b</Key></Contents><Contents>"
                                  b"<Key>pre fix/a</Key></Contents></ListBucketResult>",
                                  # The next page could not be asked for by its key, and would be this one again.
                                  pytest.param(b"<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>"
                                               + b"x" * 3000 + b"</Key></Contents></ListBucketResult>", id="long"),
                                  pytest.param(b"<ListBucketResult><Contents>" + b"<Key/>" * 1300000
                                               + b"</Contents></ListBucketResult>", id="again and again")])
def test_a_listing_that_cannot_be_read(server, tool, monkeypatch, body):
    monkeypatch.setattr(Server, "do_list", lambda *_: (200, body, {}))
    codes, said = tool("list", "", "")
    assert codes[-1] == "corrupt" and "cannot be read" in said


# --- what is wrong with the bucket, the keys, the clock


def refused(server, tool, code, words, calls=(("put", "a", "x"), ("create", "a", "x"), ("get", "a"), ("stat", "a"),
                                              ("list", "", ""), ("remove", "a"))):
    for call in calls:
        codes, said = tool(*call)
        assert codes == [code] and re.search(words, said), f"{call}: {codes}, {said}"
        assert said.count("\n") == 1 and URL in said
    assert not server.objects() if BUCKET in server.buckets else True


def test_no_bucket(server, tool):
    """No key is absent, and no listing empty, because the bucket is."""
    server.buckets.clear()
    refused(server, tool, "denied", "no such bucket")


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("call", [("put", "a", "x"), ("create", "a", "x"), ("get", "a"), ("get", "a", "1", "2"),
                                  ("stat", "a"), ("list", "", ""), ("remove", "a"), ("fetch", "a")])
def test_what_answers_is_no_s3(server, tool, call, seen):
    """As behind a wrong port or path, or while a service is set up: a 404 that S3 did not give is of no key, also
    where the bucket was seen before."""
    assert tool("put", "z", "x")[0] == ["ok"]
    server.faults = Faults(1, 0)
    for method, part in ((method, part) for method in ("GET", "HEAD", "PUT", "DELETE") for part in ("/a", "list-type")):
        server.faults.plan(method, part, "no S3", 99)
    codes, said = tool(*(("get", "z", "--") if seen else ()), *call)
    assert codes == (["x", "ok"] if seen else []) + ["busy"]
    assert "what answers is no S3" in said and URL in said
    assert server.objects() == {"pre fix/z": b"x"} and server.faults.counts["no S3"]


def test_a_large_file_where_what_answers_is_no_s3(server, tool, large):
    """Nothing is taken for done: neither a part, nor all of it."""
    for part in ("?uploads", "partNumber=2", "?uploadId"):
        server.faults = Faults(1, 0).plan("PUT" if "part" in part else "POST", part, "no S3")
        assert tool("create-file", KEY, large())[0] == ["busy"]
        assert not server.objects() and not server.uploads and server.faults.counts["no S3"] == 1


def test_no_rights(server, tool):
    server.denied = {"GET", "HEAD", "PUT", "DELETE"}
    refused(server, tool, "denied", "no right")


def test_another_region(server, tool):
    environment = server.environment()
    server.region = "eu-other-2"
    server.environment = lambda: environment
    refused(server, tool, "denied", "eu-other-2.*s3.region")


@pytest.mark.parametrize("change, words", [({"AWS_ACCESS_KEY_ID": "AKIDOTHER"}, "nobody has these keys"),
                                           ({"AWS_SECRET_ACCESS_KEY": "other"}, "the secret key is another")])
def test_wrong_keys(server, tool, change, words):
    environment = {**server.environment(), **change}
    server.environment = lambda: environment
    refused(server, tool, "auth", words)


@pytest.mark.parametrize("call", [("stat", "a"), ("get", "a"), ("put", "a", "text"), ("list", "", "")])
def test_keys_that_were_changed_for_others(server, tool, tmp_path, call):
    """An answer to HEAD does not say that it is the keys."""
    config = tmp_path / "config"
    config.write_text(f"""[default]
credential_process = sh -c 'id={s3_server.ACCESS}; test -e {tmp_path}/asked || id=GONE; touch {tmp_path}/asked; \
echo "{{\\"AccessKeyId\\":\\"$id\\",\\"SecretAccessKey\\":\\"{s3_server.SECRET}\\"}}"'
""".replace("\\\n", ""))
    server.buckets[BUCKET]["pre fix/a"] = s3_server.Object(b"text", time.time(), '"e"', {})
    env = {"AWS_CONFIG_FILE": str(config), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    codes, said = tool(*call, env=env)
    assert codes[-1] == "ok", said
    assert {code for *_, code in server.refusals} == {"InvalidAccessKeyId"}


def test_no_keys(server, tool):
    environment = {**server.environment(), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    server.environment = lambda: environment
    for call in (("put", "a", "x"), ("get", "a"), ("list", "", "")):
        assert tool(*call)[0] == ["auth"]


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_wrong_is_set_by_the_server(server, tool, hours):
    server.clock_s = hours * 3600
    assert tool("create", "a", "x", "--", "get", "a")[0] == ["ok", "x", "ok"]
    assert [code for *_, code in server.refusals] == ["RequestTimeTooSkewed"]


def test_a_full_store(server, tool):
    server.full = True
    assert tool("put", "a", "x")[0] == ["no space"]


def test_nobody_is_there(server, tool):
    environment = {**server.environment(), "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    server.environment = lambda: environment
    codes, said = tool("stat", "a")
    assert codes[0] in ("busy", "timeout") and "127.0.0.1" in said


# --- where


@pytest.mark.parametrize("path", ["/", "/storage/v1/s3", "/storage/v1/s3/"])
def test_an_endpoint_with_a_path(server, tool, path):
    server.base = path.rstrip("/")
    environment = {**server.environment(), "AWS_ENDPOINT_URL_S3": server.url + path}
    server.environment = lambda: environment
    assert tool("create", "a b", "x", "--", "get", "a b", "--", "list", "", "")[0] == ["ok", "x", "ok", "a b 1", "ok"]
    assert server.objects() == {"pre fix/a b": b"x"}


def test_a_bucket_with_dots():
    program = pathlib.Path(binary()).parent / "tests" / "store_tool"
    with Server(bucket="my.bucket.example.com") as server:
        done = subprocess.run([program, "s3://my.bucket.example.com/x", "put", "a", "x", "--", "list", "", ""],
                              capture_output=True, text=True, timeout=60, check=False,
                              env=clean_environment(server.environment()))
        assert done.stdout.split("\n")[:3] == ["ok", "a 1", "ok"], done.stderr


def test_the_bucket_in_the_name_of_the_host(server, tool):
    environment = {**server.environment(), "AWS_ENDPOINT_URL_S3": server.url.replace("127.0.0.1", "localhost"),
                   "PINPIPE_TEST_PATH_STYLE": "false"}
    server.environment = lambda: environment
    assert tool("create", "a", "x", "--", "list", "", "")[0] == ["ok", "a 1", "ok"]


def test_https(tmp_path):
    """AWS_CA_BUNDLE says whom to trust, or else the profile."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
                   capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    program = pathlib.Path(binary()).parent / "tests" / "store_tool"
    with Server(tls=context) as server:
        config = tmp_path / "config"
        config.write_text(f"[default]\nca_bundle = {cert}\n[profile other]\nca_bundle = {key}\n")
        profile = {"AWS_CONFIG_FILE": str(config), "AWS_CA_BUNDLE": ""}
        for bundle, first in (({"AWS_CA_BUNDLE": str(cert)}, "ok"), ({}, "denied"), (profile, "ok"),
                              ({**profile, "AWS_PROFILE": "other"}, "denied"),
                              ({**profile, "AWS_PROFILE": "other", "AWS_CA_BUNDLE": str(cert)}, "ok")):
            done = subprocess.run([program, URL, "put", "a", "x"], capture_output=True, text=True, timeout=60,
                                  check=False, env=clean_environment({**server.environment(), **bundle}))
            assert done.stdout == first + "\n", done.stderr
        assert server.objects() == {"pre fix/a": b"x"}


# --- the race


def test_that_only_one_can_create_is_proved_once(server, tool):
    assert tool("create", "a", "x", "--", "can-create", bare=False)[0] == ["ok", "yes", "ok"]
    assert server.requests["put"] == 3 * 8 + 2
    assert sorted(server.objects())[0].startswith("pre fix/_pinpipe/create-only-") and len(server.objects()) == 2
    server.requests.clear()
    assert tool("create", "b", "x", bare=False)[0] == ["ok"]
    assert server.requests["put"] == 1


def test_a_proof_of_another_store_is_none(server, tool):
    """As one that was copied with all else."""
    assert tool("create", "a", "x", bare=False)[0] == ["ok"]
    server.requests.clear()
    server.buckets["copy"] = dict(server.buckets[BUCKET])
    assert tool("create", "b", "x", bare=False, url="s3://copy/pre fix")[0] == ["ok"]
    assert server.requests["put"] > 8


def test_a_store_where_several_win(server, tool):
    server.racy = True
    codes, said = tool("can-create", "--", "create", "a", "x", bare=False)
    assert codes == ["no", "ok", "ok"] and "no table can be written" in said
    assert list(server.objects()) == ["pre fix/a"]
    server.racy = False  # mended: it is tried again
    assert tool("can-create", bare=False)[0] == ["yes", "ok"]


def test_a_store_that_knows_no_conditions(server, tool, monkeypatch):
    store = Server.store
    monkeypatch.setattr(Server, "store", lambda self, bucket, key, found, headers: store(
        self, bucket, key, found, {name: value for name, value in headers.items() if name != "if-none-match"}))
    codes, said = tool("can-create", bare=False)
    assert codes == ["no", "ok"] and "no table can be written" in said


def test_a_race_that_nobody_won(server, tool, monkeypatch):
    """Each found another's object: that shows nothing, so it is tried again later."""
    store = Server.store

    def taken(self, bucket, key, found, headers):
        if "/race-" in key:
            self.buckets[bucket].setdefault(key, s3_server.Object(b"theirs", time.time(), '"e"', {}))
        store(self, bucket, key, found, headers)
    monkeypatch.setattr(Server, "store", taken)
    codes, said = tool("can-create", "--", "create", "a", "x", bare=False)
    assert codes == ["yes", "ok", "busy"] and "each found it taken" in said
    assert not server.objects()
    monkeypatch.undo()
    assert tool("create", "a", "x", bare=False)[0] == ["ok"]


@pytest.mark.parametrize("clock_s", [0, 3 * DAY_S, -3 * DAY_S])
def test_what_races_left_is_removed(server, tool, clock_s):
    """By the next that creates, whether it races too or finds it proved; by the server's clock."""
    server.clock_s = clock_s
    for puts in (3 * 8 + 2, 1):
        for name, age in (("race-00", 2 * DAY_S), ("race-01", 60), ("other", 2 * DAY_S)):
            server.buckets[BUCKET][f"pre fix/_pinpipe/{name}"] = \
                s3_server.Object(b"x", server.now() - age, '"e"', {})
        server.requests.clear()
        assert tool("create", f"a{puts}", "x", bare=False)[0] == ["ok"]
        assert server.requests["put"] == puts
        kept = [key.rpartition("/")[2] for key in server.objects(prefix="pre fix/_pinpipe/")]
        assert kept[1:] == ["other", "race-01"] and kept[0].startswith("create-only-")


def test_nothing_is_created_on_trust(server, tool):
    """It cannot be found out, so can() says yes for now, and the create fails for the reason."""
    server.denied = {"GET"}
    codes, said = tool("can-create", "--", "create", "a", "x", bare=False)
    assert codes == ["yes", "ok", "denied"] and "no right" in said
    assert not server.objects()
