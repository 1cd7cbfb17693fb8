"""The sink's layouts in a bucket: the connector's own file says which, faults come and go, and others read it back."""
import gzip
import json
import re
import urllib.request

import pytest

from conftest import PATIENCE_S
from s3_server import BUCKET, Faults, Server

ID = "124df56aef51"
TOPIC = f"{ID}.geo"
DAY = 1646092800000  # 2022-03-01T00:00:00Z
RECORDS = 120

CONNECTOR = f"""connector.class=io.confluent.connect.s3.S3SinkConnector
topics={TOPIC}
s3.bucket.name={BUCKET}
s3.region=%s
store.url=%s
s3.path.style.access.enabled=true
flush.size=4
format.class=io.confluent.connect.s3.format.json.JsonFormat
partitioner.class=io.confluent.connect.storage.partitioner.TimeBasedPartitioner
path.format='hour'=HH
partition.duration.ms=3600000
locale=en
timezone=UTC
timestamp.extractor=RecordField
timestamp.field=at
"""


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


def post(gateway, numbers):
    records = [{"value": {"ind": n, "country": "Albania", "at": DAY + n * 7 % 24 * 3600000}} for n in numbers]
    request = urllib.request.Request(f"{gateway.url}/topics/{TOPIC}", json.dumps({"records": records}).encode(),
                                     {"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        assert all(offset.get("offset") is not None for offset in json.load(reply)["offsets"])


def values(server):
    """Of all lines below topics/."""
    found = []
    for key, body in server.objects(prefix=f"topics/{TOPIC}/").items():
        text = gzip.decompress(body) if key.endswith(".gz") else body
        found += [json.loads(line)["ind"] for line in text.splitlines()]
    return sorted(found)


def read_back(run, server, data_dir, expected):
    env = {**server.environment(), "PINPIPE_LAKE": f"s3://{BUCKET}"}
    run("batch", "--dir", data_dir, env=env)
    rows = json.loads(run("sql", "--dir", data_dir, "--format", "json", env=env, *[
        "SELECT count(*) AS n, sum(ind - _offset::BIGINT) AS apart FROM geo_all"]).stdout)
    assert rows == [{"n": expected, "apart": 0}]
    run("check", "--dir", data_dir, env=env)


def test_the_connectors_file_says_where(run, gateway, server, data_dir, tmp_path):
    post(gateway, range(RECORDS))
    path = tmp_path / "s3.properties"
    path.write_text(CONNECTOR % (server.region, server.url))
    env = server.environment()
    del env["AWS_ENDPOINT_URL_S3"], env["AWS_REGION"]
    run("sink", "--until-end", "--dir", data_dir, "--connector", path, env=env)
    assert values(server) == list(range(RECORDS))
    keys = server.objects(prefix=f"topics/{TOPIC}/")
    assert all(re.fullmatch(rf"topics/{TOPIC}/hour=\d\d/{re.escape(TOPIC)}\+0\+\d{{10}}\.json", key) for key in keys)
    assert len(keys) <= 2 * RECORDS / 4
    assert not (data_dir / "lake").exists()
    read_back(run, server, data_dir, RECORDS)


def test_all_parts_of_a_run_use_the_connectors_bucket(run, server, data_dir, tmp_path):
    """By a flag and by the configuration, where questions that are asked later find it, too."""
    path = tmp_path / "s3.properties"
    path.write_text(f"s3.bucket.name={BUCKET}\ns3.region={server.region}\nstore.url={server.url}\nflush.size=5\n")
    env = server.environment()
    del env["AWS_ENDPOINT_URL_S3"], env["AWS_REGION"]
    run("run", "--posts", 7, "--dir", data_dir, "--connector", path, env=env)
    assert server.objects(prefix=f"topics/{TOPIC}/") and server.objects(prefix=f"tables/{ID}_geo_clean/")
    assert server.objects(prefix=f"tables/{ID}_geo_table/") and not (data_dir / "lake").exists()
    (tmp_path / "pinpipe.yaml").write_text(f"sink.connector: {path}\n")
    rows = json.loads(run("sql", "--dir", data_dir, "--format", "json", "SELECT count(*) AS n FROM geo_all",
                          env=env).stdout)
    assert rows == [{"n": 7}]
    assert f"s3://{BUCKET},{path}:1" in run("config", "--format", "csv", env=env).stdout


@pytest.mark.parametrize("seed", range(3))
def test_faults_lose_and_double_nothing(run, gateway, server, data_dir, seed):
    total = 0
    for layout in ({"PINPIPE_SINK_PATH_FORMAT": "'hour'=HH"}, {"PINPIPE_SINK_S3_COMPRESSION_TYPE": "gzip"}, {}):
        post(gateway, range(total, total + RECORDS))
        total += RECORDS
        server.faults = Faults(seed, 0.1, delay_s=0.01)
        env = {**server.environment(), "PINPIPE_LAKE": f"s3://{BUCKET}", "PINPIPE_SINK_FLUSH_SIZE": "10",
               "PINPIPE_SINK_TIMESTAMP_EXTRACTOR": "RecordField", "PINPIPE_SINK_TIMESTAMP_FIELD": "at", **layout}
        run("sink", "--until-end", "--dir", data_dir, env=env)
        server.faults = None
        assert values(server) == list(range(total))
    read_back(run, server, data_dir, total)
