"""What the page costs those who post: ten of them open against none, in turns (README.md)."""
import contextlib
import socket
import statistics
import tempfile
import threading

import paint
from ingest import TOPIC, gateway
from paired import Ratios

PAGES = 10
ROUNDS = 15             # at least: the bar is nearer to 1 than a round is exact
BAR = 0.98
READ_BYTES = 1 << 16


class Page:
    """One that follows the status, as a browser does."""

    def __init__(self, port):
        self.events = 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(f"GET /ui/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        with contextlib.suppress(OSError):
            while piece := self.socket.recv(READ_BYTES):
                self.events += piece.count(b"event: status")

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


def with_pages(server, load):
    """The figure of the load, with the pages open, and how many events came to all."""
    pages = [Page(server.port) for _ in range(PAGES)]
    try:
        return load(), sum(page.events for page in pages)
    finally:
        for page in pages:
            page.close()


def measure(table, binary, build, rows, count, seconds):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        server = gateway(binary, f"{directory}/data")
        try:
            def load():
                return server.load("topic", rows, 1, 32, seconds, [TOPIC])
            load()
            without, opened, events = [], [], 0
            for number in range(max(count, ROUNDS)):
                for turn in ("open", "none") if number % 2 else ("none", "open"):
                    if turn == "none":
                        without.append(load())
                        continue
                    rate, heard = with_pages(server, load)
                    opened.append(rate)
                    events += heard
            ratios = Ratios([a / b for a, b in zip(opened, without)])
            if not events:
                raise RuntimeError("no page heard anything")
            table.add(f"POST 1 record, {PAGES} pages open", ratios.median, 1.0, BAR, "x",
                      cpu_us=server.cpu_us, rss_mib=server.process.status_kib("VmHWM") / 1024,
                      note=f"rec/s {statistics.median(opened):,.0f} of {statistics.median(without):,.0f} with none;"
                           f" {ratios.lower:.3f} to {ratios.upper:.3f} with 95 % each; {events} events")
        finally:
            server.process.stop()
    paint.measure(table, binary, build, count)
