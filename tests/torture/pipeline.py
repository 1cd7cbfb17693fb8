"""Starts `pinpipe up` on a directory, kills parts of it, and plants faults in it."""
import contextlib
import http.client
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

SERVICES = ("gateway", "sink", "stream", "batch", "maintain")
# Everything small and soon, so that rolling, recycling, retention and restarts happen all the time under load.
QUICK = {"PINPIPE_LOG_SEGMENT_BYTES": "1MiB", "PINPIPE_GATEWAY_RECORD_BYTES_MAX": "64KiB",
         "PINPIPE_LOG_RETENTION": "2s", "PINPIPE_GATEWAY_AUTO_CREATE": "any", "PINPIPE_LOG_DISK_RESERVE_BYTES": "0",
         "PINPIPE_UP_RESTART_AFTER": "1ms", "PINPIPE_UP_RESTART_MAX": "40ms", "PINPIPE_BATCH_EVERY": "200ms",
         "PINPIPE_SINK_FLUSH_SIZE": "200", "PINPIPE_SINK_FLUSH_AGE": "100ms", "PINPIPE_STREAM_AGE": "50ms",
         "PINPIPE_TABLE_CHECKPOINT_COMMITS": "10",
         "PINPIPE_MAINTAIN_EVERY": "20ms",
         "PINPIPE_ENGINE_THREADS": "1", "PINPIPE_GATEWAY_PARTITIONS": "2", "PINPIPE_GATEWAY_SHARDS": "2"}
SAID = 3000  # characters of the trace that a failure shows


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
        time.sleep(0.002)  # paces the look at a condition, is no wait by itself


def children(pid):
    """pid -> subcommand of the children of a process; one between fork and exec still has its parent's, "up"."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in task.read_text().split():
                words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                found[int(child)] = words[1].decode() if len(words) > 1 else ""
    return found


def state_of(pid):
    """Its letter in /proc: R, S, D, T (stopped), Z …; None: there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    return state_of(pid) not in (None, "Z", "X")


class Held:
    """A process, also when it has ended and its number is another's."""

    def __init__(self, pid):
        self.fd = os.pidfd_open(pid)

    def is_gone(self):
        """With all its threads; each may hold files."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, signal.SIGKILL)

    def close(self):
        os.close(self.fd)


def kill_9(pid):
    """True: it lived until now."""
    lived = alive(pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return lived


class Pipeline:
    """`pinpipe up` on a directory of its own. Its own files, the trace and the tickets, are in `aside`."""
    options = QUICK

    def __init__(self, binary, directory, aside, user="u1", environment=None):
        self.binary, self.directory, self.user = str(binary), pathlib.Path(directory), user
        self.port = free_port()
        self.tickets = pathlib.Path(aside) / "tickets"
        self.taken = self.tickets / "taken"
        self.taken.mkdir(parents=True)
        self.trace_path = pathlib.Path(aside) / "trace"
        self.trace = open(self.trace_path, "ab")
        self.environment = {**os.environ, "PINPIPE_FAILPOINT_TICKETS": str(self.tickets), **self.options,
                            **(environment or {})}
        self.process = None
        self.orphans = []       # Held: of supervisors that were killed

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "up", "--listen", f"127.0.0.1:{self.port}", "--dir", str(self.directory), "--id", self.user],
            stdin=subprocess.DEVNULL, stdout=self.trace, stderr=self.trace, env=self.environment)

    def said(self):
        return self.trace_path.read_text(errors="replace")[-SAID:]

    def assert_running(self):
        status = self.process.poll()
        if status is not None:
            raise AssertionError(f"the supervisor ended with {status}:\n{self.said()}")

    def healthy(self):
        self.assert_running()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def await_healthy(self):
        try:
            await_that(self.healthy, "the gateway to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from None

    def child(self, service):
        self.assert_running()
        return next((pid for pid, name in children(self.process.pid).items() if name == service and alive(pid)), None)

    def kill(self, service):
        """SIGKILL of a live process of the service; of the supervisor, whose children then end by themselves beside
        those of the next one; or of all at once."""
        self.assert_running()
        if service == "supervisor":
            self.orphans += self.hold_children()
            self.process.kill()
            self.process.wait()
            self.start()
        elif service == "all":
            self.kill_all()
            self.start()
        else:
            await_that(lambda: kill_9(self.child(service) or 0x7FFFFFFF), f"{service} to run")

    def hold_children(self):
        """All children of the supervisor, which is stopped, so that no more come."""
        if self.process.poll() is not None:
            return []       # the disk went away under its start
        self.process.send_signal(signal.SIGSTOP)
        await_that(lambda: state_of(self.process.pid) in ("T", "Z"), "the supervisor to stand still")
        return [Held(pid) for pid in children(self.process.pid)]    # who stands still leaves no number free

    def kill_all(self):
        """Nothing of it is left."""
        self.orphans += self.hold_children()
        self.process.kill()
        for orphan in self.orphans:
            orphan.kill()
        self.process.wait()
        self.await_orphans(60)

    def await_orphans(self, timeout):
        await_that(lambda: all(orphan.is_gone() for orphan in self.orphans), "the orphans to end", timeout)
        for orphan in self.orphans:
            orphan.close()
        self.orphans = []

    def plant(self, point, action):
        """The next process that passes the failpoint takes the action, once."""
        (self.tickets / f"{point}:{action}").touch()

    def who_took(self, point, action):
        """(service, pid) of who took what was planted, then forgets it; None: nobody yet."""
        for path in self.taken.glob(f"{point}:{action}@*"):
            path.unlink()
            service, _, pid = path.name.rpartition("@")[2].partition(".")
            return service, int(pid)
        return None

    def withdraw(self):
        """Nothing is planted any more."""
        for ticket in self.tickets.glob("*:*"):
            ticket.unlink(missing_ok=True)

    def ask(self, method, path, body=None):
        """One request of our own, whose outcome does not matter; who answers it may have been stopped."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=0.3)
        try:
            kind = "application/json" if path.startswith("/streams/") else "application/vnd.kafka.json.v2+json"
            connection.request(method, path, body, {"Content-Type": kind})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def stop(self):
        """Drain and end, with whatever status: the victim of the last fault may not have been started again."""
        self.withdraw()
        self.assert_running()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        self.await_orphans(120)

    def finish(self, *more):
        """Work off what is left, as the next start would, and do what else is asked for; the program's own check finds
        nothing, either."""
        self.stop()
        for command in (["sink", "--until-end"], ["stream", "--until-end"], ["batch"], *more, ["check"]):
            done = subprocess.run([self.binary, *command, "--dir", str(self.directory), "--id", self.user],
                                  stdin=subprocess.DEVNULL, stdout=self.trace, stderr=self.trace, env=self.environment,
                                  timeout=300, check=False)
            if done.returncode:
                raise AssertionError(f"{command} ended with {done.returncode}:\n{self.said()}")

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill_all()
        for orphan in self.orphans:
            orphan.kill()
        self.await_orphans(60)
        self.trace.close()
