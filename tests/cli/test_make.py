"""`make run` and `make serve` as a person sees them."""

import os
import shutil
import subprocess

import conftest
from screen import Screen


def make(target, tmp_path, binary):
    """In a tree of its own, whose build is a program that is there."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "pinpipe").symlink_to(binary)
    shutil.copytree(conftest.TOP / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("interop"))
    for name in ("bootstrap", "build"):
        (tmp_path / "tools" / name).write_text("#!/bin/sh\n")
    shutil.copy(conftest.TOP / "Makefile", tmp_path)
    return Screen(["make", "-C", tmp_path, target], env={
        "PINPIPE_DIR": str(tmp_path / "data"), "PINPIPE_GATEWAY_LISTEN": "127.0.0.1:0",
        "PINPIPE_MODELS": str(conftest.TOP / "models")})


def test_ctrl_c_is_no_failure_of_make(pinpipe, tmp_path):
    screen = make("serve", tmp_path, pinpipe)
    screen.wait_for("listening on http")
    screen.type("\x03")
    text = screen.read()
    assert screen.status == 0 and "Interrupt" not in text and "***" not in text, text


NINJA = """#!/bin/sh
case " $* " in
*" -n "*) [ -f changed ] || echo "ninja: no work to do." ;;
*) echo "[1/1] compiling"; [ ! -f broken ] || { echo "error: broken" >&2; exit 1; } ;;
esac
"""


def test_a_build_says_that_it_builds_and_no_more(tmp_path):
    """With a Meson and a Ninja that only talk."""
    shutil.copytree(conftest.TOP / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("interop"))
    (tmp_path / "bin").mkdir()
    for name, text in [("meson", "#!/bin/sh\necho Compiler supports this: YES\nmkdir build\ntouch build/build.ninja\n"),
                       ("ninja", NINJA)]:
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}

    def build():
        return subprocess.run([tmp_path / "tools" / "build"], cwd=tmp_path, env=environment, capture_output=True,
                              text=True, check=False)
    first = build()
    assert (first.returncode, first.stdout, first.stderr) == (0, "building pinpipe: half a minute or so\n", "")
    again = build()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    (tmp_path / "changed").touch()
    assert build().stdout == "building what has changed\n"
    (tmp_path / "broken").touch()
    failed = build()
    assert failed.returncode == 1 and "error: broken" in failed.stderr


def test_help_fits_a_terminal():
    text = subprocess.run(["make", "-C", conftest.TOP, "--no-print-directory", "help"], capture_output=True, text=True,
                          check=True).stdout
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert "  make install    below" in text and "PARTS=ci: what .ci/run has time" in text
