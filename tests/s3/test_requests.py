"""What the work of a day asks of a bucket: the numbers that docs/s3.md computes its costs from."""
import collections
import json
import pathlib
import shutil
import urllib.request

import pytest

from conftest import PATIENCE_S, wait_until
from s3_server import BUCKET, Server

ID = "124df56aef51"
MODELS = pathlib.Path(__file__).resolve().parent.parent.parent / "models"
LAKE = f"s3://{BUCKET}/lake"


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


@pytest.fixture(name="env")
def fixture_env(server):
    return {**server.environment(), "PINPIPE_LAKE": LAKE}


@pytest.fixture(name="asked")
def fixture_asked(server):
    """asked(work): what it asked for, by kind."""
    def count(work):
        before = collections.Counter(server.requests)
        work()
        return collections.Counter(server.requests) - before
    return count


def send(gateway, method, path, body, kind):
    request = urllib.request.Request(f"{gateway.url}{path}", json.dumps(body).encode(), {"Content-Type": kind},
                                     method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 200


def post(gateway, count):
    send(gateway, "POST", f"/topics/{ID}.pin", {"records": [{"value": {"index": 1}}] * count},
         "application/vnd.kafka.json.v2+json")


def put(gateway, number):
    send(gateway, "PUT", f"/streams/streaming-{ID}-geo/record",
         {"Data": {"ind": number, "country": "Albania"}, "PartitionKey": "p"}, "application/json")


def test_an_object_that_is_put(run, server, start_gateway, data_dir, env, asked):
    """The start is counted out."""
    gateway = start_gateway(env=env)

    def sink(count):
        post(gateway, count)
        run("sink", "--dir", data_dir, "--until-end", "--flush-size", "1", env=env)
    sink(1)
    one, many = asked(lambda: sink(1)), asked(lambda: sink(51))
    assert len(server.objects(prefix=f"lake/topics/{ID}.pin/")) == 53
    assert many - one == {"put": 50}


def test_a_commit_of_a_stream(server, start, start_gateway, data_dir, env, asked):
    """Checkpoints and all that belongs to them have their share in it."""
    commits, table = 40, f"lake/tables/{ID}_geo_table/_delta_log/"
    gateway = start_gateway(env=env)
    start("stream", "--dir", data_dir, "--stream-age", "1ms", env=env)

    def await_commit(number):
        put(gateway, number)
        wait_until(lambda: f"{table}{number:020}.json" in server.objects(prefix=table), f"commit {number}")

    def work():
        for number in range(11, 11 + commits):
            await_commit(number)
    for number in range(11):  # 0 makes the table
        await_commit(number)
    counts = asked(work)
    assert set(counts) <= {"put", "get"}
    assert counts["put"] <= 2.2 * commits and counts["get"] <= 0.2 * commits


def test_a_merge(server, run, start_gateway, data_dir, env, asked):
    """Of ten files: each is read once, and so is the log; the new file and the commit are put, and a checkpoint with
    what says that it is there, which the stream has left to others."""
    gateway = start_gateway(env=env)
    for number in range(10):
        put(gateway, number)
        run("stream", "--dir", data_dir, "--until-end", env=env)
    words = ["optimize", "geo", "--from", "stream", "--dir", data_dir, "--format", "json"]
    one, none = asked(lambda: run(*words, env=env)), asked(lambda: run(*words, env=env))
    assert (one - none)["put"] == 4 and (one - none)["get"] <= 10 + 12 and set(one) <= {"put", "get", "list", "head"}
    rows = run("sql", "--dir", data_dir, "--from", "stream", "--format", "json", "SELECT ind FROM geo_all ORDER BY 1",
               env=env).stdout
    assert [row["ind"] for row in json.loads(rows)] == list(range(10))
    run("check", "--dir", data_dir, env=env)


def test_looks_of_maintain(server, start, start_gateway, run, data_dir, env, asked):
    """While nothing comes in: for the next version of a table, and whether one is there that was not."""
    put(start_gateway(env=env), 1)
    run("stream", "--dir", data_dir, "--until-end", env=env)

    def look():
        begun = server.requests["get"]
        start("maintain", "--dir", data_dir, "--maintain-every", "20ms", env=env)
        wait_until(lambda: server.requests["get"] >= begun + 40, "some looks")
    counts = asked(look)
    assert set(counts) == {"get", "list"} and counts["list"] < counts["get"]


def test_a_batch_with_nothing_new(run, env, data_dir, asked):
    """At most five a topic, all in all."""
    run("run", "--dir", data_dir, "--posts", "60", "--rate", "max", env=env)

    def batch():
        run("batch", "--dir", data_dir, env=env)
    run("sink", "--dir", data_dir, "--until-end", env=env)
    batch()
    counts = min((asked(batch) for _ in range(3)), key=lambda some: some.total())  # one in 32 trims the history
    assert counts == {"get": 1, "list": 13, "put": 1}


def test_a_batch_with_nothing_new_but_a_model(run, env, data_dir, asked, tmp_path):
    run("run", "--dir", data_dir, "--posts", "60", "--rate", "max", env=env)
    models = shutil.copytree(MODELS, tmp_path / "models")
    words = ("batch", "--dir", data_dir, "--models", models)
    run(*words, env=env)
    (models / "analyses" / "users_joined_by_year.sql").unlink()
    counts = asked(lambda: run(*words, env=env))
    assert counts["put"] <= 25 and counts["list"] <= 30 and counts["get"] <= 24


def test_a_question(run, env, data_dir, asked, tmp_path):
    """From another machine, at first with what it fetches, then without: of each table that it reads."""
    run("run", "--dir", data_dir, "--posts", "60", "--rate", "max", env=env)
    for tables, words in ((1, ["sql", "SELECT count(*) FROM pin_all"]), (3, ["analyse"])):
        first, second = (asked(lambda: run(*words, "--dir", tmp_path / words[0], env=env)) for _ in range(2))
        assert first == {"list": tables, "get": 4 * tables}
        assert second == {"list": tables, "get": 3 * tables}


def test_a_live_question(run, env, data_dir, asked):
    """Where nothing is new: the streaming path's as any other; on the batch path objects are looked for besides."""
    run("run", "--dir", data_dir, "--posts", "60", "--rate", "max", env=env)
    for how, most in ("live", {"list": 1, "get": 3}), ("batch-live", {"list": 7, "get": 5}):
        words = ("sql", "--from", how, "SELECT count(*) FROM pin_all", "--dir", data_dir)
        counts = asked(lambda: run(*words, env=env))
        assert set(counts) <= set(most) and all(counts[kind] <= most[kind] for kind in most)


def test_where_a_record_is(run, server, start_gateway, data_dir, env, asked):
    """Names tell which object has it: of hundreds, one is read, and what is asked does not grow with them."""
    gateway = start_gateway(env=env)
    post(gateway, 300)
    run("sink", "--dir", data_dir, "--until-end", "--flush-size", "1", env=env)
    run("batch", "--dir", data_dir, env=env)

    def where(offset):
        told = json.loads(run("where", f"{ID}.pin/0", offset, "--dir", data_dir, "--format", "json", env=env).stdout)
        assert told["lake"]["key"].endswith(f"+{offset:010}.json") and told["tables"][0]["state"] == "row"
    before = asked(lambda: where(3))
    assert sum(before.values()) < 40, before
    for offset in (150, 299):
        assert sum(asked(lambda at=offset: where(at)).values()) <= sum(before.values()) + 6
