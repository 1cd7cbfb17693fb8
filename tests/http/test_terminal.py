"""What clients sent, printed to a terminal: text, never orders to it."""

import os
import subprocess

import pytest

import conftest
from rest import KAFKA_BINARY, PIN, produce

TOPIC = PIN.split("/")[-1]


def printed(pinpipe, *words):
    """All that a command prints to a terminal."""
    master, slave = conftest.pseudo_terminal()
    with subprocess.Popen([pinpipe, *map(str, words)], stdin=subprocess.DEVNULL, stdout=slave,
                          env=conftest.clean_environment()) as process:
        os.close(slave)
        text = b""
        try:
            while chunk := os.read(master, 4096):
                text += chunk
        except OSError:  # the other side is closed
            pass
        os.close(master)
    assert process.returncode == 0
    return text


@pytest.mark.parametrize("words", [[], ["--format", "json"]])
def test_orders_are_shown(pinpipe, run, gateway, data_dir, words):
    sent = '"\u009b31m\x7f"'.encode()
    assert produce(gateway, b'{"records":[{"value":%s}]}' % sent).status == 200
    title = b"\033]0;owned\007"
    if not words:
        body = {"records": [{"value": "G10wO293bmVkBwo="}]}  # title, and a line feed
        assert produce(gateway, body, content_type=KAFKA_BINARY).status == 200
    text = printed(pinpipe, "cat", TOPIC, "--dir", data_dir, *words)
    assert b'"\\x9b31m\\x7f"' in text
    assert not any(byte < 0x20 and byte not in b"\r\n" for byte in text), text
    if not words:
        assert b"\\x1b]0;owned\\x07\r\n" in text
        assert title.decode() in run("cat", TOPIC, "--dir", data_dir).stdout  # bytes are bytes in a pipe
