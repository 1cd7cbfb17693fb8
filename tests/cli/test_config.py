"""Layers of the configuration, and files that cannot be one."""

import json
import os
import re
import subprocess

import pytest

import conftest


def value_of(run, key, *words, **options):
    rows = json.loads(run("config", "--format", "json", *words, **options).stdout)
    row = next(row for row in rows if row["key"] == key)
    return row["value"], row["origin"]


def test_higher_layers_win(run, tmp_path):
    config = tmp_path / "pinpipe.yaml"
    assert value_of(run, "dir") == ("pinpipe-data", "default")
    config.write_text("# where things are\ndir: from-file\n")
    assert value_of(run, "dir") == ("from-file", "pinpipe.yaml:2")
    env = {"PINPIPE_DIR": "from-env"}
    assert value_of(run, "dir", env=env) == ("from-env", "PINPIPE_DIR")
    assert value_of(run, "dir", "--dir", "from-flag", env=env) == ("from-flag", "--dir")
    assert value_of(run, "dir", "--dir=a=b", env=env) == ("a=b", "--dir")


def test_a_named_file_replaces_the_usual_one(run, tmp_path):
    (tmp_path / "pinpipe.yaml").write_text("dir: usual\n")
    other = tmp_path / "other.yaml"
    other.write_text("id: named\n")
    assert value_of(run, "dir", "--config", other) == ("pinpipe-data", "default")
    assert value_of(run, "id", "--config", other) == ("named", f"{other}:1")


def test_a_variable_names_the_file_too(run, tmp_path):
    (tmp_path / "pinpipe.yaml").write_text("id: usual\n")
    for name in ("other", "third"):
        (tmp_path / f"{name}.yaml").write_text(f"id: {name}\n")
    env = {"PINPIPE_CONFIG": "other.yaml"}
    assert value_of(run, "id", env=env) == ("other", "other.yaml:1")
    assert value_of(run, "id", "--config", "third.yaml", env=env) == ("third", "third.yaml:1")
    assert "gone.yaml" in run("config", status=2, env={"PINPIPE_CONFIG": "gone.yaml"}).stderr
    (tmp_path / "pinpipe.yaml").write_text("config: other.yaml\n")
    assert 'unknown key "config"' in run("config", status=2).stderr


def test_maps_and_dotted_keys_are_the_same(run, tmp_path):
    config = tmp_path / "pinpipe.yaml"
    config.write_text("gateway:\n  listen: 127.0.0.1:1\n  # nothing else\nsink:\n")
    assert value_of(run, "gateway.listen")[0] == "127.0.0.1:1"
    config.write_text("gateway.listen: '127.0.0.1:2'\n")
    assert value_of(run, "gateway.listen")[0] == "127.0.0.1:2"


def test_the_originals_credentials(run, tmp_path):
    (tmp_path / "db_creds.yaml").write_text(
        "HOST: db.example\nUSER: reader\nPASSWORD: 'se: cret'\nDATABASE: pinterest_data\nPORT: 3307\n"
        "URL: http://gw.example/topics/a.\nSTREAMING_URL: http://gw.example/streams/streaming-a-\n")
    assert value_of(run, "mysql.host") == ("db.example", "db_creds.yaml:1")
    assert value_of(run, "mysql.port")[0] == "3307"
    assert value_of(run, "emulate.url")[0] == "http://gw.example/topics/a."
    assert value_of(run, "emulate.streaming_url")[0].endswith("streaming-a-")


@pytest.mark.parametrize("form", ["json", "table", "csv"])
def test_secrets_are_masked(run, tmp_path, form):
    (tmp_path / "db_creds.yaml").write_text("PASSWORD: open-sesame\n")
    result = run("config", "--format", form, "--verbose", "debug", env={"PINPIPE_EMULATE_API_KEY": "k-123"})
    assert "***" in result.stdout
    for secret in ("open-sesame", "k-123"):
        assert secret not in result.stdout + result.stderr


@pytest.mark.parametrize("text,says", [
    ("gatway:\n  listen: x\n", 'pinpipe.yaml:1: unknown key "gatway", did you mean "gateway"?'),
    ("gateway:\n\tlisten: x\n", "pinpipe.yaml:2: not YAML: a tab; indent with blanks"),
    ("gateway:\n  lisen: x\n", 'pinpipe.yaml:2: unknown key "gateway.lisen", did you mean "gateway.listen"?'),
    ("listen: x\n", 'did you mean "gateway.listen"?'),
    ("gateway:\n  partitions: many\n",
     'pinpipe.yaml:2: "gateway.partitions": "many" is not a whole number in the range 1..1024'),
    ("gateway:\n  partitions: 2000\n", "1..1024"),
    ("sink:\n  flush_bytes: 8 megs\n", "is not a size such as 64KiB"),
    ("sink:\n  flush_age: soon\n", "is not a time such as 250ms"),
    ("verbose: loud\n", '"loud" is not one of error|warn|info|debug'),
    ("gateway:\n  insecure: maybe\n", "is not true or false"),
    ("dir: a\ndir: b\n", 'pinpipe.yaml:2: "dir" is there twice'),
    ("gateway:\n  listen: a\nid: b\ngateway:\n  tls_key: c\n", 'pinpipe.yaml:4: "gateway" is there twice'),
    ("gateway.listen: a\ngateway:\n  listen: b\n", '"gateway.listen" is there twice'),
    ("dir:\n", '"dir" has no value'),
    ("dir: [a, b]\n", '"dir" wants one value'),
    ("dir: {a: b}\n", '"dir" wants one value'),
    ("gateway: yes\n", '"gateway" wants keys of its own'),
    ("gateway: []\n", '"gateway" wants keys of its own'),
    ("a: &x 1\n", 'unknown key "a"'),
    ("id: &x abc\ndir: *x\n", '"dir" wants one value, no list, map or alias'),
    ("- id\n", "expected keys and values"),
    ("just words\n", "expected keys and values"),
    ("? [a]\n: b\n", "a key must be a word"),
    ("id: a\n---\nid: b\n", "a second document begins"),
    ("id: 'open\n", "not YAML"),
    ("id: a\n\tdir: b\n", "not YAML"),
    ("x" * 200 + ": 1\n", "a key is longer than"),
    ('id: "a\\0b"\n', "zero byte"),
], ids=lambda text: text[:16].replace("\n", "/"))
def test_mistakes_in_a_file_say_where_and_what(run, tmp_path, text, says):
    (tmp_path / "pinpipe.yaml").write_text(text)
    result = run("config", status=2)
    assert result.stdout == "" and says in result.stderr
    assert "pinpipe.yaml:" in result.stderr


@pytest.mark.parametrize("text", ["", "# comments only\n", "---\n", "--- ~\n"], ids=repr)
def test_an_empty_file_changes_nothing(run, tmp_path, text):
    (tmp_path / "pinpipe.yaml").write_text(text)
    assert value_of(run, "dir") == ("pinpipe-data", "default")


def test_mistakes_in_the_credentials(run, tmp_path):
    creds = tmp_path / "db_creds.yaml"
    creds.write_text("PASWORD: x\n")
    assert 'did you mean "PASSWORD"?' in run("config", status=2).stderr
    creds.write_text("PORT: 123456\n")
    assert "1..65535" in run("config", status=2).stderr
    creds.write_text("PASSWORD: [secret-thing]\n")
    assert "secret-thing" not in run("config", status=2).stderr


@pytest.mark.parametrize("env,says", [
    ({"PINPIPE_GATEWAY_LISTN": "x"}, "did you mean PINPIPE_GATEWAY_LISTEN?"),
    ({"PINPIPE_GATEWAY_SHARDS": ""}, 'PINPIPE_GATEWAY_SHARDS: "" is not a whole number'),
])
def test_mistakes_in_the_environment(run, env, says):
    assert says in run("config", status=2, env=env).stderr


def test_what_kubernetes_sets_is_left_alone(run):
    run("config", env={"PINPIPE_PORT": "tcp://10.0.0.1:80", "PINPIPE_SERVICE_HOST": "10.0.0.1",
                       "PINPIPE_PORT_80_TCP_ADDR": "10.0.0.1"})


def unreadable(tmp_path, kind):
    path = tmp_path / "config"
    if kind == "directory":
        path.mkdir()
    elif kind == "junk":
        path.write_bytes(os.urandom(4096))
    elif kind == "10 MB":
        path.write_bytes(b"# 1234567\n" * 1_000_000)
    elif kind == "endless":
        return "/dev/zero"
    elif kind == "nested":
        path.write_text("gateway: " + "{gateway: " * 100_000)
    elif kind == "nested keys":
        path.write_text("? " * 100_000)
    return path


@pytest.mark.parametrize("layer", ["--config", "--creds"])
@pytest.mark.parametrize("kind", ["missing", "directory", "junk", "10 MB", "endless", "nested", "nested keys"])
def test_a_file_that_cannot_be_read(run, tmp_path, layer, kind):
    path = unreadable(tmp_path, kind)
    result = run("config", layer, path, status=2, timeout_s=20)
    assert result.stdout == "" and str(path) in result.stderr
    assert len(result.stderr) < 1000


def test_a_file_without_permission(pinpipe, tmp_path):
    """Root may read everything, so another user has to try."""
    path = tmp_path / "config"
    path.write_text("dir: x\n")
    path.chmod(0)
    user = {"user": 65534} if os.geteuid() == 0 else {}
    if user and subprocess.run([pinpipe, "version"], check=False, capture_output=True, **user).returncode:
        pytest.skip("another user cannot run the program from here")
    with open(path, "rb") if user else open(os.devnull, "rb") as stream:
        name = path if not user else f"/proc/self/fd/{stream.fileno()}"
        result = subprocess.run([pinpipe, "config", "--config", name], pass_fds=[stream.fileno()], check=False,
                                capture_output=True, text=True, env=conftest.clean_environment(), **user)
    assert result.returncode == 2 and "Permission denied" in result.stderr


@pytest.mark.parametrize("name,flag", [("pinpipe.yaml.example", "--config"), ("db_creds.yaml.example", "--creds")])
def test_the_examples_load(run, name, flag):
    run("config", flag, conftest.TOP / name)


def test_the_example_holds_every_key_and_its_default(run, tmp_path):
    defaults = json.loads(run("config", "--format", "json").stdout)
    text = (conftest.TOP / "pinpipe.yaml.example").read_text()
    (tmp_path / "pinpipe.yaml").write_text(re.sub(r"^( *)#(\w)", r"\1\2", text, flags=re.M))
    with_file = json.loads(run("config", "--format", "json").stdout)
    for before, after in zip(defaults, with_file, strict=True):
        if before["key"] != "format":
            assert after["origin"].startswith("pinpipe.yaml:"), after
            assert after["value"] == before["value"]


@pytest.mark.parametrize("mode, told", [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_passwords_that_everybody_may_read(run, tmp_path, mode, told):
    creds = tmp_path / "db_creds.yaml"
    creds.write_text("PASSWORD: open-sesame\n")
    creds.chmod(mode)
    done = run("config")
    assert ("chmod 600" in done.stderr) == told and "open-sesame" not in done.stderr
    assert value_of(run, "mysql.password")[1] == "db_creds.yaml:1"


@pytest.mark.parametrize("flag, kinds", [("--broker", "local"), ("--streams", "local"), ("--engine", "duckdb"),
                                         ("--source", "auto|generated|files")])
def test_a_kind_that_there_is_not(run, flag, kinds):
    command = "emulate" if flag == "--source" else "topics"
    said = run(command, flag, "pigeon", status=2).stderr
    assert f'"pigeon" is not one of {kinds}' in said


def settings_of(run, *words, **options):
    rows = json.loads(run("config", "--format", "json", *words, **options).stdout)
    return [tuple(row.values()) for row in rows if row["key"].startswith(("kafka.", "spark."))]


def test_groups_of_free_names(run, tmp_path):
    config = tmp_path / "pinpipe.yaml"
    config.write_text("kafka:\n  security.protocol: SSL\n  ssl:\n    ca.location: a.pem\n"
                      "  sasl.password: hidden\n  sasl.username: 007\nspark:\n  # nothing\n"
                      "spark.driver.maxResultSize: 1g\n")
    assert settings_of(run) == [
        ("kafka.sasl.password", "***", "pinpipe.yaml:5"), ("kafka.sasl.username", "007", "pinpipe.yaml:6"),
        ("kafka.security.protocol", "SSL", "pinpipe.yaml:2"), ("kafka.ssl.ca.location", "a.pem", "pinpipe.yaml:4"),
        ("spark.driver.maxResultSize", "1g", "pinpipe.yaml:9")]
    env = {"PINPIPE_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "PINPIPE_KAFKA__a_B__c___D": "own",
           "PINPIPE_KAFKA__SOME__NAME___X": "", "PINPIPE_SPARK__driver_maxResultSize": "2g"}
    assert settings_of(run, env=env) == [
        ("kafka.a.B_c-D", "own", "PINPIPE_KAFKA__a_B__c___D"), ("kafka.sasl.password", "***", "pinpipe.yaml:5"),
        ("kafka.sasl.username", "007", "pinpipe.yaml:6"),
        ("kafka.security.protocol", "SASL_SSL", "PINPIPE_KAFKA__SECURITY_PROTOCOL"),
        ("kafka.some_name-x", "", "PINPIPE_KAFKA__SOME__NAME___X"),
        ("kafka.ssl.ca.location", "a.pem", "pinpipe.yaml:4"),
        ("spark.driver.maxResultSize", "2g", "PINPIPE_SPARK__driver_maxResultSize")]
    flagged = settings_of(run, "--kafka", "security.protocol=PLAINTEXT", "--kafka=x=a=b", "--kafka", "x=c", env=env)
    assert ("kafka.security.protocol", "PLAINTEXT", "--kafka") in flagged
    assert ("kafka.x", "c", "--kafka") in flagged
    assert "hidden" not in run("config").stdout


@pytest.mark.parametrize("env, words, said", [
    ({}, ("--kafka", "x=y"), '--kafka: nothing reads "kafka.x" as long as "broker.kind" is local'),
    ({}, ("--spark", "master=y"), '--spark: nothing reads "spark.master" as long as "engine.kind" is duckdb'),
])
def test_settings_that_nothing_reads(run, env, words, said):
    """Whoever gives them means another kind than the one that would run: no command does, but the one that shows it."""
    assert said in run("topics", *words, env=env, status=2).stderr
    assert said in run("config", *words, env=env).stderr


@pytest.mark.parametrize("text, said", [
    ("kafak:\n  a: b\n", 'pinpipe.yaml:1: unknown key "kafak", did you mean "kafka"?'),
    ("kafka: x\n", 'pinpipe.yaml:1: "kafka" wants names of its own below it, indented'),
    ("kafka:\n  a: [b]\n", 'pinpipe.yaml:2: "kafka.a" wants one value, no list or alias'),
    ("kafka:\n  a:\n", 'pinpipe.yaml:2: "kafka.a" has no value: give one, or leave the line out'),
    ("kafka:\n  a: b\n  a: c\n", 'pinpipe.yaml:3: "kafka.a" is there twice'),
    ("kafka:\n  a b: c\n", 'pinpipe.yaml:2: "kafka.a b": "a b" is no name of a setting'),
    ("kafka.: c\n", 'pinpipe.yaml:1: "kafka." wants names of its own below it, indented'),
])
def test_groups_in_files_that_are_wrong(run, tmp_path, text, said):
    (tmp_path / "pinpipe.yaml").write_text(text)
    assert said in run("config", status=2).stderr


@pytest.mark.parametrize("words, said", [
    (("--kafka", "x"), 'option "--kafka" wants name=value'), (("--kafka",), 'option "--kafka" wants name=value'),
    (("--kafka", "=x"), 'option "--kafka": "" is no name of a setting'),
    (("--kafka", "sasl.password=x"), '"sasl.password" is a secret, which others would see on the command line'),
    (("--kafak", "x=y"), 'unknown option "--kafak"'),
])
def test_groups_in_flags_that_are_wrong(run, words, said):
    assert said in run("config", *words, status=2).stderr


def test_groups_in_the_environment_that_are_wrong(run):
    for name in ("PINPIPE_KAFAK__X", "PINPIPE_KAFKA_X", "PINPIPE_kafka__X"):
        assert f"unknown environment variable {name}" in run("config", status=2, env={name: "y"}).stderr
    assert "is no name of a setting" in run("config", status=2, env={"PINPIPE_KAFKA__": "y"}).stderr


def test_the_home_directory_is_meant_by_its_sign(run, tmp_path):
    (tmp_path / "pinpipe.yaml").write_text("dir: ~/foo\nlake: ~/lake\nid: ~/no\n")
    home = {"HOME": "/somewhere"}
    values = {name: value_of(run, name, env=home)[0] for name in ("dir", "lake", "id")}
    assert values == {"dir": "/somewhere/foo", "lake": "/somewhere/lake", "id": "~/no"}
    assert value_of(run, "dir", "--dir=~", env=home)[0] == "/somewhere"
    assert value_of(run, "dir", env={"PINPIPE_DIR": "~other/x", **home})[0] == "~other/x"


def test_a_number_alone_is_seconds(run):
    assert "(a number alone: seconds)" in run("sink", "--flush-age", "soon", status=2).stderr
