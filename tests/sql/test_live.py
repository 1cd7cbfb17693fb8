"""Live views: what was acknowledged is in the next answer, once, wherever it is by then."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import threading
import time
import urllib.request

import pytest

from lake import ID

HOW = {"live": ("streams", f"streaming-{ID}-"), "batch-live": ("topics", f"{ID}.")}


def post(gateway, how, table, values):
    """Acknowledged when it returns. To one shard or partition, so that a record's place is its ordinal."""
    place, before = HOW[how]
    for at in range(0, len(values), 500):
        some = values[at:at + 500]
        if place == "streams":
            url, method, content = f"{gateway.url}/streams/{before}{table}/records", "PUT", "application/json"
            body = {"records": [{"data": json.dumps(value), "partition-key": "k"} for value in some]}
        else:
            url, method = f"{gateway.url}/topics/{before}{table}", "POST"
            content = "application/vnd.kafka.json.v2+json"
            body = {"records": [{"value": value, "partition": 0} for value in some]}
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": content}, method=method)
        with urllib.request.urlopen(request) as reply:
            assert json.load(reply).get("FailedRecordCount", 0) == 0


def geo(*inds):
    return [{"ind": ind, "country": f"country {ind}", "latitude": 1.5, "longitude": None} for ind in inds]


@pytest.fixture(name="ask")
def fixture_ask(run, data_dir):
    """The rows of an answer, each a dict."""
    def ask(how, sql, *words, **options):
        words = ("--dir", data_dir, "--from", how, "--format", "json", *words)
        return json.loads(run("sql", *words, sql, **options).stdout)
    return ask


def rows(ask, how, table="geo_all", *words):
    return ask(how, f"SELECT * FROM {table} ORDER BY _partition, _offset", *words)


def settle(run, data_dir, how, *words):
    """All that is in the log becomes rows of the table."""
    if how == "live":
        run("stream", "--until-end", "--dir", data_dir, *words)
    else:
        run("sink", "--until-end", "--dir", data_dir)
        run("batch", "--dir", data_dir, *words)


@pytest.fixture(name="how", params=HOW)
def fixture_how(request):
    return request.param


def await_that(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)    # paces the look


TABLE = {"live": "stream", "batch-live": "batch"}


def test_what_nobody_has_taken_yet(run, start_gateway, data_dir, ask, how):
    """Without a sink, a stream or a batch; and later it is the same rows that are in the table."""
    gateway = start_gateway("--shards", 1)
    assert rows(ask, how) == []
    post(gateway, how, "geo", geo(*range(700)))
    before = rows(ask, how)
    assert [row["ind"] for row in before] == list(range(700))
    assert before[0]["country"] == "country 0" and before[699]["_offset"] > before[0]["_offset"]
    assert rows(ask, TABLE[how], "geo_live") == before and rows(ask, TABLE[how]) == []
    settle(run, data_dir, how)
    assert rows(ask, TABLE[how]) == before == rows(ask, how)
    post(gateway, how, "geo", geo(*range(690, 710)))
    after = rows(ask, how, "geo_live")
    assert after[:700] == before and [row["ind"] for row in after[700:]] == list(range(690, 710))
    # of the rows with one key the newest
    assert ask(how, "SELECT count(*) AS n FROM geo") == [{"n": 710}]
    assert ask(TABLE[how], "SELECT count(*) AS n, (SELECT count(*) FROM geo) AS old FROM geo_live") == \
        [{"n": 720, "old": 700}]
    gateway.stop()      # and while nothing runs
    assert rows(ask, how) == after


def test_nothing_is_left_behind(run, start_gateway, data_dir, ask, how):
    """A question writes nothing: not to the lake, not to the log, and no file of its own stays."""
    gateway = start_gateway("--shards", 1)
    post(gateway, how, "geo", geo(*range(10)))
    gateway.stop()

    def there():
        return {path: path.stat().st_mtime_ns for path in data_dir.rglob("*") if path.name not in ("tmp", "cache")}
    before = there()
    assert len(rows(ask, how)) == 10
    assert there() == before and not list((data_dir / "tmp").iterdir())
    data_dir.chmod(0o500)   # who may only look
    try:
        assert len(rows(ask, how)) == 10
    finally:
        data_dir.chmod(0o700)


def test_objects_before_there_is_a_table(run, start_gateway, data_dir, ask):
    gateway = start_gateway("--partitions", 1)
    post(gateway, "batch-live", "geo", geo(1, 2))
    run("sink", "--until-end", "--dir", data_dir)
    post(gateway, "batch-live", "geo", geo(3))
    assert [row["ind"] for row in rows(ask, "batch-live")] == [1, 2, 3]


def test_no_row_is_left_out(run, start_gateway, data_dir, ask, models, how):
    """Letters and poison are: no record that the table will not have, either."""
    path = models / "clean" / "user.sql"
    path.write_text(path.read_text().replace("as_int(age)", "CAST(age AS INTEGER)"))
    bad = {3, 400, 401}
    values = [{"ind": i, "first_name": "A", "age": "x" if i in bad else "30"} for i in range(1000)]
    values[7] = [1, 2]
    gateway = start_gateway("--shards", 1)
    post(gateway, how, "user", values)
    seen = rows(ask, how, "user_all", "--models", models)
    assert {row["ind"] for row in seen} == set(range(1000)) - bad - {7}
    settle(run, data_dir, how, "--models", models)
    assert rows(ask, TABLE[how], "user_all", "--models", models) == seen == \
        rows(ask, how, "user_all", "--models", models)


def test_a_model_at_fault_is_told(start_gateway, ask, models, how, run, data_dir):
    """With its own table alone, and only where it is named."""
    path = models / "clean" / "user.sql"
    path.write_text(path.read_text().replace("as_int(age)", "CAST(age AS INTEGER)"))
    gateway = start_gateway("--shards", 1)
    post(gateway, how, "user", [{"ind": i, "age": "x"} for i in range(200)])
    post(gateway, how, "geo", geo(1))
    words = ("sql", "--dir", data_dir, "--models", models)
    failed = run(*words, "--from", how, "SELECT * FROM user", status=1)
    assert "more than 100 records" in failed.stderr
    failed = run(*words, "--from", TABLE[how], "SELECT * FROM user_live", status=1)
    assert '"user_live" cannot be read: ' in failed.stderr and "more than 100 records" in failed.stderr
    assert ask(TABLE[how], "SELECT count(*) AS n FROM user", "--models", models) == [{"n": 0}]
    sql = "SELECT ind, (SELECT count(*) FROM user_all) AS users FROM geo_live"
    assert ask(TABLE[how], sql, "--models", models) == [{"ind": 1, "users": 0}]


def test_a_column_that_the_table_lacks(run, start_gateway, data_dir, ask, models, how):
    gateway = start_gateway("--shards", 1)
    post(gateway, how, "geo", geo(1))
    settle(run, data_dir, how)
    path = models / "clean" / "geo.sql"
    text = path.read_text().replace("-- columns: ind int,", "-- columns: ind int, hint string,")
    path.write_text(text.replace("AS ind,\n", "AS ind,\n\t'new' AS hint,\n"))
    post(gateway, how, "geo", geo(2))
    words = ("--models", models)
    assert ask(how, "SELECT ind, hint FROM geo ORDER BY ind", *words) == \
        [{"ind": 1, "hint": None}, {"ind": 2, "hint": "new"}]
    assert ask(TABLE[how], "SELECT ind, hint FROM geo_live ORDER BY ind", *words)[1]["hint"] == "new"
    assert ask(TABLE[how], "SELECT ind, hint FROM geo", *words) == [{"ind": 1, "hint": None}]


def test_what_may_be_asked(run, start_gateway, data_dir, ask):
    gateway = start_gateway("--shards", 1)
    post(gateway, "live", "geo", geo(1, 2))
    names = {row["name"] for row in ask("stream", "SHOW TABLES")}
    assert {"geo", "geo_all", "geo_live", "pin_live", "user_live"} <= names
    assert "_offset" in {row["column_name"] for row in ask("stream", "DESCRIBE geo_live")}
    assert ask("live", "SELECT count(*) AS n FROM pin_live JOIN geo_live USING (ind)") == [{"n": 0}]
    hidden = "SELECT * FROM (SELECT 'geo_all') JOIN GEO_LIVE ON true"
    assert len(ask("stream", hidden)) == 2
    failed = run("sql", "--from", "live", "--engine", "spark", "--dir", data_dir, "SELECT 1", status=1)
    assert "--engine duckdb" in failed.stderr
    failed = run("rebuild", "geo", "--from", "live", "--dir", data_dir, status=2)
    assert "--from live" in failed.stderr
    failed = run("sql", "--from", "live", "--dir", data_dir.parent / "nowhere", "SELECT 1", status=None)
    assert failed.returncode == 1 and "no pinpipe data" in failed.stderr


def test_analyses_over_live_rows(run, start_gateway, data_dir, models):
    analysis = models / "analyses" / "how_live.sql"
    analysis.write_text("-- title: Live\n-- description: Rows.\n-- chart: none\n\n"
                        "SELECT count(*) AS n FROM geo_live\n")
    gateway = start_gateway("--shards", 1)
    post(gateway, "live", "geo", geo(1, 2))
    post(gateway, "batch-live", "geo", geo(1, 2, 3))
    words = ("--dir", data_dir, "--models", models, "--format", "json")
    for how, count in ("live", 2), ("stream", 2), ("batch", 3), ("batch-live", 3):
        answer = json.loads(run("analyse", "how_live", "--from", how, *words).stdout)
        assert answer["how_live"]["rows"] == [[count]]
    run("models", "--check", "--models", models)
    report = json.loads(run("batch", *words, status=None).stdout)
    assert "a batch answers over what is cleaned" in report["analyses"]["how_live"]["error"]


def test_two_models_of_one_stream(run, start_gateway, data_dir, ask, models, how):
    """Each sees its own records."""
    geo_model = (models / "clean" / "geo.sql").read_text()
    (models / "clean" / "places.sql").write_text("-- topic: geo\n" + geo_model.replace("country", "land"))
    gateway = start_gateway("--shards", 1, "--models", models)
    both = [{"ind": 1, "country": "A"}, {"ind": 2, "land": "B"}, {"ind": 3, "country": "C"}]
    post(gateway, how, "geo", both)
    words = ("--models", models)
    seen = [rows(ask, how, table, *words) for table in ("geo_live", "places_live")]
    settle(run, data_dir, how, *words)
    assert [rows(ask, TABLE[how], table, *words) for table in ("geo_all", "places_all")] == seen
    post(gateway, how, "geo", both)
    assert [len(rows(ask, how, table, *words)) for table in ("geo_live", "places_live")] == \
        [2 * len(its) for its in seen]


def test_what_was_made_anew(run, start_gateway, data_dir, ask, how):
    """A stream or topic of the same name: its records come beside those that the table has of the other."""
    gateway = start_gateway("--shards", 1)
    post(gateway, how, "geo", geo(1, 2))
    settle(run, data_dir, how)
    gateway.stop()
    run(*(("streams",) if how == "live" else ("topics",)), "delete", HOW[how][1] + "geo", "--dir", data_dir)
    assert [row["ind"] for row in rows(ask, how)] == [1, 2]     # while there is none
    gateway = start_gateway("--shards", 1)
    post(gateway, how, "geo", geo(11, 12))
    seen = rows(ask, how)
    assert sorted(row["ind"] for row in seen) == [1, 2, 11, 12]
    settle(run, data_dir, how)
    assert rows(ask, TABLE[how]) == seen


def test_a_log_that_was_put_back_is_refused(run, start_gateway, data_dir, ask, tmp_path, how):
    """In the words of who would write the table; the table itself can be read."""
    def write(*inds):
        gateway = start_gateway("--shards", 1)
        post(gateway, how, "geo", geo(*inds))
        gateway.stop()
    write(1)
    settle(run, data_dir, how)
    shutil.copytree(data_dir / "log", tmp_path / "copy")
    write(2, 3)
    settle(run, data_dir, how)
    shutil.rmtree(data_dir / "log")
    shutil.copytree(tmp_path / "copy", data_dir / "log")
    for inds, says in ((12,), "older copy"), ((13, 14), "another"):
        write(*inds)
        failed = run("sql", "--dir", data_dir, "--from", TABLE[how], "SELECT * FROM geo_live", status=1)
        assert '"geo_live" cannot be read' in failed.stderr and says in failed.stderr
        failed = run("sql", "--dir", data_dir, "--from", how, "SELECT * FROM geo", status=1)
        assert says in failed.stderr
    assert [row["ind"] for row in rows(ask, TABLE[how])] == [1, 2, 3]
    if how == "live":   # told to go on, the log is the next generation, and is seen beside the other
        run("stream", "--until-end", "--dir", data_dir, "--new-history", "continue")
        write(15)
        seen = rows(ask, how)
        assert [row["ind"] for row in seen] == [1, 2, 3, 1, 12, 13, 14, 15]
        settle(run, data_dir, how)
        assert rows(ask, TABLE[how]) == seen


def test_where_there_is_no_log(run, start_gateway, data_dir, ask, how):
    """The table is all that can be shown, and a word says so."""
    gateway = start_gateway("--shards", 1)
    post(gateway, how, "geo", geo(1))
    settle(run, data_dir, how)
    gateway.stop()
    shutil.rmtree(data_dir / "log")
    for words in ("--dir", data_dir), ("--dir", data_dir.parent / "other", "--lake", data_dir / "lake"):
        answer = run("sql", *words, "--from", how, "--format", "json", "SELECT ind FROM geo")
        assert json.loads(answer.stdout) == [{"ind": 1}]
        assert "there is no log" in answer.stderr and "the tables alone" in answer.stderr


class Asking:
    """Questions in several threads at once, each of which must be right whatever happens meanwhile."""

    def __init__(self, ask, how):
        self.ask, self.how = ask, how
        self.acked, self.posted, self.done, self.asked = 0, 0, threading.Event(), 0

    def loop(self):
        last = 0
        while not self.done.is_set():
            before = self.acked
            sql = "SELECT count(*) AS n, count(DISTINCT (_partition, _offset)) AS different FROM geo_live"
            (row,) = self.ask(self.how, sql)
            assert row["n"] == row["different"], "doubled"
            assert before <= row["n"] <= self.posted, "missing"
            assert row["n"] >= last, "gone"
            last = row["n"]
            self.asked += 1

    def while_posting(self, gateway, of_gateway, count, at_least):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            loops = [pool.submit(self.loop) for _ in range(4)]
            try:
                while (self.posted < count or self.asked < at_least) and not any(one.done() for one in loops):
                    some = geo(*range(self.posted, self.posted + 20))
                    self.posted += 20
                    post(gateway, of_gateway, "geo", some)
                    self.acked += 20
                    time.sleep(0.01)    # paces the posts: a table of thousands of files is another test's
            finally:
                self.done.set()
            for one in loops:
                one.result()


def test_beside_a_stream(start, start_gateway, data_dir, ask):
    gateway = start_gateway("--shards", 4)
    start("stream", "--dir", data_dir, "--stream-age", "20ms")
    Asking(ask, "live").while_posting(gateway, "live", 1000, 24)


def test_beside_a_sink_and_batches(run, start, start_gateway, data_dir, ask):
    gateway = start_gateway("--partitions", 4)
    start("sink", "--dir", data_dir, "--flush-age", "20ms")
    asking = Asking(ask, "batch-live")

    def clean():
        while not asking.done.is_set():
            run("batch", "--dir", data_dir, status=None)
    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        asking.while_posting(gateway, "batch-live", 1000, 24)
    finally:
        cleaner.join()


def test_what_the_log_lets_go_of_meanwhile(pinpipe, start, start_gateway, run, data_dir, how):
    """A question that has seen the table as it was, and comes to the log when that has not got the rest any more."""
    if b"PINPIPE_FAILPOINTS: " not in pinpipe.read_bytes():  # what a wrong one is told
        pytest.skip("needs a program built with -Dfailpoints=true")
    short = {"PINPIPE_LOG_SEGMENT_BYTES": "1MiB", "PINPIPE_LOG_RETENTION": "1ms"}
    gateway = start_gateway("--shards", 1, env=short)
    topic = HOW[how][1] + "geo"
    post(gateway, how, "geo", geo(*range(5)))
    settle(run, data_dir, how)
    post(gateway, how, "geo", geo(*range(5, 500)))
    sql = "SELECT count(*) AS n, count(DISTINCT (_partition, _offset)) AS different FROM geo_live"
    asked = start("sql", "--dir", data_dir, "--from", how, "--format", "csv", sql,
                  env={"PINPIPE_FAILPOINTS": "live-log:stop@1"})
    await_that(lambda: "State:\tT" in pathlib.Path(f"/proc/{asked.pid}/status").read_text(), "the question's stop")
    settle(run, data_dir, how)

    def is_gone():
        for one in HOW:     # others' records roll the log, once they are taken
            post(gateway, one, "pin", [{"index": i, "description": "x" * 30000} for i in range(20)])
            run("stream" if one == "live" else "sink", "--until-end", "--dir", data_dir)
        return not run("cat", topic, "--dir", data_dir).stdout
    await_that(is_gone, "the end of the records")
    os.kill(asked.pid, signal.SIGCONT)
    asked.wait_for(r"(?m)^500,500\s*$")
    assert asked.process.wait(60) == 0
