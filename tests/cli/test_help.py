"""Every command: help on request goes to stdout with 0, a mistake to stderr with 2 and a way on."""

import re
import subprocess

import pytest

import conftest


def command_names():
    """The commands of the table, as its own help lists them."""
    binary = conftest.binary()
    overview = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  (\w+)  ", overview, re.M)


COMMANDS = command_names()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--dir", "x", "--help"]], ids=" ".join)
def test_help_goes_to_stdout(run, name, words):
    result = run(name, *words)
    assert result.stderr == ""
    assert f"usage: pinpipe {name}" in result.stdout
    assert "Examples\n  " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 140


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_no_option_twice(run, name):
    flags = re.findall(r"^  (--[a-z-]+)", run("help", name).stdout, re.M)
    assert len(flags) > 5 and len(flags) == len(set(flags))


@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_option_is_a_usage_error_with_the_nearest_one(run, name):
    result = run(name, "--fromat", "json", status=2)
    assert result.stdout == ""
    assert result.stderr.startswith(f"pinpipe {name}: unknown option \"--fromat\"")
    assert 'did you mean "--format"?' in result.stderr
    assert f"pinpipe {name} --help" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_parse(run, name):
    """Each example of the help names a command that exists and options that it takes."""
    examples = run(name, "--help").stdout.split("Examples\n")[1]
    for line in examples.splitlines():
        for call in re.findall(r"pinpipe (\w+)([^|&;]*)", line):
            options = run(call[0], "--help").stdout
            for option in re.findall(r"(--[\w-]+)", call[1]):
                assert f"{option}" in options, f"{line}: {option}"


def test_a_command_is_wanted(run):
    result = run(status=2)
    assert result.stdout == "" and "a command comes first" in result.stderr


@pytest.mark.parametrize("typed,meant", [("gatway", "gateway"), ("confg", "config"), ("vresion", "version"),
                                         ("main", "maintain")])
def test_unknown_command_is_answered_with_the_nearest_one(run, typed, meant):
    if meant not in COMMANDS:
        pytest.skip(f"{meant} is not there")
    result = run(typed, status=2)
    assert f'did you mean "{meant}"?' in result.stderr


@pytest.mark.parametrize("kind,path", [("docs", "docs/reference.md"), ("example", "pinpipe.yaml.example")])
def test_what_is_printed_from_the_tables_is_current(pinpipe, kind, path):
    printed = subprocess.run([pinpipe.parent / "reference", kind], capture_output=True, check=True, text=True)
    assert (conftest.TOP / path).read_text() == printed.stdout, "make reference"


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]], ids=" ".join)
def test_overview_lists_every_command(run, words):
    result = run(*words)
    assert result.stderr == ""
    assert [name for name in COMMANDS if f"\n  {name} " not in result.stdout] == []


def test_version(run):
    assert re.fullmatch(r"pinpipe \d+\.\d+\.\d+\n", run("--version").stdout)
    assert run("version").stdout == run("--version").stdout


def test_missing_value_and_extra_word(run):
    assert '"--dir" wants a value' in run("config", "--dir", status=2).stderr
    assert '"--dir" wants a value' in run("config", "--dir", "--verbose", "info", status=2).stderr
    assert 'unexpected "surplus"' in run("config", "surplus", status=2).stderr
    assert 'unexpected "--help"' in run("config", "--", "--help", status=2).stderr


def test_a_full_stdout_is_reported(pinpipe):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([pinpipe, "version"], stdout=full, stderr=subprocess.PIPE, check=False,
                                text=True, env=conftest.clean_environment())
    assert result.returncode == 75 and "No space left" in result.stderr


@pytest.mark.parametrize("word", ["--version", "-V", "-v", "version"])
def test_version_by_any_of_its_names(run, word):
    assert re.fullmatch(r"pinpipe \d[\w.]+\n", run(word).stdout)


def test_options_may_stand_before_the_command(run, tmp_path):
    """Those of every command; a value that is a command's name is no command."""
    (tmp_path / "pinpipe.yaml").write_text("id: own\n")
    said = run("--dir", "sql", "--verbose=error", "--format", "json", "config").stdout
    assert '"value": "sql"' in said and '"value": "own"' in said
    assert run("--dir=x", "help", status=2).stderr
    assert "a command comes first" in run("--dir", "run", status=2).stderr


def test_how_many_posts_is_one_sentence_a_command(run):
    for name, says in [("run", "0: each row of --data once, else 1000 (default: 0)"),
                       ("emulate", "0: each row of --data once, else without end (default: 0)")]:
        assert says in run("help", name).stdout


def test_up_takes_what_its_sink_does(run):
    assert "--take auto|all|models|named" in run("help", "up").stdout
