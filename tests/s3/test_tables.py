"""Tables in a bucket as they were, and what it costs to look at them: no more where the log is long."""

import collections
import datetime
import json

import pytest

from s3_server import BUCKET, Server

ID = "124df56aef51"
TOPIC = f"{ID}.geo"
SHORT, LONG = 300, 1500


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


class Bucket:
    """A lake whose table geo has so many versions: 1 has one row, the last one two, those between nothing new."""

    def __init__(self, run, server, directory, versions):
        self.run, self.server, self.versions = run, server, versions
        self.env = {**server.environment(), "PINPIPE_LAKE": f"s3://{BUCKET}/{versions}"}
        self.dir = directory / "elsewhere"
        lake = directory / "lake"
        self.land(lake, 0, directory)
        log = lake / "tables" / f"{ID}_geo_clean" / "_delta_log"
        first = json.loads((log / f"{1:020}.json").read_text().splitlines()[0])["commitInfo"]["timestamp"]
        self.times = [first - 1, first]
        for version in range(2, versions - 1):
            self.times.append(first + version)
            info = {"timestamp": self.times[-1], "operation": "WRITE", "engineInfo": "another"}
            (log / f"{version:020}.json").write_text(json.dumps({"commitInfo": info}) + "\n")
        self.land(lake, 1, directory)
        assert (log / f"{versions - 1:020}.checkpoint.parquet").exists()
        run("cp", lake, f"s3://{BUCKET}/{versions}", "--dir", directory, env=server.environment())

    def land(self, lake, offset, directory):
        place = lake / "topics" / TOPIC / "partition=0"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{TOPIC}+0+{offset:010}.json").write_text(json.dumps({"ind": offset, "country": "Fiji"}) + "\n")
        self.run("batch", "--lake", lake, "--dir", directory / "data", "--create")

    def ask(self, *words):
        """The rows, and what was asked for, by kind."""
        before = collections.Counter(self.server.requests)
        rows = json.loads(self.run(*words, "--dir", self.dir, "--format", "json", env=self.env).stdout)
        return rows, collections.Counter(self.server.requests) - before


def iso(wall_ms):
    at = datetime.datetime.fromtimestamp(wall_ms / 1000, datetime.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{wall_ms % 1000:03}"


@pytest.fixture(name="buckets")
def fixture_buckets(run, server, tmp_path):
    buckets = []
    for versions in (SHORT, LONG):
        (tmp_path / str(versions)).mkdir()
        buckets.append(Bucket(run, server, tmp_path / str(versions), versions))
    return buckets


def test_a_long_log_costs_no_more(buckets):
    asked = []
    for bucket in buckets:
        (row,), counts = bucket.ask("tables", "geo", "--from", "batch")
        assert (row["rows"], row["files"], row["newest"], row["oldest"]) == (2, 2, bucket.versions - 1, 0)
        assert (row["objects"], row["letter_files"], row["waiting"], row["state"]) == (0, 0, None, "ok")
        asked.append(counts)
    assert asked[0] == asked[1] and asked[0]["get"] <= 105 and asked[0]["list"] <= 10


def test_versions(buckets):
    for bucket in buckets:
        for version, rows in ((0, 0), (1, 1), (bucket.versions - 2, 1), (bucket.versions - 1, 2)):
            assert bucket.ask("sql", f"SELECT count(*) AS n FROM geo_all@v{version}")[0] == [{"n": rows}]
        (event,), _ = bucket.ask("tables", "geo", "--from", "batch", "--history", "--limit", "1")
        assert (event["version"], event["rows_added"], event["writer"]) == (bucket.versions - 1, 1, "pinpipe/batch")


def test_a_time_is_found_by_a_few_commits(buckets):
    """Of version 1, so that nothing has to be replayed."""
    for bucket in buckets:
        rows, counts = bucket.ask("sql", f"SELECT count(*) AS n FROM geo_all@{iso(bucket.times[1])}")
        assert rows == [{"n": 1}] and counts["get"] <= 30 and counts["list"] <= 4
        rows, _ = bucket.ask("sql", f"SELECT count(*) AS n FROM geo_all@{iso(bucket.times[1] - 1)}")
        assert rows == [{"n": 0}]


def test_lines_to_paste_name_the_bucket_and_no_key(run, data_dir):
    """With the endpoint and the region as this program has them."""
    with Server() as server:
        env = {**server.environment(), "PINPIPE_LAKE": f"s3://{BUCKET}/a/lake"}
        told = json.loads(run("connect", "pin", "--dir", data_dir, "--format", "json", env=env).stdout)
        assert told["location"] == f"s3://{BUCKET}/a/lake/tables/124df56aef51_pin_clean" and not told["there"]
        lines = {line["tool"]: line["text"] for line in told["lines"]}
        endpoint = env["AWS_ENDPOINT_URL_S3"]
        for tool in ("pandas", "polars"):
            assert f'"AWS_ENDPOINT_URL": "{endpoint}"' in lines[tool] and "AWS_ALLOW_HTTP" in lines[tool]
        assert f"ENDPOINT '{endpoint.removeprefix('http://')}'" in lines["duckdb"]
        assert "USE_SSL false" in lines["duckdb"]
        assert f'"s3a://{BUCKET}/a/lake/tables/' in lines["spark"] and endpoint in lines["spark"]
        assert env["AWS_SECRET_ACCESS_KEY"] not in json.dumps(told) and env["AWS_ACCESS_KEY_ID"] not in json.dumps(told)
