"""The image of deploy/Containerfile: built, and run without root, with nothing writable but its volume."""

import json
import shutil
import subprocess
import urllib.request

import pytest

import conftest

TOP = conftest.TOP
BUILD_LIMIT_S = 3600


def builder():
    """What builds and runs images here, or None: a client alone does not."""
    for program, format_words in (("podman", ["--format", "docker"]), ("docker", [])):
        if shutil.which(program) and subprocess.run([program, "info"], capture_output=True, timeout=60,
                                                    check=False).returncode == 0:
            return program, format_words
    return None


BUILDER = builder()
pytestmark = pytest.mark.skipif(BUILDER is None, reason="needs podman or docker, to build and run an image")


def ask(*words, limit_s=120):
    done = subprocess.run([BUILDER[0], *map(str, words)], capture_output=True, text=True, timeout=limit_s,
                          check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(name="image", scope="module")
def fixture_image():
    name = "pinpipe-interop"
    ask("build", *BUILDER[1], "-t", name, "-f", TOP / "deploy" / "Containerfile", TOP, limit_s=BUILD_LIMIT_S)
    yield name
    ask("rmi", "-f", name)


def test_it_takes_records_and_drains(image):
    port = conftest.free_port()
    container = ask("run", "-d", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt",
                    "no-new-privileges", "-p", f"127.0.0.1:{port}:8082", image, "up", "--insecure")
    try:
        conftest.wait_until(lambda: "listening on" in subprocess.run(
            [BUILDER[0], "logs", container], capture_output=True, text=True, check=True).stdout, "the gateway")
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/topics/124df56aef51.pin", b'{"records":[{"value":{"index":1}}]}',
            {"Content-Type": "application/vnd.kafka.json.v2+json"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["offsets"][0]["offset"] == 0
        assert ask("exec", container, "id", "-u") == "10001"
        assert json.loads(ask("exec", container, "pinpipe", "sql", "--from", "batch-live",
                              "SELECT ind FROM pin")) == [{"ind": 1}]
        conftest.wait_until(lambda: ask("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy",
                            "the health check")
        ask("stop", "-t", 180, container, limit_s=240)
        assert ask("inspect", "--format", "{{.State.ExitCode}}", container) == "143"
    finally:
        ask("rm", "-f", "-v", container)


def test_without_a_key_it_says_what_to_do(image):
    done = subprocess.run([BUILDER[0], "run", "--rm", image], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "api_key_sha256" in done.stderr
