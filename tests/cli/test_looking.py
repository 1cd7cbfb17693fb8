"""What other programs, the page among them, look with: a bounded answer, records that hold a text, the analyses
themselves, and the lines that read a table elsewhere."""

import ast
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from conftest import TOP
from screen import Screen, columns
from test_sink import ID, PIN, post

ANALYSIS = "users_joined_by_year"


@pytest.fixture(scope="module", name="made")
def fixture_made(pinpipe, tmp_path_factory):
    """A data directory with rows in all tables, which no test changes."""
    directory = tmp_path_factory.mktemp("made") / "data"
    subprocess.run([pinpipe, "run", "--posts", "60", "--dir", directory, "--format", "json"], check=True,
                   capture_output=True, cwd=directory.parent)
    return directory


def asked(run, *words, **more):
    return json.loads(run(*words, "--format", "json", **more).stdout)


# --- sql --rows -------------------------------------------------------------------------

def test_an_answer_of_so_many_rows(run, made):
    everything = asked(run, "sql", "--dir", made, "SELECT _offset FROM pin_all ORDER BY _offset DESC")
    done = run("sql", "--dir", made, "--format", "json", "--rows", 7,
               "SELECT _offset FROM pin_all ORDER BY _offset DESC")
    assert len(everything) == 60 and json.loads(done.stdout) == everything[:7]
    assert "more rows than --rows 7" in done.stderr


def test_as_many_rows_as_there_are(run, made):
    for rows in (60, 61):
        done = run("sql", "--dir", made, "--format", "json", "--rows", rows, "FROM pin_all")
        assert len(json.loads(done.stdout)) == 60 and "more rows" not in done.stderr


def test_what_is_no_select_is_bounded_too(run, made):
    assert len(asked(run, "sql", "--dir", made, "--rows", 2, "SHOW TABLES")) == 2
    assert len(asked(run, "sql", "--dir", made, "--rows", 2, "DESCRIBE pin")) == 2
    assert len(asked(run, "sql", "--dir", made, "--rows", 2, "EXPLAIN FROM pin")) == 1


def test_a_huge_answer_is_not_made(run, made):
    """Rows of 1 KB, which would be 100 GB."""
    rows = asked(run, "sql", "--dir", made, "--rows", 3,
                 "SELECT i, repeat('x', 1000) AS x FROM range(100000000) AS r(i)")
    assert [row["i"] for row in rows] == [0, 1, 2]


# --- cat --contains ---------------------------------------------------------------------

def test_records_that_hold_a_text(run, gateway, data_dir):
    post(gateway, PIN, [{"index": n, "title": "Dunes" if n % 5 == 0 else "Square"} for n in range(20)])
    post(gateway, PIN, [{"index": 20}], key="Dunes of Namibia")
    found = run("cat", PIN, "--dir", data_dir, "--format", "json", "--contains", "Dunes").stdout.splitlines()
    assert [int(json.loads(line)["offset"]) for line in found] == [0, 5, 10, 15, 20]
    found = run("cat", PIN, "--dir", data_dir, "--contains", "Dunes", "--count", 2).stdout.splitlines()
    assert [json.loads(line)["index"] for line in found] == [0, 5]
    assert run("cat", PIN, "--dir", data_dir, "--contains", "no such text").stdout == ""


# --- analyse ----------------------------------------------------------------------------

def test_which_analyses_there_are(run, tmp_path):
    models = shutil.copytree(TOP / "models", tmp_path / "models")
    (models / "analyses" / "broken.sql").write_text("-- title: Broken\n-- colour: red\nSELECT 1\n")
    listed = {row["analysis"]: row for row in asked(run, "analyse", "--list", "--models", models)}
    row = listed[ANALYSIS]
    assert (row["chart"], row["error"]) == ("line", None) and "users who joined" in row["title"].lower()
    assert row["sql"].lstrip().upper().startswith(("SELECT", "WITH")) and row["file"].endswith(f"{ANALYSIS}.sql")
    assert row["description"]
    assert "colour" in listed["broken"]["error"] and listed["broken"]["sql"] is None
    assert [row["analysis"] for row in asked(run, "analyse", "--list", ANALYSIS, "--models", models)] == [ANALYSIS]
    text = run("analyse", "--list", ANALYSIS, "--models", models, "--format", "table").stdout
    assert "sql" not in text.splitlines()[0].split()


@pytest.mark.parametrize("words", [["analyse", "nope"], ["analyse", "--list", "nope"]])
def test_none_of_that_name(run, made, words):
    said = run(*words, "--dir", made, status=2).stderr
    assert 'there is no analysis "nope"' in said
    assert all(path.stem in said for path in (TOP / "models" / "analyses").glob("*.sql"))


def test_an_answer_as_parquet(pinpipe, run, made, tmp_path):
    done = subprocess.run([pinpipe, "analyse", ANALYSIS, "--dir", made, "--format", "parquet"], check=True,
                          capture_output=True, cwd=tmp_path)
    assert done.stdout[:4] == done.stdout[-4:] == b"PAR1" and len(done.stdout) > 100
    assert "name it" in run("analyse", "--dir", made, "--format", "parquet", status=2).stderr
    assert "analyse NAME" in run("sql", "--dir", made, "--format", "parquet", "FROM pin", status=2).stderr
    screen = Screen([pinpipe, "analyse", ANALYSIS, "--dir", made, "--format", "parquet"])
    assert "> answer.parquet" in screen.read() and screen.status == 2
    assert not list((made / "tmp").glob("answer*"))


def test_parquet_where_nothing_is_to_be_written(pinpipe, made):
    """It is that of the last batch. Root may write everywhere, so another user has to try."""
    user = {"user": 65534} if os.geteuid() == 0 else {}
    if user and subprocess.run([pinpipe, "version"], check=False, capture_output=True, **user).returncode:
        pytest.skip("another user cannot run the program from here")
    with tempfile.TemporaryDirectory() as place:
        data = pathlib.Path(shutil.copytree(made, pathlib.Path(place) / "data"))
        places = [pathlib.Path(place), data, *data.rglob("*")]
        for path in places:
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = subprocess.run([pinpipe, "analyse", ANALYSIS, "--dir", data, "--format", "parquet"], check=False,
                              capture_output=True, cwd="/", **user)
        for path in places:
            path.chmod(0o755 if path.is_dir() else 0o644)
        assert done.stdout == (data / "lake" / "results" / f"{ANALYSIS}.parquet").read_bytes(), done.stderr
    assert b"as of the last batch" in done.stderr


# --- connect ----------------------------------------------------------------------------

def test_lines_to_paste(run, made):
    told = asked(run, "connect", "pin", "--dir", made)
    place = made / "lake" / "tables" / f"{ID}_pin_clean"
    assert (told["table"], told["path"], told["location"], told["there"]) == ("pin", "batch", str(place), True)
    assert {"name": "ind", "type": "int"} in told["schema"] and told["schema"][-1]["name"] == "_offset"
    assert [line["tool"] for line in told["lines"]] == ["pandas", "polars", "duckdb", "spark"]
    assert all(str(place) in line["text"] for line in told["lines"])
    told = asked(run, "connect", "pin", "--dir", made, "--from", "stream")
    assert told["location"].endswith(f"{ID}_pin_table")


def test_lines_of_every_table(run, made):
    told = asked(run, "connect", "--dir", made)
    assert [table["table"] for table in told] == ["geo", "pin", "user"]
    assert len(asked(run, "connect", "geo", "--from", "both", "--dir", made)) == 2
    text = run("connect", "--dir", made, "--format", "table").stdout
    assert all(line["text"] in text for table in told for line in table["lines"])


def test_lines_of_a_name_that_no_variable_can_have(run, made, tmp_path):
    models = pathlib.Path(shutil.copytree(TOP / "models", tmp_path / "models"))
    names = {"my-table": "my_table", "2nd-half": "_2nd_half", "class": "class_", "polars": "polars_", "match": "match"}
    for path in models.rglob("*.sql"):
        path.unlink()
    for name, variable in names.items():
        model = (TOP / "models/clean/user.sql").read_text()
        (models / "clean" / f"{name}.sql").write_text(model)
        told = asked(run, "connect", name, "--dir", made, "--models", models)
        lines = {line["tool"]: line["text"] for line in told["lines"]}
        (models / "clean" / f"{name}.sql").unlink()
        for tool in ("pandas", "polars", "spark"):
            tree = ast.parse(lines[tool])
            variables = [node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)]
            assert variables[-1] == variable, lines[tool]
        assert f"{variable}.show(10)" in lines["spark"]
        assert f'CREATE VIEW "{name}" AS' in lines["duckdb"] and f'FROM "{name}" LIMIT' in lines["duckdb"]


def test_the_path_that_has_a_table(run, made, tmp_path):
    """Where nothing is said."""
    shutil.copytree(made / "lake" / "tables" / f"{ID}_geo_table", tmp_path / "data/lake/tables" / f"{ID}_geo_table")
    assert asked(run, "connect", "geo", "--dir", tmp_path / "data")["path"] == "stream"
    told = asked(run, "connect", "pin", "--dir", tmp_path / "data")
    assert (told["path"], told["there"]) == ("batch", False)


def test_lines_of_a_table_that_is_none(run, made, tmp_path):
    assert 'did you mean "pin"' in run("connect", "pins", "--dir", made, status=2).stderr
    assert "--from" in run("connect", "pin", "--from", "live", "--dir", made, status=2).stderr
    assert "no pinpipe data" in run("connect", "pin", "--dir", tmp_path / "typo", status=None).stderr
    assert not (tmp_path / "typo").exists()


def test_a_name_is_nowhere_cut(pinpipe, made):
    """At 80 columns, and at 40: what is to be copied is whole in one line."""
    for width in (80, 40):
        text = Screen([pinpipe, "analyse", "--list", "--dir", made], width).read()
        for path in (TOP / "models" / "analyses").glob("*.sql"):
            assert path.stem in text and "…" not in text
        lines = [line for line in text.splitlines() if " " in line]
        assert width == 40 or all(columns(line) <= 80 or "/" in line for line in lines), text
