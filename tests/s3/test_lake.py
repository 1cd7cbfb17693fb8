"""The program with its lake in a bucket: what it keeps there, and what it does when that fails."""
import json
import re
import shutil
import subprocess
import time
import urllib.request

import pytest

import s3_server
from conftest import PATIENCE_S, wait_until
from s3_server import ACCESS, BUCKET, Faults, Server

ID = "124df56aef51"
LAKE = f"s3://{BUCKET}/a lake"
POSTS = 60


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


@pytest.fixture(name="env")
def fixture_env(server):
    """What makes the program use the bucket."""
    return {**server.environment(), "PINPIPE_LAKE": LAKE}


@pytest.fixture(name="ask")
def fixture_ask(run, data_dir, env):
    """What a command prints, as JSON."""
    def ask(*words, directory=data_dir, **options):
        return json.loads(run(*words, "--dir", directory, "--format", "json", **{"env": env, **options}).stdout)
    return ask


def run_all(ask, posts=POSTS, **options):
    return ask("run", "--posts", posts, "--rate", "max", **options)


@pytest.fixture(name="begun", scope="module")
def fixture_begun(tmp_path_factory):
    """What tests begin with, made by the first that asks for it."""
    return {"directory": tmp_path_factory.mktemp("begun") / "data"}


@pytest.fixture(name="filled")
def fixture_filled(server, ask, data_dir, begun):
    """What all of a run says, which is in the bucket and in the directory."""
    if "said" in begun:
        server.buckets[BUCKET] = dict(begun["bucket"])
        shutil.copytree(begun["directory"], data_dir)
    else:
        said = run_all(ask)
        shutil.copytree(data_dir, begun["directory"])
        begun.update(said=said, bucket=dict(server.buckets[BUCKET]))
    return begun["said"]


def assert_sound(rows, records):
    assert [row["faults"] for row in rows] == [0] * len(rows) and not any(row["behind"] for row in rows)
    assert sum(row["in_log"] for row in rows) == records


def post(gateway, value=None, count=1):
    body = json.dumps({"records": [{"value": value or {"index": 1}}] * count}).encode()
    request = urllib.request.Request(f"{gateway.url}/topics/{ID}.pin", body, method="POST",
                                     headers={"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)["offsets"][0]["offset"]


def landed(server):
    """Lines below topics/ of the pins."""
    return sum(body.count(b"\n") for key, body in server.objects(prefix=f"a lake/topics/{ID}.pin/").items()
               if key.endswith(".json"))


def test_a_run_gives_what_a_run_on_disk_gives(run, server, ask, tmp_path, data_dir):
    in_bucket = run_all(ask)
    on_disk = json.loads(run("run", "--dir", tmp_path / "disk", "--posts", POSTS, "--format", "json").stdout)
    for what in ("posted", "landed", "clean", "dead", "analyses"):
        assert in_bucket[what] == on_disk[what], what
    assert not (data_dir / "lake").exists()
    keys = [key.removeprefix("a lake/") for key in server.objects()]
    assert f"topics/{ID}.pin/partition=0/{ID}.pin+0+0000000000.json" in keys
    assert f"tables/{ID}_pin_clean/_delta_log/00000000000000000000.json" in keys
    assert f"tables/{ID}_pin_table/_delta_log/00000000000000000000.json" in keys
    assert {key.split("/")[0] for key in keys} >= {"topics", "tables", "results", "_pinpipe"}
    assert_sound(ask("check"), 6 * POSTS)


def test_a_machine_that_knows_only_the_bucket(run, server, ask, env, tmp_path, filled):
    elsewhere = tmp_path / "elsewhere"
    (row,) = ask("sql", "SELECT count(*) AS n FROM pin_all", directory=elsewhere)
    assert row["n"] == filled["clean"]["batch"]["pin"]
    assert len(ask("analyse", directory=elsewhere)) == len(filled["analyses"])
    ask("batch", directory=elsewhere)
    done = run("check", "--dir", elsewhere, "--format", "json", env=env)
    rows = {row["topic"]: row for row in json.loads(done.stdout)}
    assert rows[f"{ID}.pin"]["lines"] == POSTS and not any(row["faults"] for row in rows.values())
    assert "the lake alone" in done.stderr and not (elsewhere / "log").exists()
    (table,) = [key for key in server.objects() if f"{ID}_pin_clean/" in key and key.endswith(".parquet")]
    rows = server.buckets[BUCKET].pop(table)
    assert "no object" in run("check", "--dir", tmp_path / "third", env=env, status=1).stderr
    server.buckets[BUCKET][table] = rows
    assert list((elsewhere / "cache").iterdir())


@pytest.mark.usefixtures("filled")
def test_live_views(server, ask, run, start_gateway, data_dir, env):
    """Rows of the table, of objects that no batch has cleaned, and of the log alone: each once, and nothing is put."""
    gateway = start_gateway(env=env)
    count = "SELECT count(*) AS n, count(DISTINCT (_partition, _offset)) AS different FROM pin_live"
    for there in POSTS, POSTS + 5, POSTS + 10:
        keys = set(server.objects())
        assert ask("sql", "--from", "batch-live", count) == [{"n": there, "different": there}]
        assert set(server.objects()) == keys
        if there == POSTS + 5:
            run("sink", "--until-end", "--dir", data_dir, env=env)
            assert landed(server) == there
        post(gateway, count=5)
    for there in 1, 2:
        put = {"StreamName": f"streaming-{ID}-pin", "Data": {"index": there}, "PartitionKey": "k"}
        request = urllib.request.Request(f"{gateway.url}/streams/streaming-{ID}-pin/record", json.dumps(put).encode(),
                                         {"Content-Type": "application/json"}, method="PUT")
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()
        assert ask("sql", "--from", "live", count) == [{"n": POSTS + there, "different": POSTS + there}]
        run("stream", "--until-end", "--dir", data_dir, env=env)


@pytest.mark.usefixtures("filled")
def test_what_was_fetched_once_is_kept(server, ask, data_dir):
    shutil.rmtree(data_dir / "cache")
    ask("sql", "SELECT * FROM pin_all")
    assert any(key.endswith(".parquet") for key in server.got)
    server.got.clear()
    ask("sql", "SELECT * FROM pin_all")
    assert server.got and not [key for key in server.got if key.endswith(".parquet")]


@pytest.mark.usefixtures("filled")
def test_what_was_made_anew_is_fetched_anew(run, server, ask, data_dir, env):
    """Objects of the sink have the same names again, and may have other bytes, as many."""
    prefix = f"a lake/topics/{ID}.pin/"
    for key, body in server.objects(prefix=prefix).items():
        server.buckets[BUCKET][key] = s3_server.Object(re.sub(rb'("category":")[^"]', rb"\1~", body), time.time(),
                                                       '"other"', server.buckets[BUCKET][key].headers)
    server.got.clear()
    run("rebuild", "pin", "--dir", data_dir, env=env)
    (row,) = ask("sql", "SELECT count(*) AS n FROM pin_all WHERE category LIKE '~%'")
    assert row["n"] == POSTS
    server.got.clear()
    run("rebuild", "pin", "--dir", data_dir, env=env)
    assert not [key for key in server.got if key.startswith(prefix)]


def test_settings_of_the_file(run, server, tmp_path, data_dir):
    """pinpipe.yaml says where, and the environment only who."""
    env = server.environment()
    del env["AWS_ENDPOINT_URL_S3"], env["AWS_REGION"]
    (tmp_path / "pinpipe.yaml").write_text(
        f"lake: {LAKE}\ns3:\n  endpoint: {server.url}\n  region: {server.region}\n  sse: AES256\n"
        "  path_style: true\n  cache_bytes_max: 16MiB\n")
    run("run", "--dir", data_dir, "--posts", "5", env=env)
    kept = [found.headers for key, found in server.buckets[BUCKET].items() if "/topics/" in key]
    assert kept and all(headers["x-amz-server-side-encryption"] == "AES256" for headers in kept)


# --- faults


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_faults_lose_and_double_nothing(server, ask, env, seed, parts):
    """Also where tables' files are put in parts, as large ones are."""
    if parts:
        server.part_min = 0
        env["PINPIPE_FAILPOINTS"] = "s3-small-parts:eio@1+"
    server.faults = Faults(seed, 0.1, delay_s=0.01)
    result = run_all(ask, 120)
    server.faults, played = None, server.faults.counts
    assert played.total() > 20 and len(played) >= 6, played
    for path in ("batch", "stream"):
        for table in ("pin", "geo", "user"):
            assert result["clean"][path][table] + result["dead"][path][table] == 120
    assert_sound(ask("check"), 6 * 120)
    assert server.requests["part"] > 40 if parts else not server.requests["create"]
    # Of what is left nobody ever knew: the answer that named it was lost. A put in a day removes it.
    assert not [upload.key for upload in server.uploads.values() if upload.parts]


class Sink:
    """A gateway that takes records, and a sink that is to land them."""

    def __init__(self, start, start_gateway, data_dir, env):
        self.gateway = start_gateway(env=env)
        self.sent = 0
        self.service = start("sink", "--dir", data_dir, "--flush-age", "50ms", env=env)

    def post(self, count=1):
        post(self.gateway, count=count)
        self.sent += count

    def await_said(self, pattern):
        self.service.wait_for(pattern)

    def said_once(self, pattern):
        assert len(re.findall(pattern, self.service.said())) == 1, self.service.said()


@pytest.fixture(name="sink")
def fixture_sink(start, start_gateway, data_dir, env):
    return lambda more=(): Sink(start, start_gateway, data_dir, {**env, **dict(more)})


def test_no_bucket_is_said_once_and_taken_up_again(server, sink):
    server.buckets.clear()
    ours = sink()
    ours.post(3)
    ours.await_said("no such bucket")
    before = server.count
    wait_until(lambda: server.count > before + 5, "more tries")
    ours.said_once("no such bucket")
    server.buckets[BUCKET] = {}
    wait_until(lambda: landed(server) == 3, "all of it in the bucket")
    ours.said_once(r"the lake: it works again, after \d+ s")


def test_rights_that_are_taken_away(server, sink):
    ours = sink()
    ours.post(2)
    wait_until(lambda: landed(server) == 2, "the first in the bucket")
    server.denied = {"PUT"}
    ours.post(3)
    ours.await_said("no right")
    server.denied = set()
    wait_until(lambda: landed(server) == 5, "all of it in the bucket")
    ours.said_once("no right")
    ours.await_said(r"the lake: it works again, after \d+ s")
    ours.said_once("it works again")


def test_keys_that_run_out(server, sink, tmp_path):
    """The file with the keys is read again."""
    keys = tmp_path / "credentials"

    def write(token):
        keys.write_text(f"[default]\naws_access_key_id={ACCESS}\naws_secret_access_key={s3_server.SECRET}\n"
                        f"aws_session_token={token}\n")
    server.keys[ACCESS] = (s3_server.SECRET, "first")
    write("first")
    ours = sink({"AWS_SHARED_CREDENTIALS_FILE": str(keys), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    ours.post(2)
    wait_until(lambda: landed(server) == 2, "the first in the bucket")
    server.keys[ACCESS] = (s3_server.SECRET, "second")
    ours.post(2)
    ours.await_said("session token is not the keys'")
    write("second")
    wait_until(lambda: landed(server) == 4, "all of it in the bucket")
    ours.said_once("session token is not the keys'")


def test_a_gateway_takes_records_while_there_is_no_store(run, start, start_gateway, data_dir, env):
    away = {**env, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    gateway = start_gateway(env=away)
    assert [post(gateway) for _ in range(3)] == [0, 1, 2]
    with urllib.request.urlopen(f"{gateway.url}/readyz", timeout=PATIENCE_S) as answer:
        assert answer.status == 200
    done = run("batch", "--dir", data_dir, env=away, status=None)
    assert done.returncode == 75, done.stderr
    assert "127.0.0.1:1" in done.stderr


def test_a_full_disk_of_the_cache(run, ask, env, tmp_path, filled):
    """What does not fit ends the command, and is taken up again; batch does without."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], capture_output=True).returncode:
        pytest.skip("may not mount a small tmpfs here")
    try:
        (small / "ballast").write_bytes(bytes(250000))
        assert "o space" in run("sql", "--dir", small, "SELECT count(*) FROM pin_all", env=env, status=75).stderr
        (small / "ballast").unlink()
        (row,) = ask("sql", "SELECT count(*) AS n FROM pin_all", directory=small)
        assert row["n"] == filled["clean"]["batch"]["pin"]
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    assert_sound(ask("check"), 6 * POSTS)


def test_a_cache_that_is_removed_while_it_is_used(ask, data_dir, monkeypatch, filled):
    """Again and again: that is nothing that the lake lacks."""
    get, removed = Server.do_get, []

    def getting(self, bucket, key, *what):
        if (data_dir / "cache").exists():
            shutil.rmtree(data_dir / "cache", ignore_errors=True)
            removed.append(key)
        return get(self, bucket, key, *what)
    monkeypatch.setattr(Server, "do_get", getting)
    ask("batch")
    (row,) = ask("sql", "SELECT count(*) AS n FROM pin_all")
    assert row["n"] == filled["clean"]["batch"]["pin"] and len(removed) > 1
    assert_sound(ask("check"), 6 * POSTS)


def test_without_libcurl(run, env, data_dir, tmp_path):
    """It is said before anything is asked or done, and no fault of the keys, which might mend itself."""
    (tmp_path / "libcurl.so.4").write_text("none")
    for words in (("sql", "SELECT 1"), ("sink",), ("stream",), ("batch",), ("check",), ("dlq",)):
        done = run(*words, "--dir", data_dir, env={**env, "LD_LIBRARY_PATH": str(tmp_path)}, status=2)
        assert "could not load a library" in done.stderr and "libcurl.so.4" in done.stderr


def test_a_place_that_is_no_s3_is_no_empty_lake(run, server, ask, env, tmp_path):
    """As behind a wrong port or path, whoever answers there."""
    run_all(ask, 10)
    server.faults = Faults(1, 1, ("no S3",))
    done = run("sql", "SELECT count(*) AS n FROM pin_all", "--dir", tmp_path / "other", env=env, status=75)
    assert "what answers is no S3" in done.stderr and not done.stdout


def test_a_lake_where_several_win_gets_no_table(run, server, data_dir, env):
    server.racy = True
    done = run("run", "--dir", data_dir, "--posts", "5", env=env, status=None)
    assert done.returncode not in (0, 75)
    assert "lets several writers create the same object" in done.stderr
    assert not [key for key in server.objects() if "_delta_log" in key]


def test_other_programs_objects_are_left_alone(run, server, ask, data_dir, env):
    others = {f"a lake/topics/{ID}.pin/partition=0/notes.txt": b"hello", "a lake/topics/": b"", "else/x": b"1",
              f"a lake/tables/{ID}_pin_clean/readme": b"2"}
    for key, body in others.items():
        server.buckets[BUCKET][key] = s3_server.Object(body, 1e9, '"e"', {})
    run_all(ask, 10)
    done = run("check", "--dir", data_dir, env=env, status=1)
    assert f"topics/{ID}.pin/partition=0/notes.txt\" is not the name of an object" in done.stderr
    assert "\n".join(done.stderr.splitlines()).count("pinpipe check: \"") == 1
    assert {key: server.objects()[key] for key in others} == others
