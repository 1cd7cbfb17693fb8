"""A browser for all tests of a module, pages that complain of nothing when their test ends, and what is behind them."""

import json
import urllib.request

import pytest

import browser as driver
from conftest import PATIENCE_S, wait_until

ID = "124df56aef51"
JSON_V2 = "application/vnd.kafka.json.v2+json"


@pytest.fixture(scope="module", name="chromium")
def fixture_chromium():
    assert driver.program(), "there is no chromium: tools/bootstrap test installs it"
    made = driver.Browser()
    yield made
    made.close()


@pytest.fixture(name="open_page")
def fixture_open_page(chromium):
    """open_page(url, width=…, dark=…): a page that has begun to load it. When the test ends no page may have complained
    (an exception, what the policy forbids, a dialog) nor asked anything of another place than its own."""
    pages = []

    def open_it(url, **options):
        page = chromium.new_page(**options)
        pages.append((page, url))
        page.open(url)
        return page

    yield open_it
    for page, url in pages:
        page.listen()
        origin = "/".join(url.split("/")[:3])
        strange = [asked for asked in page.requests
                   if not asked.startswith((f"{origin}/", "data:", "about:", f"blob:{origin}"))]
        page.close()
        assert not page.complaints and not page.dialogs, (page.complaints, page.dialogs)
        assert not strange, strange


class Pipeline:
    """A running `pinpipe up`, and what is posted to it."""

    def __init__(self, service, data_dir):
        self.service, self.dir = service, data_dir
        self.url = service.wait_for(r"listening on (http://\S+)")[1]

    def token(self):
        return wait_until(lambda: (self.dir / "page.token").exists() and (self.dir / "page.token").read_text().strip(),
                          "the token")

    def admin_url(self):
        return f"{self.url}/#token={self.token()}"

    def request(self, method, path, body, content_type):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(
            self.url + path, data, {"Content-Type": content_type}, method=method), timeout=PATIENCE_S).read()

    def post(self, table, *values):
        self.request("POST", f"/topics/{ID}.{table}", {"records": [{"value": value} for value in values]}, JSON_V2)

    def put(self, table, *values):
        for value in values:
            self.request("PUT", f"/streams/streaming-{ID}-{table}/record", {"Data": value, "PartitionKey": "k"},
                         "application/json")


@pytest.fixture(name="up")
def fixture_up(start, data_dir):
    """up("--batch-every", "1s"): the whole pipeline, quick to land."""
    def start_it(*words, listen="127.0.0.1:0"):
        return Pipeline(start("up", "--dir", data_dir, "--listen", listen, "--flush-age", "100ms", *words), data_dir)
    return start_it
