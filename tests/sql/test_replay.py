"""Dead letters once more, after a model was mended: rows once, whatever crashes."""
import concurrent.futures
import json
import os
import pathlib
import signal
import time
import urllib.request

import pytest

from lake import ID

STREAM = f"streaming-{ID}-user"
TOPIC = f"{ID}.user"
POINTS = ("replay-put", "replay-marker", "replay-commit", "replay-committed")
BAD = {2, 5, 6}


def users(count=8):
    return [{"ind": i, "first_name": "A", "last_name": "B", "age": "x" if i in BAD else "30"} for i in range(count)]


@pytest.fixture
def strict(models):
    """A model of the user's that fails at ages that are no numbers; called, it is mended."""
    path = models / "clean" / "user.sql"
    good = path.read_text()
    path.write_text(good.replace("as_int(age)", "CAST(age AS INTEGER)"))
    return lambda: path.write_text(good)


@pytest.fixture
def filled(run, start_gateway, data_dir, models, strict):
    """Both paths, each with the letters 2, 5, 6 of a model at fault, and one that nothing mends."""
    gateway = start_gateway("--shards", 1, "--partitions", 1)

    def post(path, method, body, kind):
        request = urllib.request.Request(gateway.url + path, method=method, data=json.dumps(body).encode(),
                                         headers={"Content-Type": kind})
        urllib.request.urlopen(request).close()
    values = [*users(), {"nothing": 1}]
    post(f"/topics/{TOPIC}", "POST", {"records": [{"value": value} for value in values]},
         "application/vnd.kafka.json.v2+json")
    post(f"/streams/{STREAM}/records", "PUT",
         {"records": [{"data": json.dumps(value), "partition-key": "k"} for value in values]}, "application/json")
    words = ("--dir", data_dir, "--models", models)
    run("sink", *words, "--until-end")
    for part in (("batch",), ("stream", "--until-end")):
        run(*part, *words)
    strict()
    return words


def tell(run, *words):
    return json.loads(run(*words, "--format", "json").stdout)


def places(run, words, source):
    rows = tell(run, "sql", *words, "--from", source, "SELECT ind, _offset FROM user_all ORDER BY ind")
    assert source == "stream" or all(int(row["_offset"]) == row["ind"] for row in rows)
    return [row["ind"] for row in rows]


def dead(run, words, topic, *more):
    return sorted(json.loads(letter["value"]).get("ind", 8) for letter in tell(run, "dlq", topic, *words[:2], *more))


def test_rows_once_and_letters_done(run, filled):
    for topic in (TOPIC, STREAM):
        assert dead(run, filled, topic) == [2, 5, 6, 8]
    run("check", *filled)
    assert tell(run, "dlq", "replay", *filled) == [{"letters": 8, "rows": 6, "dead": 2, "sink": 0}]
    for topic, source in ((TOPIC, "batch"), (STREAM, "stream")):
        assert places(run, filled, source) == list(range(8))
        assert dead(run, filled, topic) == [8]
        assert dead(run, filled, topic, "--all") == [2, 5, 6, 8]
        assert [letter["done"] for letter in tell(run, "dlq", topic, *filled[:2], "--all")] == [True] * 3 + [False]
    run("check", *filled)
    assert tell(run, "dlq", "replay", *filled) == [{"letters": 2, "rows": 0, "dead": 2, "sink": 0}]
    assert places(run, filled, "batch") == list(range(8))


def test_only_some(run, filled):
    for words, status, told in ((("--topic", TOPIC[:-1]), 1, f'did you mean "{TOPIC}"?'),
                                (("--topic", ""), 2, "--topic is empty"), (("--reason", ""), 2, "--reason is empty")):
        assert told in run("dlq", "replay", *filled, *words, status=status).stderr
    assert tell(run, "dlq", "replay", *filled, "--reason", "no such reason")[0]["letters"] == 0
    assert tell(run, "dlq", "replay", *filled, "--topic", TOPIC, "--reason", "poison", "--since", "1h") == [
        {"letters": 3, "rows": 3, "dead": 0, "sink": 0}]
    assert dead(run, filled, TOPIC) == [8] and dead(run, filled, STREAM) == [2, 5, 6, 8]
    run("check", *filled)


@pytest.mark.parametrize("fault", ["kill", "eio"])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_step(run, filled, point, fault):
    """Every offset is a row or a letter at any moment, and the next replay goes on."""
    run("dlq", "replay", *filled, "--topic", TOPIC, env={"PINPIPE_FAILPOINTS": f"{point}:{fault}@1"}, status=None)
    run("check", *filled)
    committed = point == "replay-committed"
    assert dead(run, filled, TOPIC) == ([8] if committed else [2, 5, 6, 8])
    assert places(run, filled, "batch") == (list(range(8)) if committed else [0, 1, 3, 4, 7])
    assert tell(run, "dlq", "replay", *filled)[0]["rows"] == (3 if committed else 6)
    assert places(run, filled, "batch") == places(run, filled, "stream") == list(range(8))
    assert dead(run, filled, TOPIC) == dead(run, filled, STREAM) == [8]
    run("check", *filled)


def test_two_at_once(run, filled, tmp_path):
    """Of two data directories that share a lake, so that no lock keeps them apart."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "log").symlink_to(filled[1] / "log")

    def replay(directory):
        return run("dlq", "replay", "--dir", directory, "--lake", f"file:{filled[1]}/lake", "--topic", TOPIC,
                   *filled[2:], status=None).returncode
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(replay, (filled[1], other)))
    assert 0 in ended and set(ended) <= {0, 73}
    assert places(run, filled, "batch") == list(range(8))
    assert dead(run, filled, TOPIC) == [8]
    run("check", *filled)


def test_a_rebuild_beside_it(run, start, filled, tmp_path):
    """It commits what the letters of before it would become, so the replay that had chosen them may not."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "log").symlink_to(filled[1] / "log")
    replay = start("dlq", "replay", *filled, "--topic", TOPIC, env={"PINPIPE_FAILPOINTS": "replay-commit:stop@1"})
    replay.is_reported = True  # how it ends is looked at here
    deadline = time.monotonic() + 60
    while "(stopped)" not in pathlib.Path(f"/proc/{replay.pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run("rebuild", "user", "--from", "batch", "--dir", other, "--lake", f"file:{filled[1]}/lake", *filled[2:])
    os.kill(replay.pid, signal.SIGCONT)
    assert replay.process.wait(60) == 73
    assert places(run, filled, "batch") == list(range(8))
    assert dead(run, filled, TOPIC) == [8]
    run("check", *filled)
    assert tell(run, "dlq", "replay", *filled, "--topic", TOPIC)[0]["rows"] == 0


@pytest.mark.parametrize("path", ["batch", "stream"])
def test_a_merge_and_a_retention_beside_it(run, start, filled, path):
    """Files that it read become one, and the letters that it took go: its rows come once all the same."""
    topic = TOPIC if path == "batch" else STREAM
    replay = start("dlq", "replay", *filled, "--topic", topic, env={"PINPIPE_FAILPOINTS": "replay-commit:stop@1"})
    deadline = time.monotonic() + 60
    while "(stopped)" not in pathlib.Path(f"/proc/{replay.pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run("optimize", *filled)
    run("vacuum", *filled, env={"PINPIPE_LETTERS_RETENTION": "1ms"})
    os.kill(replay.pid, signal.SIGCONT)
    assert replay.process.wait(60) == 0
    assert places(run, filled, path) == list(range(8))
    assert dead(run, filled, topic) == []
    run("check", *filled)
    assert tell(run, "dlq", "replay", *filled, "--topic", topic)[0]["rows"] == 0
