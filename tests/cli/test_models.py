"""pinpipe models: the list, the check, and models made out of sample records that work as they are."""

import json
import re
import shlex
import shutil
import subprocess
import urllib.request

import pytest

from conftest import TOP, clean_environment

ID = "124df56aef51"


@pytest.fixture
def models(tmp_path):
    """A copy of the models, to add to."""
    return shutil.copytree(TOP / "models", tmp_path / "models")


@pytest.fixture
def new(run, models):
    """new("clicks", records): what it says; the file's text is in .model."""
    def make(name, sample, status=0):
        text = sample if isinstance(sample, bytes) else json.dumps(sample).encode()
        said = run("models", "new", name, "--models", models, stdin=text, status=status)
        path = models / "clean" / f"{name}.sql"
        said.model = path.read_text() if path.exists() else None
        return said
    return make


def header(model):
    """The words of a model's header, joined over their lines."""
    lines = re.sub(r"\n--  +", " ", model)
    return dict(re.findall(r"^-- (\w+): (.*)$", lines, re.M))


def columns(model):
    return dict(column.split() for column in header(model)["columns"].split(", "))


# Samples of the kinds that real ones are of: mixed types, nulls, blanks in names, nesting, missing fields.
FILMS = [
    {"Title": "One", "US Gross": 146083, "World Gross": 3000000000, "Running Time min": None, "Rating": 6.1,
     "Votes": 1071, "Release Date": "Jun 12 1998", "Director": None},
    {"Title": 12, "US Gross": None, "World Gross": 10876, "Running Time min": 90, "Rating": 7, "Votes": None,
     "Release Date": "1999", "Director": "A \"B\" O'C"},
    {"Title": "One", "US Gross": 0, "World Gross": 0, "Running Time min": "", "Rating": None, "Votes": 0,
     "Release Date": None, "Director": ""},
]
QUAKES = [{"type": "Feature", "id": f"us{i}", "properties": {"mag": i / 2, "ids": [f"us{i}", None]},
           "geometry": {"type": "Point", "coordinates": [1.5, -2.5, i]} if i else None} for i in range(4)]
EVENTS = [
    {"action": "opened", "issue": {"id": 1, "labels": [{"name": "x", "deep": [[[{}]]]}]}, "sender": {"id": 5}},
    {"action": "closed", "repository": {"id": 2**40, "private": False}, "sender": {"id": 5}, "forced": True},
    {"action": None, "when_at": "2021-08-06T13:18:05Z"},
]
WORDS = [{"order": i, "select": "a", "End": None, "timestamp": "2020-01-02 03:04:05", "user": "u", "values": [i],
          "_partition": "p", "_offset": 7, "a-b": i, "a_b": i, "A_B": i, "2fa": True, "Über": 1.5, 'q"t': "x",
          "raw": i, "date": "d", "time": i, "line\nbreak": 1, "": 2, "camelCase": 3, "HTTPCode": 200}
         for i in range(3)]
SAMPLES = {"films": FILMS, "quakes": QUAKES, "events": EVENTS, "words": WORDS, "one": [{"id": 5, "x": "y"}],
           "keys": [{"key": "k" * n, "n": 2**60 + n, "d": 1e300, "b": n > 1} for n in range(1, 4)]}


def test_types_and_names(new):
    films = new("films", FILMS).model
    assert columns(films) == {
        "title": "string", "us_gross": "long", "world_gross": "long", "running_time_min": "long", "rating": "double",
        "votes": "long", "release_date": "string", "director": "string"}
    assert header(films)["fields"].startswith('"Title" AS title "US Gross" AS us_gross ')
    assert "key" not in header(films) and "as_long(world_gross) AS world_gross" in films
    assert columns(new("quakes", QUAKES).model) == dict.fromkeys(("type", "id", "properties", "geometry"), "string")
    assert columns(new("events", EVENTS).model) == {
        "action": "string", "issue": "string", "sender": "string", "repository": "string", "forced": "boolean",
        "when_at": "timestamp"}
    words = columns(new("words", WORDS).model)
    assert list(words) == [
        "order_", "select_", "end_", "timestamp", "user", "values_", "partition", "offset_", "a_b_2", "a_b",
        "a_b_3", "n_2fa", "ber", "q_t", "raw_", "date", "time_", "camel_case", "http_code"]
    assert words["timestamp"] == "timestamp"


@pytest.mark.parametrize("records, key", [
    ([{"x": 1, "id": 2}, {"x": 1, "id": 3}], "id"),
    ([{"x": 1, "index": 2, "unique_id": "a"}, {"x": 1, "index": 3, "unique_id": "b"}], "index"),
    ([{"user_id": 2, "table_id": 5}, {"user_id": 3, "table_id": 6}], "table_id"),  # its own name's
    ([{"userId": "a", "id": 1}, {"userId": "b", "id": 1}], "user_id"),  # id repeats
    ([{"id": 1}, {"id": None}], None),
    ([{"id": 1}, {"x": 1}], None),
    ([{"id": ""}, {"id": "x"}], None),
    ([{"id": 1.5}, {"id": 2.5}], None),
    ([{"id": True}, {"id": False}], None),
    ([{"id": {"$oid": "a"}}, {"id": {"$oid": "b"}}], None),
    ([{"id": 1}, {"id": "1"}], None),  # one text
    ([{"id": 1}, {"id": "a"}], "id"),
    ([{"id": 2**40}, {"id": 1}], "id"),
    ([{"id": "2020-01-01 00:00:00"}, {"id": "2020-01-01 00:00:01"}], None),
    ([{"paid": 1, "monkey": 2}, {"paid": 2, "monkey": 3}], None),  # they only end in the letters
    ([{"session_id": 1}], None),  # one record shows nothing
    ([{"id": 1}], "id"),
])
def test_keys(new, records, key):
    assert header(new("table1" if key != "table_id" else "tables", records).model).get("key") == key


@pytest.mark.parametrize("sample", [
    b'{"id":1,"a":"x"}\n\n{"id":2}\r\n', b'[{"id":1,"a":"x"},{"id":2}]', b'\xef\xbb\xbf{"id":1,\n "a":"x"}\n',
    b'  \n[\n{"id":1,"a":null}\n]'])
def test_shapes_of_a_sample(new, sample):
    assert list(columns(new("clicks", sample).model)) == ["id", "a"]


@pytest.mark.parametrize("sample, said", [
    (b"", "there are no sample records"), (b"[]", "there are no sample records"),
    (b"5", "a record is a JSON object"), (b'[{"a":1},2]', "record 2 of the sample: a record is a JSON object"),
    (b'{"a":1}\n{"a":\n', "line 2 of the sample: not JSON"), (b"{}", "no field that a model could name"),
    (b'{"a":1,"a":2}', '"a" stands in it twice'),
    (json.dumps({f"f{i}": i for i in range(2000)}).encode(), "more than 900 fields"),
])
def test_samples_that_tell_nothing(new, sample, said):
    result = new("clicks", sample, status=None)
    assert result.returncode in (1, 2) and said in result.stderr and result.model is None


def test_names_that_are_none_and_files_that_are_there(new, models):
    for name in ("order", "2x", "a-b", "a b", "../x", "x" * 61):
        assert "is no name for a table" in new(name, [{"a": 1}], status=2).stderr
    for name in ("main", "answer", "Pin"):  # the engine's own, and one that is there
        assert new(name, [{"a": 1}], status=2).model is None
    before = new("clicks", [{"a": 1}]).model
    assert "is there already" in new("clicks", [{"b": 1}], status=1).stderr
    assert (models / "clean" / "clicks.sql").read_text() == before
    assert not list((models / "clean").glob(".*"))


def post(url, path, content_type, method, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": content_type},
                                     method=method)
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def post_both(url, name, records):
    post(url, f"/topics/{ID}.{name}", "application/vnd.kafka.json.v2+json", "POST",
         {"records": [{"value": record} for record in records]})
    stream = f"streaming-{ID}-{name}"
    told = post(url, f"/streams/{stream}/records", "application/json", "PUT",
                {"StreamName": stream, "records": [{"data": json.dumps(r), "partition-key": "p"} for r in records]})
    assert told["FailedRecordCount"] == 0


def curls(said, url):
    """The two commands that it prints, to this gateway."""
    found = re.findall(r"^    (curl .*\\\n.*\\\n.*)$", said, re.M)
    return [command.replace("http://127.0.0.1:8082", url) for command in found]


def texts(model):
    """field -> column"""
    fields = re.findall(r'(?:"((?:[^"]|"")*)"|(\S+))(?: AS (\S+))?', header(model)["fields"])
    return {quoted.replace('""', '"') or name: alias or name for quoted, name, alias in fields}


def test_models_work_unedited_on_both_paths(new, run, start_gateway, data_dir, models):
    """What was posted is there in every column: no dead letter, no value that could not be read."""
    made = {name: new(name, records) for name, records in SAMPLES.items()}
    where = ("--dir", data_dir, "--models", models)
    gateway = start_gateway("--models", models)
    for name, records in SAMPLES.items():
        post_both(gateway.url, name, records)
        commands = curls(made[name].stdout, gateway.url)
        assert len(commands) == 2
        for command in commands:
            assert shlex.split(command)[0] == "curl"
            done = subprocess.run(["sh", "-c", f"{command} -s -o /dev/null -w '%{{http_code}}'"],
                                  capture_output=True, text=True, env=clean_environment(), check=False)
            assert done.stdout == "200", command
    gateway.stop()
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", *where)
    streamed = json.loads(run("stream", "--until-end", *where).stdout)
    assert not any(streamed["dead"].values()) and not any(streamed["unreadable"].values())
    assert json.loads(run("dlq", "--dir", data_dir, "--format", "json").stdout) == []
    run("check", *where)
    for side in ("batch", "stream"):
        for name, records in SAMPLES.items():
            rows = json.loads(run("sql", *where, "--from", side, "--format", "json",
                                  f"SELECT * FROM {name}_all ORDER BY _offset").stdout)
            assert len(rows) == len(records) + 1  # and the one of curl
            for record, row in zip(records, rows):
                for field, column in texts(made[name].model).items():
                    assert (row[column] is None) == (record.get(field) in (None, "")), (name, field, row)
    films = json.loads(run("sql", *where, "--format", "json", "SELECT * FROM films").stdout)
    assert {film["world_gross"] for film in films} == {3000000000, 10876, 0}
    assert {film["title"] for film in films} == {"One", "12"}
    current = json.loads(run("sql", *where, "--format", "json", "SELECT n, key FROM keys").stdout)
    assert sorted((row["n"], row["key"]) for row in current) == [(2**60 + n, "k" * n) for n in (1, 2, 3)]


@pytest.mark.parametrize("name", ["pin", "geo", "user"])
def test_real_rows(new, shared, name):
    lines = (shared / f"{name}.ndjson").read_bytes().splitlines(keepends=True)[:500]
    made = new(f"my_{name}", b"".join(lines)).model
    assert header(made)["key"] == ("index" if name == "pin" else "ind")
    assert set(texts(made)) == set(json.loads(lines[0]))


def test_the_list(run, models):
    (models / "analyses" / "twice.sql").write_text(
        "-- title: T\nWITH x AS (SELECT 'FROM geo' AS geo FROM pin_all) SELECT geo FROM x JOIN user USING (geo)\n")
    (models / "clean" / "clicks.sql").write_text(
        '-- title: Clicks\n-- key: click AS id\n-- fields: click "a b" AS ab\n-- columns: id long, ab string\n'
        "-- topic: shared.{id}\nSELECT as_long(click) AS id, ab, _partition, _offset FROM raw\n")
    listed = {row["name"]: row for row in json.loads(run("models", "--models", models, "--format", "json").stdout)}
    assert listed["clicks"] == {
        "kind": "table", "name": "clicks", "title": "Clicks", "topic": f"shared.{ID}",
        "stream": f"streaming-{ID}-clicks", "clean_table": f"tables/{ID}_clicks_clean",
        "stream_table": f"tables/{ID}_clicks_table", "key": "click AS id", "columns": "id long, ab string",
        "reads": None, "file": f"{models}/clean/clicks.sql"}
    assert listed["twice"]["kind"] == "analysis" and listed["twice"]["reads"] == "pin_all, user"
    assert listed["users_joined_by_year"]["reads"] == "user"
    assert "Clicks" in run("models", "--models", models, "--format", "table").stdout
    assert run("models", "--models", models, "--format", "csv").stdout.startswith("kind,name,title,topic")


def test_the_check_tells_every_fault(run, models):
    assert "3 tables and 8 analyses are sound" in run("models", "--check", "--models", models).stderr
    (models / "clean" / "bad.sql").write_text(
        "-- titel: x\n-- key: nope\n-- fields: a b a\n-- columns: a int, b wide\nSELECT 1\n")
    (models / "clean" / "worse.sql").write_text("-- title: W\n-- fields: a\n-- columns: a int\n")
    (models / "clean" / "pin_all.sql").write_text((models / "clean" / "pin.sql").read_text())
    (models / "analyses" / "pie.sql").write_text("-- title: x\n-- chart: pie\nSELECT 1\n")
    (models / "analyses" / "nopin.sql").write_text("-- title: x\n\nSELECT\n\tno_such\nFROM geo\n")
    (models / "clean" / "copies.sql").write_text(
        "-- title: x\n-- fields: a\n-- columns: a int\nCOPY raw TO '/tmp/x'\n")
    (models / "clean" / "short.sql").write_text(
        "-- title: x\n-- fields: a\n-- columns: a int\nSELECT as_int(b) AS a, _partition, _offset FROM raw\n")
    said = run("models", "--check", "--models", models, status=1).stderr
    for fault in ('clean/bad.sql:1: no such header line: "titel"', 'clean/bad.sql:1: the header lacks "-- title',
                  'clean/bad.sql:3: field "a" is named twice', 'clean/bad.sql:4: column "b" has no type',
                  "clean/worse.sql:4: there is no SQL", 'clean/pin_all.sql:1: table "pin_all" and table "pin"',
                  'analyses/pie.sql:2: chart "pie"', "analyses/nopin.sql:4: ", "clean/copies.sql:4: ",
                  "clean/short.sql:4: ", "10 faults in the models"):
        assert fault in said


def test_mistakes(run):
    assert "a name for the table" in run("models", "new", status=2).stderr
    assert "is no action" in run("models", "old", status=2).stderr


def test_files_are_named_without_detours(run):
    names = [row["file"] for row in json.loads(run("models", "--format", "json").stdout)]
    assert names and not [name for name in names if ".." in name]
