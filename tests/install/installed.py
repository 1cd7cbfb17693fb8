"""What the tests of an installation share: the program with all that belongs to it, below a prefix of their own."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess

import conftest
import pytest


BUILD = conftest.binary().parent


@contextlib.contextmanager
def alone():
    """Files of tests run side by side, and what was installed from a build directory stands in one list there."""
    with open(BUILD / "meson-logs" / "install.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tool(*words, destination=""):
    """tools/install, from the directory of the program under test."""
    return subprocess.run([conftest.TOP / "tools" / "install", *words], check=True, capture_output=True, text=True,
                          env={**os.environ, "DESTDIR": str(destination), "BUILD": str(BUILD)},
                          stdin=subprocess.DEVNULL)


def configured_prefix():
    """Another one would be another configuration, which is not a test's to change."""
    told = subprocess.run(["meson", "introspect", BUILD, "--buildoptions"], capture_output=True, text=True, check=True)
    return next(option["value"] for option in json.loads(told.stdout) if option["name"] == "prefix")


def install(destination):
    """What was built, below `destination`, as `make install DESTDIR=` does it. Returns the prefix there."""
    with alone():
        tool(configured_prefix(), destination=destination)
    binary, = destination.rglob("bin/pinpipe")
    return binary.parent.parent


@pytest.fixture(scope="session", name="prefix")
def fixture_prefix(tmp_path_factory):
    """Installed, and then moved: nothing may know where it was put first."""
    destination = tmp_path_factory.mktemp("destination")
    moved = tmp_path_factory.mktemp("moved") / "prefix"
    shutil.move(install(destination), moved)
    return moved


@pytest.fixture(name="installed")
def fixture_installed(prefix, tmp_path):
    """installed("sql", "SELECT 1"): as the fixture `run` runs the program, but that of the moved prefix."""
    def run_it(*words, status=0, env=None):
        done = subprocess.run([prefix / "bin" / "pinpipe", *map(str, words)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, cwd=tmp_path, env=conftest.clean_environment(env),
                              timeout=120, check=False)
        assert done.returncode == status, f"{words} ended with {done.returncode}:\n{done.stderr}"
        return done
    return run_it
