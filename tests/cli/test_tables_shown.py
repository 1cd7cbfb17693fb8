"""Tables on a terminal: they fit its width, and a person sees where a column ends and what is no value."""

import subprocess

import pytest

import conftest
from screen import Screen, columns
from test_sink import ID, post


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


# --- lists of our own

LETTERS = [{"ind": 1, "country": "Fiji"}, {"ind": "abc"}, {"index": 3, "titel": "x"}, "a text"]


@pytest.fixture(name="listed")
def fixture_listed(pinpipe, run, gateway, data_dir):
    """The lines of a list about a directory with letters, on a terminal of that width."""
    post(gateway, f"{ID}.geo", LETTERS)
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)

    def listed(width, *words):
        return Screen([pinpipe, *words, "--dir", data_dir], width).read().splitlines()
    return listed


LISTS = [["check"], ["tables"], ["tables", "geo", "--history"], ["groups", "describe", "sink"], ["dlq"], ["runs"],
         ["models"], ["topics"], ["topics", "describe", f"{ID}.geo"]]


@pytest.mark.parametrize("words", LISTS)
def test_a_list_fits_80_columns_and_cuts_nothing(listed, words):
    lines = listed(80, *words)
    assert len(lines) > 2 and all(columns(line) <= 80 for line in lines), lines
    assert not any(line.startswith("── row") for line in lines), lines
    assert "…" not in "\n".join(lines).replace(" integer: …", "")  # which the summary says itself


def test_a_reason_goes_on_in_the_next_line(listed):
    text = " ".join(line.split("batch")[-1].strip() for line in listed(60, "dlq"))
    assert "a text (a body encoded twice?), not a JSON object" in " ".join(text.replace("1", "").split())


def test_what_cannot_be_a_table_is_a_block_a_row(listed):
    lines = listed(50, "dlq", f"{ID}.geo")
    assert [line for line in lines if line.startswith("── row")] and f"offset     {1:020}" in lines
    assert all(columns(line) <= 50 for line in lines)
    assert not any("…" in line for line in lines)


def test_a_wide_terminal_has_all_columns(listed):
    narrow, wide = listed(80, "tables"), listed(250, "tables")
    assert "optimized" in wide[0] and "optimized" not in narrow[0] and "more columns" in narrow[-1]
    assert "more columns" not in wide[-1]


def test_status_with_a_long_name(pinpipe, run, data_dir, start_gateway):
    gateway = start_gateway("--auto-create", "any")
    name = "events." + "long-name." * 8 + "end"
    post(gateway, name, [{"a": 1}])
    text = Screen([pinpipe, "status", "--dir", data_dir]).read()
    assert name in text
    below = text.splitlines()[text.splitlines().index(name) + 1]
    assert below.startswith(" " * 28 + "log") and columns(below) <= 80
