"""A model whose header is broken: it is told with its file and line, and no other one is any worse for it."""

import json
import shutil

import pytest

from conftest import TOP, wait_until

ID = "124df56aef51"
CLICKS = """-- title: Clicks
-- key: id
-- fields: id price
-- columns: id string, price double
SELECT id, as_double(price) AS price, _partition, _offset FROM raw
"""
REVENUE = "-- title: Revenue\nSELECT id, sum(price) AS revenue FROM clicks GROUP BY id ORDER BY id\n"


@pytest.fixture
def models(tmp_path):
    models = shutil.copytree(TOP / "models", tmp_path / "models")
    (models / "clean" / "clicks.sql").write_text(CLICKS)
    (models / "analyses" / "revenue.sql").write_text(REVENUE)
    return models


def damage(path):
    """Its second line is a word that no header has; returns how that is told."""
    text = path.read_text().splitlines(keepends=True)
    path.write_text(text[0] + "-- colour: red\n" + "".join(text[1:]))
    return f'{path}:2: no such header line: "colour"'


def mend(path):
    path.write_text(path.read_text().replace("-- colour: red\n", ""))


def put(data_dir, table, values, start=0):
    directory = data_dir / "lake" / "topics" / f"{ID}.{table}" / "partition=0"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{ID}.{table}+0+{start:010}.json").write_text("".join(json.dumps(v) + "\n" for v in values))


PINS = [{"index": i, "title": f"pin {i}", "category": "art"} for i in range(3)]
CLICKED = [{"id": f"c{i % 2}", "price": i} for i in range(4)]


def test_an_analysis(run, data_dir, models):
    put(data_dir, "pin", PINS)
    put(data_dir, "clicks", CLICKED)
    words = ("--dir", data_dir, "--models", models)
    run("batch", *words)
    answer = (data_dir / "lake/results/revenue.json").read_text()
    told = damage(models / "analyses" / "revenue.sql")
    put(data_dir, "clicks", [{"id": "c0", "price": 7}] * 4, start=4)
    said = run("batch", *words, "--format", "json", status=1)
    assert told in said.stderr and "1 of the analyses failed; the others were answered" in said.stderr
    report = json.loads(said.stdout)
    assert told in report["analyses"]["revenue"]["error"]
    assert report["tables"]["clicks"]["rows"] == 4 and len(report["analyses"]) == 9
    assert (data_dir / "lake/results/revenue.json").read_text() == answer  # it is not gone, and keeps its answer
    said = run("analyse", *words, "--format", "json", status=1)
    assert told in said.stderr and len(json.loads(said.stdout)) == 8
    assert told in run("analyse", *words, "revenue", status=2).stderr
    assert run("analyse", *words, "users_joined_by_year").stderr == ""
    mend(models / "analyses" / "revenue.sql")
    run("batch", *words)
    assert json.loads((data_dir / "lake/results/revenue.json").read_text())["rows"] == [["c0", 7], ["c1", 3]]


def test_a_name_that_no_model_can_have(run, data_dir, models):
    put(data_dir, "pin", PINS)
    (models / "clean" / 'a"\\b.sql').write_text(CLICKS)
    (models / "analyses" / 'a"\\b.sql').write_text(REVENUE)
    said = run("batch", "--dir", data_dir, "--models", models, "--format", "json", status=1)
    report = json.loads(said.stdout)
    assert "a model's name has letters" in report["tables"]['a"\\b']["error"]
    assert "a model's name has letters" in report["analyses"]['a"\\b']["error"]
    (told,) = json.loads(run("runs", "--dir", data_dir, "--format", "json").stdout)
    assert told["exit"] == 1


def test_a_table_waits_and_goes_on_where_it_was(run, data_dir, models):
    words = ("--dir", data_dir, "--models", models)
    put(data_dir, "pin", PINS)
    put(data_dir, "clicks", CLICKED)
    run("batch", *words)
    told = damage(models / "clean" / "clicks.sql")
    put(data_dir, "pin", PINS, start=3)
    put(data_dir, "clicks", CLICKED, start=4)
    said = run("batch", *words, "--format", "json", status=1)
    assert told in said.stderr and "1 of 4 tables could not be cleaned; the others were" in said.stderr
    report = json.loads(said.stdout)
    assert report["tables"]["pin"]["rows"] == 3 and told in report["tables"]["clicks"]["error"]
    assert "users_joined_by_year" in report["analyses"] and "error" in report["analyses"]["revenue"]
    said = run("check", *words, "--lake", data_dir / "lake", status=1)
    assert told in said.stderr and "1 tables were not looked at" in said.stderr
    assert told in run("models", "--models", models, status=1).stderr
    assert told in run("rebuild", *words, "clicks", status=2).stderr
    mend(models / "clean" / "clicks.sql")
    report = json.loads(run("batch", *words, "--format", "json").stdout)
    assert report["tables"]["clicks"]["rows"] == 4 and report["tables"]["clicks"]["total_rows"] == 8
    run("check", *words, "--lake", data_dir / "lake")


@pytest.mark.parametrize("word", ["topic: {id}.shared", "stream: streaming-{id}-shared"])
def test_those_of_one_topic_wait_for_each_other(run, data_dir, models, word):
    """Whose a record is, nobody knows then: it is neither another's row nor its dead letter."""
    words = ("--dir", data_dir, "--models", models)
    clicks = models / "clean" / "clicks.sql"
    clicks.write_text(clicks.read_text().replace("-- key", f"-- {word}\n-- key"))
    views = models / "clean" / "views.sql"
    views.write_text(CLICKS.replace("Clicks", "Views").replace("price", "seen").replace("-- key", f"-- {word}\n-- key"))
    put(data_dir, "pin", PINS)
    put(data_dir, "shared", [{"id": "a", "price": 1}, {"id": "b", "seen": 2}])
    told = damage(clicks)
    said = run("batch", *words, "--format", "json", status=1)
    assert told in said.stderr
    assert f'{views}:1: waits, as it shares its topic or stream with "clicks", which is broken or waits' in said.stderr
    assert json.loads(said.stdout)["tables"]["pin"]["rows"] == 3
    assert not list((data_dir / "lake").glob("dlq/**/*.ndjson"))
    if "topic" in word:
        mend(clicks)
        report = json.loads(run("batch", *words, "--format", "json").stdout)
        assert [report["tables"][name]["rows"] for name in ("clicks", "views")] == [1, 1]


def test_those_beside_one_that_waits_wait_as_well(run, models):
    """By the topic of the first and the stream of the second: records of that would be the third's dead letters."""
    headers = {"views": "-- topic: {id}.clicks\n-- stream: {id}-shared\n", "alike": "-- stream: {id}-shared\n"}
    for name, header in headers.items():
        (models / "clean" / f"{name}.sql").write_text(CLICKS.replace("-- key", f"{header}-- key"))
    damage(models / "clean" / "clicks.sql")
    said = run("models", "--models", models, status=1).stderr
    for name, beside in [("views", "clicks"), ("alike", "views")]:
        assert f'{name}.sql:1: waits, as it shares its topic or stream with "{beside}"' in said
    assert "3 models are broken" in said


def test_where_no_table_is_sound_nothing_begins(run, data_dir, models):
    told = [damage(path) for path in sorted((models / "clean").glob("*.sql"))]
    (data_dir / "lake").mkdir(parents=True)
    for command in ("batch", "stream", "sink", "check", "analyse"):
        said = run(command, "--dir", data_dir, "--models", models, status=2)
        assert told[0] in said.stderr


def test_all_of_it_by_up(start, run, data_dir, models):
    """Posts to the others land by both paths; those to the broken one's, once it is mended."""
    told = damage(models / "clean" / "user.sql")
    words = ("--dir", data_dir, "--models", models)
    said = run("run", *words, "--posts", 20, "--rate", "max", "--format", "json", status=1)
    assert told in said.stderr

    def rows(table, path):
        found = run("sql", *words, "--from", path, "--format", "json", f"SELECT count(*) AS n FROM {table}",
                    status=None)
        return json.loads(found.stdout)[0]["n"] if found.returncode == 0 else None
    assert rows("pin", "batch") and rows("pin", "stream") and rows("user", "batch") is None
    mend(models / "clean" / "user.sql")
    up = start("up", "--listen", "127.0.0.1:0", *words, "--batch-every", "100ms", "--flush-age", "50ms")
    wait_until(lambda: all(rows("user", path) == rows("pin", path) for path in ("batch", "stream")), "the users")
    up.stop()
    run("check", *words)
