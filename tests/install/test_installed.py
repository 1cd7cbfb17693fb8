"""What `make install` puts below a prefix, after that was moved to another place."""

import json
import os
import re
import subprocess

import conftest
import pytest
from installed import alone, configured_prefix, fixture_installed, fixture_prefix, tool  # noqa: F401


def needed(command):
    """Skips where a tool that checks the formats of others is not there."""
    if subprocess.run(["sh", "-c", f"command -v {command}"], capture_output=True, check=False).returncode:
        pytest.skip(f"needs {command}")


def test_the_library_comes_from_the_prefix(prefix, tmp_path):
    """Not from the checkout that it was built in, nor from the place that it was first put to."""
    needed("strace")
    traces = tmp_path / "traces"
    traces.mkdir()
    subprocess.run(["strace", "-ff", "-o", traces / "of", "-e", "trace=openat,open", prefix / "bin" / "pinpipe", "run",
                    "--posts", "3", "--dir", tmp_path / "data"], check=True, capture_output=True,
                   stdin=subprocess.DEVNULL, cwd=tmp_path,
                   env=conftest.clean_environment({"ASAN_OPTIONS": "detect_leaks=0"}))
    traced = "".join(path.read_text(errors="replace") for path in traces.iterdir())
    opened = set(re.findall(r'"([^"]*libduckdb[^"]*)".* = \d+$', traced, re.M))
    assert opened == {str(prefix / "lib" / "pinpipe" / "libduckdb.so")}
    assert str(conftest.TOP) not in traced.replace(str(prefix), "")


def test_models_are_those_of_the_prefix(prefix, installed):
    files = {row["file"] for row in json.loads(installed("models").stdout)}
    assert files and all(name.startswith(str(prefix / "share" / "pinpipe" / "models")) for name in files)


def test_without_the_library_it_says_what_is_missing(prefix, installed):
    library = prefix / "lib" / "pinpipe" / "libduckdb.so"
    library.rename(library.with_suffix(".away"))
    try:
        said = installed("run", "--posts", "1", status=2).stderr
    finally:
        library.with_suffix(".away").rename(library)
    assert "DuckDB 1.5: could not load a library: libduckdb.so" in said


def test_what_a_package_of_it_must_tell(prefix):
    documents = prefix / "share" / "doc" / "pinpipe"
    notice = (documents / "NOTICE").read_text()
    for work in ("DuckDB", "llhttp", "librdkafka", "Zstandard"):
        assert work in notice
    assert "Magnus Edenhill" in (documents / "LICENSES.librdkafka").read_text()
    assert (documents / "pinpipe.yaml.example").read_text() == (conftest.TOP / "pinpipe.yaml.example").read_text()


def test_installed_once_and_taken_away(tmp_path):
    """Meson's own list names the directories that it made, too."""
    with alone():
        tool(configured_prefix(), destination=tmp_path)
        tool("--remove")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["pinpipe.yaml"]


def test_installed_again_and_taken_away(tmp_path):
    """What an administrator wrote stays, and what somebody else put beside it."""
    name = configured_prefix()
    with alone():
        tool(name, destination=tmp_path)
        config, = tmp_path.rglob("pinpipe.yaml")
        config.write_text("# mine\n")
        beside = next(tmp_path.rglob("models/clean")) / "mine.sql"
        beside.write_text("-- mine\n")
        tool(name, destination=tmp_path)
        tool("--remove")
        left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {config, beside}
    assert config.read_text() == "# mine\n"
    assert not list(tmp_path.rglob("lib/pinpipe")) and not list(tmp_path.rglob("share/doc/pinpipe"))


# --- manual pages


def pages(prefix):
    return sorted((prefix / "share" / "man").rglob("pinpipe*"))


def test_every_command_has_its_page(prefix, installed):
    commands = re.findall(r"^  (\w+)  ", installed("--help").stdout, re.M)
    assert {page.name for page in pages(prefix)} == \
        {"pinpipe.1", "pinpipe.yaml.5", *(f"pinpipe-{name}.1" for name in commands)}


def rendered(page):
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-P", "cat", "-l", page], capture_output=True,
                          text=True, check=True, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"})
    assert done.stderr == "", f"{page.name}: {done.stderr}"
    return re.sub(r".\x08", "", done.stdout)


def test_pages_say_what_the_help_says(prefix, installed):
    needed("man")
    for page in pages(prefix):
        text = rendered(page)
        if page.name.startswith("pinpipe-"):
            told = installed(page.name[8:-2], "--help").stdout
            for flag in re.findall(r"^  (--[\w-]+)", told, re.M):
                assert flag in text, f"{page.name} lacks {flag}"
            examples = " ".join(told.split("Examples\n")[1].split())
            assert examples in " ".join(text.split()), page.name


def test_pages_are_sound(prefix):
    needed("mandoc")
    said = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages(prefix)], capture_output=True, text=True,
                          check=False).stdout
    assert [line for line in said.splitlines() if "missing date" not in line] == []  # it would differ by the day


def test_the_page_of_the_configuration_has_every_key(prefix, installed):
    needed("man")
    text = rendered(prefix / "share" / "man" / "man5" / "pinpipe.yaml.5")
    for row in json.loads(installed("config").stdout):
        assert row["key"] in text


# --- completion


def bash(prefix, line):
    """What bash proposes at the end of the line."""
    words = line.split(" ")
    script = prefix / "share" / "bash-completion" / "completions" / "pinpipe"
    quoted = " ".join(f"'{word}'" for word in words)
    program = f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _pinpipe; " \
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "--norc", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("line,proposed", [
    ("pinpipe gat", ["gateway"]),
    ("pinpipe topics des", ["describe"]),
    ("pinpipe sql --fro", ["--from"]),
    ("pinpipe sql --from bat", ["batch", "batch-live"]),
    ("pinpipe sql --from = bat", ["batch", "batch-live"]),
    ("pinpipe cat --from bat", []),
    ("pinpipe gateway --insecure --tls-c", ["--tls-cert"]),
    ("pinpipe up --listen ", []),
])
def test_bash(prefix, line, proposed):
    assert bash(prefix, line) == proposed


def test_bash_proposes_files(prefix, tmp_path):
    (tmp_path / "my.yaml").touch()
    assert bash(prefix, f"pinpipe up --config {tmp_path}/m") == [f"{tmp_path}/my.yaml"]


def fish(prefix, line):
    script = prefix / "share" / "fish" / "vendor_completions.d" / "pinpipe.fish"
    done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], check=True,
                          capture_output=True, text=True, env={**os.environ, "HOME": "/nonexistent"})
    return [proposed.split("\t")[0] for proposed in done.stdout.splitlines()]


def test_fish(prefix):
    needed("fish")
    assert fish(prefix, "pinpipe gat") == ["gateway"]
    assert fish(prefix, "pinpipe topics des") == ["describe"]
    assert fish(prefix, "pinpipe sql --from bat") == ["batch", "batch-live"]
    assert fish(prefix, "pinpipe cat --from bat") == []


ZSH = """
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -D; bindkey '^I' complete-word; echo rea''dy"
zpty -r z out '*ready*'
zpty -n -w z "$2"$'\\t'
zpty -r z out "*$3*"
"""


@pytest.mark.usefixtures("terminal")  # skips where there is none to be had
@pytest.mark.parametrize("line,completed", [
    ("pinpipe gatew", "gateway"),
    ("pinpipe gateway --tls-ce", "--tls-cert="),
    ("pinpipe topics des", "describe"),
    ("pinpipe cp --engine sp", "spark"),
])
def test_zsh(prefix, tmp_path, line, completed):
    """zsh has no call for it: it is asked on a terminal, as by a person, until it has completed the word."""
    needed("zsh")
    subprocess.run(["zsh", "-f", "-c", ZSH, "zsh", prefix / "share" / "zsh" / "site-functions", line, completed],
                   check=True, timeout=60, stdin=subprocess.DEVNULL, start_new_session=True,
                   env={**os.environ, "HOME": str(tmp_path), "TERM": "dumb"})
