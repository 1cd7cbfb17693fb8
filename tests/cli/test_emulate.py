"""The emulator against a server that answers as scripted (faults that a real one cannot be made to
show), and against the gateway."""

import collections
import http.server
import json
import random
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.request

import pytest

from conftest import wait_until
from screen import Screen

TABLES = ("pin", "geo", "user")
ID = "124df56aef51"


def course_rows(seed, count):
    """The rows that the original's loop draws."""
    drawn = random.Random(seed)
    rows = []
    for _ in range(count):
        drawn.randrange(0, 2)
        rows.append(drawn.randint(0, 11000))
    return rows


def key_of(row):
    return row["index"] if "index" in row else row["ind"]


Request = collections.namedtuple("Request", "method path headers body table rows at")


class Scripted(http.server.ThreadingHTTPServer):
    """Keeps what it acknowledges. `answer(request, number)` may return (status, headers, body), or
    "break" to hang up after the request was read, or None for the usual answer."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer=None):
        self.answer = answer or (lambda request, number: None)
        self.lock = threading.Lock()
        self.requests = []
        self.kept = {table: [] for table in TABLES}  # rows, in the order they were acknowledged
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def flags(self):
        return ["--url", f"{self.origin}/topics/{ID}.",
                "--streaming-url", f"{self.origin}/streams/streaming-{ID}-"]

    def keys(self, table):
        return [key_of(row) for row in self.kept[table]]

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is no news


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def rows(self, body):
        if self.path.startswith("/topics/"):
            return [record["value"] for record in body["records"]]
        if self.path.endswith("/records"):
            return [json.loads(record["data"]) for record in body["records"]]
        return [body["Data"]]

    def usual(self, request, failed=()):
        """Acknowledges all but the records in `failed`, a map from number to error."""
        kept = [row for i, row in enumerate(request.rows) if i not in failed]
        self.server.kept[request.table] += kept
        if request.path.startswith("/topics/"):
            body = {"offsets": [
                {"partition": None, "offset": None, "error_code": failed[i], "error": "no"}
                if i in failed else
                {"partition": 0, "offset": i, "error_code": None, "error": None}
                for i in range(len(request.rows))], "key_schema_id": None, "value_schema_id": None}
        elif request.path.endswith("/records"):
            body = {"FailedRecordCount": len(failed), "Records": [
                {"ErrorCode": failed[i], "ErrorMessage": "no"} if i in failed else
                {"SequenceNumber": str(i), "ShardId": "shardId-000000000000"}
                for i in range(len(request.rows))]}
        else:
            body = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
        return 200, {}, json.dumps(body)

    def handle_it(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(text)
        table = next(t for t in TABLES if f".{t}" in self.path or f"-{t}/" in self.path)
        request = Request(self.command, self.path, self.headers, body, table, self.rows(body),
                          time.monotonic())
        with self.server.lock:
            self.server.requests.append(request)
            what = self.server.answer(request, len(self.server.requests))
            if what is None:
                what = {}
            if isinstance(what, dict):
                what = self.usual(request, what)
        if what == "break":
            self.close_connection = True
            return
        status, headers, reply = what
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.encode())))
        self.end_headers()
        self.wfile.write(reply.encode())

    do_POST = do_PUT = handle_it


@pytest.fixture
def scripted():
    servers = []

    def make(answer=None):
        servers.append(Scripted(answer))
        servers[-1].thread.start()
        return servers[-1]

    yield make
    for server in servers:
        server.shutdown()
        server.thread.join()
        server.server_close()


@pytest.fixture
def emulate(run):
    """emulate(server, "--posts", 5): the result that it prints; unpaced unless told."""
    def run_it(server, *words, status=0, env=None):
        pace = [] if "--rate" in words else ["--rate", "max"]
        result = run("emulate", *server.flags(), "--format", "json", *pace, *words, status=status,
                     env=env)
        return json.loads(result.stdout) | {"said": result.stderr}
    return run_it


def counts(result):
    return [result["acknowledged"][table] for table in TABLES]


@pytest.mark.parametrize("seed", [100, 0, 1, 7, 2**31, 2**32 + 5, 2**62 + 1])
def test_course_posts_what_python_draws(scripted, emulate, seed):
    server = scripted()
    result = emulate(server, "--order", "course", "--seed", seed, "--posts", 60, "--connections", 3)
    for table in TABLES:
        assert server.keys(table) == course_rows(seed, 60)
    assert counts(result) == [60, 60, 60]


def test_rows_of_files_arrive_as_they_are(scripted, emulate, shared):
    server = scripted()
    emulate(server, "--order", "course", "--posts", 168, "--data", shared, "--connections", 3)
    for table in TABLES:
        with open(shared / f"{table}.ndjson", encoding="utf-8") as lines:
            rows = {key_of(row): row for row in map(json.loads, lines)}
        assert server.kept[table] == [rows[k] for k in course_rows(100, 168)]


def test_a_batch_post_looks_like_the_originals(scripted, emulate):
    server = scripted()
    emulate(server, "--posts", 10, "--batch-size", 4, "--connections", 3,
            env={"PINPIPE_EMULATE_API_KEY": "s3cret"})
    for table in TABLES:
        of_table = [r for r in server.requests if r.table == table]
        assert [len(r.rows) for r in of_table] == [4, 4, 2]
        for request in of_table:
            assert (request.method, request.path) == ("POST", f"/topics/{ID}.{table}")
            assert request.headers["Content-Type"] == "application/vnd.kafka.json.v2+json"
            assert request.headers["x-api-key"] == "s3cret"
            assert list(request.body) == ["records"]
            assert all(list(record) == ["value"] for record in request.body["records"])


def test_a_streaming_post_looks_like_the_originals(scripted, emulate):
    server = scripted()
    result = emulate(server, "--streaming", "--posts", 5, "--connections", 3)
    assert counts(result) == [5, 5, 5]
    for request in server.requests:
        stream = f"streaming-{ID}-{request.table}"
        assert (request.method, request.path) == ("PUT", f"/streams/{stream}/record")
        assert request.headers["Content-Type"] == "application/json"
        assert list(request.body) == ["StreamName", "Data", "PartitionKey"]
        assert request.body["StreamName"] == stream
        assert request.body["PartitionKey"] == str(key_of(request.body["Data"]))


def test_streaming_batches_carry_json_texts(scripted, emulate):
    server = scripted()
    result = emulate(server, "--streaming", "--posts", 50, "--batch-size", 20, "--connections", 3)
    assert counts(result) == [50, 50, 50]
    assert {r.path for r in server.requests} == {f"/streams/streaming-{ID}-{t}/records" for t in TABLES}
    assert sorted(len(r.rows) for r in server.requests) == [10] * 3 + [20] * 6
    assert server.keys("pin") == server.keys("geo") == server.keys("user")


def test_busy_is_tried_again_after_what_the_server_asks(scripted, emulate):
    refused = {"pin": (503, {"Retry-After": "1"}, "{}"), "geo": (429, {"Retry-After": "1"}, ""),
               "user": (500, {}, "not JSON")}
    server = scripted(lambda request, number: refused[request.table] if number <= 3 else None)
    result = emulate(server, "--posts", 1)
    assert counts(result) == [1, 1, 1]
    assert (result["retried"], result["refused"], result["unknown"]) == (3, 0, 0)
    for table in ("pin", "geo"):
        first, second = [r.at for r in server.requests if r.table == table]
        assert second - first >= 1


@pytest.mark.parametrize("streaming, error", [((), 50003), (("--streaming",), "InternalFailure"),
                                              (("--streaming",), "ProvisionedThroughputExceededException")])
def test_only_failed_records_are_sent_again(scripted, emulate, streaming, error):
    def answer(request, number):
        return {1: error, 3: error} if len(request.rows) == 5 else {0: error} \
            if len(request.rows) == 2 else None
    server = scripted(answer)
    result = emulate(server, "--posts", 5, "--batch-size", 5, "--order", "rows", "--connections", 3,
                     *streaming)
    assert counts(result) == [5, 5, 5] and result["retried"] == 9
    for table in TABLES:
        sent = [[key_of(row) for row in r.rows] for r in server.requests if r.table == table]
        assert sent == [[0, 1, 2, 3, 4], [1, 3], [1]]


def test_a_broken_connection_is_tried_again(scripted, emulate):
    server = scripted(lambda request, number: "break" if number % 3 == 0 else None)
    result = emulate(server, "--posts", 30, "--order", "rows")
    assert counts(result) == [30, 30, 30]
    assert result["retried"] == len(server.requests) - 90 > 0
    assert sorted(server.keys("pin")) == list(range(30))


def test_what_is_refused_is_given_up_and_counted(scripted, emulate):
    gone = (404, {}, '{"error_code":40401,"message":"Topic not found."}')
    server = scripted(lambda request, number: gone if request.table == "geo" else None)
    result = emulate(server, "--posts", 4, status=1)
    assert counts(result) == [4, 0, 4]
    assert (result["retried"], result["refused"], result["unknown"]) == (0, 4, 0)
    assert "geo: status 404: Topic not found." in result["said"]


def test_a_record_refused_inside_a_200_is_not_tried_again(scripted, emulate):
    server = scripted(lambda request, number: {2: 50002})
    result = emulate(server, "--posts", 3, "--batch-size", 3, status=1)
    assert counts(result) == [2, 2, 2] and (result["retried"], result["refused"]) == (0, 3)


def test_who_is_never_answered_well_is_given_up(scripted, emulate):
    server = scripted(lambda request, number: (503, {}, "{}"))
    result = emulate(server, "--posts", 2, "--retry-for", "300ms", status=1)
    assert counts(result) == [0, 0, 0]
    assert result["unknown"] == 6 and result["retried"] > 0  # a 503 does not say that nothing was kept
    server = scripted(lambda request, number: (429, {}, "{}"))
    assert emulate(server, "--posts", 2, "--retry-for", "300ms", status=1)["refused"] == 6


def test_nobody_there(run):
    result = run("emulate", "--url", "http://127.0.0.1:1/topics/x.", "--posts", 2, "--rate", "max",
                 "--retry-for", "200ms", "--format", "json", status=1)
    counted = json.loads(result.stdout)
    assert (counted["refused"], counted["unknown"]) == (6, 0)
    assert "Connection refused" in result.stderr


def test_what_nobody_answers_is_no_progress(pinpipe):
    """Posts that were only sent, while they are sent again."""
    screen = Screen([pinpipe, "emulate", "--url", "http://127.0.0.1:1/topics/x.", "--posts", 3, "--rate", "max",
                     "--retry-for", "60s"])
    screen.wait_for(r"sent again")
    screen.type("\x03")
    text = screen.read()
    assert re.search(r" 0 %  0 posts, 0/s, [\d,]+ sent again", text) and "100 %" not in text


def test_three_connections_keep_the_order(scripted, emulate):
    shaken = random.Random(4)

    def answer(request, number):
        return shaken.choice([None, None, None, (429, {}, "{}"), (503, {}, "{}"), "break"])
    server = scripted(answer)
    result = emulate(server, "--posts", 60, "--order", "course", "--connections", 3)
    assert counts(result) == [60, 60, 60] and result["retried"] > 20
    for table in TABLES:
        assert server.keys(table) == course_rows(100, 60)


def test_many_connections_lose_nothing(scripted, emulate):
    server = scripted(lambda request, number: (429, {}, "{}") if number % 7 == 0 else None)
    result = emulate(server, "--posts", 500, "--order", "rows", "--connections", 64, "--batch-size", 3)
    assert counts(result) == [500, 500, 500]
    for table in TABLES:
        assert sorted(server.keys(table)) == list(range(500))


def test_ctrl_c_waits_for_answers_and_counts(scripted, start):
    server = scripted()
    service = start("emulate", *server.flags(), "--rate", "300", "--format", "json", "--batch-size", 4)
    wait_until(lambda: len(server.kept["pin"]) > 20, "posts")
    assert service.stop(signal.SIGINT) == 128 + signal.SIGINT
    result = json.loads(service.said().splitlines()[-1])
    assert counts(result) == [result["posts"]] * 3 == [len(server.kept[t]) for t in TABLES]


def test_paces(scripted, emulate):
    assert emulate(scripted(), "--posts", 11, "--rate", "50")["seconds"] >= 10 / 50
    drawn = random.Random(5)
    pauses = []
    for _ in range(3):
        pauses.append(drawn.randrange(0, 2))
        drawn.randint(0, 11000)
    server = scripted()
    emulate(server, "--posts", 3, "--order", "course", "--seed", 5, "--rate", "")
    at = sorted(r.at for r in server.requests)
    assert sum(pauses) >= 1 and at[-1] - at[0] >= sum(pauses[1:]) - 0.05


def put_rows(directory, **keys):
    """<table>.ndjson with rows of these keys."""
    for table, rows in keys.items():
        key = "index" if table == "pin" else "ind"
        (directory / f"{table}.ndjson").write_text("".join(f'{{"{key}":{k}}}\n' for k in rows))


def test_files_are_posted_once_in_their_order_and_it_ends(run, scripted, tmp_path):
    ids = [900000, 900007, 900003, 2**31, 2**40, 5, 900001]
    put_rows(tmp_path, pin=ids, geo=ids[::-1], user=ids)
    for path in ([], ["--streaming"], ["--order", "rows"], ["--posts", 1000], ["--batch-size", 3]):
        server = scripted()
        result = json.loads(run("emulate", *server.flags(), "--data", tmp_path, "--connections", 3,
                                "--format", "json", *path, timeout_s=30).stdout)
        assert counts(result) == [7, 7, 7] and (result["posts"], result["absent"]) == (7, 0)
        for table in TABLES:  # a post is the rows of one key
            assert server.keys(table) == ids
    server = scripted()
    emulated = run("emulate", *server.flags(), "--data", tmp_path, "--posts", 2, "--format", "csv",
                   "--connections", 3)
    assert server.keys("geo") == ids[:2] and "geo,2,2,0,0" in emulated.stdout


def test_each_row_of_files_is_posted_whatever_the_others_have(emulate, scripted, tmp_path):
    put_rows(tmp_path, pin=[900000, 4], geo=[7, 900000, 900001], user=[4])
    server = scripted()
    result = emulate(server, "--data", tmp_path, "--connections", 3)
    assert (server.keys("pin"), server.keys("geo"), server.keys("user")) == \
        ([900000, 4], [900000, 7, 900001], [4])
    assert result["posts"] == 4 and counts(result) == [2, 3, 1]


@pytest.mark.parametrize("table", TABLES)
def test_one_file_is_enough(run, emulate, scripted, tmp_path, table):
    put_rows(tmp_path, **{table: [900002, 900000]})
    server = scripted()
    result = emulate(server, "--data", tmp_path, "--connections", 3)
    assert server.keys(table) == [900002, 900000] and sum(counts(result)) == 2
    csv = run("emulate", *server.flags(), "--data", tmp_path, "--format", "csv").stdout.splitlines()
    assert sorted(csv[1:]) == sorted(f"{t},2,2,0,0" if t == table else f"{t},0,0,0,0" for t in TABLES)


def test_draws_of_files_are_what_they_were(run, emulate, scripted, tmp_path):
    put_rows(tmp_path, pin=[3, 1], geo=[1, 2, 3], user=[0, 1, 3])
    server = scripted()
    result = emulate(server, "--data", tmp_path, "--order", "random", "--posts", 40, "--connections", 3)
    assert set(server.keys("pin")) == {1, 3} and server.keys("pin") == server.keys("user")
    assert counts(result) == [40, 40, 40] and result["absent"] > 0
    put_rows(tmp_path, pin=[2**40])
    result = run("emulate", *server.flags(), "--data", tmp_path, "--order", "random", "--posts", 1,
                 "--rate", "max", status=1)
    assert "--order rows posts each row once" in result.stderr


def test_rows_that_the_source_lacks(scripted, run, tmp_path):
    rows = range(0, 11001)
    put_rows(tmp_path, pin=rows[::3], geo=rows, user=rows)
    server = scripted()
    result = run("emulate", *server.flags(), "--data", tmp_path, "--order", "course", "--posts", 5,
                 status=1)
    assert 'pin.ndjson has no row with "index" 7528' in result.stderr


@pytest.mark.parametrize("words, said", [
    (["--rate", "fast"], '--rate must be a number above 0, or max, not "fast"'),
    (["--rate", "0"], "--rate must be a number above 0"),
    (["--order", "course", "--rows", "100"], "draws rows 0 to 11000, but the source has 100"),
    (["--source", "files"], "--source files needs --data"),
    (["--connections", "4097"], 'option "--connections": "4097" is not a whole number in the range 1..4096'),
    (["--streaming", "--batch-size", "501"], "the batch size must be 1 to 500 here"),
    (["--url", "gopher://x/"], "is no http or https URL"),
    (["--url", "http:///x"], "has no host and port"),
    (["--posts", "many"], "many"),
])
def test_mistakes_are_told(run, words, said):
    result = run("emulate", "--posts", 1, *words, status=2)
    assert said in result.stderr and result.stdout == ""


def test_data_that_is_broken_is_told(run, tmp_path):
    said = run("emulate", "--data", tmp_path, "--posts", 1, status=1).stderr
    assert f'there is neither "{tmp_path}/pin.ndjson" nor geo.ndjson nor user.ndjson' in said
    (tmp_path / "user.ndjson").write_text("")
    assert "user.ndjson has no rows" in run("emulate", "--data", tmp_path, status=1).stderr
    for table in TABLES:
        (tmp_path / f"{table}.ndjson").write_text('{"ind":1,"index":1}\n{"ind":2,\n')
    result = run("emulate", "--data", tmp_path, "--posts", 1, status=1)
    assert "pin.ndjson, line 2" in result.stderr


def test_https(scripted, emulate, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = scripted()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = ["--url", f"https://127.0.0.1:{server.server_address[1]}/topics/{ID}."]
    result = emulate(server, "--posts", 3, "--ca-file", certificate, *url)
    assert counts(result) == [3, 3, 3]
    result = emulate(server, "--posts", 1, *url, status=1)
    assert result["refused"] == 3 and counts(result) == [0, 0, 0]


def end_of(gateway, topic):
    with urllib.request.urlopen(f"{gateway.url}/topics/{topic}/partitions/0/offsets") as reply:
        return json.load(reply)["end_offset"]


@pytest.mark.parametrize("batch_size", [1, 30])
def test_the_gateway_takes_both_paths(gateway, run, batch_size):
    where = ["--listen", f"{gateway.host}:{gateway.port}", "--format", "json", "--rate", "max",
             "--posts", 200, "--batch-size", batch_size]
    for path in ([], ["--streaming"]):
        result = json.loads(run("emulate", *where, *path).stdout)
        assert counts(result) == [200, 200, 200] and result["retried"] == 0
    for table in TABLES:
        assert end_of(gateway, f"{ID}.{table}") == 200


def test_a_gateway_that_comes_back(start_gateway, start, data_dir):
    gateway = start_gateway()
    service = start("emulate", "--listen", f"{gateway.host}:{gateway.port}", "--rate", "400",
                    "--format", "json", "--posts", 800)
    wait_until(lambda: end_of(gateway, f"{ID}.pin") > 100, "records")
    gateway.kill()
    start_again = start_gateway("--listen", f"{gateway.host}:{gateway.port}")
    wait_until(lambda: service.process.poll() is not None, "the end of the emulator")
    result = json.loads(service.said().splitlines()[-1])
    assert counts(result) == [800, 800, 800] and result["retried"] > 0
    for table in TABLES:  # an answer that was lost may have doubled a record, none is missing
        assert end_of(start_again, f"{ID}.{table}") >= 800


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("words, path", [(["--url"], f"/topics/{ID}.pin"),
                                         (["--streaming", "--streaming-url"], f"/streams/streaming-{ID}-pin/record")],
                         ids=["batch", "streaming"])
def test_a_gateway_alone_is_url_enough(run, scripted, words, path, end):
    server = scripted()
    run("emulate", "--posts", 1, "--rate", "max", *words, server.origin + end)
    assert path in {request.path for request in server.requests}
