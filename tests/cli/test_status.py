"""What all processes of a directory count, by /metrics and by pinpipe status."""

import contextlib
import json
import os
import re
import signal
import threading
import urllib.error
import urllib.request

import pytest

from conftest import free_port, wait_until
from screen import Screen

ID = "124df56aef51"


def post(url, topic, values):
    body = json.dumps({"records": [{"value": value} for value in values]}).encode()
    urllib.request.urlopen(urllib.request.Request(
        f"{url}/topics/{topic}", body, {"Content-Type": "application/vnd.kafka.json.v2+json"})).read()


def put(url, stream, values):
    for value in values:
        body = json.dumps({"StreamName": stream, "Data": value, "PartitionKey": "k"}).encode()
        urllib.request.urlopen(urllib.request.Request(
            f"{url}/streams/{stream}/record", body, {"Content-Type": "application/json"}, method="PUT")).read()


def samples(url):
    """The samples of /metrics, by name and labels."""
    with urllib.request.urlopen(f"{url}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


@pytest.fixture(name="status")
def fixture_status(run, data_dir):
    """What status says, and its exit status, which must be what it says."""
    def ask(*words):
        done = run("status", "--dir", data_dir, "--format", "json", *words, status=None)
        assert done.returncode in (0, 1), done.stderr
        told = json.loads(done.stdout)
        assert done.returncode == (0 if told["fine"] else 1)
        return told
    return ask


@pytest.fixture(name="up")
def fixture_up(start, data_dir):
    def start_it(*words):
        service = start("up", "--dir", data_dir, "--listen", "127.0.0.1:0", "--flush-age", "100ms", *words)
        service.url = service.wait_for(r"listening on (http://\S+)")[1]
        return service
    return start_it


def process(told, role):
    return next((p for p in told["processes"] if p["process"] == role), None)


def row(told, kind, name):
    return next((r for r in told["rows"] if (r["kind"], r["name"]) == (kind, name)), None)


def test_what_other_processes_count_is_in_the_gateways_metrics(run, up, status, data_dir):
    service = up("--batch-every", "200ms")
    post(service.url, f"{ID}.pin", [{"index": 1}, {"index": 2}, "no row"])
    put(service.url, f"streaming-{ID}-geo", [{"ind": 1}])

    def landed():
        found = samples(service.url)
        return found if found.get('pinpipe_table_rows_total{path="batch",table="pin"}') == 2 \
            and found.get('pinpipe_table_rows_total{path="stream",table="geo"}') == 1 \
            and found["pinpipe_sink_records_total"] == 3 else None

    found = wait_until(landed, "rows in the tables")
    assert found["pinpipe_sink_objects_total"] == 1
    assert found[f'pinpipe_topic_records_total{{topic="{ID}.pin"}}'] == 3
    assert found[f'pinpipe_sink_topic_records_total{{topic="{ID}.pin"}}'] == 3
    assert found['pinpipe_table_dead_letters_total{path="batch",table="pin"}'] == 1
    assert found["pinpipe_ack_seconds_count"] == 2 and found["pinpipe_ack_seconds_sum"] > 0
    assert found["pinpipe_stream_commit_seconds_count"] == 1
    assert found['pinpipe_store_puts_total{process="sink"}'] >= 1
    assert all(found[f'pinpipe_process_up{{process="{role}"}}'] == 1
               for role in ("up", "gateway", "sink", "stream", "maintain"))
    told = wait_until(lambda: (lambda t: t if t["fine"] else None)(status()), "that all is well")
    assert row(told, "topic", f"{ID}.pin")["records"] == 3
    assert row(told, "batch table", "pin")["records"] == 2 and row(told, "batch table", "pin")["letters"] == 1
    assert told["ack_us"]["count"] == 2 and told["ack_us"]["p50"] <= told["ack_us"]["p99_9"]
    assert told["a_second"]["records"] > 0 and told["disk"]["free_bytes"] > 0
    shown = run("status", "--dir", data_dir, "--format", "table").stdout.splitlines()
    wide = [line for line in shown[1:] if len(line) > 80 and "  ! " not in line]  # the first names the directory
    assert not wide, wide
    assert any(line.startswith(f"{ID}.pin") and line.split()[1:6] == ["lake", "3", "3", "0", "0"] for line in shown)


def test_all_that_came_is_seen_to_be_there(up, status):
    service = up("--batch-every", "200ms")
    post(service.url, f"{ID}.pin", [{"index": i} for i in range(50)])
    put(service.url, f"streaming-{ID}-pin", [{"index": i} for i in range(5)])

    def complete():
        told = status()
        rows = [row(told, "topic", f"{ID}.pin"), row(told, "batch table", "pin"), row(told, "stream table", "pin")]
        return all(r and r["lag"] == 0 and r["late_seconds"] == 0 for r in rows) and rows[1]["records"] == 50

    wait_until(complete, "tables without a lag")
    found = samples(service.url)
    assert found['pinpipe_table_lag_records{path="stream",table="pin"}'] == 0
    before = found['pinpipe_table_complete_timestamp_seconds{path="stream",table="pin"}']
    wait_until(lambda: samples(service.url)['pinpipe_table_complete_timestamp_seconds{path="stream",table="pin"}']
               > before, "a later time up to which an idle table is complete")


def test_nothing_runs(run, start_gateway, status, data_dir):
    gateway = start_gateway()
    gateway.stop()
    told = status()
    assert told["reasons"] == [f'nothing runs on "{data_dir}"']
    assert process(told, "gateway")["state"] == "ended"
    assert "unwell" in run("status", "--dir", data_dir, "--format", "table", status=1).stdout
    assert "there is no pinpipe data" in run("status", "--dir", data_dir / "no", status=1).stderr
    assert "no table" in run("status", "--dir", data_dir, "--format", "csv", status=2).stderr


def test_what_waits_while_the_sink_does_not_run(run, start_gateway, start, status, data_dir):
    gateway = start_gateway()
    post(gateway.url, f"{ID}.pin", [{"index": 1}])
    sink = start("sink", "--dir", data_dir, "--flush-age", "1ms")
    wait_until(lambda: samples(gateway.url)["pinpipe_sink_records_total"] == 1, "a record in the lake")
    told_to_group = ("groups", "describe", "sink", "--dir", data_dir, "--format", "json")
    wait_until(lambda: all(place["lag"] == 0 for place in json.loads(run(*told_to_group).stdout)),
               "the group to be told")
    sink.kill()
    post(gateway.url, f"{ID}.pin", [{"index": 2}, {"index": 3}])
    told = status()
    assert told["reasons"] == ["sink was killed, and nobody has started it again"]
    assert row(told, "topic", f"{ID}.pin")["posted"] == 3 and row(told, "topic", f"{ID}.pin")["lag"] == 2
    found = samples(gateway.url)
    assert found['pinpipe_process_up{process="sink"}'] == 0
    assert found['pinpipe_process_kills_total{process="sink"}'] == 1
    assert not any("sink_topic_lag" in name for name in found)
    run("sink", "--dir", data_dir, "--until-end")
    found = samples(gateway.url)
    assert found["pinpipe_sink_records_total"] == 3, "a process goes on counting where the last of its kind was"
    assert found['pinpipe_process_starts_total{process="sink"}'] == 2
    assert status()["fine"]


def test_what_check_found_is_told(run, up, status, data_dir):
    service = up("--batch-every", "1h")
    assert "checked" not in status()
    def objects():
        return sorted(data_dir.glob(f"lake/topics/{ID}.pin/*/*.json"))

    for n in (1, 2):
        post(service.url, f"{ID}.pin", [{"index": n}])
        wait_until(lambda n=n: len(objects()) == n, "an object")
    run("check", "--dir", data_dir)
    told = status()
    assert told["checked"]["faults"] == {"log": 0, "batch": 0, "stream": 0} and told["checked"]["at"]
    assert process(told, "check") is None
    objects()[0].unlink()
    run("check", "--dir", data_dir, status=1)
    told = status()
    assert told["checked"]["faults"]["batch"] > 0 and told["checked"]["faults"]["stream"] == 0
    assert [r for r in told["reasons"] if "pinpipe check found" in r and "on the batch path" in r]
    found = samples(service.url)
    assert found['pinpipe_check_faults{part="batch"}'] == told["checked"]["faults"]["batch"]
    assert found['pinpipe_check_timestamp_seconds{part="log"}'] > 0


def test_a_killed_service_is_told_and_counted(up, status):
    service = up()
    told = wait_until(lambda: (lambda t: t if t["fine"] else None)(status()), "that all is well")
    victim = process(told, "stream")["pid"]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: process(status(), "stream")["restarts"] == 1 and process(status(), "stream")["pid"] != victim,
               "another stream")
    found = samples(service.url)
    assert found['pinpipe_process_kills_total{process="stream"}'] == 1
    assert found['pinpipe_service_failures_total{service="stream"}'] == 1
    wait_until(lambda: status()["fine"], "that all is well again")


@contextlib.contextmanager
def failing(tickets, point):
    """Every pass of a failpoint fails."""
    ended = threading.Event()

    def fill():
        while not ended.wait(0.005):
            (tickets / point).touch()

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        (tickets / point).unlink(missing_ok=True)


def test_what_an_earlier_up_had_is_not_missed(up, status):
    service = up()
    wait_until(lambda: process(status(), "maintain")["state"] == "runs", "maintain")
    service.stop()
    up("--maintain-every", "0")
    told = wait_until(lambda: (lambda t: t if t["fine"] else None)(status()), "that all is well")
    assert process(told, "maintain")["state"] == "ended" and process(told, "maintain")["restarts"] is None


def test_a_lake_that_takes_nothing_is_the_reason(pinpipe, start_gateway, start, status, tmp_path, data_dir):
    if b"PINPIPE_FAILPOINT_TICKETS\0" not in pinpipe.read_bytes():
        pytest.skip("built without failpoints")
    tickets = tmp_path / "tickets"
    (tickets / "taken").mkdir(parents=True)
    gateway = start_gateway()
    start("sink", "--dir", data_dir, "--flush-age", "1ms", env={"PINPIPE_FAILPOINT_TICKETS": str(tickets)})

    def reason(pattern, *words):
        return lambda: next((why for why in status(*words)["reasons"] if re.match(pattern, why)), None)

    def posted_and(found):
        """A record more, as the one before may have come through yet."""
        post(gateway.url, f"{ID}.geo", [{"ind": 2}])
        return found()

    with failing(tickets, "store-temp:eio"):
        wait_until(lambda: posted_and(reason("sink does not get on: the lake: ")), "the reason")
        wait_until(lambda: posted_and(lambda: samples(gateway.url)['pinpipe_process_unwell{process="sink"}'] == 1),
                   "the same in the metrics")
        late = reason(rf"the lake's part of topic {ID}\.geo is \d+ records? and \d+ s behind", "--behind", "1s")
        wait_until(lambda: posted_and(late), "that it is behind")
        assert row(status("--behind", "1s"), "topic", f"{ID}.geo")["behind"]
    told = wait_until(lambda: (lambda t: t if t["fine"] else None)(status()), "that it goes on", patience_s=120)
    assert not any(each["behind"] for each in told["rows"]) and not told["disk"]["low"]


def test_a_batch_that_failed_is_the_reason(run, start_gateway, status, data_dir, tmp_path):
    start_gateway()
    for place in ("analyses", "clean"):
        (tmp_path / "models" / place).mkdir(parents=True)
    (tmp_path / "models" / "analyses" / "bad.sql").write_text("-- title: Bad\nSELECT nothing FROM nowhere\n")
    run("batch", "--dir", data_dir, "--models", tmp_path / "models", status=1)
    assert status()["reasons"] == ["the last batch ended with status 1 (pinpipe runs says why)"]
    run("batch", "--dir", data_dir)
    assert status()["fine"]


def test_a_process_alone_serves_its_metrics(run, start_gateway, start, data_dir):
    gateway = start_gateway()
    url = f"http://127.0.0.1:{free_port()}"
    start("sink", "--dir", data_dir, "--flush-age", "1ms", "--metrics-listen", url.removeprefix("http://"))\
        .wait_for("/metrics is at")
    post(gateway.url, f"{ID}.pin", [{"index": 1}])
    wait_until(lambda: samples(url)["pinpipe_sink_records_total"] == 1, "a record in the lake")
    assert samples(url)["pinpipe_records_appended_total"] == 1, "those beside it, too"
    assert urllib.request.urlopen(f"{url}/healthz").read() == b"ok\n"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/topics")
    assert refused.value.code == 404 and b"/metrics" in refused.value.read()
    done = run("stream", "--dir", data_dir, "--until-end", "--metrics-listen", url.removeprefix("http://"), status=None)
    assert done.returncode != 0 and "--metrics-listen" in done.stderr


def test_watch_tells_again_and_again(start, start_gateway, data_dir):
    start_gateway()
    watch = start("status", "--dir", data_dir, "--watch", "--format", "json")
    wait_until(lambda: watch.said().count("\n") >= 2, "two lines")
    assert watch.stop(signal.SIGINT) == 130
    assert all(json.loads(line)["fine"] for line in watch.said().splitlines())


def test_watch_fits_the_screen(pinpipe, start_gateway, data_dir):
    """What is said first stays on it."""
    start_gateway()
    screen = Screen([pinpipe, "status", "--dir", data_dir, "--watch"])
    screen.resize(80, height=6)
    screen.wait_for(r"(\x1b\[H\x1b\[J[^\x1b]+){2}\x1b\[H")
    screen.type("\x03")
    shown = screen.read().split("\x1b[H\x1b[J")[2]
    assert shown.startswith("pinpipe on") and shown.count("\n") == 4
    assert re.search(r"\n… \d+ more lines: in a taller terminal, or without --watch$", shown.rstrip("^C")), shown


@pytest.fixture(name="registry")
def fixture_registry(start_gateway, data_dir, tmp_path):
    """The file in which this program is going to count."""
    start_gateway(directory=tmp_path / "other").stop()
    found = list((tmp_path / "other").glob("registry.*"))
    assert len(found) == 1
    return data_dir / found[0].name


def test_a_registry_that_cannot_be_is_in_nobodys_way(start_gateway, registry):
    registry.mkdir(parents=True)
    gateway = start_gateway()
    assert "not to be seen from others" in gateway.said()
    post(gateway.url, f"{ID}.pin", [{"index": 1}])
    assert samples(gateway.url)["pinpipe_records_appended_total"] == 1


def test_a_torn_registry_is_replaced(start_gateway, data_dir, status, registry):
    data_dir.mkdir()
    registry.write_bytes(b"PINPIPER" + bytes(100))
    gateway = start_gateway()
    post(gateway.url, f"{ID}.pin", [{"index": 1}])
    assert samples(gateway.url)["pinpipe_records_appended_total"] == 1
    assert process(status(), "gateway")["state"] == "runs"
