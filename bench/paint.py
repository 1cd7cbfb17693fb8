"""How soon the page is seen, by Debian's chromium itself, and how much of it there is (README.md)."""
import gzip
import pathlib
import statistics
import sys
import tempfile
import time
import urllib.request

from ingest import gateway
from measure import TOP

sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests" / "browser")]
from browser import Browser  # noqa: E402  pylint: disable=wrong-import-position

ROUNDS = 15
PAINT_MS, PAGE_KB = 100, 100
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def first_paint(page, url):
    """ms from the navigation to the first text, without a cache."""
    page.open(f"{url}?{time.monotonic_ns()}")
    page.wait(f"location.href.startsWith({url!r}) && document.readyState === 'complete'", url)
    return page.wait(PAINT, "a first paint")


def packed_bytes(url):
    """All files of the page as they are sent to who takes gzip."""
    files = [f"{url}/ui"] + [f"{url}/ui/assets/{path.name}" for folder in ("web", ".cache/uplot")
                             for path in pathlib.Path(TOP / folder).iterdir() if path.suffix in (".js", ".css", ".svg")]
    total = 0
    for file in files:
        with urllib.request.urlopen(urllib.request.Request(file, headers={"Accept-Encoding": "gzip"})) as reply:
            body = reply.read()
            total += len(body if reply.headers["Content-Encoding"] == "gzip" else gzip.compress(body))
    return total


def measure(table, binary, build, count):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        server = gateway(binary, f"{directory}/data")
        url, browser = f"http://127.0.0.1:{server.port}", Browser()
        try:
            page, shown, words = browser.new_page(), [], []
            page.call("Network.setCacheDisabled", cacheDisabled=True)
            for _ in range(max(count, ROUNDS) + 1):
                words.append(first_paint(page, f"{url}/healthz"))
                shown.append(first_paint(page, f"{url}/ui"))
            shown, words = sorted(shown[1:]), words[1:]  # the first ones warm the browser up
            table.add("the page's first paint", statistics.median(shown), PAINT_MS, 1.0, "ms", higher=False,
                      note=f"{shown[0]:.0f} to {shown[-1]:.0f} ms; of /healthz {statistics.median(words):.0f} ms")
            table.add("the page, packed", packed_bytes(url) / 1000, PAGE_KB, 1.0, "KB", higher=False)
        finally:
            browser.close()
            server.process.stop()
