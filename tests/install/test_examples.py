"""examples/, as they are told: the commands of the page are run as they stand on it."""

import json
import os
import re
import shutil
import subprocess

import conftest
from installed import fixture_prefix  # noqa: F401

EXAMPLES = conftest.TOP / "examples"


def commands():
    return re.search(r"```sh\n(.*?)```", (EXAMPLES / "own-events" / "README.md").read_text(), re.S)[1]


def test_own_events_in_five_commands(prefix, tmp_path):
    place = tmp_path / "examples"
    shutil.copytree(prefix / "share" / "pinpipe" / "examples", place)
    port = conftest.free_port()
    told = commands()
    assert len([line for line in told.splitlines() if not line.startswith(" ")]) == 5
    script = f"set -e -o pipefail; {told.replace(':8082', f':{port}')}\nkill -TERM $!; wait $! || test $? = 143\n"
    environment = conftest.clean_environment({"PATH": f"{prefix / 'bin'}:{os.environ['PATH']}",
                                              "PINPIPE_GATEWAY_LISTEN": f"127.0.0.1:{port}"})
    done = subprocess.run(["bash", "-c", script], cwd=place / "own-events", env=environment, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=300, check=False, start_new_session=True)
    assert done.returncode == 0, done.stderr
    svg = (place / "own-events" / "clicks.svg").read_text()
    wanted = {}
    for row in map(json.loads, (EXAMPLES / "own-events" / "clicks.ndjson").read_text().splitlines()):
        wanted[row["page"]] = wanted.get(row["page"], 0) + 1
    drawn = dict(re.findall(r'text-anchor="end">([^<]*)</text><rect[^>]*/><text[^>]*>([^<]*)</text>', svg))
    assert drawn == {page: f"{count:,}" for page, count in wanted.items()}


def chart(rows, *words):
    return subprocess.run([EXAMPLES / "chart.py", *words], input=json.dumps(rows), capture_output=True, text=True,
                          check=False)


def test_a_chart_of_whatever_rows_there_are(tmp_path):
    """Also of none, of one, with nulls, and of names that would be markup."""
    hostile = chart([{"name": "<script>alert(1)</script>", "n": 3}, {"name": None, "n": None}], "bar", "<b>").stdout
    assert "<script>" not in hostile and "&lt;script&gt;" in hostile and "<b>" not in hostile
    assert "no rows" in chart([]).stdout
    assert "<circle" in chart([{"year": 2020, "n": -1}], "line").stdout
    assert chart([], "pie").returncode == 1
