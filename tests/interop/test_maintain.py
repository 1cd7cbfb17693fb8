"""Compaction beside others: delta-rs deletes and updates while posts come in and `maintain` merges; then it compacts.

Each row that delta-rs deleted is gone and stays so, each that it updated is as it left it, and all others are there
once: a merge that has lost a file to it must not bring old rows back.
"""
import json
import subprocess
import threading
import urllib.request

import pytest

import conftest
from test_interop import CACHE, HERE, ID, PATIENCE_S, ask, pinpipe

POSTS, TURNS = 300, 60
STREAM = f"streaming-{ID}-user"

pytestmark = pytest.mark.ci


def post(url, ind):
    value = {"ind": ind, "first_name": "A", "last_name": "B", "age": "30"}
    body = json.dumps({"records": [{"data": json.dumps(value), "partition-key": f"k{ind}"}]}).encode()
    request = urllib.request.Request(f"{url}/streams/{STREAM}/records", method="PUT", data=body,
                                     headers={"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def post_all(url, table):
    """One after the other, each when the stream has taken the one before: so each is in a file of its own."""
    log = table / "_delta_log"
    for ind in range(1, POSTS):
        streamed = len(list(log.glob("*[0-9].json")))
        post(url, ind)
        conftest.wait_until(lambda: len(list(log.glob("*[0-9].json"))) > streamed, "the next commit", PATIENCE_S)


def disturb(path, turns=TURNS, by=("update", "delete")):
    done = subprocess.run([CACHE / "venv" / "bin" / "python", HERE / "disturb_deltars.py"],
                          input=json.dumps({"path": str(path), "turns": turns, "by": by}), capture_output=True,
                          text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(name="up", scope="module")
def fixture_up(tmp_path_factory):
    """(data directory, what delta-rs did) of an `up` that both worked on."""
    directory = tmp_path_factory.mktemp("maintain")
    data = directory / "data"
    up = conftest.Service([conftest.binary(), "up", "--listen", "127.0.0.1:0", "--dir", data, "--stream-age", "1ms",
                           "--batch-every", "1h", "--maintain-every", "5ms"], directory / "said", None, directory)
    try:
        url = up.wait_for(r"https?://[\d.]+:[1-9]\d*")[0]
        table = data / "lake" / "tables" / f"{ID}_user_table"
        post(url, 0)
        conftest.wait_until(lambda: list(table.glob("*.parquet")), "the first commit", PATIENCE_S)
        poster = threading.Thread(target=post_all, args=(url, table))
        poster.start()
        done = disturb(table)
        poster.join()
        left = POSTS - len(done["deleted"])
        conftest.wait_until(lambda: len(rows(data)) == left, f"{left} rows", PATIENCE_S)
    finally:
        if up.process.poll() is None:
            up.stop()
    return data, done


def rows(data):
    return pinpipe("sql", "--dir", data, "--from", "stream", "SELECT ind, age FROM user_all ORDER BY ind")


def operations(data):
    log = data / "lake" / "tables" / f"{ID}_user_table" / "_delta_log"
    first = [json.loads(path.read_text().splitlines()[0]) for path in sorted(log.glob("*[0-9].json"))]
    last = [json.loads(path.read_text().splitlines()[-1]) for path in sorted(log.glob("*[0-9].json"))]
    return [next(action["commitInfo"] for action in pair if "commitInfo" in action) for pair in zip(first, last)]


def test_both_have_worked(up):
    data, done = up
    ours = [info for info in operations(data) if info["operation"] == "OPTIMIZE" and
            info.get("engineInfo", "").startswith("pinpipe/")]
    assert len(ours) > 3 and len(done["deleted"]) > 3 and len(done["updated"]) > 3


def test_each_row_is_as_the_last_writer_left_it(up):
    data, done = up
    found = {row["ind"]: row["age"] for row in rows(data)}
    assert len(found) == len(rows(data))
    assert set(found) == set(range(POSTS)) - set(done["deleted"])
    assert {ind for ind, age in found.items() if age == 31} == set(done["updated"]) - set(done["deleted"])


def test_others_read_what_is_left(up):
    data, _ = up
    table = {"stream_user": data / "lake" / "tables" / f"{ID}_user_table"}
    there = ask("duckdb", table)["stream_user"]["rows"]
    assert len(there) == len(rows(data)) and there == ask("deltars", table)["stream_user"]["rows"]


def test_each_compacts_what_the_other_left(up):
    data, _ = up
    table, before = {"stream_user": data / "lake" / "tables" / f"{ID}_user_table"}, rows(data)
    assert len(ask("deltars", table, arguments=["compact"])["stream_user"]["rows"]) == len(before)
    pinpipe("optimize", "user", "--from", "stream", "--dir", data)
    assert rows(data) == before and len(ask("deltars", table)["stream_user"]["rows"]) == len(before)
