"""Progress at its smallest value: a partition of which only the first record was ever taken.

Offset 0 is progress. Whoever takes it for none lands or cleans that record again, and only after a
restart, when what was in memory is read back from where it is kept.
"""

import hashlib
import json
import urllib.request

from lake import ID

COMMITS = 10  # until a table gets a checkpoint
OFTEN = {"PINPIPE_TABLE_CHECKPOINT_COMMITS": "3"}  # a stream waits for three times as many
STREAM = f"streaming-{ID}-geo"


def place(ind):
    return {"ind": ind, "country": "Fiji"}


def post(gateway, path, body, content_type="application/json", method="PUT"):
    request = urllib.request.Request(f"{gateway.url}/{path}", json.dumps(body).encode(),
                                     {"Content-Type": content_type}, method=method)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def put_record(gateway, key, ind):
    return post(gateway, f"streams/{STREAM}/record",
                {"StreamName": STREAM, "Data": place(ind), "PartitionKey": key})["ShardId"]


def shard_of(key):
    """0 or 1: the half of the hash range that a partition key falls into."""
    return hashlib.md5(key.encode()).digest()[0] >> 7


def forget_the_log(table):
    """Only the newest checkpoint is left."""
    log = table / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    newest = max(path.name[:20] for path in log.glob("*.checkpoint.parquet"))
    for path in log.glob("*.json"):
        if path.name[:20] <= newest:
            path.unlink()


def test_of_a_sink(run, gateway, data_dir):
    topic = f"{ID}.pin"
    post(gateway, f"topics/{topic}", {"records": [{"value": {"index": 7}}]},
         "application/vnd.kafka.json.v2+json", "POST")
    run("sink", "--until-end", "--dir", data_dir)
    for path in data_dir.glob("log/groups/*"):
        path.unlink()
    run("sink", "--until-end", "--dir", data_dir)
    objects = list((data_dir / "lake" / "topics" / topic).rglob("*.json"))
    assert [path.name for path in objects] == [f"{topic}+0+0000000000.json"]
    assert objects[0].read_text() == '{"index":7}\n'


def test_of_a_batch(lake):
    lake.put("geo", [place(7)], partition=0)
    assert lake.batch()["tables"]["geo"]["rows"] == 1
    for start in range(COMMITS):
        lake.put("geo", [place(100 + start)], start, partition=1)
        assert lake.batch()["tables"]["geo"]["rows"] == 1
    forget_the_log(lake.dir / "lake" / "tables" / f"{ID}_geo_clean")
    assert lake.batch()["tables"]["geo"]["rows"] == 0
    assert lake.sql("SELECT count(*) AS n FROM geo_all") == [{"n": 1 + COMMITS}]


def test_of_a_stream(run, start_gateway, data_dir):
    gateway = start_gateway("--shards", 2)

    def run_stream():
        return json.loads(run("stream", "--until-end", "--dir", data_dir, env=OFTEN).stdout)["rows"]["geo"]

    first = put_record(gateway, "k", 7)
    assert run_stream() == 1
    for n in range(COMMITS):
        key = next(f"{n}-{i}" for i in range(1000) if shard_of(f"{n}-{i}") != shard_of("k"))
        assert put_record(gateway, key, 100 + n) != first
        assert run_stream() == 1
    forget_the_log(data_dir / "lake" / "tables" / f"{ID}_geo_table")
    assert run_stream() == 0
    counted = run("sql", "--dir", data_dir, "--from", "stream", "--format", "json",
                  "SELECT count(*) AS n FROM geo_all").stdout
    assert json.loads(counted) == [{"n": 1 + COMMITS}]
