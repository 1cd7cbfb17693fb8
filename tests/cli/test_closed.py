"""A program that was started without stdin, stdout or stderr: what it says goes nowhere, least of all into its data."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess

import pytest

from conftest import clean_environment, die_with_parent, free_port, wait_until

PIN = "124df56aef51.pin"


def without(fds):
    """In the child, before the program."""
    def close_them():
        die_with_parent()
        for fd in fds:
            os.close(fd)
    return close_them


@pytest.fixture(name="start_without")
def fixture_start_without(pinpipe, tmp_path):
    """start_without(fds, words…): the process; it must end well when the test ends."""
    started = []

    def start(fds, *words):
        with open(tmp_path / "said", "ab") as said:
            started.append(subprocess.Popen([pinpipe, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                            preexec_fn=without(fds), env=clean_environment(), cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


def descriptors(pid):
    """Where the first three lead to."""
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)]


def family(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def answers(port):
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", f"/topics/{PIN}", '{"index": 1}', {"Content-Type": "application/x-ndjson"})
        return connection.getresponse().status == 200
    return False


@pytest.mark.parametrize("command", ["gateway", "up"])
def test_what_runs_on_goes_on_without_them(start_without, run, data_dir, command):
    port = free_port()
    process = start_without((0, 1, 2), command, "--listen", f"127.0.0.1:{port}", "--dir", data_dir)
    wait_until(lambda: process.poll() is not None or answers(port), "an answer")
    assert process.poll() is None
    for pid in family(process.pid):
        with contextlib.suppress(OSError):  # a batch has ended
            assert descriptors(pid) == ["/dev/null"] * 3
    lines = run("cat", PIN, "--dir", data_dir, "--format", "json").stdout.splitlines()
    assert [json.loads(line)["value"] for line in lines] == [{"index": 1}]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_one_is_not_another(start_without, data_dir, tmp_path, closed):
    port = free_port()
    process = start_without((closed,), "gateway", "--listen", f"127.0.0.1:{port}", "--dir", data_dir)
    wait_until(lambda: process.poll() is not None or answers(port), "an answer")
    said = str(tmp_path / "said")
    assert descriptors(process.pid) == ["/dev/null"] + ["/dev/null" if fd == closed else said for fd in (1, 2)]


def test_a_command_that_ends(pinpipe, tmp_path):
    ended = subprocess.run([pinpipe, "version"], preexec_fn=without((0, 1, 2)), env=clean_environment(), cwd=tmp_path,
                           check=False)
    assert ended.returncode == 0
