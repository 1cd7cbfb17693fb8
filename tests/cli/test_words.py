"""What commands say about names and places that are not there: what is, and what may have been meant."""

import json
import os
import subprocess

import pytest

from conftest import clean_environment
from test_sink import post

PIN = "124df56aef51.pin"


@pytest.fixture(name="data", scope="module")
def fixture_data(pinpipe, tmp_path_factory):
    """A directory after a run; nobody changes it."""
    directory = tmp_path_factory.mktemp("words") / "data"
    subprocess.run([pinpipe, "run", "--posts", "4", "--dir", directory], stdout=subprocess.DEVNULL, check=True,
                   env=clean_environment())
    return directory


def test_an_analysis_that_is_not_there(run, data):
    said = run("analyse", "users_joined_by_yaer", "--dir", data, status=2).stderr
    assert 'did you mean "users_joined_by_year"?' in said
    said = run("analyse", "nope", "--dir", data, status=2).stderr
    assert 'there is no analysis "nope" among the models' in said and "\n  users_joined_by_year\n" in said


def test_help_says_what_a_number_without_a_unit_is(run):
    assert "a number alone is seconds" in run("sink", "--help").stdout
    assert "a number alone" not in run("tables", "--help").stdout


def test_a_place_past_the_end(run, data):
    done = run("cat", f"{PIN}/0", "--from", "5000", "--dir", data)
    assert done.stdout == "" and "there is no 00000000000000005000 yet; what comes next will be " in done.stderr
    assert run("cat", f"{PIN}/0", "--from", "3", "--dir", data).stderr == ""
    assert f'"{PIN}" has 1 partition, no 9' in run("cat", f"{PIN}/9", "--dir", data, status=1).stderr


def test_letters_tell_their_time(run, start_gateway, data_dir):
    gateway = start_gateway()
    text = subprocess.run(["curl", "-sf", f"{gateway.url}/topics/{PIN}", "-H",
                           "Content-Type: application/vnd.kafka.json.v2+json", "-d",
                           '{"records":[{"value":["no object"]}]}'], capture_output=True, check=True)
    assert json.loads(text.stdout)["offsets"]
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    letter, = json.loads(run("dlq", PIN, "--dir", data_dir).stdout)
    assert letter["written"].startswith("20") and letter["written"].endswith("Z")
    said = run("dlq", "--topic", "nope", "--dir", data_dir, status=1).stderr
    assert 'neither a topic nor a stream "nope"' in said and "did you mean" not in said
    meant = PIN.replace("pin", "pn")
    for words, nor in ((("cat", meant), ""), (("dlq", meant), ", nor a dead letter of one"), (("where", meant, 0), "")):
        assert (f'neither a topic nor a stream "{meant}"{nor}, did you mean "{PIN}"?'
                in run(*words, "--dir", data_dir, status=1).stderr), words


def test_letters_of_a_reason(run, data_dir, tmp_path):
    """Of many kinds each is counted, and the letters of one are found by it."""
    place = data_dir / "lake" / "dlq" / PIN / "partition=0"
    place.mkdir(parents=True)
    (place / f"none-{11999:020d}.ndjson").write_text("".join(
        f'{{"topic":"{PIN}","partition":"0","offset":"{n:020d}","stage":"sink","reason":"kind {chr(97 + n % 26)}'
        f'{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}","timestamp_ms":0,"value":"e30="}}\n' for n in range(12000)))
    told = json.loads(run("dlq", "--dir", data_dir).stdout)
    assert len(told) == 10001 and all(row["letters"] == 1 for row in told[:-1])
    assert told[-1] == {"topic": None, "stage": None, "reason": "other reasons", "letters": 2000}
    told = json.loads(run("dlq", "--dir", data_dir, "--reason", "kind ab", "--topic", PIN).stdout)
    assert sum(row["letters"] for row in told) == 18 and all("kind ab" in row["reason"] for row in told)
    told = json.loads(run("dlq", PIN, "--reason", "kind abc", "--dir", data_dir).stdout)
    assert [row["offset"] for row in told] == [f"{26 + 2 * 676:020d}"]
    assert "without --topic" in run("dlq", PIN, "--topic", PIN, "--dir", data_dir, status=2).stderr


def test_a_kind_is_a_reason_to_choose_by(run, start_gateway, data_dir):
    """As the overview has it, with places for what the record had; and by age."""
    gateway = start_gateway()
    post(gateway, PIN, [{"index": "abc"}, {"index": "f7a0c-1"}, {"index": 2**40}, {"title": "x"}, 5])
    gateway.stop()
    run("sink", "--until-end", "--dir", data_dir)
    run("batch", "--dir", data_dir)
    kinds = {row["reason"]: row["letters"] for row in json.loads(run("dlq", "--dir", data_dir).stdout)}
    assert kinds['"index" is no 32-bit integer: …'] == 3
    for reason, count in [*kinds.items(), ("32-bit", 3), ("a # of nothing", 0), ("is no #-bit", 3), ("abc", 1)]:
        chosen = json.loads(run("dlq", PIN, "--reason", reason, "--dir", data_dir).stdout)
        assert len(chosen) == count, reason
    assert len(json.loads(run("dlq", PIN, "--since", "1h", "--dir", data_dir).stdout)) == 5
    for path in (data_dir / "lake" / "dlq").rglob("*.ndjson"):
        os.utime(path, (1e9, 1e9))
    assert json.loads(run("dlq", "--since", "1h", "--dir", data_dir).stdout) == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("words", [["sql", "SELECT 1"], ["dlq"]])
def test_a_directory_of_somebody_else(pinpipe, data, words):
    done = subprocess.run([pinpipe, *words, "--dir", data], capture_output=True, text=True, cwd="/",
                          env=clean_environment(), user=65534, group=65534, extra_groups=[], check=False)
    assert done.returncode == 1 and "could not look into " in done.stderr and "Permission denied" in done.stderr


@pytest.mark.parametrize("command", ["sink", "stream"])
def test_the_format_of_a_report_is_obeyed(run, data, command):
    lines = run(command, "--until-end", "--dir", data, "--format", "csv").stdout.split("\r\n")
    assert lines[0] == "what,table,count"
    assert {"sink": "objects,,0", "stream": "commits,,0"}[command] in lines
    assert {"sink": "records,geo,0", "stream": "rows,geo,0"}[command] in lines
    assert "─" in run(command, "--until-end", "--dir", data, "--format", "table").stdout
    assert json.loads(run(command, "--until-end", "--dir", data).stdout)
