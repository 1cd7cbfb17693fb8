"""A terminal of a given width with the program in it; what it prints, and what is typed."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time

import conftest


class Screen:
    """`read()` has all that was printed; a test types with `type()`."""

    def __init__(self, command, width=80, env=None, cwd=None, stdin=True):
        self.master, slave = conftest.pseudo_terminal()
        self.resize(width)
        self.text = b""
        environment = conftest.clean_environment({"TERM": "xterm", **(env or {})})
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=slave if stdin else subprocess.DEVNULL, stdout=slave, stderr=slave,
            env=environment, cwd=cwd, start_new_session=True, preexec_fn=self.own_terminal)
        os.close(slave)

    @staticmethod
    def own_terminal():
        """So that a Ctrl-C that is typed is a signal."""
        conftest.die_with_parent()
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    def resize(self, width, height=24):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def take(self, wait_s=0.1):
        """What has come; False: it ended."""
        if not select.select([self.master], [], [], wait_s)[0]:
            return True
        try:
            chunk = os.read(self.master, 65536)
        except OSError:     # the other side is closed
            return False
        self.text += chunk
        return bool(chunk)

    def wait_for(self, pattern, patience_s=conftest.PATIENCE_S):
        deadline = time.monotonic() + patience_s
        while not (found := re.search(pattern, self.text.decode(errors="replace"))):
            assert self.take() and time.monotonic() < deadline, f"no {pattern!r} in {self.text.decode()}"
        return found

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, patience_s=conftest.PATIENCE_S):
        """To its end: the text, with line feeds alone."""
        deadline = time.monotonic() + patience_s
        while self.take():
            assert time.monotonic() < deadline, self.text.decode()
        os.close(self.master)
        self.status = self.process.wait(patience_s)
        return self.text.decode(errors="replace").replace("\r\n", "\n")


def lines_on_screen(text):
    """As they stand in the end: what was drawn over is gone."""
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.rsplit("\r", 1)[-1]) for line in text.split("\n")]


def columns(line):
    """For texts without wide characters."""
    return len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line))
