"""Starts `pinpipe up` on a directory, kills parts of it, and plants faults in it."""
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import time

# Segments that are small and soon let go, so that rolling, recycling and retention happen under load.
SMALL_LOG = {"PINPIPE_LOG_SEGMENT_BYTES": "1MiB", "PINPIPE_LOG_RETENTION": "3s", "PINPIPE_GATEWAY_AUTO_CREATE": "any"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_that(condition, what, timeout=60):
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(0.01)  # paces the look at a condition, is no wait by itself


def children(pid):
    """pid -> subcommand of the children of a process."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if len(words) > 1:
                    found[int(child)] = words[1].decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def signal_to(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended by itself


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Pipeline:
    """`pinpipe up` on a directory of its own."""

    def __init__(self, binary, directory, user="u1", options=()):
        self.binary, self.directory, self.user = str(binary), pathlib.Path(directory), user
        self.port = free_port()
        self.tickets = self.directory / "tickets"
        self.tickets.mkdir(parents=True)
        self.trace = open(self.directory / "trace", "ab")
        self.environment = dict(os.environ, PINPIPE_FAILPOINT_TICKETS=str(self.tickets), **SMALL_LOG)
        self.options = ["--dir", str(self.directory), "--id", user, *options]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "up", "--listen", f"127.0.0.1:{self.port}", "--batch-every", "1s", "--flush-size", "200",
             "--flush-age", "1s", *self.options],
            stdin=subprocess.DEVNULL, stdout=self.trace, stderr=self.trace, env=self.environment)

    def healthy(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def await_healthy(self):
        await_that(self.healthy, "the gateway to be ready")

    def child(self, service):
        return next((pid for pid, name in children(self.process.pid).items() if name == service), None)

    def kill(self, service):
        """SIGKILL one service, the supervisor or all at once; returns when it is there again (batch: when gone)."""
        if service in ("supervisor", "all"):
            orphans = list(children(self.process.pid))
            self.process.kill()
            for pid in orphans if service == "all" else []:
                signal_to(pid, signal.SIGKILL)
            self.process.wait()
            await_that(lambda: not any(map(alive, orphans)), "the orphans to end")
            self.start()
            self.await_healthy()
            return
        pid = await_that(lambda: self.child(service), f"{service} to run")
        signal_to(pid, signal.SIGKILL)
        if service != "batch":
            await_that(lambda: self.child(service) not in (None, pid), f"{service} to be started again")
        if service == "gateway":
            self.await_healthy()

    def plant(self, point, action):
        """The next process that passes the failpoint takes the action, once."""
        (self.tickets / f"{point}:{action}").touch()

    def was_taken(self, point, action):
        return not (self.tickets / f"{point}:{action}").exists()

    def post(self, path, body, kind="application/vnd.kafka.json.v2+json"):
        """One request of our own, whose outcome does not matter."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", path, body, {"Content-Type": kind})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def stop(self):
        """Drain and end; no fault is planted any more."""
        for ticket in self.tickets.iterdir():
            ticket.unlink(missing_ok=True)
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)

    def finish(self):
        """Work off what is left, as the next start would."""
        self.stop()
        for command in (["sink", "--until-end"], ["stream", "--until-end"], ["batch"]):
            subprocess.run([self.binary, *command, *self.options], stdin=subprocess.DEVNULL, stdout=self.trace,
                           stderr=self.trace, env=self.environment, check=True, timeout=300)

    def close(self):
        if self.process and self.process.poll() is None:
            for pid in children(self.process.pid):
                signal_to(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        self.trace.close()
