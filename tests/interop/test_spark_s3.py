"""engine.kind spark over a bucket: the lake is there, and the place where pinpipe and Spark hand each other files."""

import json

import pytest

import test_s3
from test_s3 import BUCKET, LAKE, boto3
from test_spark import TABLES, pinpipe, uncleaned

EXCHANGE = "hand over/+1"


@pytest.fixture(name="server", scope="module", autouse=True)
def fixture_server(tmp_path_factory):
    name = "versitygw" if (test_s3.CACHE / "bin" / "versitygw").exists() else "moto"
    with test_s3.serving(name, tmp_path_factory.mktemp(name)) as server:
        yield server


def settings():
    """Hadoop's way to S3 comes with a Spark of one's own; here it is a directory of jars."""
    jars = sorted((test_s3.CACHE / "jars").glob("*.jar"))
    return {"PINPIPE_SPARK__JARS": ",".join(map(str, jars)), "PINPIPE_ENGINE_EXCHANGE": f"s3://{BUCKET}/{EXCHANGE}/"}


def keys(prefix):
    return list(json.loads(boto3("list", BUCKET, prefix)))


def rows(directory, table, *words):
    return pinpipe("sql", "--dir", directory, "--format", "csv", *words,
                   f"SELECT * FROM {table}_all ORDER BY _partition, _offset")


@pytest.fixture(name="disk", scope="module")
def fixture_disk(tmp_path_factory):
    """A lake on disk with its tables; its raw objects are in the bucket as well."""
    disk, raw = tmp_path_factory.mktemp("disk"), tmp_path_factory.mktemp("raw")
    pinpipe("run", "--dir", disk, "--posts", 400, "--rate", "max", "--format", "json")
    pinpipe("cp", uncleaned(disk, raw) / "lake", LAKE)
    return disk


def test_a_bucket_gives_the_same_answers(disk, tmp_path):
    bucket = tmp_path / "bucket"
    words = ("--dir", bucket, "--lake", LAKE)
    pinpipe("batch", *words, spark=True, **settings())
    for table in TABLES:
        assert rows(bucket, table, "--lake", LAKE) == rows(disk, table)
    said = pinpipe("analyse", "--dir", disk, "--format", "json")
    assert pinpipe("analyse", *words, "--format", "json", spark=True, **settings()) == said
    assert not [key for key in keys(EXCHANGE) if "/spark-" in key]
    report = pinpipe("check", *words, status=None)
    assert report.returncode == 0, report.stdout + report.stderr
