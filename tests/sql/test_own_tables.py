"""A table is a file: what a user drops into models/ has everything that the three tables have."""

import json
import urllib.request

import pytest

from lake import ID

CLICKS = """-- title: Clicks
-- key: id
-- fields: id "User Name" AS user_name at_ms price
-- columns: id string, user_name string, at_ms long, price double
SELECT id, user_name, CAST(at_ms AS BIGINT) AS at_ms, as_double(price) AS price, _partition, _offset
FROM raw
"""
REVENUE = """-- title: Revenue of each user
-- chart: bar
SELECT user_name, count(*) AS clicks, sum(price) AS revenue FROM clicks GROUP BY user_name ORDER BY user_name
"""
BIG = 2**53 + 1  # what a double cannot hold
POSTED = [{"id": "a-1", "User Name": "Ann", "at_ms": BIG, "price": 1.5},
          {"id": "b-2", "User Name": "Bob", "at_ms": 2, "price": 2},
          {"id": "a-1", "User Name": "Ann", "at_ms": 3, "price": 4.25},
          {"User Name": "nobody"}]


@pytest.fixture
def own(models):
    (models / "clean" / "clicks.sql").write_text(CLICKS)
    (models / "analyses" / "revenue.sql").write_text(REVENUE)
    return models


def ask(gateway, path, method="GET", body=None, content_type="application/json"):
    """The answer's text; an error status raises."""
    request = urllib.request.Request(gateway.url + path, method=method, headers={"Content-Type": content_type},
                                     data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def post(gateway, topic, values):
    reply = json.loads(ask(gateway, f"/topics/{topic}", "POST", {"records": [{"value": value} for value in values]},
                           "application/vnd.kafka.json.v2+json"))
    assert reply["offsets"][-1]["error_code"] is None


def put(gateway, stream, value, key="p"):
    ask(gateway, f"/streams/{stream}/record", "PUT", {"StreamName": stream, "Data": value, "PartitionKey": key})


def rows(run, data_dir, models, sql, *words):
    return json.loads(run("sql", "--dir", data_dir, "--models", models, "--format", "json", *words, sql).stdout)


TYPOS = [{"index": 5, "titel": "typo", "title": "x"}, {"index": 6, "titel": "typo"}]


def test_fields_that_no_column_is_made_of_are_told(run, start_gateway, data_dir, own):
    """A mistyped field is the commonest mistake. Of a table without a key every field may be missing."""
    path = own / "clean" / "clicks.sql"
    path.write_text(path.read_text().replace("-- key: id\n", ""))
    gateway = start_gateway("--models", own)
    post(gateway, f"{ID}.pin", TYPOS)
    post(gateway, f"{ID}.clicks", [{"prise": 1, "price": 2}, {"prise": 1}])
    for value in TYPOS:
        put(gateway, f"streaming-{ID}-pin", value)
    words = ("--dir", data_dir, "--models", own)
    run("sink", *words, "--until-end")
    done = run("batch", *words, "--format", "json")
    report = json.loads(done.stdout)
    for table, name in (("pin", "titel"), ("clicks", "prise")):
        counts = report["tables"][table]
        assert (counts["rows"], counts["dead"], counts["unknown"]) == (1, 1, {name: 1})
    assert '{"titel":1}' in done.stderr
    history, = (data_dir / "lake" / "results" / "runs").iterdir()
    assert json.loads(history.read_text()) == report
    done = run("stream", *words, "--until-end")
    counts = json.loads(done.stdout)
    assert (counts["rows"]["pin"], counts["dead"]["pin"], counts["unknown"]) == (1, 1, {"titel": 1})
    assert done.stderr.count('{"titel":1}') == 1


def test_both_paths(run, start_gateway, data_dir, own):
    gateway = start_gateway("--models", own)
    post(gateway, f"{ID}.clicks", POSTED)
    for value in POSTED:
        put(gateway, f"streaming-{ID}-clicks", value)
    metrics = ask(gateway, "/metrics")
    assert f'pinpipe_topic_records_total{{topic="{ID}.clicks"}} 4\n' in metrics
    assert f'pinpipe_stream_records_total{{stream="streaming-{ID}-clicks"}} 4\n' in metrics
    words = ("--dir", data_dir, "--models", own)
    assert json.loads(run("sink", *words, "--until-end").stdout)["records"]["clicks"] == 4
    streamed = json.loads(run("stream", *words, "--until-end").stdout)
    assert streamed["rows"]["clicks"] == 3 and streamed["dead"]["clicks"] == 1
    report = json.loads(run("batch", *words, "--format", "json").stdout)
    assert report["tables"]["clicks"]["rows"] == 3 and report["tables"]["clicks"]["dead"] == 1
    assert report["analyses"]["revenue"]["rows"] == 2
    for path in ("batch", "stream"):
        current = rows(run, data_dir, own, "SELECT * FROM clicks ORDER BY id", "--from", path)
        assert current == [{"id": "a-1", "user_name": "Ann", "at_ms": 3, "price": 4.25},
                           {"id": "b-2", "user_name": "Bob", "at_ms": 2, "price": 2.0}]
        all_rows = rows(run, data_dir, own, "SELECT at_ms FROM clicks_all ORDER BY _offset", "--from", path)
        assert [row["at_ms"] for row in all_rows] == [BIG, 2, 3]
    answer = json.loads((data_dir / "lake" / "results" / "revenue.json").read_text())
    assert answer["rows"] == [["Ann", 1, 4.25], ["Bob", 1, 2.0]]
    checked = json.loads(run("check", *words, "--format", "json").stdout)
    there = {row["topic"]: row for row in checked}
    assert there[f"{ID}.clicks"]["rows"] == 3 and there[f"{ID}.clicks"]["dead"] == 1
    assert there[f"streaming-{ID}-clicks"]["rows"] == 3
    assert all(row["faults"] == 0 and row["behind"] == 0 for row in checked)


def test_a_table_without_a_key_has_only_current_rows(lake, own):
    (own / "clean" / "logs.sql").write_text(
        "-- title: Lines\n-- fields: line\n-- columns: line string\nSELECT line, _partition, _offset FROM raw\n")
    lake.put("logs", [{"line": "same"}, {"line": "same"}, {}, {"lien": "typo"}, {"line": "x", "level": 3}])
    report = lake.batch("--models", own)["tables"]["logs"]
    assert report["rows"] == 4 - 1 and report["dead"] == 2 and report["unknown"] == {"level": 1}
    assert lake.sql("SELECT line FROM logs ORDER BY line", "--models", own) == \
        [{"line": "same"}, {"line": "same"}, {"line": "x"}]
    assert "none of the fields of logs" in lake.letters("logs")["0", 2][0]


@pytest.mark.parametrize("kind, key, values", [
    ("int", "as_int(id)", [1, 2**31 - 1, -2**31]),
    ("long", "CAST(id AS BIGINT)", [1, 2**63 - 1, -2**63, 2**53 + 1]),
    ("string", "id", ["1", "2e0", "a b", "ü", " "]),
])
def test_keys_of_each_type(lake, own, kind, key, values):
    (own / "clean" / "things.sql").write_text(
        f"-- title: Things\n-- key: id\n-- fields: id n\n-- columns: n int, id {kind}\n"
        f"SELECT as_int(n) AS n, {key} AS id, _partition, _offset FROM raw\n")
    lake.put("things", [{"id": value, "n": n} for n in (1, 2) for value in values])
    assert lake.batch("--models", own)["tables"]["things"]["rows"] == 2 * len(values)
    current = lake.sql("SELECT id, n FROM things", "--models", own)
    assert sorted(row["id"] for row in current) == sorted(values) and {row["n"] for row in current} == {2}


def test_keys_that_do_not_fit(lake, own):
    (own / "clean" / "things.sql").write_text(
        "-- title: Things\n-- key: id\n-- fields: id\n-- columns: id long\n"
        "SELECT CAST(id AS BIGINT) AS id, _partition, _offset FROM raw\n")
    lake.put("things", [{"id": 2**63}, {"id": 1.5}, {"id": "x"}, {"id": ""}, {"id": 7}])
    assert lake.batch("--models", own)["tables"]["things"]["rows"] == 1
    reasons = [reason for reason, _ in lake.letters("things").values()]
    assert [("no 64-bit integer" in reason) for reason in reasons] == [True, True, True, False]


SHARED = "-- topic: everything\n-- stream: Kinesis-Prod-Stream\n"


def test_several_tables_of_one_stream(run, start_gateway, data_dir, models):
    """The course's newer form: one stream, and partition keys that end with the table's name."""
    for name in ("pin", "geo", "user"):
        path = models / "clean" / f"{name}.sql"
        path.write_text(SHARED + path.read_text())
    gateway = start_gateway("--models", models)
    records = [("1-pin", {"index": 1, "title": "t"}), ("1.geo", {"ind": 1, "country": "Peru"}),
               ("1_user", {"ind": 1, "first_name": "A", "last_name": "B"}), ("x", {"ind": 2, "country": "Chad"}),
               ("3_user", {"ind": 3}), ("4-pin", "not an object"), ("y", {"who": "knows"})]
    for key, value in records:
        put(gateway, "Kinesis-Prod-Stream", value, key)
    post(gateway, "everything", [value for _, value in records])
    words = ("--dir", data_dir, "--models", models)
    run("sink", *words, "--until-end")
    streamed = json.loads(run("stream", *words, "--until-end").stdout)
    assert streamed["rows"] == {"geo": 2, "pin": 1, "user": 2}
    assert streamed["dead"] == {"geo": 1, "pin": 1, "user": 0}
    report = json.loads(run("batch", *words, "--format", "json").stdout)["tables"]
    assert {name: (table["rows"], table["dead"]) for name, table in report.items()} == \
        {"geo": (2, 3), "pin": (1, 0), "user": (1, 0)}
    users = rows(run, data_dir, models, "SELECT ind FROM user ORDER BY 1", "--from", "stream")
    assert users == [{"ind": 1}, {"ind": 3}]
    checked = json.loads(run("check", *words, "--format", "json").stdout)
    assert {row["topic"]: (row["rows"], row["dead"], row["behind"], row["faults"]) for row in checked} == \
        {"everything": (4, 3, 0, 0), "Kinesis-Prod-Stream": (5, 2, 0, 0)}


def test_tables_of_one_stream_may_be_apart(run, start_gateway, data_dir, models):
    """One table is new: it begins at the beginning, and the others get nothing twice."""
    geo = models / "clean" / "geo.sql"
    text = SHARED + geo.read_text()
    geo.write_text(text)
    gateway = start_gateway("--models", models)
    words = ("--dir", data_dir, "--models", models)
    put(gateway, "Kinesis-Prod-Stream", {"ind": 1, "country": "Peru"})
    put(gateway, "Kinesis-Prod-Stream", {"index": 1, "title": "t"})
    assert json.loads(run("stream", *words, "--until-end").stdout)["dead"]["geo"] == 1
    pin = models / "clean" / "pin.sql"
    pin.write_text(SHARED + pin.read_text())
    put(gateway, "Kinesis-Prod-Stream", {"ind": 2, "country": "Chad"})
    streamed = json.loads(run("stream", *words, "--until-end").stdout)
    assert streamed["rows"]["geo"] == 1 and streamed["rows"]["pin"] == 1
    streamed = json.loads(run("stream", *words, "--until-end").stdout)
    assert sum(streamed["rows"].values()) == 0 and streamed["commits"] == 0


def test_a_table_joins_a_topic_that_has_letters(run, start_gateway, data_dir, models):
    """Both bury the same record, each when it is the first of those that share the topic."""
    def write(name, fields):
        (models / "clean" / f"{name}.sql").write_text(
            f"-- title: {name}\n-- fields: {' '.join(fields)}\n-- topic: mix\n-- stream: mixs\n-- columns: "
            f"{', '.join(field + ' string' for field in fields)}\n"
            f"SELECT {', '.join(fields)}, _partition, _offset FROM raw\n")
    write("zeta", ["url", "ref"])
    gateway = start_gateway("--models", models)
    words = ("--dir", data_dir, "--models", models)
    def land():
        run("sink", *words, "--until-end")
        streamed = json.loads(run("stream", *words, "--until-end").stdout)
        return json.loads(run("batch", *words, "--format", "json").stdout)["tables"], streamed
    for value in ({"bogus": 1}, {"url": "/a"}):
        put(gateway, "mixs", value)
        post(gateway, "mix", [value])
    land()
    write("alpha", ["lat", "lon"])
    for value in ({"bogus": 2}, {"lat": "1"}):
        put(gateway, "mixs", value)
        post(gateway, "mix", [value])
    batched, streamed = land()
    assert batched["alpha"]["rows"] == streamed["rows"]["alpha"] == 1
    assert batched["alpha"]["dead"] == streamed["dead"]["alpha"] == 2
    assert batched["zeta"]["rows"] == streamed["rows"]["zeta"] == 0
    batched, streamed = land()
    assert sum(table["commits"] for table in batched.values()) == streamed["commits"] == 0


@pytest.mark.parametrize("name, text, said", [
    ("Pin", "-- title: P\n-- fields: a\n-- columns: a int\nSELECT 1", "would be one to SQL"),
    ("pin_all", "-- title: P\n-- fields: a\n-- columns: a int\nSELECT 1", "would be one to SQL"),
    ("raw", "-- title: P\n-- fields: a\n-- columns: a int\nSELECT 1", "cannot be called"),
    ("a b", "-- title: P\n-- fields: a\n-- columns: a int\nSELECT 1", "a model's name has letters"),
    ("x" * 120, "-- title: P\n-- fields: a\n-- columns: a int\nSELECT 1", "at most 100"),
    ("k", "-- title: P\n-- key: id\n-- fields: id\n-- columns: a int\nSELECT 1", "k.sql:2: the key"),
])
def test_models_that_are_refused(run, data_dir, models, name, text, said):
    (models / "clean" / f"{name}.sql").write_text(text)
    (data_dir / "lake").mkdir(parents=True)
    for words in (["batch"], ["stream", "--until-end"], ["models"], ["models", "--check"]):
        where = () if words[0] == "models" else ("--dir", data_dir)
        refused = run(*words, *where, "--models", models, status=1)
        assert said in refused.stderr
    assert {path.name for path in (data_dir / "lake" / "tables").iterdir()} >= {
        f"{ID}_{table}_{kind}" for table in ("geo", "user") for kind in ("clean", "table")}


def test_a_stream_without_a_model_is_told(run, start_gateway, data_dir):
    """Its records are in the log only; check says so."""
    gateway = start_gateway("--auto-create", "any")
    put(gateway, "other", {"a": 1})
    checked = run("check", "--dir", data_dir, "--format", "json")
    assert "no model reads the stream \"other\": its 1 records are in the log only" in checked.stderr
