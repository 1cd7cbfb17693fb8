"""pinpipe vacuum of a lake in a bucket, whose times are by a clock that is hours off."""
import json

import pytest

from conftest import wait_until
from s3_server import BUCKET, Server

LAKE = f"s3://{BUCKET}/lake"
HOUR_S = 3600


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


def age(server, hours=2):
    with server.lock:
        bucket = server.buckets[BUCKET]
        for key, found in bucket.items():
            bucket[key] = found._replace(modified=found.modified - hours * HOUR_S)


def test_a_table_in_a_bucket(run, start, data_dir, server):
    env = {**server.environment(), "PINPIPE_LAKE": LAKE, "PINPIPE_TABLE_CHECKPOINT_COMMITS": "2",
           "PINPIPE_STREAM_AGE": "1ms"}
    server.clock_s = -3 * HOUR_S
    gateway = start("gateway", "--listen", "127.0.0.1:0", "--dir", data_dir)
    url = gateway.wait_for(r"http://[\d.:]+")[0]
    start("stream", "--dir", data_dir, env=env)
    log = "lake/tables/124df56aef51_pin_table/_delta_log/0"

    def commits():
        return [key for key in server.objects(prefix=log) if key.endswith(".json")]

    def more(count):
        wanted = len(commits()) + count
        wait_until(lambda: len(commits()) >= wanted or run(
            "emulate", "--streaming", "--posts", 10, "--rate", 50, "--streaming-url", url).returncode, "commits")

    def vacuum(*words):
        answer = run("vacuum", "pin", "--from", "stream", "--dir", data_dir, "--format", "json", *words, env=env)
        return json.loads(answer.stdout)

    more(15)
    with server.lock:
        some = next(iter(server.buckets[BUCKET].values()))
        server.buckets[BUCKET]["lake/tables/124df56aef51_pin_table/part-orphan.parquet"] = some
    assert vacuum("--dry-run") == []  # though each is from three hours ago, by its word
    age(server)
    would = vacuum("--dry-run")
    (done,) = vacuum()
    assert len(would) == done["files_removed"] + done["log_removed"]
    assert done["files_removed"] == 1 and done["log_removed"] > 4
    more(3)
    answer = json.loads(run("check", "--dir", data_dir, "--format", "json", env=env).stdout)
    assert {row["faults"] for row in answer} == {0}
