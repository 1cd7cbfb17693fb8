#!/usr/bin/python3
"""A spark-submit that fails as a real one may and cannot be made to: how, the variable UNWELL says.

It writes its arguments, and each message that it gets, to the file SPARK_HEARD.
"""

import json
import os
import signal
import socket
import sys
import time

UNWELL = os.environ["UNWELL"]


def heard(what):
    with open(os.environ["SPARK_HEARD"], "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def main():
    heard(sys.argv[1:])
    if UNWELL == "ends":
        print("26/01/01 WARN nothing of interest")
        print("Exception in thread \"main\" java.lang.Oops: no such thing" + 500 * "\n\tat x.y(Z)")
        return 1
    if UNWELL == "never comes":
        signal.pause()
    line = socket.socket(socket.AF_UNIX)
    line.connect("\0" + sys.argv[-1])
    for text in line.makefile():
        message = json.loads(text)
        heard(message)
        answer(line, message)
    return 0


def answer(line, message):
    def say(reply):
        line.sendall(json.dumps(reply).encode() + b"\n")

    if message["do"] == "configure" and UNWELL == "too old":
        say({"error": {"kind": "usage", "message": "this is Spark 3.5.7; it is too old", "line": 0}})
    elif message["do"] == "configure" and UNWELL == "dawdles":
        go_on(say)
    elif message["do"] in ("configure", "attach"):
        say({"done": {}})
    elif message["do"] == "end":
        sys.exit(0)
    elif message["do"] == "ask":
        fail(line, say)


def fail(line, say):
    if UNWELL == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif UNWELL == "prints":
        for _ in range(8):
            os.write(1, (1 << 20) * b"DEBUG")
            while os.fstat(1).st_size > 4 << 20:  # it is kept
                say({"progress": [0, 8, 1]})
                time.sleep(0.01)
        say({"error": {"kind": "io", "message": "all is printed", "line": 0}})
    elif UNWELL == "babbles":
        line.sendall(b"{\"done\": \n")
    elif UNWELL == "writes nothing":
        say({"done": {"columns": ["a"], "rows": 3}})
    elif UNWELL == "hangs":
        go_on(say)


def go_on(say):
    while True:
        say({"progress": [0, 8, 1]})
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
