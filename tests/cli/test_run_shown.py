"""`run` and `emulate` on a terminal: one line of progress, the first rows of the answers, the counts last."""

import json
import re
import shlex
import signal
import subprocess

import pytest

import conftest
from screen import Screen, columns, lines_on_screen


def run_on(pinpipe, width, *words, **options):
    screen = Screen([pinpipe, *words], width, **options)
    text = screen.read()
    assert screen.status == 0, text
    return text


def drawn(text):
    """Every state of the lines that were drawn over."""
    return [line for part in text.split("\n") for line in part.split("\r") if line]


def test_progress_stays_on_its_line(pinpipe, tmp_path):
    text = run_on(pinpipe, 80, "run", "--dir", tmp_path / "data", "--posts", 600, "--rate", 400)
    bars = [line for line in drawn(text) if re.match(r"posting to the (topics|streams) ", line)]
    assert len(bars) > 4 and all(columns(line) < 80 for line in bars), bars
    assert any(re.search(r"\[#+ +\] +\d+ %  0:0\d left  \d+ posts, \d+/s", line) for line in bars), bars
    lines = lines_on_screen(text)
    assert not any(line.startswith(("posting", "draining", "cleaning")) for line in lines), lines
    for said in ("posted 600 posts to the topics in ", "posted 600 posts to the streams in ", "drained the log ",
                 "cleaned the objects and answered the analyses in "):
        assert sum(line.startswith(said) for line in lines) == 1, lines


def test_progress_fits_whatever_the_width_becomes(pinpipe, tmp_path):
    screen = Screen([pinpipe, "run", "--dir", tmp_path, "--posts", 600, "--rate", 200], 100)
    screen.wait_for(r"posting to the topics .*left")
    screen.resize(40)
    screen.text = b""
    screen.wait_for("posted 600 posts to the streams")
    bars = [line for line in drawn(screen.text.decode()) if line.startswith("posting")]
    assert all(columns(line) < 40 for line in bars[1:]), bars     # one may have been under way
    screen.read()


def test_no_line_is_drawn_over_on_a_dumb_terminal(pinpipe, tmp_path):
    text = run_on(pinpipe, 80, "run", "--dir", tmp_path, "--posts", 20, env={"TERM": "dumb"})
    assert "\x1b" not in text and "posting" not in text and "posted 20 posts to the topics in" in text


def test_the_end_of_a_run_is_what_a_person_wants_to_know(pinpipe, run, tmp_path):
    """The answers cut, then the counts, then where things are and what to do: all on one screen or two."""
    directory = tmp_path / "a directory"
    text = run_on(pinpipe, 80, "run", "--dir", directory, "--posts", 1000)
    answers, counts, end = re.split(r"\n1,000 posts on each path, in [\d.]+ s\n|\nThe log is ", text)
    more = re.findall(r"… (\d+) more: (.*)", answers)
    assert len(lines_on_screen(answers)) < 100 and len(more) == 3, answers
    assert len(re.findall(r"^batch +(?:geo|pin|user) +1000 +1000 +1000 +0$", counts, re.M)) == 3
    assert "batch pin: 1000 clean, 966 current (34 repeated)\n" in counts
    assert len(counts.splitlines()) < 24
    assert f"{directory}/log" in f"The log is {end}" and f"{directory}/lake" in end
    for _, command in more:
        whole = run(*shlex.split(command)[1:], "--format", "csv").stdout
        assert len(whole.splitlines()) > 11
    commands = [shlex.split(line) for line in end.split("Next\n")[1].splitlines()]
    assert [words[0] for words in commands] == [str(pinpipe)] * 3
    assert [words[1] for words in commands] == ["sql", "analyse", "up"]
    for words in commands[:2]:
        assert run(*words[1:]).stdout
    assert subprocess.run([pinpipe, *commands[2][1:], "--help"], capture_output=True, check=True).stdout


def test_a_second_run_says_what_the_answers_are_over(pinpipe, tmp_path):
    first = run_on(pinpipe, 80, "run", "--dir", tmp_path, "--posts", 30)
    assert "earlier" not in first
    second = run_on(pinpipe, 80, "run", "--dir", tmp_path, "--posts", 20, "--seed", 7)
    assert "batch pin: 20 clean, with earlier ones 50, " in second
    assert "The answers are over all rows of the batch path, those of earlier runs too.\n" in second


def test_the_format_is_obeyed(run, tmp_path):
    lines = run("run", "--dir", tmp_path / "d", "--posts", 5, "--format", "csv").stdout.splitlines()
    assert lines[0] == "path,table,posted,landed,clean,dead" and lines[1] == "batch,geo,5,5,5,0" and len(lines) == 7
    assert "analyses" in json.loads(run("run", "--dir", tmp_path / "d", "--posts", 5).stdout)


@pytest.mark.parametrize("words, said", [
    (["--rate", "fast"], '--rate must be a number above 0, or max, not "fast"'),
    (["--source", "files"], "--source files needs --data"), (["--data", "/nowhere"], "/nowhere/pin.ndjson")])
def test_what_cannot_be_posted_is_known_before_the_start(run, tmp_path, words, said):
    done = run("run", "--dir", tmp_path / "d", *words, status=None)
    assert done.returncode == (1 if "/nowhere" in words else 2)
    assert done.stderr.startswith("pinpipe run: ") and said in done.stderr and "emulate" not in done.stderr
    assert not (tmp_path / "d").exists()


def test_nobody_listening_is_told_at_once(start):
    port = conftest.free_port()
    service = start("emulate", "--url", f"http://127.0.0.1:{port}", "--posts", 3, "--rate", "max")
    service.wait_for("nothing is acknowledged yet; each record is sent again for 60 s: .*Connection refused", 20)
    assert service.stop(signal.SIGINT, patience_s=8) == 128 + signal.SIGINT
    assert '"refused":9' in service.said()
