"""Tables on a terminal: they fit its width, and a person sees where a column ends and what is no value."""

import subprocess

import pytest

import conftest
from screen import Screen, columns


@pytest.fixture(name="show")
def fixture_show(pinpipe, run, tmp_path):
    """The lines of a query's answer on a terminal of that width."""
    run("run", "--posts", 20, "--dir", tmp_path / "data")

    def show(width, *words, env=None):
        screen = Screen([pinpipe, *words, "--dir", tmp_path / "data"], width, env)
        text = screen.read()
        assert screen.status == 0, text
        return [line for line in text.splitlines() if line and "both paths have rows" not in line]
    return show


def test_a_table_fits_the_width(show):
    wide = show(200, "sql", "SELECT ind, 'x' || repeat('word ', 40) AS text, repeat('ab', 30) AS more FROM pin LIMIT 2")
    assert wide[1].split() == ["─" * n for n in map(len, wide[1].split())] and wide[-1] == "(2 rows)"
    for width in (80, 50):
        lines = show(width, "sql", "SELECT ind, repeat('word ', 40) AS text, repeat('ab', 30) AS more FROM pin LIMIT 2")
        assert all(columns(line) <= width for line in lines) and len(lines) == 5, lines
        assert all(line.count("…") == 2 for line in lines[2:4]), lines


def test_too_many_columns_become_blocks(show):
    lines = show(60, "sql", "SELECT * FROM pin ORDER BY ind LIMIT 2")
    assert [line[:10] for line in lines if line.startswith("──")] == ["── row 1 ─", "── row 2 ─"]
    assert any(line.startswith("unique_id  ") for line in lines) and lines[-1] == "(2 rows)"
    assert show(400, "sql", "SELECT * FROM pin ORDER BY ind LIMIT 2")[1].startswith("─")


def test_null_is_not_an_empty_text(show):
    lines = show(80, "sql", "SELECT NULL AS a, '' AS b, '日本' AS wide, 1 AS n, 'x' AS last")
    assert lines[2].split() == ["NULL", "日本", "1", "x"] and lines[-1] == "(1 row)"
    assert lines[0].index("last") == len("NULL") + 2 + 1 + 2 + 4 + 2 + 1 + 2
    assert lines[2].index("x") == lines[0].index("last") - 2     # two characters of two columns each


def test_a_list_of_the_program_has_no_nulls(show):
    lines = show(200, "check")
    stream = next(line for line in lines if line.startswith("streaming-"))
    assert "NULL" not in "".join(lines) and stream.split()[2:4] == ["-", "-"]


@pytest.mark.parametrize("env, colour", [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False),
                                         ({"NO_COLOR": "", "TERM": "dumb"}, False)])
def test_colours_are_taken_away(pinpipe, tmp_path, env, colour):
    (tmp_path / "models" / "clean").mkdir(parents=True)
    (tmp_path / "models" / "clean" / "bad.sql").write_text("SELECT\n")
    text = Screen([pinpipe, "models", "--models", tmp_path / "models"], env=env).read()
    assert ("\x1b[31m" in text) == colour, text


def test_a_file_gets_whole_lines(run, tmp_path, pinpipe):
    run("run", "--posts", 5, "--dir", tmp_path / "data")
    done = subprocess.run([pinpipe, "sql", "--dir", tmp_path / "data", "--format", "table", "SELECT * FROM pin"],
                          capture_output=True, text=True, env=conftest.clean_environment(), check=True)
    assert "── row" not in done.stdout and done.stdout.splitlines()[-1].endswith("rows)")
