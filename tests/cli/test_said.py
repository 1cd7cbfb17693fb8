"""What `up` and its processes say of their work: who watches them, and who collects their lines."""

import json
import os
import pathlib
import re
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest

import conftest
from conftest import wait_until
from screen import Screen

ID = "124df56aef51"
KAFKA = "application/vnd.kafka.json.v2+json"
FAST = ("--flush-age", "100ms", "--batch-every", "200ms")


def up(start, data_dir, *words, env=None):
    """With its URL."""
    service = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir, *words, env=env)
    service.url = service.wait_for(r"listening on (\S+)")[1]
    return service


def post(url, path, values, kind=KAFKA):
    """The status."""
    body = json.dumps({"records": [{"value": value} for value in values]}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, body, {"Content-Type": kind})) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def put(url, table, value):
    body = json.dumps({"StreamName": f"streaming-{ID}-{table}", "Data": value, "PartitionKey": "a"}).encode()
    request = urllib.request.Request(f"{url}/streams/streaming-{ID}-{table}/record", body,
                                     {"Content-Type": "application/json"}, method="PUT")
    urllib.request.urlopen(request).read()


def runs(run, data_dir):
    return json.loads(run("runs", "--dir", data_dir, "--format", "json").stdout)


def child(service, name):
    """Its process, or None."""
    for pid in pathlib.Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split():
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[1] == name.encode():
            return int(pid)
    return None


def test_a_batch_its_letters_and_the_first_records(start, data_dir):
    service = up(start, data_dir, *FAST)
    post(service.url, f"/topics/{ID}.pin", [{"index": "abc"}, {"index": "x"}, {"index": 2}, 5])
    service.wait_for(rf'info gateway: the first records of topic "{ID}\.pin"\n')
    service.wait_for(r'info batch: 1 clean, 3 dead letters, 2 of pin: "index" is no 32-bit integer: …, '
                     r"\d+ answers, [\d.]+ s\n")
    put(service.url, "pin", {"title": "no index"})
    service.wait_for(rf'info gateway: the first records of stream "streaming-{ID}-pin"\n')
    service.wait_for(r'info stream: 1 dead letter of pin: lacks "index"; `pinpipe dlq` shows them\n')
    service.stop()
    again = up(start, data_dir, *FAST)
    post(again.url, f"/topics/{ID}.pin", [{"index": 3}])
    again.wait_for("info batch: 1 clean, ")
    assert "the first records" not in again.said()


def test_nothing_is_said_while_nothing_happens(run, start, data_dir):
    service = up(start, data_dir, *FAST)
    service.wait_for("page: ")
    before = service.said()
    done = len(runs(run, data_dir))
    wait_until(lambda: len(runs(run, data_dir)) >= done + 4, "four more batches")
    assert service.said() == before


def test_a_refusal_is_told_once_of_a_client_with_its_cure(start, data_dir):
    service = up(start, data_dir)
    for _ in range(3):
        assert post(service.url, f"/topics/{ID}.pin", [{"index": 1}], "application/json") in (200, 415)
        assert post(service.url, f"/topics/{ID}.pin", [{"index": 1}], "text/html") == 415
        assert post(service.url, "/topics/other", [{"index": 1}]) == 404
    service.wait_for(r'127\.0\.0\.1 was refused, status 404: "other": Topic not found\. What this gateway makes by '
                     rf"itself is named by --id {ID}\. \(told once of a client\)")
    told = re.findall(r"127\.0\.0\.1 was refused, status 415: .*send Content-Type: ([\w./+]+)", service.said())
    assert told == [KAFKA]


def test_lines_of_a_kind_are_bounded(start_gateway):
    """Clients by the dozen: six lines in ten seconds, and with the next one how many were left out."""
    gateway = start_gateway()
    clients = iter(f"127.0.{i}.{j}" for i in range(1, 250) for j in range(1, 250))

    def ask():
        with socket.create_connection((gateway.host, gateway.port), source_address=(next(clients), 0)) as talk:
            talk.sendall(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while talk.recv(65536):
                pass
    for _ in range(20):
        ask()
    told = gateway.said()
    assert 1 <= len(re.findall('was refused, status 404: "/nowhere": ', told)) <= 6

    def ask_until_told():
        ask()
        return re.search(r"\(and (\d+) more like it before\)", gateway.said())
    assert int(wait_until(ask_until_told, "how many were left out")[1]) >= 14


def test_batches_in_a_row_are_bounded_too(start, data_dir):
    """Each is another process."""
    service = up(start, data_dir, "--flush-age", "10ms", "--batch-every", "50ms")
    numbers, began = iter(range(1, 10**6)), time.monotonic()

    def post_until_told():
        post(service.url, f"/topics/{ID}.user", [{"ind": next(numbers)}])
        return re.search(r"info batch: .* \(and \d+ more like it before\)", service.said())
    wait_until(post_until_told, "how many were left out")
    service.stop()
    minutes = 1 + (time.monotonic() - began) // 60  # a slow machine has too few in one
    assert len(re.findall("info batch: ", service.said())) <= 13 * minutes


def test_a_restart_says_why(start, data_dir):
    service = up(start, data_dir, env={"PINPIPE_UP_RESTART_AFTER": "2s"})
    sink = wait_until(lambda: child(service, "sink"), "a sink")
    os.kill(sink, signal.SIGKILL)
    service.wait_for(r"warn up: sink ended with status 137; starting it again in \d+ ms")
    other = start("sink", "--dir", data_dir)
    service.wait_for(rf"warn up: sink ended with status 73: another sink \(process {other.pid}\) works on .*; "
                     r"starting it again in \d+ ms")


def test_what_was_drained_is_counted(start, data_dir):
    service = up(start, data_dir, "--flush-age", "1h", "--batch-every", "1h")
    post(service.url, f"/topics/{ID}.geo", [{"ind": i} for i in range(1234)])
    assert "landed" not in service.said()
    assert service.stop() == 128 + signal.SIGTERM
    assert re.search(r"drained: (1,234|234) records landed in the lake, 0 rows in tables of streams", service.said())


def test_a_broken_analysis_is_told_once_and_tried_when_it_changes(run, start, data_dir, tmp_path):
    analyses = tmp_path / "models" / "analyses"
    analyses.mkdir(parents=True)
    (tmp_path / "models" / "clean").mkdir()
    (analyses / "bad.sql").write_text("-- title: Bad\nSELECT nothing FROM nowhere\n")
    (analyses / "good.sql").write_text("-- title: Good\nSELECT 1 AS one\n")
    where = ("--models", tmp_path / "models")
    service = up(start, data_dir, *where, "--batch-every", "100ms")
    wait_until(lambda: len(runs(run, data_dir)) >= 4, "four batches")
    service.stop()
    assert len(re.findall("Table with name nowhere", service.said())) == 1
    assert len(re.findall("batch ended with status 1", service.said())) == 1
    assert json.loads((data_dir / "lake" / "results" / "good.json").read_text())
    slow = up(start, data_dir, *where, "--batch-every", "1h")
    slow.wait_for("Table with name nowhere")
    (analyses / "bad.sql").write_text("-- title: Bad no more\nSELECT 2 AS two\n")
    wait_until(lambda: runs(run, data_dir)[0]["outcome"] == "done", "a batch with what was changed")


def test_lines_for_programs(start, data_dir):
    """Each is JSON, of whatever process, and whatever a client has put into it."""
    service = up(start, data_dir, "--log-format", "json", "--flush-age", "100ms", "--batch-every", "200ms")
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as talk:
        talk.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: a"b\\c\xffd\r\nConnection: close\r\n\r\n')
        while talk.recv(65536):
            pass
    post(service.url, f"/topics/{ID}.user", [{"ind": 1}])
    service.wait_for('"process":"batch"')
    service.stop()
    lines = [line for line in service.said().splitlines() if not line.startswith(("listening on ", "page: "))]
    told = [json.loads(line) for line in lines]
    assert all(set(line) == {"ts", "level", "process", "message"} for line in told)
    assert {line["process"] for line in told} >= {"up", "gateway", "batch"}
    assert any('a"b\\c' in line["message"] for line in told if line["process"] == "gateway")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", line["ts"]) for line in told)


def test_the_page_is_for_people_all_the_same(start_gateway):
    gateway = start_gateway("--log-format", "json")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{gateway.url}/ui/answers/nope")
    assert json.load(refused.value)["message"].startswith('there is no analysis "nope" among the models')


def test_errors_for_programs(run, data_dir):
    said = run("sql", "--dir", data_dir, "--log-format", "json", "SELECT 1", status=1).stderr
    assert json.loads(said)["message"].startswith(f'there is no pinpipe data in "{data_dir}": --dir names another')
    said = run("sql", "--log-format", "logfmt", "--nonsense", status=2).stderr
    assert re.fullmatch(r'ts=\S+Z level=error process=sql message=".*nonsense.*pinpipe sql --help.*"\n', said)
    said = run("topics", "--dir", data_dir, env={"PINPIPE_LOG_FORMAT": "json"}, status=1).stderr
    assert json.loads(said)["level"] == "error"


def test_a_demo_lives_by_itself(run, start, data_dir):
    service = up(start, data_dir, *FAST, "--demo")
    for kind, name in (("topic", f"{ID}.pin"), ("stream", f"streaming-{ID}-pin")):
        service.wait_for(f'the first records of {kind} "{re.escape(name)}"')
    service.wait_for(r"info batch: \d+ clean")
    for path in ("batch", "stream"):
        count = ("sql", "SELECT count(*) AS n FROM pin", "--from", path, "--dir", data_dir, "--format", "json")
        wait_until(lambda words=count: json.loads(run(*words).stdout)[0]["n"] > 0, f"rows of {path}")
    service.stop()
    assert "ended with status" not in service.said() and "sent again" not in service.said()


def test_a_demo_needs_a_key_where_others_do(run, data_dir, tmp_path):
    (tmp_path / "keys").write_text(f"all post,read,admin {'0' * 64}\n")
    for keys in ({"PINPIPE_GATEWAY_API_KEY_SHA256": "0" * 64}, {"PINPIPE_GATEWAY_KEYS": str(tmp_path / "keys")}):
        said = run("up", "--demo", "--dir", data_dir, "--listen", "127.0.0.1:0", status=2, env=keys).stderr
        assert "emulate.api_key" in said


def test_where_the_page_is(pinpipe, start, data_dir):
    """Its token is for whoever sees the terminal, not for a file that collects lines."""
    data_dir.mkdir(mode=0o700)
    (data_dir / "page.token").write_text("5e" * 32 + "\n")
    (data_dir / "page.token").chmod(0o600)
    service = up(start, data_dir)
    told = service.wait_for(r"page: (.*)\n")[1]
    assert told == f'{service.url}/ (its token is in "{data_dir}/page.token")'
    service.stop()
    screen = Screen([pinpipe, "up", "--listen", "127.0.0.1:0", "--dir", data_dir], width=200)
    url = screen.wait_for(r"listening on (\S+)")[1]
    assert screen.wait_for(r"page: (\S+)\r")[1] == f"{url}/#token={'5e' * 32}"
    screen.type("\x03")
    screen.read()
    assert screen.status == 128 + signal.SIGINT


def test_a_run_is_not_talked_over(pinpipe, run, data_dir):
    assert "the first records" not in run("run", "--posts", "3", "--dir", data_dir).stderr
    screen = Screen([pinpipe, "run", "--posts", "3", "--dir", data_dir])
    assert "the first records" not in screen.read(conftest.PATIENCE_S) and screen.status == 0
