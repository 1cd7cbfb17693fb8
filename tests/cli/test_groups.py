"""Groups: who reads, how far they are, and where they are told to go on."""

import json
import re

import pytest

from conftest import wait_until
from test_sink import PIN, post

WORDS = ["topic", "partition", "committed", "next", "lag"]


def rows(run, *words, **options):
    return json.loads(run("groups", *words, "--format", "json", **options).stdout)


def offset(number):
    return f"{number:020}"


@pytest.fixture(name="landed")
def fixture_landed(run, start_gateway, data_dir):
    """Two partitions of 3 and 2 records, all in the lake; then one more."""
    gateway = start_gateway("--partitions", "2")
    post(gateway, PIN, [1, 2, 3], partition=0)
    post(gateway, PIN, [4, 5], partition=1)
    run("sink", "--until-end", "--dir", data_dir)
    post(gateway, PIN, [6], partition=1)
    return gateway


def test_no_groups(run, gateway, data_dir):
    post(gateway, PIN, [1])
    assert rows(run, "--dir", data_dir) == []
    assert "no group" in run("groups", "describe", "sink", "--dir", data_dir, status=1).stderr


@pytest.mark.usefixtures("landed")
def test_how_far_a_group_is(run, data_dir):
    listed = rows(run, "list", "--dir", data_dir)
    assert [(row["group"], row["state"], row["members"]) for row in listed] == [("sink", "empty", 0)]
    told = [row for row in rows(run, "describe", "sink", "--dir", data_dir) if row["topic"] == PIN]
    assert [[row[word] for word in WORDS] for row in told] == [
        [PIN, "0", offset(3), offset(3), 0],
        [PIN, "1", offset(2), offset(3), 1],
    ]
    assert all(row["member"] is None for row in told)


@pytest.mark.usefixtures("landed")
def test_who_reads(run, start, data_dir):
    sink = start("sink", "--dir", data_dir)
    told = None

    def reads():
        nonlocal told
        told = rows(run, "describe", "sink", "--dir", data_dir)
        return told[0]["member"]

    wait_until(reads, "a member")
    assert {row["client"] for row in told} == {f"process {sink.pid}"}
    assert rows(run, "--dir", data_dir)[0]["state"] == "stable"
    refused = run("groups", "reset", "sink", "--from", "beginning", "--dir", data_dir, status=75)
    assert "has members" in refused.stderr
    sink.stop()
    assert rows(run, "--dir", data_dir)[0]["state"] == "empty"
    run("groups", "reset", "sink", "--from", "beginning", "--dir", data_dir)


@pytest.mark.parametrize("words, reset", [
    ((PIN, "--from", "beginning"), [0, 0]),
    ((PIN, "--from", "end"), [3, 3]),
    ((PIN, "--from", "-2"), [1, 1]),
    ((PIN, "--from", "@0"), [0, 0]),
    ((PIN, "--from", "@2999-01-01"), [3, 3]),
    ((PIN + "/1", "--from", "2"), [2]),
    ((PIN + "/0", "--from", "3"), [3]),
])
@pytest.mark.usefixtures("landed")
def test_a_reset(run, data_dir, words, reset):
    dry = rows(run, "reset", "mine", *words, "--dry-run", "--dir", data_dir)
    assert [(row["committed"], row["reset"]) for row in dry] == [(None, offset(n)) for n in reset]
    assert "mine" not in run("groups", "--dir", data_dir).stdout
    assert rows(run, "reset", "mine", *words, "--dir", data_dir) == dry
    told = rows(run, "describe", "mine", "--dir", data_dir)
    assert [row["committed"] for row in told] == [offset(n) for n in reset]


@pytest.mark.usefixtures("landed")
def test_a_reset_of_all_that_it_reads(run, data_dir):
    run("groups", "reset", "mine", PIN + "/1", "--from", "end", "--dir", data_dir)
    again = rows(run, "reset", "mine", "--from", "-1", "--dir", data_dir)
    assert [list(row.values()) for row in again] == [[PIN, "1", offset(3), offset(2)]]


@pytest.mark.parametrize("words, status, said", [
    (("reset", "mine", PIN), 2, "--from"),
    (("reset", "mine", PIN, "--from", "x"), 2, "no offset"),
    (("reset", "mine", PIN + "/0", "--from", "4"), 2, "there is no 0*4"),
    (("reset", "mine", PIN + "/7", "--from", "end"), 1, "no 7"),
    (("reset", "mine", "nothing", "--from", "end"), 1, "neither"),
    (("reset", "mine", "--from", "end"), 1, "no group"),
    (("reset",), 2, "which group"),
    (("describe", "sink", PIN), 2, "one name"),
    (("lsit",), 2, "none of list"),
    (("list", "sink"), 2, "takes no name"),
])
@pytest.mark.usefixtures("landed")
def test_mistakes(run, data_dir, words, status, said):
    assert re.search(said, run("groups", *words, "--dir", data_dir, status=status).stderr)


def test_where_partitions_are(run, gateway, data_dir):
    post(gateway, PIN, [1])
    told = json.loads(run("topics", "describe", PIN, "--dir", data_dir, "--format", "json").stdout)
    assert [(row["leader"], row["replicas"], row["in_sync"]) for row in told] == [(1, "1", "1")]
    assert json.loads(run("topics", "describe", PIN, "--settings", "--dir", data_dir, "--format", "json").stdout) == []


def test_copies_of_a_new_topic(run, data_dir):
    refused = run("topics", "create", "copied", "--replicas", "3", "--dir", data_dir, status=1)
    assert "one copy" in refused.stderr
    run("topics", "create", "copied", "--replicas", "1", "--dir", data_dir)
