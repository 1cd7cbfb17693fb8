"""What brings other people's S3 servers (tools/interop/install-s3), where Go is missing, too old, or there at last."""
import pathlib
import shutil
import subprocess

import pytest

from conftest import TOP

NEEDED = ("bash", "cat", "chmod", "cut", "dirname", "mkdir", "realpath", "rm", "sha256sum", "timeout")
GO_BUILDS = 'mkdir -p "$GOBIN"; echo built >"$GOBIN/versitygw"; chmod +x "$GOBIN/versitygw"'


@pytest.fixture(name="place")
def fixture_place(tmp_path):
    """The script in a tree of its own, whose lists are empty, with nothing but what it needs in its PATH."""
    pytest.importorskip("ensurepip")  # of python3-venv, which tools/interop/install brings
    shutil.copytree(TOP / "tools" / "interop", tmp_path / "tools" / "interop")
    (tmp_path / "tools/interop/requirements-s3.txt").write_text("")
    (tmp_path / "bin").mkdir()
    for name in NEEDED:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    put_program(tmp_path, "mvn", f"echo called >>{tmp_path}/mvn.called")
    return tmp_path


def put_program(place, name, script):
    path = pathlib.Path(place / "bin" / name)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def install(place):
    env = {"PATH": str(place / "bin"), "HOME": str(place)}
    done = subprocess.run([place / "tools/interop/install-s3"], env=env, capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def times(place):
    return (place / "mvn.called").read_text().count("called")


def test_go_that_comes_later(place):
    """All else is installed, once; and the server when there is what it takes."""
    built = place / ".cache/interop-s3/bin/versitygw"
    assert "no Go on this machine" in install(place)
    put_program(place, "go", "exit 1")
    for _ in range(2):
        assert "could not build" in install(place)
        assert not built.exists() and times(place) == 1
    put_program(place, "go", GO_BUILDS)
    assert not install(place) and built.exists() and times(place) == 1
    put_program(place, "go", "exit 1")
    assert not install(place) and times(place) == 1
