"""The units of systemd: what they say of themselves, and that the program does its side of it, without a systemd."""

import contextlib
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import time

import conftest
import pytest
from installed import fixture_installed, fixture_prefix  # noqa: F401

EXPOSURE_MAX = 15  # tenths, as systemd-analyze reckons


def needed(command):
    if subprocess.run(["sh", "-c", f"command -v {command}"], capture_output=True, check=False).returncode:
        pytest.skip(f"needs {command}")


@pytest.fixture(name="units", scope="session")
def fixture_units(prefix, tmp_path_factory):
    """With the paths of the moved prefix, where systemd-analyze looks for the programs."""
    units = tmp_path_factory.mktemp("units")
    for unit in (prefix / "lib" / "systemd" / "system").glob("*.*"):
        if unit.is_file():
            text = unit.read_text()
            (units / unit.name).write_text(re.sub(r"ExecStart=\S*/bin/", f"ExecStart={prefix}/bin/", text))
    return units


def settings(unit):
    """{name: the last value}"""
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M))


def test_they_are_sound(units):
    needed("systemd-analyze")
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", units / "pinpipe.service",
                           units / "pinpipe@sink.service", units / "pinpipe-batch.timer"], capture_output=True,
                          text=True, check=False).stderr
    assert [line for line in said.splitlines() if "pinpipe" in line] == []


@pytest.mark.parametrize("unit", ["pinpipe.service", "pinpipe@.service", "pinpipe-batch.service"])
def test_little_is_exposed(units, unit):
    needed("systemd-analyze")
    done = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=yes", f"--threshold={EXPOSURE_MAX}",
                           units / unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


class Manager:
    """The side of systemd: the socket that a service tells it on."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.name = self.socket.getsockname()

    def environment(self, watchdog_ms=None):
        name = "@" + self.name[1:].decode() if isinstance(self.name, bytes) else self.name
        return {"NOTIFY_SOCKET": name, **({"WATCHDOG_USEC": str(watchdog_ms * 1000)} if watchdog_ms else {})}

    def hears(self, wanted, within_s=conftest.PATIENCE_S):
        """Whether that is told in time."""
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                if self.socket.recv(4096) == wanted:
                    return True
        return False


@pytest.fixture(name="manager", params=["file", "abstract"])
def fixture_manager(request, tmp_path):
    """Of a machine's systemd, and of a container's."""
    path = str(tmp_path / "notify") if request.param == "file" else f"\0pinpipe-test-{os.getpid()}"
    return Manager(path)


def up(prefix, units, tmp_path, start_service, environment):
    """What the unit starts, in its directory, with a configuration for it."""
    config = tmp_path / "pinpipe.yaml"
    config.write_text(f"dir: {tmp_path / 'data'}\ngateway:\n  listen: 127.0.0.1:0\n")
    words = shlex.split(settings(units / "pinpipe.service")["ExecStart"])
    words[words.index("--config") + 1] = str(config)
    assert words[0] == str(prefix / "bin" / "pinpipe")
    return start_service(words, environment)


@pytest.fixture(name="start_service")
def fixture_start_service(tmp_path):
    services = []

    def start_it(words, environment):
        services.append(conftest.Gateway(words, tmp_path / "service.out", environment, tmp_path))
        return services[-1]
    yield start_it
    for service in services:
        service.destroy()


def test_ready_watched_and_ended(prefix, units, tmp_path, start_service, manager):
    service = up(prefix, units, tmp_path, start_service, manager.environment(watchdog_ms=400))
    assert manager.hears(b"READY=1")
    assert re.search(r"listening on http://127", service.said())  # not before it does
    assert manager.hears(b"WATCHDOG=1") and manager.hears(b"WATCHDOG=1")
    status = service.stop(signal.SIGTERM)
    assert str(status) in settings(units / "pinpipe.service")["SuccessExitStatus"].split()


def gateway_of(service):
    children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(service.pid)], capture_output=True, text=True,
                              check=True).stdout
    return [int(line.split()[0]) for line in children.splitlines() if line.split()[2] == "gateway"]


def drained(manager):
    """What was told so far is of before."""
    manager.socket.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            manager.socket.recv(4096)


def test_a_gateway_that_hangs_is_missed(prefix, units, tmp_path, start_service):
    """It is the gateway that tells, not its supervisor; between two gateways the supervisor does."""
    manager = Manager(str(tmp_path / "notify"))
    service = up(prefix, units, tmp_path, start_service, manager.environment(watchdog_ms=400))
    assert manager.hears(b"READY=1") and manager.hears(b"WATCHDOG=1")
    gateway, = gateway_of(service)
    os.kill(gateway, signal.SIGSTOP)
    conftest.wait_until(lambda: "State:\tT" in pathlib.Path(f"/proc/{gateway}/status").read_text(), "the stop")
    drained(manager)
    assert not manager.hears(b"WATCHDOG=1", within_s=2)
    os.kill(gateway, signal.SIGKILL)
    assert manager.hears(b"WATCHDOG=1") and manager.hears(b"READY=1")
    service.stop()


def test_who_is_not_watched_tells_nothing(prefix, units, tmp_path, start_service):
    manager = Manager(str(tmp_path / "notify"))
    environment = {**manager.environment(watchdog_ms=400), "WATCHDOG_PID": "1"}
    service = up(prefix, units, tmp_path, start_service, environment)
    assert manager.hears(b"READY=1")
    assert not manager.hears(b"WATCHDOG=1", within_s=1)
    service.stop()


@pytest.mark.parametrize("name", ["", "relative", "/nowhere/at/all", "@" + "x" * 200])
def test_a_socket_that_is_none_does_no_harm(prefix, units, tmp_path, start_service, name):
    service = up(prefix, units, tmp_path, start_service, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "soon"})
    service.wait_for("listening on")
    service.stop()


def test_a_reload_takes_over_with_the_configuration_of_the_start(units):
    """Whoever is started by a reload is not told of the watchdog, which goes on."""
    unit = settings(units / "pinpipe.service")
    shell, _, line = shlex.split(unit["ExecReload"])[:3]
    assert shell == "/bin/sh" and line.endswith(" &")
    watchdog, setsid, program, *words = line.removesuffix(" &").split()
    assert watchdog == f"WATCHDOG_USEC={int(unit['WatchdogSec']) * 1000000}" and setsid == "setsid"
    start = shlex.split(unit["ExecStart"])
    assert [pathlib.Path(program).name, words] == ["pinpipe", ["up", "--takeover", *start[2:]]]
    assert unit["NotifyAccess"] == "all"  # MAINPID= comes from the new one
