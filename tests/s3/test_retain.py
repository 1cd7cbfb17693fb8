"""Raw objects and dead letters of a lake in a bucket go by age, at a cost that follows what goes."""
import json

import pytest

from s3_server import BUCKET, Server

LAKE = f"s3://{BUCKET}/lake"
HOUR_S = 3600
TOPIC = "124df56aef51.pin"
OBJECTS = 1200  # more than a page of a listing


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


def age(server, hours=2):
    with server.lock:
        bucket = server.buckets[BUCKET]
        for key, found in bucket.items():
            bucket[key] = found._replace(modified=found.modified - hours * HOUR_S)


@pytest.mark.parametrize("layout", [(), ("--path-format", "'hour'=HH")])
def test_objects_in_a_bucket(run, start, data_dir, server, layout):
    env = {**server.environment(), "PINPIPE_LAKE": LAKE, "PINPIPE_RAW_RETENTION": "1h",
           "PINPIPE_LETTERS_RETENTION": "1h"}
    server.clock_s = -3 * HOUR_S  # each object is old, by its word
    gateway = start("gateway", "--listen", "127.0.0.1:0", "--dir", data_dir, "--partitions", 1)
    url = gateway.wait_for(r"http://[\d.:]+")[0]

    def more(posts, flush):
        run("emulate", "--posts", posts, "--rate", "max", "--batch-size", 50, "--url", f"{url}/topics/124df56aef51.")
        run("sink", "--until-end", "--dir", data_dir, "--flush-size", flush, *layout, env=env)
        run("batch", "--dir", data_dir, env=env)

    def vacuum(*words):
        answer = run("vacuum", "pin", "--from", "batch", "--dir", data_dir, "--format", "json", *words, env=env)
        return [row for row in json.loads(answer.stdout) if row["path"] == "raw"]

    def objects():
        return [key for key in server.objects(prefix=f"lake/topics/{TOPIC}/") if server.objects()[key]]

    def check():
        answer = json.loads(run("check", "--dir", data_dir, "--format", "json", env=env).stdout)
        assert {row["faults"] for row in answer} == {0}
    more(60 if layout else OBJECTS, 10 if layout else 1)
    assert vacuum("--dry-run") == []
    age(server)
    (done,) = vacuum()
    assert done["files_removed"] >= (5 if layout else OBJECTS - 1) and len(objects()) == 1
    check()
    more(20, 10)
    check()
    before = server.requests.total()
    (again,) = vacuum()  # the newest is young, and what it stands behind is not
    assert again["files_removed"] <= 2 and len(objects()) >= 2
    assert server.requests.total() - before < 60
    check()
