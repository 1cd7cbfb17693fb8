"""A table that cannot be opened or cleaned takes no other with it."""
import json

import pytest

ID = "124df56aef51"
PIN, USER = [{"index": i} for i in range(3)], [{"ind": i, "age": "x"} for i in range(101)]


def newer_writer(lake, models):
    log = lake.dir / "lake" / "tables" / f"{ID}_geo_clean" / "_delta_log"
    (log / f"{len(list(log.glob('0*.json'))):020}.json").write_text(
        json.dumps({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["x"],
                                 "writerFeatures": ["x"]}}) + "\n")
    return "geo", "users_joined_by_year", "reader"


def cut_log(lake, models):
    log = lake.dir / "lake" / "tables" / f"{ID}_geo_clean" / "_delta_log"
    sorted(log.glob("0*.json"))[0].write_text("{")
    return "geo", "users_joined_by_year", "version 0"


def wrong_sql(lake, models):
    path = models / "clean" / "geo.sql"
    path.write_text(path.read_text().replace("FROM raw", "FROM raw WHERE nothing = 1"))
    return "geo", "users_joined_by_year", "nothing"


def poison(lake, models):
    path = models / "clean" / "user.sql"
    path.write_text(path.read_text().replace("as_int(age)", "CAST(age AS INTEGER)"))
    return "user", None, "more than 100 records"


@pytest.mark.parametrize("fault", [newer_writer, cut_log, wrong_sql, poison])
def test_the_others_go_on(lake, models, fault):
    lake.put("geo", [{"ind": 1, "country": "A"}])
    lake.batch()
    broken, answered, says = fault(lake, models)
    for table, values in ("pin", PIN), ("geo", [{"ind": 2, "country": "B"}]), ("user", USER):
        lake.put(table, values, 1 if table == "geo" else 0)
    failed = lake.batch("--models", models, status=None)
    assert failed.returncode > 0 and says in failed.stderr and "1 of 3 tables" in failed.stderr
    report = json.loads(failed.stdout)
    assert says in report["tables"][broken]["error"]
    rows = {"pin": 3, "geo": 1, "user": 101}
    for table in set(rows) - {broken}:
        assert report["tables"][table]["rows"] == rows[table] and "error" not in report["tables"][table]
    if answered:
        assert report["analyses"][answered]["rows"] == 1 and "error" not in report["analyses"][answered]
    if broken == "user":    # no answer over a table that lacks what it should have had
        assert 'table "user" cannot be read' in report["analyses"]["users_joined_by_year"]["error"]
        assert json.loads((lake.dir / "lake/results/users_joined_by_year.json").read_text())["run"] != report["run"]
    history = sorted((lake.dir / "lake" / "results" / "runs").glob("*.json"))[-1]
    assert says in json.loads(history.read_text())["tables"][broken]["error"]
