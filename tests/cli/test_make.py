"""`make run` and `make serve` as a person sees them."""

import shutil

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
