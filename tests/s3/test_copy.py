"""A lake that moves between a directory and a bucket, and a log that is made of one in a bucket."""
import json
import os
import shutil
import urllib.request

import pytest

from s3_server import BUCKET, Faults, Server

ID = "124df56aef51"
PIN = f"{ID}.pin"
POSTS = 40
LAKE = f"s3://{BUCKET}/a lake"


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


@pytest.fixture(name="env")
def fixture_env(server):
    return server.environment()


def files(lake):
    return {str(path.relative_to(lake)): path.read_bytes() for path in lake.rglob("*")
            if path.is_file() and ".tmp" not in path.parts}


def kept(server, prefix="a lake/"):
    """What is in the bucket of the lake itself; what is remembered of the store is none of it."""
    objects = {key.removeprefix(prefix): body for key, body in server.objects(prefix=prefix).items()}
    return {key: body for key, body in objects.items() if not key.startswith("_pinpipe/")}


@pytest.fixture(name="lake")
def fixture_lake(run, data_dir):
    run("run", "--dir", data_dir, "--posts", POSTS, "--rate", "max")
    return data_dir / "lake"


def assert_clean(run, directory, lake, env):
    said = run("check", "--dir", directory, "--lake", lake, "--format", "json", env=env)
    assert [row["faults"] for row in json.loads(said.stdout)] == [0] * 6


def post(gateway, value):
    body = json.dumps({"records": [{"value": value}]}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{PIN}", body, method="POST",
                                     headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["offsets"][0]["offset"]


def test_there_and_back(run, server, env, lake, data_dir, tmp_path):
    run("cp", f"file:{lake}", LAKE, env=env)
    assert kept(server) == files(lake)
    assert not (tmp_path / "pinpipe-data").exists()
    assert_clean(run, data_dir, LAKE, env)
    said = run("cp", f"file:{lake}", LAKE, env=env).stderr
    assert f"0 objects, 0 bytes copied and read back; {len(files(lake))} were there" in said
    run("cp", LAKE, f"file:{tmp_path}/back", env=env)
    assert files(tmp_path / "back") == files(lake)
    run("cp", LAKE, f"s3://{BUCKET}/another", env=env)
    assert kept(server, "another/") == files(lake)
    (lake / "mine").write_bytes(b"1")
    server.buckets[BUCKET]["a lake/mine"] = server.buckets[BUCKET]["a lake/results/"
                                                                  + next((lake / "results").glob("*.csv")).name]
    assert "are others" in run("cp", f"file:{lake}", LAKE, env=env, status=1).stderr


def test_large_objects_go_in_parts(run, server, env, tmp_path):
    """And are read in pieces: nothing of them is in memory as a whole."""
    key, piece = "tables/t/part-1.parquet", 8 << 20
    here = tmp_path / "here"
    (here / key).parent.mkdir(parents=True)
    (here / key).write_bytes(os.urandom((40 << 20) + 1))
    longest = []
    get = server.do_get

    def getting(*what):
        answer = get(*what)
        longest.append(len(answer[1]))
        return answer
    server.do_get = getting
    run("cp", f"file:{here}", LAKE, env=env)
    assert kept(server) == files(here) and server.requests["part"] == 3 and not server.uploads
    run("cp", LAKE, f"file:{tmp_path}/back", env=env)
    assert files(tmp_path / "back") == files(here)
    assert max(longest) == piece
    del server.got[f"a lake/{key}"]
    assert "1 were there" in run("cp", f"file:{here}", LAKE, env=env).stderr
    assert server.got[f"a lake/{key}"] == 6


@pytest.mark.parametrize("seed", range(3))
def test_a_store_that_has_its_faults(run, server, env, lake, tmp_path, seed):
    server.faults = Faults(seed, 0.1, delay_s=0.01)
    run("cp", f"file:{lake}", LAKE, env=env)
    run("cp", LAKE, f"file:{tmp_path}/back", env=env)
    server.faults, played = None, server.faults.counts
    assert played.total() > 20
    assert kept(server) == files(lake) == files(tmp_path / "back")


def test_words_come_along(run, server, env, tmp_path):
    """As a bucket keeps them, and as a directory does, if it can."""
    here = tmp_path / "here"
    (here / "topics").mkdir(parents=True)
    (here / "topics" / "a=+%").write_bytes(b"a")
    run("cp", f"file:{here}", LAKE, env=env)
    server.buckets[BUCKET]["a lake/topics/a=+%"].headers["x-amz-meta-from"] = "7"
    run("cp", LAKE, f"s3://{BUCKET}/another", env=env)
    assert server.buckets[BUCKET]["another/topics/a=+%"].headers["x-amz-meta-from"] == "7"
    assert "are others" in run("cp", f"file:{here}", LAKE, env=env, status=1).stderr


def test_a_log_out_of_a_bucket(run, start_gateway, server, env, lake, data_dir, tmp_path):
    """On a machine that knows only the bucket."""
    run("cp", f"file:{lake}", LAKE, env=env)
    env = {**env, "PINPIPE_LAKE": LAKE}
    before = run("cat", PIN, "--dir", data_dir).stdout
    elsewhere = tmp_path / "elsewhere"
    server.faults = Faults(7, 0.1, delay_s=0.01)
    made = json.loads(run("restore", "--from-lake", "--dir", elsewhere, "--format", "json", env=env).stdout)
    server.faults = None
    assert {row["name"]: row["records"] for row in made}[PIN] == POSTS
    assert run("cat", PIN, "--dir", elsewhere).stdout == before
    shutil.rmtree(data_dir)
    gateway = start_gateway(env=env, directory=elsewhere)
    assert post(gateway, {"index": 1}) == POSTS
    for command in (("sink", "--until-end"), ("batch",), ("stream", "--until-end")):
        run(*command, "--dir", elsewhere, env=env)
    assert_clean(run, elsewhere, LAKE, env)
    (row,) = json.loads(run("sql", "--dir", elsewhere, "--format", "json", "SELECT count(*) AS n FROM pin_all",
                            env=env).stdout)
    assert row["n"] == POSTS + 1


def test_a_copy_that_was_killed_goes_on(run, pinpipe, server, env, lake):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    whole = files(lake)
    for at in (3, 12, 17, 15):  # of what each finds left
        run("cp", f"file:{lake}", LAKE, status=-9, env={**env, "PINPIPE_FAILPOINTS": f"copy-put:kill@{at}"})
        there = kept(server)
        assert len(there) < len(whole) and there.items() <= whole.items()
        for key, body in there.items():
            if "/_delta_log/" in key and key.endswith(".json"):
                root = key.split("/_delta_log/")[0]
                adds = [json.loads(line).get("add") for line in body.splitlines()]
                assert all(f"{root}/{add['path']}" in there for add in adds if add), key
    run("cp", f"file:{lake}", LAKE, env=env)
    assert kept(server) == whole
