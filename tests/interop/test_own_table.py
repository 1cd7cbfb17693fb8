"""A table of one's own, by `pinpipe up`: posts on both paths, and its two Delta tables as others read them."""

import json
import shutil
import signal
import subprocess
import urllib.request

import pytest

import conftest
from test_interop import ID, PATIENCE_S, ask, pinpipe

COLUMNS = {"id": "string", "at_ms": "bigint", "price": "double", "_partition": "string", "_offset": "string"}
CLICKS = """-- title: Clicks
-- key: id
-- fields: id at_ms price
-- columns: id string, at_ms long, price double
SELECT id, as_long(at_ms) AS at_ms, as_double(price) AS price, _partition, _offset FROM raw
"""
REVENUE = "-- title: Revenue\nSELECT id, sum(price) AS revenue FROM clicks GROUP BY id ORDER BY id\n"
POSTED = [{"id": f"c{i % 3}", "at_ms": 2**53 + 1 + i, "price": i / 4} for i in range(20)]

pytestmark = pytest.mark.ci


def send(url, method, body, content_type):
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode(),
                                     headers={"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def post(url):
    send(f"{url}/topics/{ID}.clicks", "POST", {"records": [{"value": value} for value in POSTED]},
         "application/vnd.kafka.json.v2+json")
    for value in POSTED:
        send(f"{url}/streams/streaming-{ID}-clicks/record", "PUT",
             {"StreamName": f"streaming-{ID}-clicks", "Data": value, "PartitionKey": "p"}, "application/json")


@pytest.fixture(name="up", scope="module")
def fixture_up(tmp_path_factory):
    """(data directory, models) after an `up` that took the posts and was stopped."""
    directory = tmp_path_factory.mktemp("own")
    models = shutil.copytree(conftest.TOP / "models", directory / "models")
    (models / "clean" / "clicks.sql").write_text(CLICKS)
    (models / "analyses" / "revenue.sql").write_text(REVENUE)
    up = conftest.Service([conftest.binary(), "up", "--listen", "127.0.0.1:0", "--dir", directory / "data", "--models",
                           models, "--flush-age", "100ms", "--batch-every", "1s"], directory / "said", None, directory)
    try:
        post(up.wait_for(r"https?://[\d.]+:[1-9]\d*")[0])
        def answered():
            try:
                return json.loads((directory / "data/lake/results/revenue.json").read_text())["rows"]
            except FileNotFoundError:
                return None
        conftest.wait_until(answered, "the answer about clicks", PATIENCE_S)
    finally:
        if up.process.poll() is None:
            up.stop(signal.SIGTERM)
    return directory / "data", models


def test_two_readers(up):
    data, models = up
    tables = {path: data / "lake" / "tables" / f"{ID}_clicks_{end}" for path, end in
              (("batch", "clean"), ("stream", "table"))}
    pinpipe("batch", "--dir", data, "--models", models)
    for reader in ("deltars", "duckdb"):
        answers = ask(reader, tables)
        for path in tables:
            assert answers[path]["columns"] == COLUMNS
            assert [dict(zip(COLUMNS, row)) | {"_partition": 0, "_offset": 0} for row in answers[path]["rows"]] == \
                [value | {"_partition": 0, "_offset": 0} for value in POSTED]


def test_rows_results_and_check(up):
    data, models = up
    words = ("--dir", data, "--models", models)
    rows = pinpipe("sql", *words, "SELECT id, at_ms FROM clicks ORDER BY id")
    assert rows == [{"id": f"c{i}", "at_ms": max(v["at_ms"] for v in POSTED if v["id"] == f"c{i}")} for i in range(3)]
    answer = json.loads((data / "lake/results/revenue.json").read_text())
    assert [row[0] for row in answer["rows"]] == ["c0", "c1", "c2"]
    checked = {row["topic"]: row for row in pinpipe("check", *words)}
    for name in (f"{ID}.clicks", f"streaming-{ID}-clicks"):
        assert checked[name]["rows"] == len(POSTED) and checked[name]["faults"] == checked[name]["behind"] == 0


def test_nothing_is_left_running(up):
    assert not subprocess.run(["pgrep", "-f", str(up[0])], capture_output=True, check=False).stdout
