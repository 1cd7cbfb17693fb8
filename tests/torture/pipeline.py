"""Starts `pinpipe up` on a directory and kills parts of it."""
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import time

SERVICES = ("gateway", "sink", "stream", "batch")


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


class Pipeline:
    def __init__(self, binary, directory, user="u1", failpoints="", options=()):
        self.binary, self.directory, self.user = str(binary), pathlib.Path(directory), user
        self.port = free_port()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.trace = open(self.directory / "trace", "ab")
        self.environment = dict(os.environ, PINPIPE_FAILPOINTS=failpoints)
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
        """SIGKILL one service, or the supervisor; returns when it is there again (batch: when it is gone)."""
        if service == "supervisor":
            orphans = list(children(self.process.pid))
            self.process.kill()
            self.process.wait()
            await_that(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in orphans), "the orphans to end")
            self.start()
            self.await_healthy()
            return
        pid = await_that(lambda: self.child(service), f"{service} to run")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        if service != "batch":
            await_that(lambda: self.child(service) not in (None, pid), f"{service} to be started again")
        if service == "gateway":
            self.await_healthy()

    def stop(self):
        """Drain and end; failpoints no longer fire in what runs after it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)
        self.environment["PINPIPE_FAILPOINTS"] = ""

    def finish(self):
        """Work off what is left, as the next start would."""
        self.stop()
        for command in (["sink", "--until-end"], ["stream", "--until-end"], ["batch"]):
            subprocess.run([self.binary, *command, *self.options], stdin=subprocess.DEVNULL, stdout=self.trace,
                           stderr=self.trace, env=self.environment, check=True, timeout=300)

    def ended_by_signal(self):
        """How often the supervisor saw a service end by SIGKILL."""
        return (self.directory / "trace").read_bytes().count(b"ended with status 137")

    def close(self):
        if self.process and self.process.poll() is None:
            for pid in children(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        self.trace.close()
