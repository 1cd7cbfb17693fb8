"""What the tests of an installation share: the program with all that belongs to it, below a prefix of their own."""

import os
import shutil
import subprocess

import conftest
import pytest


def install(destination):
    """What was built, below `destination`, as `make install DESTDIR=` does it. Returns the prefix there."""
    build = conftest.binary().parent
    subprocess.run(["ninja", "-C", build, "--quiet"], check=True, stdin=subprocess.DEVNULL)
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"], check=True,
                   env={**os.environ, "DESTDIR": str(destination)}, stdin=subprocess.DEVNULL)
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
