"""The streaming path with models that a user changed."""
import json
import shutil
import urllib.request

import pytest

STREAM = "streaming-124df56aef51-user"


def strict(models):
    """A model of the user's that fails at ages that are no numbers."""
    path = models / "clean" / "user.sql"
    path.write_text(path.read_text().replace("as_int(age)", "CAST(age AS INTEGER)"))
    return path


def post(gateway, values):
    """To one shard, so that a record's place is its ordinal."""
    for at in range(0, len(values), 500):
        records = [{"data": json.dumps(value), "partition-key": "k"} for value in values[at:at + 500]]
        request = urllib.request.Request(f"{gateway.url}/streams/{STREAM}/records", method="PUT",
                                         data=json.dumps({"records": records}).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            assert json.load(reply)["FailedRecordCount"] == 0


def users(count, bad):
    return [{"ind": i, "first_name": "A", "last_name": "B", "age": "x" if i in bad else "30"} for i in range(count)]


def test_poison_is_put_aside(run, start_gateway, data_dir, models):
    """However it is spread over a micro-batch, and in one file and commit."""
    strict(models)
    bad = set(range(40, 4000, 100))
    values = users(4000, bad)
    values[5] = "dead anyway"
    post(start_gateway("--shards", 1), values)
    done = run("stream", "--dir", data_dir, "--models", models, "--until-end")
    counts = json.loads(done.stdout)
    assert (counts["rows"]["user"], counts["dead"]["user"], counts["commits"]) == (3959, 41, 1)
    inds = run("sql", "--dir", data_dir, "--from", "stream", "--format", "json", "SELECT ind FROM user_all").stdout
    assert {row["ind"] for row in json.loads(inds)} == set(range(4000)) - bad - {5}
    letters = json.loads(run("dlq", STREAM, "--dir", data_dir, "--format", "json").stdout)
    assert len(letters) == 41
    poison = [letter for letter in letters if letter["reason"].startswith("poison: ")]
    assert {json.loads(letter["value"])["ind"] for letter in poison} == bad
    table = data_dir / "lake" / "tables" / "124df56aef51_user_table"
    assert len(list(table.glob("*.parquet"))) == 1


def test_a_model_at_fault_ends_the_stream(run, start_gateway, data_dir, models):
    path = strict(models)
    post(start_gateway("--shards", 1), users(300, range(101)))
    failed = run("stream", "--dir", data_dir, "--models", models, "--until-end", status=1)
    assert f"{path}:" in failed.stderr and "more than 100 records" in failed.stderr
    path.write_text(path.read_text().replace("CAST(age AS INTEGER)", "as_int(age)"))
    counts = json.loads(run("stream", "--dir", data_dir, "--models", models, "--until-end").stdout)
    assert (counts["rows"]["user"], counts["unreadable"]["user"]) == (300, 101)


def only_few(models):
    """A model of the user's that fails on no record by itself, only on more than two at once."""
    path = models / "clean" / "user.sql"
    text = path.read_text()
    assert "as_int(age)" in text
    path.write_text(text.replace("as_int(age)", "CASE WHEN count(*) OVER () > 2 THEN error('too many at once')"
                                 " ELSE as_int(age) END"))
    return path


def test_a_model_that_fails_on_the_whole_ends_the_stream(run, start_gateway, data_dir, models):
    """No record is blamed for it, and none is lost."""
    path = only_few(models)
    before = path.read_text()
    post(start_gateway("--shards", 1), users(4, ()))
    failed = run("stream", "--dir", data_dir, "--models", models, "--until-end", status=1)
    assert "no record by itself is to blame" in failed.stderr and "too many at once" in failed.stderr
    assert json.loads(run("dlq", "--dir", data_dir, "--format", "json").stdout) == []
    path.write_text(before.replace("> 2", "> 4"))
    counts = json.loads(run("stream", "--dir", data_dir, "--models", models, "--until-end").stdout)
    assert (counts["rows"]["user"], counts["dead"]["user"]) == (4, 0)


GEO = "streaming-124df56aef51-geo"


def sgeo(gateway, *inds):
    for ind in inds:
        data = {"ind": ind, "country": "Albania"} if ind else "no row"
        body = {"StreamName": GEO, "Data": data, "PartitionKey": "k"}
        request = urllib.request.Request(f"{gateway.url}/streams/{GEO}/record", method="PUT",
                                         data=json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200


@pytest.fixture
def put_back(run, start_gateway, data_dir, tmp_path):
    """A table of a log that was put back to an older copy, and then had these records."""
    def make(*inds, before=(2, 3)):
        def write(*its):
            gateway = start_gateway("--shards", 1)
            sgeo(gateway, *its)
            gateway.stop()
        write(1)
        run("stream", "--dir", data_dir, "--until-end")
        shutil.copytree(data_dir / "log", tmp_path / "copy")
        write(*before)
        run("stream", "--dir", data_dir, "--until-end")
        shutil.rmtree(data_dir / "log")
        shutil.copytree(tmp_path / "copy", data_dir / "log")
        write(*inds)
    return make


def geo_rows(run, data_dir):
    query = "SELECT ind, _offset FROM geo_all ORDER BY _offset"
    answer = run("sql", "--dir", data_dir, "--from", "stream", "--format", "json", query)
    return [(row["ind"], row["_offset"]) for row in json.loads(answer.stdout)]


@pytest.mark.parametrize("inds", [(12,), (12, 13), (12, 13, 14)])
def test_a_log_that_was_put_back_is_told(run, data_dir, put_back, inds):
    """Whether it has become shorter, as long or longer than what the table has; the other tables go on."""
    put_back(*inds)
    failed = run("stream", "--dir", data_dir, "--until-end", status=1)
    assert 'table "geo" is left out' in failed.stderr
    assert ("another history" if len(inds) > 1 else "older copy") in failed.stderr
    assert "1 of 3 tables were left out" in failed.stderr
    assert [ind for ind, _ in geo_rows(run, data_dir)] == [1, 2, 3]


def test_a_log_that_was_put_back_is_the_next_generation(run, data_dir, put_back):
    """Told to go on, the table takes all of it, beside what it has, and again nothing twice."""
    put_back(12, None, 14)
    before = geo_rows(run, data_dir)
    for _ in range(2):
        run("stream", "--dir", data_dir, "--until-end", "--new-history", "continue")
        rows = geo_rows(run, data_dir)
        assert rows[:3] == before
        assert [ind for ind, _ in rows[3:]] == [1, 12, 14]
        assert all(offset.startswith("g0002-") and len(offset) == 62 for _, offset in rows[3:])
    run("stream", "--dir", data_dir, "--until-end")
    letters = json.loads(run("dlq", GEO, "--dir", data_dir, "--format", "json").stdout)
    assert [rows[4][1] < letter["offset"] < rows[5][1] for letter in letters] == [True]


def test_the_next_generation_is_checked_and_made_anew(run, data_dir, put_back, models):
    """check, rebuild and replay know which of a stream's histories the log is."""
    put_back(12, None, 14, before=(2, None, 3))
    for _ in range(2):
        run("stream", "--dir", data_dir, "--until-end", "--new-history", "continue")
        run("check", "--dir", data_dir)
    before = geo_rows(run, data_dir)
    (done,) = json.loads(run("rebuild", "geo", "--from", "stream", "--dir", data_dir, "--models", models, "--format",
                             "json").stdout)
    assert (done["rows_before"], done["rows_after"], done["kept"], done["dead"]) == (6, 6, 3, 2)
    assert geo_rows(run, data_dir) == before
    run("check", "--dir", data_dir)
    run("stream", "--dir", data_dir, "--until-end")
    assert geo_rows(run, data_dir) == before


def test_letters_of_the_next_generation_are_replayed(run, data_dir, put_back, models):
    put_back(12, None, 14)
    path = models / "clean" / "geo.sql"
    good = path.read_text()
    path.write_text(good.replace("-- key: ind", "-- key: index AS ind").replace("-- fields: ind", "-- fields: index")
                    .replace("as_int(ind)", "as_int(index)"))
    words = ("--dir", data_dir, "--models", models)
    run("stream", *words, "--until-end", "--new-history", "continue")
    assert len(geo_rows(run, data_dir)) == 3
    path.write_text(good)
    (done,) = json.loads(run("dlq", "replay", *words, "--format", "json").stdout)
    assert (done["letters"], done["rows"]) == (4, 3)
    assert [ind for ind, offset in geo_rows(run, data_dir) if offset.startswith("g0002-")] == [1, 12, 14]
    run("check", *words)
