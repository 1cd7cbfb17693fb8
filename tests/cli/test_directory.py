"""Where the data is: who only reads makes nothing, a lake that is not mounted is told, and `up` ends
at once with what none of its restarts would mend."""

import json
import os
import pathlib
import re
import signal
import socket
import urllib.request

import pytest

from conftest import Gateway, free_port, wait_until

ID = "124df56aef51"
READERS = [["check"], ["dlq"], ["dlq", "x"], ["cat", "x"], ["topics"], ["topics", "list"], ["topics", "describe", "x"],
           ["streams"], ["sql", "SELECT 1"], ["analyse"], ["batch"]]


def tree(directory):
    return sorted(str(path) for path in directory.rglob("*"))


def post(gateway, topic, values):
    body = json.dumps({"records": [{"value": value} for value in values]}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{topic}", body,
                                     {"Content-Type": "application/vnd.kafka.json.v2+json"})
    urllib.request.urlopen(request).read()


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_readers_make_nothing(run, tmp_path, words):
    for directory in (tmp_path / "typo", tmp_path / "empty"):
        if directory.name == "empty":
            directory.mkdir()
        said = run(*words, "--dir", directory, status=1).stderr
        assert f'there is no pinpipe data in "{directory}"' in said
    assert tree(tmp_path) == [str(tmp_path / "empty")]


def test_readers_leave_a_log_without_a_lake_alone(run, start_gateway, data_dir):
    gateway = start_gateway()
    post(gateway, f"{ID}.pin", [{"index": 1}])
    gateway.stop()
    before = tree(data_dir / "log")
    assert json.loads(run("dlq", "--dir", data_dir, "--format", "json").stdout) == []
    assert json.loads(run("dlq", f"{ID}.pin", "--dir", data_dir, "--format", "json").stdout) == []
    assert run("cat", f"{ID}.pin", "--dir", data_dir).stdout == '{"index":1}\n'
    assert json.loads(run("sql", "SELECT count(*) AS n FROM pin", "--dir", data_dir, "--format", "json").stdout) \
        == [{"n": 1}]
    run("topics", "--dir", data_dir)
    run("check", "--dir", data_dir)
    assert not (data_dir / "lake").exists() and tree(data_dir / "log") == before


def test_a_lake_that_is_not_there(run, start_gateway, data_dir, tmp_path):
    gateway = start_gateway()
    post(gateway, f"{ID}.pin", [{"index": 1}])
    gateway.stop()
    lake = tmp_path / "mnt" / "bucket"
    where = ("--dir", data_dir, "--lake", f"file:{lake}")
    for words in (["sink", "--until-end"], ["stream", "--until-end"], ["batch"], ["run"], ["up"]):
        said = run(*words, *where, status=1).stderr
        assert f'the lake "file:{lake}" is not there: is it mounted? --create makes it' in said
    for words in (["sql", "SELECT 1"], ["dlq"], ["check"]):
        assert f'there is no lake at "file:{lake}"' in run(*words, *where, status=1).stderr
    assert not lake.parent.exists()
    run("sink", "--until-end", "--create", *where)
    run("batch", *where)
    asked = run("sql", "SELECT ind FROM pin", *where, "--format", "json", "--dir", tmp_path / "nowhere")
    assert json.loads(asked.stdout) == [{"ind": 1}] and not (tmp_path / "nowhere").exists()


def test_dead_letters_of_a_name_that_is_none(run, start_gateway, data_dir):
    gateway = start_gateway()
    post(gateway, f"{ID}.pin", [{"index": "abc"}, {"index": "f7a0c-1"}, {"index": 2**40}, {"title": "x", "a": 1}, 5])
    gateway.stop()
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    kinds = {row["reason"]: row["letters"] for row in json.loads(run("dlq", "--dir", data_dir, "--format",
                                                                      "json").stdout)}
    assert kinds['"index" is no 32-bit integer: …'] == 3 and kinds['lacks "index"'] == 1
    said = run("dlq", "nope", "--dir", data_dir, status=1).stderr
    assert 'there is neither a topic nor a stream "nope"' in said


def test_a_port_that_is_taken_ends_up(run, data_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("up", "--listen", place, "--dir", data_dir, status=1, timeout_s=60)
    said = f"pinpipe up: something listens on {place} already; --listen 127.0.0.1:0 takes a free port\n"
    assert result.stderr == said
    assert result.stdout == "" and not data_dir.exists(), "a start that fails makes nothing"


def test_whose_port_8082_is(run, data_dir):
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.2", 8082))
        except OSError:
            pytest.skip("somebody has 127.0.0.2:8082")
        taken.listen()
        said = run("gateway", "--listen", "127.0.0.2:8082", "--dir", data_dir, status=1).stderr
    assert "already (8082 is the Kafka REST proxy's own port)" in said


def test_a_second_up_ends_at_once(run, start, data_dir):
    first = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir)
    url = first.wait_for(r"listening on (\S+)")[1]
    result = run("up", "--listen", "127.0.0.1:0", "--dir", data_dir, status=73)
    assert f'pinpipe up runs on "{data_dir}" already (process {first.pid}, {url})' in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_an_up_that_was_killed_leaves_the_port_to_the_next(start, data_dir):
    port = free_port()
    first = start("up", "--listen", f"127.0.0.1:{port}", "--dir", data_dir)
    first.wait_for("listening on")
    first.kill()
    second = start("up", "--listen", f"127.0.0.1:{port}", "--dir", data_dir)
    second.wait_for(f"listening on http://127.0.0.1:{port}")
    second.kill()  # the sink or the stream of the first may be at work still: then those of the second have not begun


def test_a_bucket_that_is_away_does_not_end_up(start, data_dir):
    """Even where its history should tell when the batch ran last."""
    env = {"PINPIPE_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}", "PINPIPE_S3_REGION": "us-east-1",
           "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    service = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir, "--lake", "s3://bucket/x",
                    "--batch-schedule", "1h", env=env)
    service.wait_for("when the batch ran last is not known, so it has its turn now")
    service.wait_for("listening on")
    service.kill()


def test_models_that_are_none_end_up(run, data_dir, tmp_path):
    (tmp_path / "models" / "clean").mkdir(parents=True)
    (tmp_path / "models" / "analyses").mkdir()
    for models, why in [(tmp_path / "models", "no model is in"), (tmp_path / "nowhere", "nowhere")]:
        result = run("up", "--listen", "127.0.0.1:0", "--dir", data_dir, "--models", models, status=None)
        assert result.returncode in (1, 2) and why in result.stderr and "run on" not in result.stderr
        assert not data_dir.exists()


def test_a_lake_that_cannot_be_made_ends_up(run, data_dir, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("up", "--listen", "127.0.0.1:0", "--dir", data_dir, "--create", "--lake",
                 f"file:{tmp_path}/file/lake", status=None)
    assert result.returncode not in (0, 128 + signal.SIGTERM) and "could not make directory" in result.stderr
    assert "starting it again" not in result.stderr and not data_dir.exists()
    result = run("up", "--listen", "127.0.0.1:0", "--dir", data_dir, "--lake", f"file:{tmp_path}/unmounted", status=1)
    assert "is it mounted?" in result.stderr and not data_dir.exists()


def test_a_broken_analysis_waits_for_its_turn(start, data_dir, tmp_path):
    """The batch that failed at it runs again at batch.every, not after a few hundred ms."""
    analyses = tmp_path / "models" / "analyses"
    analyses.mkdir(parents=True)
    (tmp_path / "models" / "clean").mkdir()
    (analyses / "bad.sql").write_text("-- title: Bad\nSELECT nothing FROM nowhere\n")
    service = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir, "--models", tmp_path / "models",
                    "--batch-every", "1h", env={"PINPIPE_UP_RESTART_AFTER": "1ms", "PINPIPE_UP_RESTART_MAX": "1ms"})
    said = service.wait_for(r"batch ended with status 1: 1 of the analyses failed; .*; starting it again in (\d+) ms")
    assert int(said[1]) > 3_000_000
    assert len(re.findall("batch ended", service.said())) == 1


def test_a_service_that_is_killed_comes_back(start, data_dir):
    service = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir)
    service.wait_for(r"listening on")

    def child(name):
        for path in pathlib.Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split():
            words = pathlib.Path(f"/proc/{path}/cmdline").read_bytes().split(b"\0")
            if len(words) > 1 and words[1] == name.encode():
                return int(path)
        return None
    sink = wait_until(lambda: child("sink"), "a sink")
    os.kill(sink, signal.SIGKILL)
    service.wait_for(r"sink ended with status 137; starting it again")
    wait_until(lambda: child("sink") not in (None, sink), "another sink")


def test_that_no_table_is_there_is_said(run, start_gateway, data_dir):
    gateway = start_gateway()
    post(gateway, f"{ID}.pin", [{"index": 1}])
    gateway.stop()
    where = ("--dir", data_dir, "--format", "json")
    asked = run("sql", "SELECT count(*) AS n FROM pin", *where, "--from", "batch")
    assert json.loads(asked.stdout) == [{"n": 0}]
    assert f'no table is there yet: looked for "tables/{ID}_pin_clean" in "{data_dir}/lake"' in asked.stderr
    assert run("sql", "SELECT 1", *where).stderr == ""
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    assert run("sql", "SELECT count(*) FROM pin JOIN geo ON true", *where).stderr == ""  # one of them is there
    assert "no table" not in run("analyse", *where).stderr
    asked = run("sql", "SELECT count(*) FROM pin", *where, "--id", "deadbeef0000", "--lake", data_dir / "lake")
    assert f'looked for "tables/deadbeef0000_pin_clean" in "{data_dir}/lake"' in asked.stderr
    asked = run("analyse", *where, "--id", "deadbeef0000")
    assert 'looked for "tables/deadbeef0000_geo_clean" and others in' in asked.stderr


def test_up_says_that_it_drains_and_what_waits(run, start, data_dir):
    up = start("up", "--listen", "127.0.0.1:0", "--dir", data_dir, kind=Gateway).listen()
    up.stop(signal.SIGINT)
    said = up.said()
    assert "draining" in said and "since the last batch is in its table after the next one" in said
    assert said.index("draining") < said.index("drained: ")
