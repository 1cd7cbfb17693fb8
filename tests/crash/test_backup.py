"""A copy of a log that is being written: pinpipe backup loses nothing, and a copy made with cp only what it lacks."""

import http.client
import json
import os
import shutil
import threading

import pytest

from conftest import wait_until

BEFORE = 1500       # records that are acknowledged before the copy begins
A_REQUEST = 5
OTHERS = 7          # records of a topic that nobody posts to any more
HEADERS = {"Content-Type": "application/vnd.kafka.json.v2+json"}


class Poster(threading.Thread):
    """Posts as fast as it is answered, and keeps what was acknowledged: values[partition, offset]."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
        self.values = {}
        self.is_ending = False
        self.post("other", range(OTHERS))
        self.values.clear()

    def post(self, topic, numbers):
        values = [{"n": n} for n in numbers]
        self.connection.request("POST", f"/topics/124df56aef51.{topic}",
                                json.dumps({"records": [{"value": value} for value in values]}), HEADERS)
        answer = json.load(self.connection.getresponse())
        for value, said in zip(values, answer["offsets"]):
            self.values[said["partition"], said["offset"]] = value

    def run(self):
        n = 0
        while not self.is_ending:
            self.post("pin", range(n, n + A_REQUEST))
            n += A_REQUEST

    def end(self):
        self.is_ending = True
        self.join()


@pytest.fixture
def poster(start_gateway, run, data_dir):
    run("topics", "create", "124df56aef51.other", "--dir", str(data_dir))
    run("topics", "create", "124df56aef51.pin", "--partitions", "2", "--dir", str(data_dir))
    gateway = start_gateway()
    thread = Poster(gateway)
    thread.gateway = gateway
    thread.start()
    wait_until(lambda: len(thread.values) >= BEFORE, "records")
    yield thread
    thread.end()


def read(run, directory, topic, status=0):
    """values[partition, offset] of a log."""
    said = run("cat", f"124df56aef51.{topic}", "--format", "json", "--dir", str(directory), status=status)
    records = [json.loads(line) for line in said.stdout.splitlines()]
    return {(int(r["partition"]), int(r["offset"])): r["value"] for r in records}


def next_offset(gateway, topic, partition):
    """Where the next record of the partition stands: posts one."""
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    connection.request("POST", f"/topics/124df56aef51.{topic}",
                       json.dumps({"records": [{"value": {"n": -1}, "partition": partition}]}), HEADERS)
    return json.load(connection.getresponse())["offsets"][0]["offset"]


def assert_dense(records):
    for partition in (0, 1):
        offsets = sorted(offset for p, offset in records if p == partition)
        assert offsets == list(range(len(offsets)))


def test_what_was_acknowledged_is_in_the_copy(poster, run, start_gateway, data_dir, tmp_path):
    acknowledged = dict(poster.values)
    copy = tmp_path / "copy"
    run("backup", "--dir", str(data_dir), "--to", str(copy))
    assert not poster.is_ending and poster.is_alive()
    poster.end()
    records = read(run, copy, "pin")
    assert acknowledged.items() <= records.items()
    assert records.items() <= {**read(run, data_dir, "pin")}.items()
    assert_dense(records)
    assert len(read(run, copy, "other")) == OTHERS
    assert not copy.with_name("copy.part").exists()
    poster.gateway.stop()
    restored = start_gateway(directory=copy)
    for partition in (0, 1):
        assert next_offset(restored, "pin", partition) == len([p for p, _ in records if p == partition])
    assert next_offset(restored, "other", 0) == OTHERS


def test_what_is_there_is_not_written_over(run, data_dir, tmp_path):
    run("topics", "create", "t", "--dir", str(data_dir))
    copy = tmp_path / "copy"
    copy.mkdir()
    refused = run("backup", "--dir", str(data_dir), "--to", f"{copy}/", status=1)
    assert "is there already" in refused.stderr and not list(copy.iterdir())
    strange = tmp_path / "other.part"
    strange.mkdir()
    (strange / "log").mkdir()
    (strange / "log" / "mine").mkdir()
    refused = run("backup", "--dir", str(data_dir), "--to", str(tmp_path / "other"), status=1)
    assert "no backup has left" in refused.stderr and (strange / "log" / "mine").is_dir()


@pytest.mark.parametrize("action", ["backup-copied:kill@1", "backup-named:kill@1"])
def test_a_backup_that_was_killed_is_no_copy(run, pinpipe, data_dir, tmp_path, action):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    run("topics", "create", "t", "--dir", str(data_dir))
    copy = tmp_path / "copy"
    run("backup", "--dir", str(data_dir), "--to", str(copy), status=-9, env={"PINPIPE_FAILPOINTS": action})
    assert not copy.exists() and copy.with_name("copy.part").exists()
    run("backup", "--dir", str(data_dir), "--to", str(copy))
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]
    assert "t" in run("topics", "--dir", str(copy)).stdout


def test_a_copy_whose_name_could_not_be_synced_stays(run, pinpipe, data_dir, tmp_path):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    run("topics", "create", "t", "--dir", str(data_dir))
    failed = run("backup", "--dir", str(data_dir), "--to", str(tmp_path / "copy"), status=74,
                 env={"PINPIPE_FAILPOINTS": "backup-renamed:eio@1"})
    assert "the copy is whole" in failed.stderr
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]
    assert "t" in run("topics", "--dir", str(tmp_path / "copy")).stdout


def test_a_backup_is_copied_by_hand_where_the_kernel_cannot(run, pinpipe, data_dir, tmp_path):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    run("topics", "create", "t", "--dir", str(data_dir))
    run("backup", "--dir", str(data_dir), "--to", str(tmp_path / "copy"),
        env={"PINPIPE_FAILPOINTS": "backup-copied:eio@1+"})
    names = sorted(path.name for path in (tmp_path / "copy" / "log").glob("*.segment"))
    assert names
    for name in names:
        copied = (tmp_path / "copy" / "log" / name).read_bytes()
        assert copied.rstrip(b"\0") == (data_dir / "log" / name).read_bytes()[:len(copied)].rstrip(b"\0")


def test_a_copy_made_file_by_file_loses_what_it_lacks_and_no_more(poster, run, start_gateway, data_dir, tmp_path):
    """cp -r: segments come before the watermark, which then tells of records that are not in them."""
    copy, first = tmp_path / "copy" / "log", dict(poster.values)
    names = sorted(os.listdir(data_dir / "log"))
    copy.mkdir(parents=True)
    for name in names:
        source = data_dir / "log" / name
        if name == "watermark":
            lacking = len(poster.values) + 1000
            wait_until(lambda: len(poster.values) >= lacking, "more records")
            acknowledged = dict(poster.values)
        if source.is_dir():
            shutil.copytree(source, copy / name)
        elif not name.startswith("spare"):
            shutil.copyfile(source, copy / name)
    poster.end()
    poster.gateway.stop()
    there = read(run, data_dir, "pin")
    restored = start_gateway(directory=copy.parent)
    for partition in (0, 1):
        said = next_offset(restored, "pin", partition)
        assert len([p for p, _ in acknowledged if p == partition]) <= said
        assert said <= len([p for p, _ in there if p == partition])
    assert next_offset(restored, "other", 0) == OTHERS
    restored.stop()
    assert first.items() <= read(run, copy.parent, "pin", status=None).items()
