"""`pinpipe doctor`: each thing that may be wrong is said, with what to do, and nothing is left behind."""

import json
import os
import socket
import subprocess

import pytest

import conftest
import mysql_server
from screen import Screen, columns

UNREACHED = "127.0.0.1:9"  # discard: nobody listens there


@pytest.fixture(name="doctor")
def fixture_doctor(run):
    """doctor("--lake", x, status=1): {check: row}"""
    def ask(*words, status=0, **more):
        rows = json.loads(run("doctor", *words, status=status, **more).stdout)
        assert all(row["advice"] for row in rows if row["state"] == "warning"), rows
        return {row["check"]: row for row in rows}
    return ask


@pytest.fixture(name="free")
def fixture_free():
    return f"127.0.0.1:{conftest.free_port()}"


def failed(rows):
    return {check for check, row in rows.items() if row["state"] == "FAILED"}


def test_a_machine_that_is_well(doctor, free, tmp_path):
    rows = doctor("--listen", free)
    assert failed(rows) == set()
    for check in ("program", "SQL engine", "memory", "open files", "clock", "data", "file system", "disk", "sync",
                  "address", "models", "lake"):
        assert rows[check]["found"], check
    assert "not there yet" in rows["data"]["found"]
    assert list(tmp_path.iterdir()) == []


def test_a_person_reads_whole_advice(run, free):
    said = run("doctor", "--listen", free, "--format", "table", "--url", f"http://{UNREACHED}/topics/x.", status=1)
    line = next(line for line in said.stdout.splitlines() if "proxy or a firewall" in line)
    assert line.lstrip().startswith("> ") and line.endswith("stand between?")
    assert "1 of " in said.stderr and "checks failed" in said.stderr


@pytest.mark.parametrize("width", [80, 60, 30])
def test_advice_is_as_wide_as_the_terminal(pinpipe, free, tmp_path, width):
    command = [pinpipe, "doctor", "--listen", free, "--format", "table", "--url", f"http://{UNREACHED}/topics/x."]
    text = Screen(command, width, cwd=tmp_path).read()
    lines = text[:text.index("\npinpipe doctor:")].split("\n")
    first, *more = lines[next(n for n, line in enumerate(lines) if line.lstrip().startswith("> does it run")):]
    assert " ".join([first.strip(), *map(str.strip, more)]).endswith("a proxy or a firewall stand between?"), text
    assert bool(more) == (width > 30), text  # which has no room for a column
    assert first.startswith(22 * " " + "> ") and all(line[:24].isspace() for line in more), text
    assert width == 30 or all(columns(line) <= width or " " not in line[22:].strip() for line in lines), text


def test_a_port_that_is_taken(doctor):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        rows = doctor("--listen", f"127.0.0.1:{taken.getsockname()[1]}", status=1)
    assert failed(rows) == {"address"} and "--listen" in rows["address"]["advice"]


def test_keys(doctor, run, free, tmp_path):
    keys = tmp_path / "keys"
    env = {"PINPIPE_GATEWAY_KEYS": str(keys)}
    keys.write_text(f"a post {'0' * 64}\nb post,read {'1' * 64}\n")
    keys.chmod(0o644)
    assert doctor("--listen", free, env=env)["keys"]["found"] == "2 in use"
    assert run("config", env=env).stderr == ""
    keys.chmod(0o664)
    assert "go-w" in doctor("--listen", free, env=env)["keys"]["advice"]
    keys.chmod(0o600)
    keys.write_text("# b\n")
    assert "nobody is let in" in doctor("--listen", free, env=env)["keys"]["found"]
    keys.write_text("a post\n")
    rows = doctor("--listen", free, env=env, status=1)
    assert failed(rows) == {"keys"} and f"{keys}:1: a key is three words" in rows["keys"]["found"]
    assert f"{keys}:1: a key is three words" in run("config", env=env).stderr


def test_a_gateway_of_ours_may_have_it(doctor, gateway, data_dir):
    rows = doctor("--listen", f"127.0.0.1:{gateway.port}", "--dir", data_dir)
    assert "a gateway runs on this directory" in rows["address"]["found"]
    gateway.stop()
    rows = doctor("--listen", f"127.0.0.1:{gateway.port}", "--dir", data_dir)
    assert "is free" in rows["address"]["found"]


def test_an_up_of_ours_may_have_it(doctor, start, data_dir, free):
    up = start("up", "--listen", free, "--dir", data_dir)
    up.wait_for("listening on")
    rows = doctor("--listen", free, "--dir", data_dir)
    assert f"`pinpipe up` (process {up.pid})" in rows["address"]["found"]


def test_an_address_for_all_without_a_key(doctor, free):
    rows = doctor("--listen", free.replace("127.0.0.1", "0.0.0.0"), status=1)
    assert failed(rows) == {"address"} and "api_key" in rows["address"]["found"]


@pytest.fixture(name="certificate")
def fixture_certificate(tmp_path):
    """certificate(days): what makes --tls-cert and --tls-key"""
    def make(days):
        cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        at_the_time = [] if days else ["faketime", "2020-01-01 00:00:00"]
        subprocess.run([*at_the_time, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", cert, "-days", str(days or 1)], check=True,
                       capture_output=True)
        return ["--tls-cert", cert, "--tls-key", key]
    return make


@pytest.mark.parametrize("days,state", [(400, "ok"), (5, "warning"), (0, "FAILED")])
def test_certificates_run_out(doctor, free, certificate, days, state):
    rows = doctor("--listen", free, *certificate(days), status=state == "FAILED")
    assert rows["certificate"]["state"] == state
    assert rows["address"]["state"] == "ok"


def test_a_certificate_that_cannot_be_used(doctor, free, certificate, tmp_path):
    words = certificate(400)
    (tmp_path / "key.pem").write_text("no key\n")
    rows = doctor("--listen", free, *words, status=1)
    assert failed(rows) == {"address"} and "key.pem" in rows["address"]["found"]


def test_models_that_are_broken(doctor, free, tmp_path):
    models = tmp_path / "models"
    (models / "clean").mkdir(parents=True)
    (models / "analyses").mkdir()
    (models / "clean" / "clicks.sql").write_text("-- title: Clicks\nSELECT nonsense FRO raw\n")
    rows = doctor("--listen", free, "--models", models, status=1)
    assert failed(rows) == {"models"} and "models --check" in rows["models"]["advice"]


def test_a_lake_that_is_not_mounted(doctor, free, tmp_path):
    rows = doctor("--listen", free, "--lake", tmp_path / "mnt", status=1)
    assert failed(rows) == {"lake"} and "mounted" in rows["lake"]["advice"]
    assert not (tmp_path / "mnt").exists()


def test_a_lake_that_is_there(doctor, free, tmp_path):
    (tmp_path / "mnt").mkdir()
    rows = doctor("--listen", free, "--lake", tmp_path / "mnt")
    assert "takes objects" in rows["lake"]["found"]
    assert [path for path in (tmp_path / "mnt").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_directory_of_another_user(pinpipe, tmp_path, doctor, free):
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    os.chown(directory, 65534, 65534)
    assert doctor("--listen", free, "--dir", directory)["data"]["state"] == "warning"
    os.chown(directory, 0, 0)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    asked = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", pinpipe, "doctor",
                            "--dir", directory, "--listen", free], capture_output=True, text=True, check=False,
                           env=conftest.clean_environment({"ASAN_OPTIONS": "detect_leaks=0"}), cwd="/")
    if "Permission denied" in asked.stderr and not asked.stdout:
        pytest.skip("the program itself is not another user's to run")
    rows = {row["check"]: row for row in json.loads(asked.stdout)}
    assert asked.returncode == 1 and rows["data"]["state"] == "FAILED" and "user" in rows["data"]["advice"]


def test_memory_that_is_not_there(doctor, free):
    rows = doctor("--listen", free, env={"PINPIPE_ENGINE_MEMORY": "1TiB"})
    assert rows["memory"]["state"] == "warning" and "engine.memory" in rows["memory"]["advice"]


def test_disk_and_open_files(doctor, free, run):
    rows = doctor("--listen", free, status=1, env={"PINPIPE_LOG_DISK_RESERVE_BYTES": "1TiB"})
    assert failed(rows) == {"disk"}
    rows = doctor("--listen", free, env={"PINPIPE_GATEWAY_CONNECTIONS_MAX": "1000000",
                                         "PINPIPE_LOG_DISK_RESERVE_BYTES": "0"})
    assert rows["open files"]["state"] in ("warning", "ok")  # ok where the limit is that high
    assert rows["disk"]["state"] == "ok"


def test_data_in_memory(doctor, free):
    rows = doctor("--listen", free, "--dir", f"/dev/shm/pinpipe-doctor-{os.getpid()}",
                  env={"PINPIPE_LOG_DISK_RESERVE_BYTES": "1MiB"})
    assert rows["file system"]["state"] == "warning" and "tmpfs" in rows["file system"]["found"]


def test_credentials_that_others_read(doctor, free, tmp_path):
    creds = tmp_path / "db_creds.yaml"
    creds.write_text("URL: http://127.0.0.1:1/topics/x.\n")
    creds.chmod(0o644)
    assert doctor("--listen", free, status=1)["credentials"]["state"] == "warning"
    creds.chmod(0o600)
    assert doctor("--listen", free, status=1)["credentials"]["state"] == "ok"


def test_a_time_zone(doctor, free):
    assert doctor("--listen", free, env={"PINPIPE_SINK_TIMEZONE": "Europe/Berlin"})["sink.timezone"]["state"] == "ok"


def test_urls(doctor, free, gateway):
    rows = doctor("--listen", free, "--url", gateway.url, "--streaming-url", f"http://{UNREACHED}/streams/x",
                  status=1)
    assert rows["emulate.url"]["state"] == "ok" and failed(rows) == {"emulate.streaming_url"}


def test_kafka_that_is_away(doctor, free):
    rows = doctor("--listen", free, "--broker", "kafka", status=1,
                  env={"PINPIPE_KAFKA__BOOTSTRAP_SERVERS": UNREACHED})
    assert failed(rows) == {"Kafka"} and "bootstrap.servers" in rows["Kafka"]["advice"]


def test_spark_that_is_not_there(doctor, free, tmp_path, data_dir):
    words = ("--listen", free, "--dir", data_dir, "--engine", "spark")
    environment = {"PINPIPE_ENGINE_SPARK_SUBMIT": str(tmp_path / "none")}
    assert doctor(*words, env=environment)["Spark"]["state"] == "note"  # there is no place to hand over files
    data_dir.mkdir()
    rows = doctor(*words, status=1, env=environment)
    assert failed(rows) == {"Spark"} and "docs/spark.md" in rows["Spark"]["advice"]


@pytest.mark.skipif(not mysql_server.is_there(), reason="needs mariadb-server-core")
def test_mysql(doctor, free, run, tmp_path):
    with mysql_server.Server(tmp_path / "mysql") as server:
        run("db", "load", "--rows", "10", env=server.environment())
        rows = doctor("--listen", free, env=server.environment())
        assert "10 posts, 10 of them whole" in rows["MySQL"]["found"]
        server.do("DELETE FROM geolocation_data LIMIT 3")
        assert doctor("--listen", free, env=server.environment())["MySQL"]["state"] == "warning"
        environment = server.environment()
    rows = doctor("--listen", free, status=1, env=environment)
    assert failed(rows) == {"MySQL"} and "db_creds.yaml" in rows["MySQL"]["advice"]
