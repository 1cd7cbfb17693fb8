"""`pinpipe doctor` and the real services: it sees them as they are, and says why where they refuse."""

import json

import pytest

import kafka_server
import spark_home


@pytest.fixture(scope="module", name="kafka")
def fixture_kafka(tmp_path_factory):
    with kafka_server.running(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(name="doctor")
def fixture_doctor(run):
    def ask(*words, status=0, env=None):
        rows = json.loads(run("doctor", "--listen", "127.0.0.1:0", *words, status=status, env=env,
                              timeout_s=600).stdout)
        return {row["check"]: row for row in rows}
    return ask


def settings(client):
    return {"PINPIPE_BROKER_KIND": "kafka",
            **{f"PINPIPE_KAFKA__{name.replace('.', '_').upper()}": value for name, value in client.items()}}


def test_kafka(kafka, doctor):
    kafka.create("doctor.pin")
    found = doctor(env=settings(kafka.client("SCRAM")))["Kafka"]
    assert found["state"] == "ok" and "the cluster answers" in found["found"]


def test_kafka_with_a_wrong_password(kafka, doctor):
    found = doctor(env=settings(kafka.client("SCRAM", password="another")), status=1)["Kafka"]
    assert found["state"] == "FAILED" and "sasl" in found["advice"]


def test_spark(doctor, data_dir, tmp_path):
    data_dir.mkdir()
    words = ("--dir", data_dir)
    assert doctor(*words, env=spark_home.environment())["Spark"]["found"] == "it starts, and answers"
    away = doctor(*words, env={**spark_home.environment(), "SPARK_HOME": str(tmp_path)}, status=1)["Spark"]
    assert away["state"] == "FAILED" and "docs/spark.md" in away["advice"]
