"""What the Python tests share: the program, places for its data, and services that always stop.

The program is build/pinpipe, or what the variable PINPIPE names (tests/run sets it).
"""

import ctypes
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent
SHARED = TOP.parent / "shared" / "data"
PATIENCE_S = 60  # how long a condition may take on a machine that is busy
PAUSE_S = (0.01, 0.5)  # between two looks, at least and at the most


def binary():
    """The path of the program."""
    path = pathlib.Path(os.environ.get("PINPIPE", TOP / "build" / "pinpipe"))
    assert path.exists(), f"{path} is missing: make build"
    return path


def wait_until(condition, what="the condition", patience_s=PATIENCE_S):
    """Asks until the condition gives something true, and returns that. What takes long to ask, as a command with a
    sanitizer, is asked less often: who is waited for needs the machine, too."""
    deadline = time.monotonic() + patience_s
    while True:
        asked = time.monotonic()
        result = condition()
        if result:
            return result
        now = time.monotonic()
        assert now < deadline, f"{what} did not come within {patience_s} s"
        time.sleep(min(max(3 * (now - asked), PAUSE_S[0]), PAUSE_S[1]))


def pseudo_terminal():
    """Our end and the program's; a container may have none to give."""
    try:
        return pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal: {error}")


@pytest.fixture(name="terminal")
def fixture_terminal():
    return pseudo_terminal()


def clean_environment(extra=None):
    """The caller's environment without what would configure the program."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PINPIPE")}
    return {**kept, "NO_COLOR": "1", **(extra or {})}


def free_port():
    """Of 127.0.0.1, for a server that cannot be told to take one."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def die_with_parent():
    """In the child: SIGKILL when the tests end, however they end. Nothing is left running."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Service:
    """A pinpipe command that runs until it is stopped; `said()` is all it has printed, both streams."""

    def __init__(self, command, output, env, cwd):
        self.command = [str(word) for word in command]
        self.output = output
        self.is_reported = False  # its early end has failed a test already
        self.asked = signal.SIGTERM  # the signal that it was last asked with to end
        with open(output, "wb") as stream:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                env=clean_environment(env), cwd=cwd, start_new_session=True, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        return self.output.read_text(errors="replace")

    def wait_for(self, pattern, patience_s=PATIENCE_S):
        """The first match of a regular expression in what it says."""
        def look():
            ended = self.process.poll() is not None
            found = re.search(pattern, self.said())
            if ended and not found:
                self.is_reported = True
                pytest.fail(f"{self.command} ended with {self.process.returncode}:\n{self.said()}", pytrace=False)
            return found
        return wait_until(look, f"{pattern!r} from {self.command}", patience_s)

    def kill(self):
        """kill -9, as a crash."""
        self.process.kill()
        self.process.wait()

    def ended_or_catches(self, sig):
        """Before its handler is in place, and the loader takes its time on a busy machine, a signal just kills it."""
        if self.process.poll() is not None:
            return True
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16) >> (sig - 1) & 1

    def stop(self, sig=signal.SIGTERM, patience_s=PATIENCE_S):
        """Asks it to end, and sees that it ended as it should. Returns its exit status."""
        wait_until(lambda: self.ended_or_catches(sig), f"a handler of signal {sig} in {self.command}")
        if self.process.poll() is None:
            self.asked = sig
            self.process.send_signal(sig)
        try:
            status = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.destroy()
            raise AssertionError(f"{self.command} did not stop:\n{self.said()}") from None
        if status != -signal.SIGKILL and not self.is_reported:  # a test that kills it says so itself
            assert status in (0, 128 + self.asked), \
                f"{self.command} ended with {status}:\n{self.said()}"
        return status

    def destroy(self):
        """The process and whatever it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Gateway(Service):
    """A gateway on a free port."""

    def listen(self):
        found = self.wait_for(r"(https?)://([\d.]+):(\d+)")
        self.host, self.port = found[2], int(found[3])
        self.url = found[0]
        return self


@pytest.fixture(scope="session")
def pinpipe():
    """The path of the program."""
    return binary()


@pytest.fixture(scope="session")
def shared():
    """The directory of real rows beside the project; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the rows in {SHARED}")
    return SHARED


@pytest.fixture
def data_dir(tmp_path):
    """A directory for --dir; the program makes it."""
    return tmp_path / "data"


@pytest.fixture
def run(pinpipe, tmp_path):
    """run("cat", topic, status=0, stdin=b"", env={}): a command that ends by itself, in an empty
    directory. Its output is text; status=None takes any exit status."""
    def run_it(*words, status=0, stdin=None, env=None, cwd=tmp_path, timeout_s=120):
        result = subprocess.run(
            [str(pinpipe), *map(str, words)], input=stdin, capture_output=True, timeout=timeout_s,
            env=clean_environment(env), cwd=cwd, check=False,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {}))
        result.stdout = result.stdout.decode(errors="replace")
        result.stderr = result.stderr.decode(errors="replace")
        assert status is None or result.returncode == status, \
            f"{words} ended with {result.returncode}, not {status}:\n{result.stderr}"
        return result
    return run_it


@pytest.fixture
def start(pinpipe, tmp_path):
    """start("sink", "--dir", d): a Service; it is stopped, and must end well, when the test ends."""
    services = []

    def start_it(*words, env=None, kind=Service):
        output = tmp_path / f"{words[0]}-{len(services)}.out"
        services.append(kind([pinpipe, *words], output, env, tmp_path))
        return services[-1]

    yield start_it
    try:
        for service in reversed(services):
            service.stop()
    finally:
        for service in services:
            service.destroy()


@pytest.fixture
def start_gateway(start, data_dir):
    """start_gateway("--tls-cert", c): a Gateway on a free port of 127.0.0.1, with --dir data_dir."""
    def start_it(*words, env=None, directory=data_dir):
        gateway = start("gateway", "--listen", "127.0.0.1:0", "--dir", directory, *words,
                        env=env, kind=Gateway)
        return gateway.listen()
    return start_it


@pytest.fixture(scope="module")
def empty_gateway(pinpipe, tmp_path_factory):
    """A running gateway that all tests of a module share: what they ask for leaves nothing in it."""
    place = tmp_path_factory.mktemp("gateway")
    words = [pinpipe, "gateway", "--listen", "127.0.0.1:0", "--dir", place / "data"]
    gateway = Gateway(words, place / "gateway.out", None, place)
    try:
        yield gateway.listen()
        gateway.stop()
    finally:
        gateway.destroy()


@pytest.fixture
def gateway(start_gateway):
    """A running gateway: .url, .host, .port, .pid, .stop(), .kill(), .said()."""
    return start_gateway()
