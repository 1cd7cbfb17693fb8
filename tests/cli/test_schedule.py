"""batch.schedule: when `up` runs the batch, what is caught up, and the history that `pinpipe runs` shows."""

import json
import urllib.request

import pytest

from conftest import wait_until

ID = "124df56aef51"


def up(start, data_dir, *words, env=None):
    return start("up", "--listen", "127.0.0.1:0", "--dir", data_dir, *words, env=env)


def runs(run, data_dir, *words):
    return json.loads(run("runs", "--dir", data_dir, "--format", "json", *words).stdout)


def earlier(data_dir, name, **members):
    """A run in the history, as if it had been."""
    place = data_dir / "lake" / "results" / "runs"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.json").write_text(json.dumps({"run": name, "ms": 1500, "tables": {}, "analyses": {}, **members}))


@pytest.mark.parametrize("value,why", [
    ("61 * * * *", '"61" is not from 0 to 59, at character 1 (minute)'),
    ("0 0 31 2 *", "is never due: none of its months has one of its days"),
    ("* * * *", "five fields are wanted"),
    ("500ms", '"500ms" is not a time such as 15m in the range 1s..30d'),
])
def test_a_wrong_schedule_is_told_with_its_place(run, data_dir, tmp_path, value, why):
    (tmp_path / "pinpipe.yaml").write_text(f'batch:\n  schedule: "{value}"\n')
    said = run("up", "--dir", data_dir, status=2).stderr
    assert "pinpipe.yaml:2" in said and "batch.schedule" in said and why in said
    assert why in run("up", "--dir", data_dir, "--batch-schedule", value, "--config", "/dev/null", status=2).stderr
    assert not data_dir.exists()


def test_a_time_zone_that_is_none(run, data_dir):
    said = run("up", "--dir", data_dir, "--batch-timezone", "Mars/Base", status=2).stderr
    assert '"Mars/Base" is no time zone' in said and "--batch-timezone" in said


def test_an_interval_runs_again_and_again_one_at_a_time(run, start, data_dir):
    service = up(start, data_dir, "--batch-schedule", "1s")
    service.wait_for(r"listening on")
    wait_until(lambda: len(runs(run, data_dir)) >= 3, "three runs")
    service.stop()
    found = runs(run, data_dir)
    assert {row["by"] for row in found} == {"schedule"}
    assert [row["run"] for row in found] == sorted((row["run"] for row in found), reverse=True)
    assert all(row["outcome"] in ("done", "stopped") for row in found)
    assert "batch ended with status 73" not in service.said()
    assert len(runs(run, data_dir, "--limit", "1")) == 1


def test_what_was_missed_is_caught_up_once(run, start, data_dir):
    earlier(data_dir, "20200101T000000000Z", outcome="done", exit=0, by="schedule")
    service = up(start, data_dir, "--batch-schedule", "@yearly")
    said = service.wait_for(r"the next batch is due at (\d{4})-01-01T00:00:00.000Z")
    service.stop()
    found = runs(run, data_dir)
    assert [row["by"] for row in found] == ["schedule", "schedule"] and found[0]["outcome"] == "done"
    assert int(said[1]) == int(found[0]["run"][:4]) + 1
    again = up(start, data_dir, "--batch-schedule", "@yearly")
    again.wait_for(r"the next batch is due at")
    again.wait_for(r"listening on")
    again.stop()
    assert len(runs(run, data_dir)) == 2


def test_a_run_that_was_stopped_or_put_off_is_caught_up(run, start, data_dir):
    earlier(data_dir, "20200101T000000000Z", outcome="done", exit=0)
    run("batch", "--dir", data_dir)
    newest = runs(run, data_dir)[0]["run"]
    earlier(data_dir, newest, outcome="stopped", exit=None, error="asked to stop")
    service = up(start, data_dir, "--batch-schedule", "@yearly")
    service.wait_for(r"the next batch is due at")
    service.stop()
    assert [row["outcome"] for row in runs(run, data_dir)] == ["done", "stopped", "done"]


def test_nothing_is_run_before_its_time(run, start, data_dir):
    service = up(start, data_dir, "--batch-schedule", "@yearly", "--batch-timezone", "Europe/Berlin")
    service.wait_for(r"the next batch is due at \d{4}-12-31T23:00:00.000Z")
    service.wait_for(r"listening on")
    service.stop()
    assert runs(run, data_dir) == []


def test_the_history_has_runs_that_failed_and_those_of_older_programs(run, start_gateway, data_dir, tmp_path):
    gateway = start_gateway()
    body = json.dumps({"records": [{"value": {"index": 1}}, {"value": 5}]}).encode()
    urllib.request.urlopen(urllib.request.Request(
        f"{gateway.url}/topics/{ID}.pin", body, {"Content-Type": "application/vnd.kafka.json.v2+json"})).read()
    gateway.stop()
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    (tmp_path / "models" / "analyses").mkdir(parents=True)
    (tmp_path / "models" / "clean").mkdir()
    (tmp_path / "models" / "analyses" / "bad.sql").write_text("-- title: Bad\nSELECT nothing FROM nowhere\n")
    run("batch", "--dir", data_dir, "--models", tmp_path / "models", "--by", "airflow", status=1)
    earlier(data_dir, "20200101T000000000Z", analyses={"x": {"rows": 0, "ms": 1, "error": "no"}})
    earlier(data_dir, "20190101T000000000Z")
    (data_dir / "lake" / "results" / "runs" / "20210101T000000000Z.json").write_text("{")
    assert "20210101T000000000Z.json is no run of a batch" in run("runs", "--dir", data_dir).stderr
    rows = runs(run, data_dir)
    names = ("outcome", "exit", "by", "rows", "dead", "analyses_failed")
    assert [tuple(row[name] for name in names) for row in rows] \
        == [("failed", 1, "airflow", 0, 0, 1), ("done", 0, "command", 1, 1, 0), ("failed", 1, None, 0, 0, 1),
            ("done", 0, None, 0, 0, 0)]
    assert "of the analyses failed" in rows[0]["error"] and rows[1]["error"] is None
    assert rows[2]["started"] == "2020-01-01T00:00:00.000Z" and rows[2]["seconds"] == 1.5


def metrics(gateway):
    lines = urllib.request.urlopen(gateway.url + "/metrics").read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if "pinpipe_batch_" in line
                                                   and not line.startswith("#"))}


@pytest.fixture(name="posted")
def fixture_posted(start_gateway, run, data_dir):
    """A gateway that goes on, and a pin in the lake that no batch has seen."""
    gateway = start_gateway()
    urllib.request.urlopen(urllib.request.Request(
        f"{gateway.url}/topics/{ID}.pin", b'{"records":[{"value":{"index":1}}]}',
        {"Content-Type": "application/vnd.kafka.json.v2+json"})).read()
    run("sink", "--until-end", "--dir", data_dir)
    return gateway


@pytest.fixture(name="failpoints")
def fixture_failpoints(pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("built without failpoints")
    return lambda text: {"PINPIPE_FAILPOINTS": text}


def outcomes(run, data_dir):
    return [(row["outcome"], row["exit"], row["by"]) for row in runs(run, data_dir)]


def test_a_run_that_was_killed_is_in_the_history_and_caught_up(run, start, data_dir, posted, failpoints):
    earlier(data_dir, "20200101T000000000Z", outcome="done", exit=0, by="schedule")
    run("batch", "--dir", data_dir, "--by", "airflow", status=-9, env=failpoints("batch-commit:kill@1"))
    assert outcomes(run, data_dir) == [("killed", None, "airflow"), ("done", 0, "schedule")]
    assert metrics(posted)["pinpipe_batch_running"] == 0
    posted.stop()
    service = up(start, data_dir, "--batch-schedule", "@yearly")
    service.wait_for(r"the next batch is due at")
    service.stop()
    (data_dir / "batch.runs").unlink()
    assert outcomes(run, data_dir) == [("done", 0, "schedule"), ("killed", None, "airflow"), ("done", 0, "schedule")]


def test_a_run_at_work_is_shown(run, start, data_dir, posted, failpoints):
    service = start("batch", "--dir", data_dir, env=failpoints("batch-commit:stop@1"))
    wait_until(lambda: outcomes(run, data_dir) == [("running", None, "command")]
               and metrics(posted)["pinpipe_batch_running"] == 1, "a run at work")
    service.kill()
    assert outcomes(run, data_dir) == [("killed", None, "command")]


def test_a_run_that_failed_before_the_lake_was_open_is_told_to_it_later(run, data_dir, posted):
    run("batch", "--dir", data_dir, "--engine", "spark", "--config", "/dev/null", status=2,
        env={"PATH": "/nowhere", "SPARK_HOME": "/nowhere"})
    [row] = runs(run, data_dir)
    assert (row["outcome"], row["exit"]) == ("failed", 2) and "Spark" in row["error"]
    assert not list((data_dir / "lake" / "results").glob("runs/*"))
    run("batch", "--dir", data_dir)
    (data_dir / "batch.runs").unlink()
    assert outcomes(run, data_dir) == [("done", 0, "command"), ("failed", 2, "command")]


def test_a_run_whose_history_could_not_be_written_is_told_later(run, data_dir, posted):
    history = data_dir / "lake" / "results" / "runs"
    history.parent.mkdir(parents=True, exist_ok=True)
    history.write_text("no directory")
    run("batch", "--dir", data_dir, status=1)
    history.unlink()
    run("batch", "--dir", data_dir)
    (data_dir / "batch.runs").unlink()
    first, second = reversed(runs(run, data_dir))
    assert (first["outcome"], first["rows"], second["rows"]) == ("done", 1, 0)


def test_the_gateway_tells_of_the_runs_in_its_directory(run, data_dir, posted, tmp_path):
    assert metrics(posted) == {}
    run("batch", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    (tmp_path / "models" / "analyses").mkdir(parents=True)
    (tmp_path / "models" / "clean").mkdir()
    (tmp_path / "models" / "analyses" / "bad.sql").write_text("-- title: Bad\nSELECT nothing FROM nowhere\n")
    run("batch", "--dir", data_dir, "--models", tmp_path / "models", status=1)
    found = metrics(posted)
    assert found['pinpipe_batch_runs_total{exit="0"}'] == 2 and found['pinpipe_batch_runs_total{exit="1"}'] == 1
    assert found["pinpipe_batch_last_run_exit"] == 1 and found["pinpipe_batch_running"] == 0
    assert 0 < found["pinpipe_batch_last_run_seconds"] < found["pinpipe_batch_run_milliseconds_total"] / 1000
    assert found["pinpipe_batch_last_success_timestamp_seconds"] < found["pinpipe_batch_last_run_timestamp_seconds"]
    for torn in ("no ledger\n", "", '{"running":null'):
        (data_dir / "batch.runs").write_text(torn)
        assert metrics(posted) == {}
    run("batch", "--dir", data_dir)
    assert metrics(posted)['pinpipe_batch_runs_total{exit="0"}'] == 1


def test_a_ledger_that_cannot_be_written_stops_no_batch(run, data_dir, posted):
    (data_dir / "batch.runs.new").mkdir()
    assert "could not make the ledger of the runs of batch" in run("batch", "--dir", data_dir).stderr
    assert runs(run, data_dir)[0]["outcome"] == "done"
