"""What a service shares with others runs out, or goes wrong, for a while: descriptors, the disk, the clock."""
import json
import os
import pathlib
import resource
import socket
import subprocess
import time
import urllib.request

import pytest

from conftest import clean_environment, wait_until

ID = "124df56aef51"
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
TEN_YEARS_S = 10 * 365 * 86400
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(gateway, value):
    """The offset of one record."""
    body = json.dumps({"records": [{"value": value}]}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{ID}.pin", body, method="POST",
                                     headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["offsets"][0]["offset"]


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_descriptors_run_out(gateway):
    """New connections are refused at once, one in the middle of its request is served, and the loop does not spin."""
    def connect():
        return socket.create_connection((gateway.host, gateway.port), 30)

    def is_served():
        """Or, at once, refused."""
        try:
            with connect() as connection:
                connection.sendall(GET)
                return connection.recv(4096).startswith(b"HTTP/1.1 200")
        except ConnectionError:
            return False

    body = b'{"records":[{"value":{"index":1}}]}'
    busy = connect()
    busy.sendall(b"POST /topics/%s.pin HTTP/1.1\r\nHost: [::]\r\nContent-Type: application/vnd.kafka.json.v2+json\r\n"
                 b"Content-Length: %d\r\n\r\n" % (ID.encode(), len(body)) + body[:10])
    assert is_served()
    used = max(int(fd.name) for fd in pathlib.Path(f"/proc/{gateway.pid}/fd").iterdir()) + 1
    soft, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (used, hard))
    waiting = [connect() for _ in range(20)]
    before, started = cpu_s(gateway.pid), time.monotonic()
    while time.monotonic() < started + 1:
        is_served()
        time.sleep(0.1)  # a loop that spins would use the time between
    assert cpu_s(gateway.pid) - before < 0.3
    busy.sendall(body[10:])
    assert busy.recv(4096).startswith(b"HTTP/1.1 200")
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (soft, hard))
    more = [connect() for _ in range(20)]
    assert post(gateway, {"index": 1}) == 1
    for connection in [busy, *waiting, *more]:
        connection.close()


@pytest.mark.parametrize("jump_s", [TEN_YEARS_S, -TEN_YEARS_S])
def test_clock_jumps(start_gateway, run, data_dir, tmp_path, jump_s):
    if not FAKETIME.exists():
        pytest.skip("needs libfaketime")
    now = tmp_path / "now"
    now.write_text("+0")
    env = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(now), "FAKETIME_NO_CACHE": "1",
           "DONT_FAKE_MONOTONIC": "1", "PINPIPE_LOG_SEGMENT_BYTES": "1MiB", "PINPIPE_LOG_RETENTION": "2d"}
    gateway = start_gateway(env=env)
    big = {"index": 1, "title": "x" * 200000}
    offsets = [post(gateway, big) for _ in range(10)]    # more than one segment
    now.write_text(f"{jump_s:+d}")
    offsets += [post(gateway, big) for _ in range(10)]
    gateway.stop()
    gateway = start_gateway(env=env)                     # which looks at what is too old
    offsets += [post(gateway, big) for _ in range(10)]
    now.write_text("+0")
    offsets += [post(gateway, big) for _ in range(10)]
    gateway.stop()
    assert offsets == list(range(40))
    lines = run("cat", f"{ID}.pin", "--dir", data_dir).stdout.splitlines()
    assert len(lines) == len(offsets)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB, for the lake."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", place], capture_output=True,
                      check=False).returncode:
        pytest.skip("may not mount a small tmpfs here")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place):
    """All of its space, in a file that can be removed."""
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return ballast


@pytest.mark.parametrize("words", [("sink", "--until-end"), ("stream", "--until-end")])
def test_the_lakes_disk_is_full_and_has_space_again(run, start, pinpipe, gateway, data_dir, small_disk, words):
    streaming = ["--streaming"] if words[0] == "stream" else []
    run("emulate", *streaming, "--posts", 50, "--rate", "max", "--listen", f"{gateway.host}:{gateway.port}")
    lake = f"file:{small_disk}/lake"
    (small_disk / "lake").mkdir()
    if words[0] == "stream":    # its tables are there
        run("stream", "--until-end", "--dir", data_dir, "--lake", lake)
        run("emulate", *streaming, "--posts", 50, "--rate", "max", "--listen", f"{gateway.host}:{gateway.port}")
    ballast = fill(small_disk)
    service = start(*words, "--dir", data_dir, "--lake", lake)
    service.wait_for("No space left|is full")
    assert service.process.poll() is None
    ballast.unlink()
    wait_until(lambda: service.process.poll() is not None, "it to finish")
    assert service.process.returncode == 0, service.said()


def test_batch_meets_a_full_disk(run, pinpipe, gateway, data_dir, small_disk):
    run("emulate", "--posts", 50, "--rate", "max", "--listen", f"{gateway.host}:{gateway.port}")
    lake = ("--dir", data_dir, "--lake", f"file:{small_disk}/lake")
    run("sink", "--until-end", "--create", *lake)
    ballast = fill(small_disk)
    done = subprocess.run([pinpipe, "batch", *map(str, lake)], capture_output=True, check=False,
                          env=clean_environment(), cwd=small_disk)
    assert done.returncode == 75 and b"No space left" in done.stderr, done.stderr
    ballast.unlink()
    run("batch", *lake)
    rows = json.loads(run("sql", "SELECT count(*) AS n FROM pin", "--format", "json", *lake).stdout)
    assert "50" in json.dumps(rows)
