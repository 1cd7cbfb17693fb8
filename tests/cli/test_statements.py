"""Where `pinpipe sql` has its statements from: an argument, a file, stdin, a person who types."""

import json
import os
import pathlib
import signal
import stat
import sys
import termios

import pytest

import conftest

from screen import Screen

sys.path.insert(0, str(conftest.TOP / "tests" / "sql"))
from lake import Lake  # noqa: E402


@pytest.fixture(name="fiji")
def fixture_fiji(run, data_dir):
    lake = Lake(run, data_dir)
    lake.put("geo", [{"ind": i, "country": "Fiji", "latitude": 1.5, "longitude": None} for i in range(3)])
    lake.batch()
    return lake


def answers(text):
    """JSON, one array a statement."""
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


SEVERAL = """SELECT -- a ; in a comment
 ';' AS a, "x;" FROM (SELECT 1 AS "x;");
SELECT E'it\\'s; so' AS b, $t$;$t$ AS c /* ; /* nested; */ */;;
SELECT count(*) AS n FROM geo
"""
THEIRS = [[{"a": ";", "x;": 1}], [{"b": "it's; so", "c": ";"}], [{"n": 3}]]


def test_several_statements_however_they_come(fiji, tmp_path):
    (tmp_path / "q.sql").write_bytes(b"\xef\xbb\xbf" + SEVERAL.encode())
    words = ("sql", "--dir", fiji.dir)
    assert answers(fiji.run(*words, SEVERAL).stdout) == THEIRS
    assert answers(fiji.run(*words, stdin=SEVERAL.encode()).stdout) == THEIRS
    assert answers(fiji.run(*words, "--file", "q.sql").stdout) == THEIRS
    csv = fiji.run(*words, "--format", "csv", "SELECT 1 AS a; SELECT 2 AS b;").stdout
    assert csv == "a\r\n1\r\n\nb\r\n2\r\n"


def test_the_first_that_fails_is_the_last(fiji, tmp_path):
    (tmp_path / "q.sql").write_text("SELECT 1 AS a;\n\nSELECT\n b FROM geo; SELECT 2;")
    done = fiji.run("sql", "--dir", fiji.dir, "--file", "q.sql", status=2)
    assert answers(done.stdout) == [[{"a": 1}]]
    assert "q.sql:4: " in done.stderr and '"b" not found' in done.stderr and "LINE" in done.stderr


@pytest.mark.parametrize("sql", ["SELECT 1 AS a; COPY geo TO '{lake}/y.csv'", "SELECT 1 AS a; SET threads = 1",
                                 "SELECT 1 AS a; FROM read_text('/etc/hostname')",
                                 "SELECT 1 AS a; ATTACH '{lake}/y.db'",
                                 "SELECT 1 AS a;\n$$ ; $$; COPY geo TO '{lake}/y.csv'"])
def test_each_of_them_is_held_to_the_rules(fiji, sql):
    before = {path for path in fiji.dir.rglob("*") if path.is_file()}
    done = fiji.run("sql", "--dir", fiji.dir, sql.replace("{lake}", str(fiji.dir / "lake")), status=2)
    assert answers(done.stdout) == [[{"a": 1}]] and "SQL:" in done.stderr
    assert {path for path in fiji.dir.rglob("*") if path.is_file()} == before


def test_an_error_that_quotes_a_record_gives_no_orders(pinpipe, run, fiji):
    """To a terminal, of which it would set the title; elsewhere it is as it is."""
    sql = "SELECT (chr(27) || ']0;mine' || chr(7) || '[2J')::INT"
    shown = Screen([pinpipe, "sql", "--dir", fiji.dir, sql]).read()
    assert "\\x1b]0;mine\\x07" in shown and "\x1b]" not in shown and "\x07" not in shown
    assert "\x1b]0;mine\x07" in run("sql", "--dir", fiji.dir, sql, status=1).stderr


def test_no_statement_is_an_error(fiji, tmp_path):
    assert "there is no statement" in fiji.run("sql", "--dir", fiji.dir, status=2).stderr
    assert "only one of them" in fiji.run("sql", "--file", "x", "SELECT 1", status=2).stderr
    assert 'could not open "nothing.sql"' in fiji.run("sql", "--file", "nothing.sql", status=1).stderr
    (tmp_path / "empty.sql").write_text("-- nothing\n")
    assert "empty.sql:1: " in fiji.run("sql", "--dir", fiji.dir, "--file", "empty.sql", status=2).stderr


# ---- a prompt


class Prompt(Screen):
    def ask(self, text, pattern):
        """Types it, keys of the editor once that reads them, and waits for what comes then."""
        if any(key in text for key in "\t\x1b"):
            self.await_editor()
        self.text = b""
        self.type(text)
        return self.wait_for(pattern)

    def await_editor(self):
        """It shows its prompt, and then has the terminal give it each key."""
        conftest.wait_until(lambda: not termios.tcgetattr(self.master)[3] & termios.ICANON, "an editor")

    def leave(self):
        self.wait_for(r"sql> (\x1b\[\w+)?$")
        self.await_editor()
        self.type("\x04")
        self.read()
        assert self.status == 0


@pytest.fixture(name="prompt")
def fixture_prompt(pinpipe, fiji, tmp_path):
    screens = []

    def open_prompt(**env):
        screen = Prompt([pinpipe, "sql", "--dir", fiji.dir], 80,
                        {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path), **env})
        screens.append(screen)
        screen.wait_for("sql> ")
        return screen
    yield open_prompt
    for screen in screens:
        if screen.process.poll() is None:
            screen.process.kill()
            screen.process.wait()


@pytest.mark.parametrize("env", [{}, {"TERM": "dumb"}], ids=["edited", "plain"])
def test_statements_are_typed(prompt, env):
    screen = prompt(**env)
    screen.ask("select count(*) as many\n", "  -> ")
    assert screen.ask("from geo; select 7 as n;\n", r"many[\s─]+3\s+\(1 row\)(.|\n)*n[\s─]+7\s+\(1 row\)(.|\n)*sql> ")
    screen.ask("select * from gio;\n", r'Did you mean "geo(.|\n)*sql> ')     # and goes on
    screen.ask("help\n", "Ctrl-D(.|\n)*sql> ")
    screen.type("quit\n")
    screen.read()
    assert screen.status == 0


def test_which_path_it_is_is_told_once(pinpipe, run, data_dir, tmp_path):
    run("run", "--posts", 10, "--dir", data_dir)
    screen = Prompt([pinpipe, "sql", "--dir", data_dir], 80, {"XDG_STATE_HOME": str(tmp_path / "state")})
    screen.wait_for("sql> ")
    told = []
    for table in ("pin_all", "geo_all", "pin_all"):
        screen.ask(f"select count(*) from {table};\n", r"10\s+\(1 row\)(.|\n)*sql> ")
        told.append(screen.text.count(b"both paths have rows"))
    assert told == [1, 0, 0]
    screen.leave()


def test_ctrl_c_ends_a_query_and_no_more(prompt):
    screen = prompt()
    screen.await_editor()
    screen.ask("select what is\x03", r"\^C(.|\n)*sql> ")
    screen.type("select count(*) from range(1000000000000);\n")
    conftest.wait_until(lambda: len(os.listdir(f"/proc/{screen.process.pid}/task")) > 2, "an engine")
    screen.ask("\x03", "interrupted(.|\n)*sql> ")
    screen.ask("select 5 as n;\n", r"5\s+\(1 row\)(.|\n)*sql> ")
    screen.leave()


def test_tab_completes_keywords_views_and_columns(prompt):
    screen = prompt()
    screen.ask("sel\tcount\t", "COUNT  country")
    screen.ask("r\tfr\tge\t\t", "geo  geo_all  geo_live")
    screen.ask("_a\tlimit 1;\n", r"Fiji\s+\(1 row\)")
    screen.leave()


def test_the_history_outlives_a_terminal_that_is_closed(prompt):
    """And a comment does not take in the lines behind it, which are one there."""
    screen = prompt()
    screen.ask("select '--'-- all of it;\n", "  -> ")
    screen.ask("as a;\n", r"\(1 row\)(.|\n)*sql> ")
    screen.process.send_signal(signal.SIGKILL)
    screen.process.wait()
    screen = prompt()
    screen.ask("\x1b[A", "select '--' as a;")
    screen.ask("\n", r"--\s+\(1 row\)")
    screen.leave()


def test_the_history_is_kept_for_its_owner(prompt, tmp_path):
    screen = prompt()
    screen.ask("select 'sesame'\n", "  -> ")
    screen.ask("as a;\n", r"\(1 row\)(.|\n)*sql> ")
    screen.leave()
    path = pathlib.Path(tmp_path / "state" / "pinpipe" / "sql_history")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    screen = prompt()
    screen.ask("\x1b[A", "select 'sesame' as a;")
    screen.ask("\n", r"sesame\s+\(1 row\)")
    screen.leave()
