"""What the tests of the page's side of the gateway share: requests that may go on, and the children they leave."""

import http.client
import json
import pathlib
import socket
import time

from conftest import PATIENCE_S


def children(pid):
    """{pid: words} of the processes that it has started and that have not ended."""
    found = {}
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (place / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            if int(parent) == pid and state != "Z":
                found[int(place.name)] = (place / "cmdline").read_bytes().decode().split("\0")[1:-1]
        except (FileNotFoundError, ProcessLookupError, IndexError):
            pass  # it has ended meanwhile
    return found


def token_of(gateway):
    """What who has the token sends."""
    return {"x-api-key": gateway.token} if getattr(gateway, "token", None) else {}


def own_origin(gateway):
    return {"Origin": f"http://{gateway.host}:{gateway.port}"}


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]

    def __repr__(self):
        return f"{self.status} {self.body[:500]}"


def ask(gateway, path, method="GET", body=None, **headers):
    """One request of the page; a body is JSON, and comes from the page itself, which has the token."""
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=PATIENCE_S)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        headers = {**own_origin(gateway), "Content-Type": "application/json", **token_of(gateway), **headers}
        body = json.dumps(body)
    try:
        connection.request(method, path, body, headers)
        return Reply(connection.getresponse())
    finally:
        connection.close()


class Events:
    """A stream of events that is read as it comes."""

    def __init__(self, gateway, path, **headers):
        self.connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=PATIENCE_S)
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers

    def next(self):
        """(event, data) of the next one; (None, None) at the end."""
        kind, data = None, None
        while line := self.response.readline():
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
            elif not line and data is not None:
                return kind, data
        return None, None

    def until(self, wanted):
        """The data of the next one that is so."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            kind, data = self.next()
            assert kind, "the events ended"
            if wanted(kind, data):
                return data
        raise AssertionError("it did not come")

    def close(self):
        self.response.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def begin(gateway, path, method="GET", body=None):
    """A socket on which that was asked, and nothing is read."""
    client = socket.create_connection((gateway.host, gateway.port), PATIENCE_S)
    text = json.dumps(body) if body is not None else ""
    client.sendall(f"{method} {path} HTTP/1.1\r\nHost: {gateway.host}\r\n"
                   f"x-api-key: {token_of(gateway).get('x-api-key', 'none')}\r\n"
                   f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
    return client
