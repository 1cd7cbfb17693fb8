"""`pinpipe doctor` and a bucket: it is asked as the sink would, and is as it was before."""

import json

import pytest

from s3_server import BUCKET, Server


@pytest.fixture(name="server")
def fixture_server():
    with Server() as one:
        yield one


@pytest.fixture(name="doctor")
def fixture_doctor(run):
    def ask(*words, status=0, **more):
        return {row["check"]: row for row in json.loads(
            run("doctor", "--listen", "127.0.0.1:0", *words, status=status, **more).stdout)}
    return ask


def test_a_bucket_that_takes_objects(doctor, server):
    rows = doctor("--lake", f"s3://{BUCKET}/x", env=server.environment())
    assert "takes objects" in rows["lake"]["found"]
    assert rows["AWS keys"]["found"] == "of the environment"
    # What stays is the mark of the proof that this store lets only one create an object, which every writer looks for.
    assert [key for key in server.objects() if "_pinpipe/create-only" not in key] == []


def test_keys_that_are_refused(doctor, server):
    rows = doctor("--lake", f"s3://{BUCKET}/x", status=1,
                  env={**server.environment(), "AWS_SECRET_ACCESS_KEY": "another"})
    assert rows["lake"]["state"] == "FAILED" and "docs/s3.md" in rows["lake"]["advice"]


def test_a_bucket_that_is_not_there(doctor, server):
    rows = doctor("--lake", "s3://nothing-here/x", status=1, env=server.environment())
    assert rows["lake"]["state"] == "FAILED"


def test_no_keys(doctor, server):
    environment = {name: "" if "KEY" in name else value for name, value in server.environment().items()}
    rows = doctor("--lake", f"s3://{BUCKET}/x", status=1,
                  env={**environment, "AWS_EC2_METADATA_DISABLED": "true"})
    assert rows["AWS keys"]["state"] == "FAILED" and "profile" in rows["AWS keys"]["advice"]
