"""A model that changed: what becomes of the tables that it made, and `pinpipe rebuild`."""
import json
import threading
import time
import urllib.request

import pytest

ID = "124df56aef51"
CLICKS = """-- title: Clicks
-- key: id
-- fields: id moment amount{fields}
-- columns: id int, moment string, amount {amount}{columns}
SELECT as_int(id) AS id, moment, {amount_sql} AS amount{sql} FROM raw
"""


def put_model(models, fields="", columns="", sql="", amount="int", amount_sql="as_int(amount)"):
    """The model of a table of one's own, in one of its shapes."""
    text = CLICKS.format(fields=fields, columns=columns, sql=sql, amount=amount, amount_sql=amount_sql)
    lines = text.splitlines()
    lines[-1] = lines[-1].replace(" FROM raw", ", _partition, _offset FROM raw")
    (models / "clean" / "clicks.sql").write_text("\n".join(lines) + "\n")


def with_page(models):
    put_model(models, " page", ", page string", ", page")


@pytest.fixture
def clicks(models):
    put_model(models)
    return models


def values(first, count):
    return [{"id": i, "moment": f"t{i}", "amount": str(i), "page": f"/{i}"} for i in range(first, first + count)]


def post(gateway, records):
    """To one shard of the stream."""
    body = json.dumps({"records": [{"data": json.dumps(r), "partition-key": "k"} for r in records]}).encode()
    request = urllib.request.Request(f"{gateway.url}/streams/streaming-{ID}-clicks/records", method="PUT", data=body,
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        assert json.load(reply)["FailedRecordCount"] == 0


def post_to_topic(gateway, records):
    body = json.dumps({"records": [{"value": value} for value in records]}).encode()
    urllib.request.urlopen(urllib.request.Request(
        f"{gateway.url}/topics/{ID}.clicks", data=body,
        headers={"Content-Type": "application/vnd.kafka.json.v2+json"})).close()


def stream(lake, models, **options):
    return lake.run("stream", "--dir", lake.dir, "--models", models, "--until-end", **options)


def rebuild(lake, models, *words, **options):
    result = lake.run("rebuild", "clicks", "--dir", lake.dir, "--models", models, "--format", "json", *words, **options)
    return {row["path"]: row for row in json.loads(result.stdout)} if result.returncode == 0 else result


def rows(lake, models, path="batch", what="*"):
    return lake.sql(f"SELECT {what} FROM clicks_all ORDER BY id", "--models", models, "--from", path)


def commits(lake, path="clean"):
    log = lake.dir / "lake" / "tables" / f"{ID}_clicks_{path}" / "_delta_log"
    return [[json.loads(line) for line in commit.read_text().splitlines()] for commit in sorted(log.glob("*.json"))
            if not commit.name.startswith("_")]


def check(lake, models, **options):
    return lake.run("check", "--dir", lake.dir, "--models", models, **options)


def places(lake):
    """(offset, reason) of the letters of clicks, of the batch."""
    return sorted((offset, reason) for (_, offset), (reason, _) in lake.letters("clicks").items())


def await_that(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_new_column_by_batch(lake, clicks):
    lake.put("clicks", values(0, 10))
    lake.batch("--models", clicks)
    with_page(clicks)
    lake.put("clicks", values(10, 5), start=10)
    before = len(commits(lake))
    lake.batch("--models", clicks)
    found = rows(lake, clicks)
    assert [row["page"] for row in found] == [None] * 10 + [f"/{i}" for i in range(10, 15)]
    new = commits(lake)[before:]
    assert [sum("metaData" in action for action in commit) for commit in new] == [1, 0]
    assert not any("remove" in action for commit in new for action in commit)


def test_new_column_by_stream(lake, clicks, start_gateway):
    gateway = start_gateway("--shards", 1, "--models", clicks)
    post(gateway, values(0, 10))
    stream(lake, clicks)
    with_page(clicks)
    post(gateway, values(10, 5))
    before = len(commits(lake, "table"))
    stream(lake, clicks)
    assert [row["page"] for row in rows(lake, clicks, "stream")] == [None] * 10 + [f"/{i}" for i in range(10, 15)]
    assert [sum("metaData" in action for action in commit) for commit in commits(lake, "table")[before:]] == [1, 0]


@pytest.mark.parametrize("change", ["went", "retyped"])
def test_other_changes_are_refused(lake, clicks, start_gateway, change):
    """The table is named, and what to do; the other tables and the analyses are as if it were not there."""
    gateway = start_gateway("--shards", 1, "--models", clicks)
    post(gateway, values(0, 3))
    stream(lake, clicks)
    with_page(clicks)
    lake.put("clicks", values(0, 3))
    lake.batch("--models", clicks)
    stream(lake, clicks)
    if change == "went":
        put_model(clicks)
    else:
        put_model(clicks, " page", ", page int", ", as_int(page) AS page")
    lake.put("clicks", values(3, 3), start=3)
    lake.put("user", [{"ind": 1, "first_name": "A", "last_name": "B", "age": "3", "date_joined": "2020-01-01"}])
    failed = lake.batch("--models", clicks, status=None)
    assert failed.returncode > 0
    assert '"page"' in failed.stderr and "pinpipe rebuild clicks" in failed.stderr
    report = json.loads(failed.stdout)
    assert "page" in report["tables"]["clicks"]["error"] and report["tables"]["clicks"]["commits"] == 0
    assert report["tables"]["user"]["rows"] == 1 and "error" not in report["tables"]["user"]
    assert report["analyses"] and not [a for a in report["analyses"].values() if "error" in a]
    assert len(rows(lake, clicks, what="id")) == 3
    post(gateway, values(3, 3))
    failed = stream(lake, clicks, status=None)
    assert failed.returncode > 0 and '"page"' in failed.stderr and "pinpipe rebuild clicks" in failed.stderr
    assert json.loads(failed.stdout)["rows"]["clicks"] == 0


def test_rebuild_on_both_paths(lake, clicks, start_gateway):
    """Rows by today's model, progress and letters as if it had always been so."""
    gateway = start_gateway("--shards", 1, "--models", clicks)
    bad = [{"id": "x", "page": "no key"}]
    post(gateway, values(0, 20) + bad)
    stream(lake, clicks)
    for start in (0, 21):
        lake.put("clicks", values(start, 20) + bad, start)
    lake.batch("--models", clicks)
    put_model(clicks, " page", ", page string", ", page", amount="double", amount_sql="as_double(amount) / 2")
    done = rebuild(lake, clicks)
    assert {path: (row["rows_before"], row["rows_after"], row["kept"], row["dropped"], row["dead"])
            for path, row in done.items()} == {"batch": (40, 40, 0, 0, 2), "stream": (20, 20, 0, 0, 1)}
    for path in ("batch", "stream"):
        for row in rows(lake, clicks, path):
            assert (row["amount"], row["page"]) == (row["id"] / 2, f"/{row['id']}")
    assert [offset for offset, _ in places(lake)] == [20, 41]
    post(gateway, values(100, 5))
    lake.put("clicks", values(100, 5), start=42)
    assert lake.batch("--models", clicks)["tables"]["clicks"]["rows"] == 5
    assert json.loads(stream(lake, clicks).stdout)["rows"]["clicks"] == 5
    assert len(rows(lake, clicks)) == 45 and len(rows(lake, clicks, "stream")) == 25
    assert not [path for path in (lake.dir / "lake" / "tables").glob("*/_rebuild/**/*") if path.is_file()]


def test_check_finds_nothing(lake, clicks, start_gateway):
    """Posts to both paths; every offset once, before and after, and nothing is cleaned twice."""
    gateway = start_gateway("--shards", 1, "--models", clicks)
    mixed = values(0, 30) + [{"id": "x"}] * 5
    post(gateway, mixed)
    post_to_topic(gateway, mixed)
    lake.run("sink", "--dir", lake.dir, "--models", clicks, "--until-end", "--flush-size", 10)
    lake.batch("--models", clicks)
    stream(lake, clicks)
    with_page(clicks)
    for _ in range(2):
        done = rebuild(lake, clicks)
        assert {(row["rows_before"], row["rows_after"], row["dead"]) for row in done.values()} == {(30, 30, 5)}
        check(lake, clicks)
    assert lake.batch("--models", clicks)["tables"]["clicks"]["rows"] == 0
    assert json.loads(stream(lake, clicks).stdout)["rows"]["clicks"] == 0
    check(lake, clicks)


def test_letters_are_cleaned_again(lake, clicks, start_gateway):
    """What a mended model reads is a row; what it does not read any more is a letter."""
    good, other = {"id": 1, "moment": "a", "amount": "1"}, {"ident": 2, "moment": "b", "amount": "2"}
    gateway = start_gateway("--shards", 1, "--models", clicks)
    post(gateway, [good, other])
    stream(lake, clicks)
    lake.put("clicks", [good, other])
    lake.batch("--models", clicks)
    assert [offset for offset, _ in places(lake)] == [1]
    path = clicks / "clean" / "clicks.sql"
    path.write_text(path.read_text().replace("key: id", "key: ident AS id").replace("fields: id", "fields: ident")
                    .replace("as_int(id)", "as_int(ident)"))
    done = rebuild(lake, clicks)
    assert all((row["rows_after"], row["dead"]) == (1, 1) for row in done.values())
    assert [row["id"] for row in rows(lake, clicks)] == [2] == [row["id"] for row in rows(lake, clicks, "stream")]
    assert [offset for offset, _ in places(lake)] == [0]
    letters = json.loads(lake.run("dlq", f"streaming-{ID}-clicks", "--dir", lake.dir, "--format", "json").stdout)
    assert [json.loads(letter["value"])["id"] for letter in letters] == [1]


def dead_of(lake, topic):
    letters = json.loads(lake.run("dlq", topic, "--dir", lake.dir, "--format", "json").stdout)
    return [json.loads(letter["value"])["id"] for letter in letters]


@pytest.mark.parametrize("marker", ["ours", "of an older program"])
def test_what_a_replay_mended_is_a_letter_again(lake, clicks, start_gateway, marker):
    """A letter that a replay made a row, of a model that then fails at it once more: no row, so a letter; and the next
    replay may mend it again."""
    both = [{"id": 1, "moment": "a", "amount": "1"}, {"id": 2, "moment": "b", "amount": "two"}]
    topics = f"{ID}.clicks", f"streaming-{ID}-clicks"
    put_model(clicks, amount_sql="CAST(amount AS INTEGER)")
    gateway = start_gateway("--shards", 1, "--models", clicks)
    post(gateway, both)
    post_to_topic(gateway, both)
    lake.run("sink", "--dir", lake.dir, "--models", clicks, "--until-end")

    def replay():
        put_model(clicks)
        done = json.loads(lake.run("dlq", "replay", "--dir", lake.dir, "--models", clicks, "--format", "json").stdout)
        assert (done[0]["rows"], done[0]["dead"]) == (2, 0)
        assert [dead_of(lake, topic) for topic in topics] == [[], []]
        for path in ("batch", "stream"):
            assert [row["id"] for row in rows(lake, clicks, path)] == [1, 2]
        check(lake, clicks)
    stream(lake, clicks)
    lake.batch("--models", clicks)
    assert [dead_of(lake, topic) for topic in topics] == [[2], [2]]
    replay()
    markers = list((lake.dir / "lake" / "dlq").glob("*/replayed/*.json"))
    if marker != "ours":
        for file in markers:
            file.write_text(file.read_text().replace('"rebuild":-1,', ""))
        assert [dead_of(lake, topic) for topic in topics] == [[], []]
    put_model(clicks, amount_sql="CAST(amount AS INTEGER)")
    assert all((row["rows_after"], row["dead"]) == (1, 1) for row in rebuild(lake, clicks).values())
    assert [dead_of(lake, topic) for topic in topics] == [[2], [2]]
    check(lake, clicks)
    replay()


@pytest.mark.parametrize("drop", [False, True])
def test_unreachable_rows(lake, clicks, drop):
    """The objects of the lake's beginning are gone: their rows stay, cast where that can be, and their letters."""
    words = [{"id": 5, "amount": "5", "page": "7"}, {"id": 6, "amount": "6", "page": "seven"}, "no row"]
    put_model(clicks, " page", ", page string", ", page")
    first = lake.put("clicks", words)
    lake.put("clicks", values(10, 4), start=3)
    lake.batch("--models", clicks)
    first.unlink()
    put_model(clicks, " page", ", page int", ", as_int(replace(page, '/', '')) AS page")
    done = rebuild(lake, clicks, *["--drop-unreachable"] * drop)["batch"]
    assert (done["rows_before"], done["rows_after"], done["kept"], done["dropped"], done["dead"]) == \
        ((6, 4, 0, 2, 1) if drop else (6, 6, 2, 0, 1))
    found = [(row["id"], row["page"]) for row in rows(lake, clicks)]
    assert found == [(5, 7), (6, None)] * (not drop) + [(i, i) for i in range(10, 14)]
    assert [offset for offset, _ in places(lake)] == [2]
    again = rebuild(lake, clicks)["batch"]
    assert (again["rows_after"], again["dead"]) == (done["rows_after"], 1)
    assert lake.batch("--models", clicks)["tables"]["clicks"]["rows"] == 0


def test_holes_in_the_middle(lake, clicks):
    lake.put("clicks", values(0, 3))
    middle = lake.put("clicks", values(3, 3), start=3)
    lake.put("clicks", values(6, 3), start=6)
    lake.batch("--models", clicks)
    middle.unlink()
    with_page(clicks)
    done = rebuild(lake, clicks)["batch"]
    assert (done["rows_after"], done["kept"]) == (9, 3)
    assert [row["page"] for row in rows(lake, clicks)] == ["/0", "/1", "/2", None, None, None, "/6", "/7", "/8"]


def test_a_column_that_went(lake, clicks):
    with_page(clicks)
    gone = lake.put("clicks", values(0, 3))
    lake.put("clicks", values(3, 3), start=3)
    lake.batch("--models", clicks)
    gone.unlink()
    put_model(clicks)
    assert rebuild(lake, clicks)["batch"]["kept"] == 3
    assert [row["id"] for row in rows(lake, clicks)] == list(range(6))
    assert "page" not in rows(lake, clicks)[0]
    schema = [action["metaData"]["schemaString"] for commit in commits(lake) for action in commit
              if "metaData" in action][-1]
    assert "page" not in schema


def test_a_stream_made_anew_is_another(lake, clicks, start_gateway):
    """Rows of a stream that was deleted since are not in the log any more."""
    gateway = start_gateway("--shards", 1, "--models", clicks)
    post(gateway, values(0, 4))
    stream(lake, clicks)
    name = f"streaming-{ID}-clicks"
    urllib.request.urlopen(urllib.request.Request(f"{gateway.url}/streams/{name}", method="DELETE")).close()
    post(gateway, values(10, 4))
    stream(lake, clicks)
    with_page(clicks)
    done = rebuild(lake, clicks, "--from", "stream")
    assert list(done) == ["stream"] and (done["stream"]["rows_after"], done["stream"]["kept"]) == (8, 4)
    assert [row["page"] for row in rows(lake, clicks, "stream")] == [None] * 4 + [f"/{i}" for i in range(10, 14)]


def test_bad_words(lake, clicks):
    assert "no pinpipe data" in rebuild(lake, clicks, status=None).stderr
    lake.put("clicks", values(0, 1))
    assert "no clean model" in rebuild_of(lake, "nothing", clicks)
    assert "--from" in rebuild_of(lake, "clicks", clicks, "--from", "elsewhere")
    assert rebuild(lake, clicks) == {}
    asked = lake.run("sql", "--dir", lake.dir, "--from", "both", "SELECT 1", status=2)
    assert "asked of one" in asked.stderr


def rebuild_of(lake, name, models, *words):
    return lake.run("rebuild", name, "--dir", lake.dir, "--models", models, *words, status=2).stderr


def test_not_beside_a_running_stream(lake, clicks, start):
    service = start("stream", "--dir", lake.dir, "--models", clicks)
    lock = lake.dir / "stream.lock"
    await_that(lambda: lock.exists() and lock.read_text().strip())
    assert service.process.poll() is None
    failed = rebuild(lake, clicks, status=None)
    assert failed.returncode > 0 and "stream" in failed.stderr


def test_readers_see_all_or_all(lake, clicks):
    """A reader beside it sees the old rows or the new."""
    for start in range(0, 50, 10):
        lake.put("clicks", values(start, 10), start)
    lake.batch("--models", clicks)
    put_model(clicks, amount_sql="as_int(amount) + 1000")
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            found = rows(lake, clicks)
            seen.add((len(found), min(row["amount"] - row["id"] for row in found),
                      max(row["amount"] - row["id"] for row in found)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            rebuild(lake, clicks)
    finally:
        done.set()
        reader.join()
    assert seen and seen <= {(50, 0, 0), (50, 1000, 1000)}


def test_models_that_change_under_up(lake, clicks, start):
    """Told once; batch has the new column at its next run, the stream goes on with what it began with."""
    up = start("up", "--listen", "127.0.0.1:0", "--dir", lake.dir, "--models", clicks, "--batch-every", "200ms")
    up.wait_for(r"listens on|http://")
    with_page(clicks)
    up.wait_for("the stream takes them at its next start")
    log = lake.dir / "lake" / "tables" / f"{ID}_clicks_clean" / "_delta_log"

    def logged(word):
        return word in "".join(path.read_text() for path in log.glob("0*.json"))

    await_that(lambda: logged("page"))
    lake.put("clicks", values(0, 3))
    await_that(lambda: logged('"add"'))
    assert [row["page"] for row in rows(lake, clicks)] == ["/0", "/1", "/2"]
    up.stop()
    assert up.said().count("at its next start") == 1
