"""A full disk: clients are told at once, nothing acknowledged is lost, and it goes on by itself when there is space."""
import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import wait_until

ID = "124df56aef51"
VALUE = "x" * 200000  # so large that the disk is full after a hundred records or so


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB and 500 inodes."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=500", "none", tmp_path],
                      capture_output=True).returncode:
        pytest.skip("may not mount a small tmpfs here")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def post(gateway):
    """The status, and the offset or None, of one record."""
    body = json.dumps({"records": [{"value": {"index": 1, "title": VALUE}}]}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{ID}.pin", body, method="POST",
                                     headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)["offsets"][0]["offset"]
    except urllib.error.HTTPError as error:
        assert error.headers["Retry-After"]
        return error.code, None


def test_full_and_space_again(pinpipe, small_disk, start_gateway):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(6 << 20))
    data = small_disk / "data"
    gateway = start_gateway(directory=data, env={"PINPIPE_LOG_DISK_RESERVE_BYTES": "1MiB",
                                                "PINPIPE_LOG_SEGMENT_BYTES": "1MiB"})
    acked = []

    def fill():
        status, offset = post(gateway)
        if status == 200:
            acked.append(offset)
        return status == 503

    wait_until(fill, "the disk to be full")
    assert acked == list(range(len(acked)))
    with urllib.request.urlopen(f"{gateway.url}/healthz", timeout=5) as answer:
        assert answer.status == 200
    ballast.unlink()

    def accepted():
        status, offset = post(gateway)
        if status == 200:
            acked.append(offset)
        return status == 200

    wait_until(accepted, "a record to be taken again")
    gateway.stop()
    done = subprocess.run([pinpipe, "cat", f"{ID}.pin", "--dir", data], capture_output=True, check=True)
    assert done.stdout.count(b"\n") >= len(acked)


def test_too_many_files(small_disk, start_gateway):
    """A lake of small files on the log's disk uses up the inodes long before the space."""
    gateway = start_gateway(directory=small_disk / "data", env={"PINPIPE_LOG_DISK_RESERVE_BYTES": "1KiB",
                                                               "PINPIPE_LOG_SEGMENT_BYTES": "1MiB"})
    assert post(gateway)[0] == 200
    made = []
    while os.statvfs(small_disk).f_favail > 2:
        made.append(small_disk / f"file-{len(made)}")
        made[-1].touch()
    wait_until(lambda: post(gateway)[0] == 503, "a refusal")
    assert "inodes of the disk" in gateway.said()
    for path in made:
        path.unlink()
    wait_until(lambda: post(gateway)[0] == 200, "a record to be taken again")
