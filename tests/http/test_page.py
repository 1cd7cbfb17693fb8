"""The page's side of the gateway: its files, its routes, and that no child of it outlives who asked."""

import contextlib
import gzip
import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time

import pytest

from conftest import Gateway, Service, free_port, wait_until
from page import Events, ask, begin, children, own_origin
from rest import KAFKA_JSON, PIN, produce

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
TOPIC = PIN.removeprefix("/topics/")
ROW = {"unique_id": "a", "index": 1, "title": "<b>t</b>", "description": "d", "poster_name": "p",
       "follower_count": "1k", "tag_list": "x", "is_image_or_video": "image", "image_src": "u", "downloaded": 1,
       "save_location": "Local save in /data/x", "category": "art"}
KEY = "correct horse"
TWELVE_TIMES = ", ".join(f"pin_all AS t{i}" for i in range(12))
ENDLESS = f"SELECT count(*) FROM {TWELVE_TIMES} WHERE t1._offset != t11._offset"


def post(gateway, *values):
    reply = produce(gateway, {"records": [{"value": value} for value in values]})
    assert reply.status == 200, reply
    return reply


# --- the files -----------------------------------------------------------------------


def test_a_browser_sees_the_page_and_others_what_they_saw(empty_gateway):
    for path, accept in (("/", BROWSER), ("/ui", "*/*"), ("/ui/", BROWSER)):
        reply = ask(empty_gateway, path, Accept=accept)
        assert reply.status == 200 and reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert reply.text.startswith("<!doctype html>")
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "text/html;q=0, */*"}):
        reply = ask(empty_gateway, "/", **accept)
        assert (reply.status, reply.text) == (200, "{}")
    assert ask(empty_gateway, "/", "HEAD", Accept=BROWSER).headers["Content-Type"].startswith("text/html")


def test_files_come_packed_and_once(empty_gateway):
    html = ask(empty_gateway, "/ui").text
    names = re.findall(r'"/ui/assets/([^"]+)"', html) + ["uPlot.iife.min.js", "uPlot.min.css"]
    assert len(names) > 3
    for name in names:
        plain = ask(empty_gateway, f"/ui/assets/{name}")
        packed = ask(empty_gateway, f"/ui/assets/{name}", Accept_Encoding="br, gzip")
        assert plain.status == packed.status == 200
        assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
        assert gzip.decompress(packed.body) == plain.body
        assert plain.headers["ETag"] != packed.headers["ETag"]
        assert "Accept-Encoding" in plain.headers["Vary"]
        again = ask(empty_gateway, f"/ui/assets/{name}", Accept_Encoding="gzip",
                    If_None_Match=f'"x", {packed.headers["ETag"]}')
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == packed.headers["ETag"]
        assert ask(empty_gateway, f"/ui/assets/{name}", If_None_Match=packed.headers["ETag"]).status == 200
        assert ask(empty_gateway, f"/ui/assets/{name}", "HEAD").headers["Content-Length"] == str(len(plain.body))


@pytest.mark.parametrize("path", ["/ui/assets/nope.js", "/ui/assets/..%2findex.html", "/ui/nope", "/ui/topics/x"])
def test_what_is_not_there(empty_gateway, path):
    reply = ask(empty_gateway, path)
    assert reply.status == 404 and reply.json()["error_code"] == 404


def test_the_page_is_open_where_a_key_is_wanted_and_nothing_else_of_it(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_API_KEY_SHA256": hashlib.sha256(KEY.encode()).hexdigest()})
    assert ask(gateway, "/", Accept=BROWSER).status == 200
    assert ask(gateway, "/ui/assets/uPlot.min.css").status == 200
    for path in ("/ui/events", "/ui/topics", "/ui/tables", f"/ui/tail/{TOPIC}", "/ui/where"):
        assert ask(gateway, path).status == 401
    assert ask(gateway, "/ui/sql", "POST", {"sql": "SELECT 1"}).status == 401
    assert not children(gateway.pid)
    assert ask(gateway, "/ui/topics", x_api_key=KEY).status == 200


# --- the routes ----------------------------------------------------------------------


class Up(Service):
    """The pipeline, and the gateway's process in it."""

    def listen(self):
        found = self.wait_for(r"(https?)://([\d.]+):(\d+)")
        self.host, self.port, self.url = found[2], int(found[3]), found[0]
        self.gateway_pid = wait_until(
            lambda: next((pid for pid, words in children(self.pid).items() if words[:1] == ["gateway"]), None))
        return self


@pytest.fixture(scope="module", name="up")
def fixture_up(pinpipe, tmp_path_factory):
    place = tmp_path_factory.mktemp("up")
    up = Up([pinpipe, "up", "--listen", "127.0.0.1:0", "--dir", place / "data"], place / "up.out",
            {"PINPIPE_BATCH_EVERY": "1h", "PINPIPE_SINK_FLUSH_AGE": "100ms"}, place)
    try:
        up.listen()
        up.token = (place / "data" / "page.token").read_text().strip()
        post(up, *({**ROW, "index": i} for i in range(30)), "no object")
        run_batch(up)
        yield up
        up.stop()
    finally:
        up.destroy()


def run_batch(up):
    """Until the rows that were posted are in the table."""
    def look():
        reply = ask(up, "/ui/run", "POST", {})
        assert reply.status in (200, 409), reply
        return ask(up, "/ui/rows/pin?path=batch").json()
    return wait_until(look)


def test_tables_and_one_of_them(up):
    rows = {(row["table"], row["path"]): row for row in ask(up, "/ui/tables").json()}
    assert rows["pin", "batch"]["rows"] == 30 and ("geo", "stream") in rows
    table = ask(up, "/ui/tables/pin?path=batch").json()
    assert (table["table"], table["path"]) == ("pin", "batch")
    assert {"name": "ind", "type": "int"} in table["schema"] and {"name": "title", "type": "string"} in table["schema"]
    assert {line["tool"] for line in table["lines"]} == {"pandas", "polars", "duckdb", "spark"}
    history = ask(up, "/ui/history/pin?path=batch").json()
    assert history[-1]["operation"] == "CREATE TABLE"


def test_the_newest_rows(up):
    rows = ask(up, "/ui/rows/pin?path=batch&limit=3").json()
    assert [int(row["_offset"]) for row in rows] == [29, 28, 27]
    assert rows[0]["title"] == "<b>t</b>"


def test_answers(up):
    listed = ask(up, "/ui/answers").json()
    name = listed[0]["analysis"]
    assert {"title", "chart", "sql", "file", "error"} <= set(listed[0])
    answer = ask(up, f"/ui/answers/{name}?format=json")
    assert answer.headers["Content-Type"] == "application/json" and answer.json()
    csv = ask(up, f"/ui/answers/{name}?format=csv")
    assert csv.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    assert csv.headers["Content-Type"].startswith("text/csv") and "\n" in csv.text
    parquet = ask(up, f"/ui/answers/{name}?format=parquet")
    assert parquet.body[:4] == parquet.body[-4:] == b"PAR1"
    assert ask(up, f"/ui/answers/{name}?format=xml").status == 400


def test_runs_and_topics(up):
    run = ask(up, "/ui/runs?limit=1").json()[0]
    assert run["by"] == "page" and run["outcome"] == "done"
    topics = ask(up, "/ui/topics").json()
    assert {"name": TOPIC, "kind": "topic", "partitions": 1} in topics
    assert any(topic["kind"] == "stream" for topic in topics)


def test_records(up):
    reply = ask(up, f"/ui/records/{TOPIC}?from=0&count=2")
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    assert [int(record["offset"]) for record in reply.lines()] == [0, 1]
    assert len(ask(up, f"/ui/records/{TOPIC}?from=0&partition=0&count=5").lines()) == 5
    found = ask(up, f"/ui/records/{TOPIC}?from=0&contains=no+object").lines()
    assert [record["value"] for record in found] == ["no object"]


def test_letters(up):
    assert sum(row["letters"] for row in ask(up, "/ui/letters").json()) == 1
    assert len(ask(up, f"/ui/letters/{TOPIC}?count=5").json()) == 1
    assert ask(up, "/ui/replay", "POST", {"topic": TOPIC}).status == 200
    assert ask(up, "/ui/letters/replay").status == 400


@pytest.mark.parametrize("body, status, told", [
    ({"topic": TOPIC[:-1]}, 404, f'no model reads a topic or stream "{TOPIC[:-1]}", did you mean "{TOPIC}"?'),
    ({"topic": "nope"}, 404, '"nope"'), ({"topic": ""}, 400, "empty"), ({"topic": TOPIC, "reason": ""}, 400, "empty"),
    ({"topic": None}, 400, "text"), ({"topics": TOPIC}, 400, "member"), ([TOPIC], 400, "object"),
], ids=str)
def test_a_replay_of_some_is_none_of_all(up, body, status, told):
    reply = ask(up, "/ui/replay", "POST", body)
    assert reply.status == status and told in reply.json()["message"], reply


def test_a_question(up):
    counted = ask(up, "/ui/sql", "POST", {"sql": "SELECT count(*) AS n FROM pin_all", "from": "batch"})
    assert counted.json() == [{"n": 30}]
    reply = ask(up, "/ui/sql", "POST", {"sql": "SELECT nope FROM pin"})
    assert reply.status == 400 and "nope" in reply.json()["message"]
    assert not reply.json()["message"].startswith("pinpipe")
    assert "was refused" not in up.said()  # a question that is wrong is nothing to wake somebody for
    many = ask(up, "/ui/sql", "POST", {"sql": "SELECT 1 FROM pin_all AS a, pin_all AS b, pin_all AS c"})
    assert len(many.json()) == 1000
    for body in ({}, {"sql": ""}, {"sql": 1}, [], {"sql": "SELECT 1", "from": "nowhere"}):
        assert ask(up, "/ui/sql", "POST", body).status == 400, body


@pytest.mark.parametrize("path, status", [
    ("/ui/tables/nope", 400), ("/ui/tables/--help", 400), ("/ui/rows/nope", 400), ("/ui/rows/pin?path=up", 400),
    ("/ui/rows/x%22y", 400), ("/ui/rows/pin?limit=0", 400), ("/ui/rows/pin?limit=1e3", 400),
    ("/ui/history/%2d%2ddir=x", 400), ("/ui/answers/nope", 400), ("/ui/answers/--version", 400),
    ("/ui/records/nope", 404), ("/ui/records/--help", 404), ("/ui/records/--follow", 404),
    (f"/ui/records/{TOPIC}?from=--follow", 400), (f"/ui/records/{TOPIC}?contains=a%00b", 400),
    (f"/ui/records/{TOPIC}?partition=7", 404), ("/ui/records/a%20b", 422), ("/ui/tail/nope", 404),
    ("/ui/letters/nope", 404),
    ("/ui/letters/a%20b", 422), ("/ui/runs?limit=1001", 400), ("/ui/where?topic=nope&partition=0&position=1", 404),
    # What was to choose some is never left out, and all of them shown.
    (f"/ui/records/{TOPIC}?contains=%zz", 400), (f"/ui/records/{TOPIC}?contains={'x' * 5000}", 400),
    (f"/ui/letters/{TOPIC}?reason=%zz", 400), ("/ui/rows/pin?limit=%zz", 400),
], ids=lambda value: str(value)[:40])
def test_what_cannot_be_answered_is_told(up, path, status):
    reply = ask(up, path)
    assert reply.status == status, reply
    assert reply.json()["message"] and reply.headers["Cache-Control"] == "no-store"
    assert ask(up, path, "HEAD").status == status


def test_a_value_is_no_option(up):
    """Else a page's word would be a command's."""
    reply = ask(up, "/ui/sql", "POST", {"sql": "SELECT 1 AS a", "from": "batch --dir=/nowhere"})
    assert reply.status == 400
    assert ask(up, f"/ui/records/{TOPIC}?from=0&contains=--help&count=1").lines() == []
    reply = ask(up, f"/ui/letters/{TOPIC}?reason=--all")
    assert reply.status == 400 or reply.json() == []


def test_what_changes_something_comes_from_the_page(up):
    bodies = {"/ui/run": {}, "/ui/replay": {}, "/ui/sql": {"sql": "SELECT 1"}}
    for path, body in bodies.items():
        for origin in ("http://evil.example", "null", f"http://{up.host}:1"):
            assert ask(up, path, "POST", body, Origin=origin).status == 403
        reply = ask(up, path, "POST")
        assert reply.status == 403 and "Origin" in reply.json()["message"]
    assert ask(up, "/ui/sql", "POST", bodies["/ui/sql"]).status == 200
    assert ask(up, "/ui/sql", "POST", bodies["/ui/sql"], Content_Type="text/plain").status == 415


def test_pages_that_may_post_may_not_look(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_CORS_ORIGINS": "*"})
    reply = ask(gateway, "/ui/topics", Origin="http://app.example")
    assert reply.status == 403
    assert ask(gateway, "/ui/topics", **own_origin(gateway)).status == 200


# --- what goes on --------------------------------------------------------------------


def status_children(pid):
    return [words for words in children(pid).values() if words[:1] == ["status"]]


def test_many_pages_have_one_child_for_the_status(gateway):
    pages = [Events(gateway, "/ui/events") for _ in range(10)]
    for events in pages:
        assert events.headers["Content-Type"] == "text/event-stream"
        assert "processes" in events.until(lambda kind, _: kind == "status")
    assert len(status_children(gateway.pid)) == 1
    late = Events(gateway, "/ui/events")
    began = time.monotonic()
    late.until(lambda kind, _: kind == "status")
    assert time.monotonic() - began < 0.9  # the last one, at once
    times = {pages[0].until(lambda kind, _: kind == "status")["at"] for _ in range(3)}
    assert len(times) == 3
    for events in pages + [late]:
        events.close()
    wait_until(lambda: not children(gateway.pid), "the end of the child")


def test_pages_that_come_and_go_leave_no_more_children_than_may_be(gateway):
    """Of a lake that does not answer: SIGTERM does nothing to a child that hangs, until it is killed."""
    most, until = 0, time.monotonic() + 4
    while time.monotonic() < until:
        with Events(gateway, "/ui/events"):
            for pid in children(gateway.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            most = max(most, len(children(gateway.pid)))
    assert most <= 9, "eight, and the one of the status"
    with Events(gateway, "/ui/events") as events:
        events.until(lambda kind, _: kind == "status")
    wait_until(lambda: not children(gateway.pid), "the end of the children")


def test_the_status_comes_again_when_its_child_was_killed(gateway):
    with Events(gateway, "/ui/events") as events:
        events.until(lambda kind, _: kind == "status")
        (pid,) = children(gateway.pid)
        os.kill(pid, signal.SIGKILL)
        failed = events.until(lambda kind, _: kind == "failed")
        assert failed["error_code"] == 500
        events.until(lambda kind, _: kind == "status")


def test_the_status_goes_on_behind_a_restart_of_the_gateway(start, data_dir):
    port = free_port()
    words = ("gateway", "--listen", f"127.0.0.1:{port}", "--dir", data_dir)
    first = start(*words, kind=Gateway).listen()
    events = Events(first, "/ui/events")
    events.until(lambda kind, _: kind == "status")
    first.stop()
    while events.next() != (None, None):
        pass  # it ended as if it were whole, and a browser asks again
    second = start(*words, kind=Gateway).listen()
    with Events(second, "/ui/events") as events:
        events.until(lambda kind, _: kind == "status")


def test_records_are_told_as_they_come(gateway):
    events = Events(gateway, f"/ui/tail/{TOPIC}")
    assert events.headers["Content-Type"] == "text/event-stream"
    post(gateway, {"n": 1}, {"n": "</script>"})
    assert [events.until(lambda kind, _: kind == "record")["value"] for _ in range(2)] == [{"n": 1}, {"n": "</script>"}]
    assert len(children(gateway.pid)) == 1
    events.close()
    wait_until(lambda: not children(gateway.pid), "the end of the child")


def test_all_of_it_over_tls(start_gateway, certificate):
    gateway = start_gateway("--tls-cert", certificate / "cert.pem", "--tls-key", certificate / "key.pem")
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    post_over(gateway, context, *["x" * 30000] * 100)  # 3 MB: in pieces
    with https(gateway, context, f"/ui/records/{TOPIC}?from=0&count=100") as reply:
        assert len(reply.read().splitlines()) == 100
    with https(gateway, context, f"/ui/tail/{TOPIC}") as tail:
        post_over(gateway, context, "a needle")
        while b"a needle" not in tail.readline():
            pass
    wait_until(lambda: not children(gateway.pid), "the end of the child")
    with https(gateway, context, "/ui/events") as events:
        while b"event: status" not in events.readline():
            pass
        gateway.stop()
        assert events.read().endswith(b"\n\n")


@contextlib.contextmanager
def https(gateway, context, path, body=None):
    connection = http.client.HTTPSConnection("localhost", gateway.port, timeout=60, context=context)
    connection.request("POST" if body else "GET", path, body, {"Content-Type": KAFKA_JSON} if body else {})
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def post_over(gateway, context, *values):
    body = json.dumps({"records": [{"value": value} for value in values]})
    with https(gateway, context, PIN, body) as reply:
        assert reply.status == 200


@pytest.fixture(scope="session", name="certificate")
def fixture_certificate(tmp_path_factory):
    place = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", place / "key.pem", "-out", place / "cert.pem"], check=True, capture_output=True)
    return place


def test_only_those_that_hold_a_text_are_told(gateway):
    with Events(gateway, f"/ui/tail/{TOPIC}?contains=needle") as events:
        post(gateway, {"n": 1}, {"n": "a needle"}, {"n": 2})
        assert events.until(lambda kind, _: kind == "record")["value"] == {"n": "a needle"}


@pytest.mark.parametrize("text", ["%zz", "a%00", "x" * 5000], ids=["badly", "nul", "long"])
def test_a_text_that_none_can_hold_is_refused(gateway, text):
    with Events(gateway, f"/ui/tail/{TOPIC}?contains={text}") as events:
        assert events.status == 400  # not all of them instead
    assert not children(gateway.pid)


def test_too_many_records_are_counted(gateway):
    with Events(gateway, f"/ui/tail/{TOPIC}") as events:
        for first in range(0, 3000, 1000):
            post(gateway, *({"n": n} for n in range(first, first + 1000)))
        told = skipped = 0
        while told + skipped < 3000:
            kind, data = events.next()
            assert kind in ("record", "skipped")
            told += kind == "record"
            skipped += data["records"] if kind == "skipped" else 0
        assert told + skipped == 3000 and 200 <= told <= 2000


def log_in(gateway, data_dir):
    """The cookie of a new session."""
    token = (data_dir / "page.token").read_text().strip()
    reply = ask(gateway, "/ui/session", "POST", {"key": token})
    return {"Cookie": reply.headers["Set-Cookie"].split(";")[0]}


def test_nobody_takes_all_tails(gateway, data_dir):
    one, other = log_in(gateway, data_dir), log_in(gateway, data_dir)
    tails = [Events(gateway, f"/ui/tail/{TOPIC}", **one) for _ in range(3)]
    assert [tail.status for tail in tails] == [200, 200, 503]
    tails += [Events(gateway, f"/ui/tail/{TOPIC}", **other) for _ in range(2)]
    tails += [Events(gateway, f"/ui/tail/{TOPIC}")]
    assert [tail.status for tail in tails[3:]] == [200, 200, 503]
    assert tails[-1].headers["Retry-After"] == "1"
    for tail in tails:
        tail.close()
    wait_until(lambda: not children(gateway.pid), "the end of the children")
    with Events(gateway, f"/ui/tail/{TOPIC}", **one) as tail:
        assert tail.status == 200


# --- bounds --------------------------------------------------------------------------


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def test_a_slow_reader_costs_no_memory(start_gateway):
    gateway = start_gateway(env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0"})
    text = "x" * 30000
    for _ in range(10):
        post(gateway, *[text] * 40)  # 12 MB
    path = f"/ui/records/{TOPIC}?from=0&count=400"
    assert len(ask(gateway, path).lines()) == 400
    before = resident_kb(gateway.pid)
    clients = [begin(gateway, path) for _ in range(8)]
    wait_until(lambda: len(children(gateway.pid)) == 8)
    waiting = wait_until(lambda: quiet(gateway.pid), "children that wait")
    assert len(waiting) == 8
    assert resident_kb(gateway.pid) - before < 8 * 1024
    assert produce(gateway, {"records": [{"value": 1}]}).status == 200
    clients.pop().close()
    wait_until(lambda: len(children(gateway.pid)) == 7, "the end of one whose client left")
    response = http.client.HTTPResponse(clients[0])
    response.begin()
    assert len(response.read().splitlines()) == 400
    for client in clients:
        client.close()
    wait_until(lambda: not children(gateway.pid), "the end of the others")


def quiet(pid):
    """The children, where none of them did anything for a moment."""
    def used():
        found = {}
        for child in children(pid):
            with open(f"/proc/{child}/stat", encoding="utf-8") as stat:
                found[child] = stat.read().rsplit(")", 1)[1].split()[11:13]
        return found
    before = used()
    time.sleep(0.3)
    return before if used() == before else None


def test_an_answer_that_is_too_long_is_cut_off(gateway):
    for _ in range(10):
        post(gateway, *["x" * 30000] * 70)  # 21 MB
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(gateway, f"/ui/records/{TOPIC}?from=0&count=1000")
    assert 10 << 20 < len(cut.value.partial) <= 17 << 20
    wait_until(lambda: not children(gateway.pid), "the end of the child")


def sockets(pid):
    found = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since
            found += os.readlink(entry.path).startswith("socket:")
    return found


def test_who_leaves_before_the_answer_leaves_no_connection(gateway):
    before = sockets(gateway.pid)
    for path in ("/ui/runs", f"/ui/tail/{TOPIC}", f"/ui/records/{TOPIC}", "/ui/tables") * 4:
        begin(gateway, path).close()
        wait_until(lambda: not children(gateway.pid), "the end of the child")
    wait_until(lambda: sockets(gateway.pid) == before, "the end of the connections", 10)


def ask_all(gateway, paths):
    replies = []
    threads = [threading.Thread(target=lambda path=path: replies.append(ask(gateway, path))) for path in paths]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, len(children(gateway.pid)))
    for thread in threads:
        thread.join()
    return replies, most


def test_no_more_children_than_may_be(gateway):
    replies, most = ask_all(gateway, ["/ui/runs"] * 60)
    assert most <= 8
    refused = [reply for reply in replies if reply.status == 503]
    assert len(refused) <= 20 and all(reply.headers["Retry-After"] for reply in refused)
    assert {reply.status for reply in replies} <= {200, 400, 404, 500, 503}
    assert not children(gateway.pid)


def test_a_hung_child_ends_with_its_time_or_its_client(up):
    """SIGSTOP is as a lake that does not answer: SIGTERM does nothing either."""
    pid = up.gateway_pid
    wait_until(lambda: not children(pid))
    stopped = begin(up, "/ui/sql", "POST", {"sql": ENDLESS})
    (first,) = wait_until(lambda: hung(pid, 1))
    left = begin(up, "/ui/sql", "POST", {"sql": ENDLESS})
    wait_until(lambda: hung(pid, 2))
    began = time.monotonic()
    left.close()
    wait_until(lambda: list(children(pid)) == [first], "the end of one whose client left")
    assert time.monotonic() - began < 20, "it ended with its time"
    worst = 0
    stopped.settimeout(0.1)
    reply = b""
    while not reply:
        asked = time.monotonic()
        post(up, {**ROW, "index": 7})  # nobody else waits for it
        worst = max(worst, time.monotonic() - asked)
        try:
            reply = stopped.recv(4096)
        except TimeoutError:
            pass
    assert reply.startswith(b"HTTP/1.1 504 ") and b"too long" in reply
    assert 20 < time.monotonic() - began < 60 and worst < 5
    wait_until(lambda: not children(pid), "the end of the other")
    stopped.close()


def hung(pid, count):
    """Those that are stopped, where there are so many."""
    for child in children(pid):
        try:
            os.kill(child, signal.SIGSTOP)
        except ProcessLookupError:
            pass
    found = children(pid)
    return list(found) if len(found) == count else None


def test_whose_key_is_gone_follows_nothing(start_gateway, tmp_path):
    keys = tmp_path / "keys"
    line = f"{{}} read {hashlib.sha256(KEY.encode()).hexdigest()}\n"
    keys.write_text(line.format("board"))
    gateway = start_gateway(env={"PINPIPE_GATEWAY_KEYS": str(keys)})
    streams = [Events(gateway, path, **{"x-api-key": KEY}) for path in ("/ui/events", f"/ui/tail/{TOPIC}")]
    assert [stream.status for stream in streams] == [200, 200]
    streams[0].until(lambda kind, _: kind == "status")
    keys.write_text("# nobody\n")
    for stream in streams:
        while stream.next() != (None, None):
            pass
        assert ask(gateway, "/ui/events", x_api_key=KEY).status == 401
    wait_until(lambda: not children(gateway.pid), "the end of the children")


def test_who_logged_out_follows_nothing(gateway, data_dir):
    one, other = log_in(gateway, data_dir), log_in(gateway, data_dir)
    paths = ("/ui/events", f"/ui/tail/{TOPIC}")
    ended, kept = [[Events(gateway, path, **cookie) for path in paths] for cookie in (one, other)]
    assert ask(gateway, "/ui/session", "DELETE", **one, **own_origin(gateway)).status == 200
    for stream in ended:
        deadline = time.monotonic() + 20
        while stream.next() != (None, None):
            assert time.monotonic() < deadline, "it goes on"
    post(gateway, {"n": 1})
    assert kept[1].next()[0] == "record"
    assert kept[0].next()[0] == "status"
    for stream in kept:
        stream.close()


def test_nothing_is_left_when_the_gateway_ends(start_gateway):
    gateway = start_gateway()
    events = [Events(gateway, "/ui/events"), Events(gateway, f"/ui/tail/{TOPIC}")]
    asked = begin(gateway, "/ui/runs")
    wait_until(lambda: len(children(gateway.pid)) >= 2)
    left = children(gateway.pid)
    began = time.monotonic()
    gateway.stop()
    assert time.monotonic() - began < 8
    assert not [pid for pid in left if os.path.exists(f"/proc/{pid}")]
    for stream in events:
        while stream.next() != (None, None):
            pass
    asked.close()


def test_children_end_with_a_gateway_that_is_killed(start_gateway):
    gateway = start_gateway()
    events = Events(gateway, "/ui/events")
    wait_until(lambda: children(gateway.pid))
    left = children(gateway.pid)
    gateway.kill()
    wait_until(lambda: not [pid for pid in left if os.path.exists(f"/proc/{pid}/exe")], "their end")
    events.close()
