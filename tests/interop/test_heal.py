"""delta-rs's OPTIMIZE, z-order and VACUUM beside posts that come in and `maintain`, which merges until it gives way.

Two of them, so that one overtakes the other, as `maintain` does before: an OPTIMIZE that is overtaken commits all the
same, and doubles rows. In the end each row is there once, and nobody had to do anything for it.
"""
import concurrent.futures
import threading

import pytest

import conftest
from test_interop import PATIENCE_S, ask, pinpipe
from test_maintain import disturb, operations, post, rows
from upkeep import delta_log, table_of

ROUNDS, TURNS, SOON_S = 4, 9, 60
BY = [["compact", "compact", "z_order"], ["compact", "vacuum"]]

pytestmark = pytest.mark.ci


class Posts(threading.Thread):
    """One after the other until it is ended; `count` are there then."""

    def __init__(self, url):
        super().__init__()
        self.url, self.count, self.ended = url, 1, threading.Event()

    def run(self):
        while not self.ended.is_set():
            post(self.url, self.count)
            self.count += 1

    def end(self):
        self.ended.set()
        self.join()


def doubling(root):
    """How many commits removed files that had gone before."""
    gone, count = set(), 0
    for version in delta_log.Names(root).commits:
        actions = delta_log.actions_of(delta_log.commit_path(root, version).read_text())
        removed = {action["remove"]["path"] for action in actions if "remove" in action}
        count += bool(removed & gone)
        gone |= removed
    return count


def each_once(data):
    found = [row["ind"] for row in rows(data)]
    return found == sorted(set(found))


def work_beside(data, table):
    """Two of delta-rs with so many turns each, and soon after them each row is there once. Not many turns: two that
    overtake each other all the time double the rows each time. Returns whether they have doubled any."""
    with concurrent.futures.ThreadPoolExecutor(len(BY)) as pool:
        list(pool.map(lambda by: disturb(table, TURNS, by), BY))
    conftest.wait_until(lambda: each_once(data), "each row once", SOON_S)
    return doubling(table) > 0


@pytest.fixture(name="up", scope="module")
def fixture_up(tmp_path_factory):
    """The data directory of an `up` that two of delta-rs worked beside; it ended soon after them."""
    directory = tmp_path_factory.mktemp("heal")
    data = directory / "data"
    up = conftest.Service([conftest.binary(), "up", "--listen", "127.0.0.1:0", "--dir", data, "--stream-age", "1ms",
                           "--batch-every", "1h", "--maintain-every", "5ms"], directory / "said", None, directory)
    try:
        url = up.wait_for(r"https?://[\d.]+:[1-9]\d*")[0]
        table = table_of(data, "user")
        post(url, 0)
        conftest.wait_until(lambda: list(table.glob("*.parquet")), "the first commit", PATIENCE_S)
        posts = Posts(url)
        posts.start()
        try:
            for _ in range(ROUNDS - 1):
                work_beside(data, table)
            conftest.wait_until(lambda: work_beside(data, table), "an OPTIMIZE that doubled rows", PATIENCE_S)
        finally:
            posts.end()
        conftest.wait_until(lambda: [row["ind"] for row in rows(data)] == list(range(posts.count)), "each row once",
                            SOON_S)
    finally:
        if up.process.poll() is None:
            up.stop()
    return data


def test_rows_were_doubled_and_healed(up):
    done = [info["operation"] for info in operations(up)]
    assert doubling(table_of(up, "user")) > 0 and done.count("REMOVE DOUBLED ROWS") > 0


def test_others_read_each_row_once(up):
    table = {"stream_user": table_of(up, "user")}
    there = ask("duckdb", table)["stream_user"]["rows"]
    assert len(there) == len(rows(up)) and there == ask("deltars", table)["stream_user"]["rows"]


def test_check_is_clean(up):
    assert all(topic["faults"] == 0 for topic in pinpipe("check", "--dir", up))


def test_it_is_merged_by_hand_all_the_same(up):
    before = rows(up)
    pinpipe("optimize", "user", "--from", "stream", "--dir", up)
    assert rows(up) == before
