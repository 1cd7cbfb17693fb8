"""Requests that break the rules of HTTP, and what a server makes of them: the gateway, and nginx beside it.

The cases are the tables of tests/unit/http_cases.h, read through the preprocessor, and some that are too long for
C's literals. `make abuse` sends them to both servers and prints the verdicts; test_abuse.py wants those of the
gateway to be right and every difference to be explained in docs/http-abuse.md.
"""

import ast
import collections
import contextlib
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

import conftest  # noqa: E402

NGINX = pathlib.Path("/usr/sbin/nginx")
EXPLAINED = TESTS.parent / "docs" / "http-abuse.md"
BODY_BYTES_MAX = 1 << 20  # as the C tests have it
LONG = "x" * (17 << 10)  # more than the 16 KiB that a head may have, and less than twice that
GATEWAY_ENV = {"PINPIPE_GATEWAY_BODY_BYTES_MAX": str(BODY_BYTES_MAX), "PINPIPE_GATEWAY_HOSTS": "*"}
PATIENCE_S = 20

BODY = b'{"records":[{"value":2}]}'
HEAD = (b"POST /topics/124df56aef51.pin HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/vnd.kafka.json.v2+json\r\n")
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n19\r\n" + BODY + b"\r\n"
# What follows each case: it would be stored by a server that does not stop at the case.
SECOND = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY

Case = collections.namedtuple("Case", "what sent status")

LONG_CASES = [
    Case("an extension too long", CHUNKED + b"19;" + LONG.encode() + b"\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    Case("extensions too long", CHUNKED + 9 * (b"19;" + b"x" * 2000 + b"\r\n" + BODY + b"\r\n") + b"0\r\n\r\n", 431),
    Case("a trailer too long", CHUNKED + b"0\r\nA: " + LONG.encode() + b"\r\n\r\n", 400),
    Case("trailers too long", CHUNKED + b"0\r\n" + 9 * (b"A: " + b"x" * 2000 + b"\r\n") + b"\r\n", 431),
    Case("chunks without an end", CHUNKED + 40 * (b"8000\r\n" + b" " * 0x8000 + b"\r\n"), 413),
]


def table(text, name):
    """The cases of one table of C: each is a name, a literal of bytes and a status."""
    literals = r'(?:"(?:[^"\\]|\\.)*"\s*)+'
    rows = re.search(rf"{name}\[\] = \{{(.*?)\n\}};", text, re.S)[1]

    def value(written):
        return ast.literal_eval("(" + re.sub(r'"(?:[^"\\]|\\.)*"', lambda literal: "b" + literal[0], written) + ")")

    return [Case(value(what).decode(), value(sent), int(status)) for what, sent, status in
            re.findall(rf"\{{ ({literals}), ({literals}), sizeof\({literals}\) - 1, (\d+) \}}", rows)]


def read_cases():
    """(those to refuse, those to accept)"""
    header = TESTS / "unit" / "http_cases.h"
    long = f'-DLONG="{LONG}"'
    text = subprocess.run(["cc", "-E", "-P", "-x", "c", "-I", TESTS.parent / "src", long, header],
                          capture_output=True, text=True, check=True).stdout
    return table(text, "http_refused") + LONG_CASES, table(text, "http_accepted")


class Exchange:
    """The bytes of a case with SECOND behind them, on a connection of its own, and all that came back until the
    server closed it."""

    def __init__(self, host, port, sent, half_close=False):
        self.received, self.closed = b"", False
        with socket.create_connection((host, port), timeout=PATIENCE_S) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent + SECOND)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    self.received += chunk
        self.statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", self.received)]

    @property
    def verdict(self):
        """The status of a refusal that ended the connection; "taken" if the case was believed, or what followed."""
        if len(self.statuses) == 1 and self.statuses[0] >= 400:
            return str(self.statuses[0])
        return "taken" if self.received else "closed"


NGINX_CONF = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; lingering_timeout 200ms; client_max_body_size {body_bytes_max}; large_client_header_buffers 4 16k;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
  scgi_temp_path {dir}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_ignore_client_abort on; }}
  }}
  server {{ listen 127.0.0.1:{behind}; location / {{ return 200 ok; }} }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def nginx(directory):
    """An nginx of one process that reads whole bodies, because it hands them on to itself; gives its port."""
    port, behind = free_port(), free_port()
    config = directory / "nginx.conf"
    config.write_text(NGINX_CONF.format(dir=directory, port=port, behind=behind, body_bytes_max=BODY_BYTES_MAX))
    service = conftest.Service([NGINX, "-e", directory / "error.log", "-c", config], directory / "nginx.out", {},
                               directory)
    try:
        conftest.wait_until(lambda: listens(port), "nginx")
        yield port
        service.stop()
    finally:
        service.destroy()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def nginx_verdicts(cases, directory):
    """Its end of input is ours: it waits for more where we have refused already."""
    with nginx(directory) as port:
        return {case.what: Exchange("127.0.0.1", port, case.sent, half_close=True).verdict for case in cases}


def explained():
    """The rows of the table in docs/http-abuse.md: {case: (ours, nginx)}."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", EXPLAINED.read_text(), re.M)
    return {what: (ours, theirs) for what, ours, theirs in rows if what != "request" and set(what) != {"-"}}


def main():
    refused, accepted = read_cases()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        command = [conftest.binary(), "gateway", "--listen", "127.0.0.1:0", "--dir", directory / "data"]
        gateway = conftest.Gateway(command, directory / "gateway.out", GATEWAY_ENV, directory)
        try:
            gateway.listen()
            ours = {case.what: Exchange(gateway.host, gateway.port, case.sent).verdict for case in refused + accepted}
            gateway.stop()
        finally:
            gateway.destroy()
        theirs = nginx_verdicts(refused + accepted, directory)
    reasons = explained()
    print(f"{'request':52} {'pinpipe':12} {'nginx':12}")
    for what, verdict in ours.items():
        difference = (verdict, theirs[what])
        note = "" if verdict == theirs[what] else "explained" if reasons.get(what) == difference else "UNEXPLAINED"
        print(f"{what:52} {verdict:12} {theirs[what]:12} {note}")


if __name__ == "__main__":
    main()
