"""The sink where the topic, the log or the lake are not what they were, or another sink is there."""

import json
import random
import shutil
import time

from conftest import wait_until
from test_sink import PIN, landed, objects, post, sink

SEED = 15


def letters(run, directory, topic):
    """What the dead letters of a topic tell: (offset, last, reason)."""
    lines = []
    for path in sorted(directory.glob(f"lake/dlq/{topic}/**/*.ndjson")):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    assert run("dlq", topic, "--dir", directory).returncode == 0
    return [(int(line["offset"]), int(line.get("last", line["offset"])), line["reason"]) for line in lines]


def remove_topic(run, directory, name):
    run("topics", "delete", name, "--dir", directory)


def test_a_topic_removed_before_the_sink_ran(run, start_gateway, data_dir):
    """Its records are told once, as one letter; the topic made anew goes on."""
    gateway = start_gateway()
    post(gateway, PIN, [{"index": n} for n in range(5)])
    sink(run, data_dir)
    run("batch", "--dir", data_dir)
    post(gateway, PIN, [{"index": n} for n in range(5, 10)])
    gateway.stop()
    remove_topic(run, data_dir, PIN)
    gateway = start_gateway()
    assert post(gateway, PIN, [{"index": n} for n in range(10, 15)]) == list(range(10, 15))
    assert sink(run, data_dir)["missed"] == 5
    run("batch", "--dir", data_dir)
    assert sink(run, data_dir)["missed"] == 0
    assert letters(run, data_dir, PIN) == [
        (5, 9, "of a topic of this name that was removed before it was read")]
    assert list(objects(data_dir, PIN)) == [0, 10]
    rows = run("sql", "--dir", data_dir, "--format", "csv", "SELECT count(*) FROM pin_all").stdout.split()
    assert rows[-1] == "10"
    run("check", "--dir", data_dir)


def test_a_topic_removed_before_there_was_a_sink(run, start_gateway, data_dir):
    """Nobody misses what was removed: the check is clean."""
    gateway = start_gateway()
    post(gateway, PIN, [{"index": n} for n in range(10)])
    gateway.stop()
    remove_topic(run, data_dir, PIN)
    gateway = start_gateway()
    assert post(gateway, PIN, [{"index": n} for n in range(5)]) == list(range(10, 15))
    assert sink(run, data_dir)["missed"] == 0
    run("batch", "--dir", data_dir)
    run("check", "--dir", data_dir)
    assert letters(run, data_dir, PIN) == []


def test_a_log_that_was_put_back(run, start_gateway, data_dir):
    """Its new records, though they look the same, are not taken for those that the lake has."""
    gateway = start_gateway()
    post(gateway, PIN, ["same"])
    gateway.stop()
    shutil.copytree(data_dir / "log", data_dir / "older")
    gateway = start_gateway()
    post(gateway, PIN, ["same"])
    sink(run, data_dir)
    gateway.stop()
    shutil.rmtree(data_dir / "log")
    shutil.copytree(data_dir / "older", data_dir / "log")
    gateway = start_gateway()
    assert post(gateway, PIN, ["same", "other"]) == [1, 2]
    assert "another pipeline" in run("sink", "--until-end", "--dir", data_dir, status=1).stderr
    assert landed(data_dir, PIN) == [b'"same"', b'"same"']


def test_offsets_that_begin_again(run, start_gateway, data_dir):
    """A new log under an old lake: its topic stops alone, or is the next generation."""
    gateway = start_gateway()
    post(gateway, PIN, ["a", "b", "c"])
    sink(run, data_dir)
    gateway.stop()
    shutil.rmtree(data_dir / "log")
    gateway = start_gateway()
    post(gateway, PIN, ["a", "b", "c", "d"])
    post(gateway, f"{PIN[:-4]}.geo", ["e"])
    refused = run("sink", "--until-end", "--dir", data_dir, status=1)
    assert "new_history" in refused.stderr
    assert landed(data_dir, PIN) == [b'"a"', b'"b"', b'"c"']
    assert landed(data_dir, f"{PIN[:-4]}.geo") == [b'"e"']
    assert sink(run, data_dir, "--new-history", "continue")["records"]["pin"] == 4
    assert sink(run, data_dir, "--new-history", "continue")["records"]["pin"] == 0
    (path,) = (data_dir / f"lake/topics/{PIN}/generation=2/partition=0").iterdir()
    assert path.read_text() == '"a"\n"b"\n"c"\n"d"\n'
    run("batch", "--dir", data_dir)
    assert sink(run, data_dir)["records"]["pin"] == 0  # it knows that generation


def test_the_newest_object_is_gone(run, start_gateway, data_dir):
    """It lands again with another end; the tables take what they lack, and once."""
    gateway = start_gateway()
    for values in ([1, 2, 3], [4]):
        post(gateway, PIN, [{"index": n} for n in values])
        sink(run, data_dir)
        run("batch", "--dir", data_dir)
    newest = data_dir / f"lake/topics/{PIN}/partition=0/{PIN}+0+0000000003.json"
    newest.unlink()
    for value in (5, 6):
        post(gateway, PIN, [{"index": value}])
        sink(run, data_dir)
        run("batch", "--dir", data_dir)
    assert list(objects(data_dir, PIN)) == [0, 3, 5]
    rows = run("sql", "--dir", data_dir, "--format", "csv", "SELECT ind FROM pin_all ORDER BY 1").stdout.split()
    assert rows == ["ind", *"123456"]
    run("check", "--dir", data_dir)


def test_two_sinks_killed_at_random(run, start, start_gateway, data_dir, tmp_path):
    """Of different directories, over one log and one lake, each cutting as it likes: every record once."""
    gateway = start_gateway()
    count = 1500
    lines = [b"no JSON" if n % 97 == 5 else json.dumps({"index": n}).encode() for n in range(count)]
    binary = "application/vnd.kafka.binary.v2+json"
    chance = random.Random(SEED)
    other = tmp_path / "other"
    other.mkdir()
    (other / "log").symlink_to(data_dir / "log")
    lake = ("--lake", f"file:{data_dir}/lake", "--create")
    at, running = 0, {}
    while at < count:
        for directory in (data_dir, other):
            if directory in running and chance.random() < 0.5:
                running.pop(directory).kill()
            if directory not in running:
                size, age = chance.randint(1, 9), f"{chance.randint(1, 30)}ms"
                running[directory] = start("sink", "--dir", directory, "--flush-size", size, "--flush-age", age,
                                           *lake)
        more = chance.randint(20, 200)
        seen = len(objects(data_dir, PIN))
        post(gateway, PIN, lines[at:at + more], binary)
        at += more
        wait_until(lambda: len(objects(data_dir, PIN)) > seen, "another object")
        time.sleep(chance.random() / 50)  # a random moment, no condition
    for one in running.values():
        one.kill()
    for directory in (data_dir, other):
        run("sink", "--until-end", "--dir", directory, *lake)
    offsets = {}
    for first, part in objects(data_dir, PIN).items():
        for n, line in enumerate(part):
            assert offsets.setdefault(first + n, line) is line, f"offset {first + n} twice"
    dead = {offset for offset, _, _ in letters(run, data_dir, PIN)}
    assert sorted([*offsets, *dead]) == list(range(count))
    assert all(line == lines[n] or json.loads(line) == json.loads(lines[n]) for n, line in offsets.items())
    run("check", "--dir", data_dir)
