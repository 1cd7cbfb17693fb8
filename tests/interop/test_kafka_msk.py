"""MSK by IAM: the token, byte for byte as AWS's own signer makes it, and a cluster that takes nothing else."""
import subprocess
import urllib.error
import urllib.request

import pytest

import conftest
import kafka_server
import msk_server

HERE = conftest.TOP / "tests" / "interop"
NOW = 1795869296
SESSION = "IQoJb3JpZ2luX2VjEGMaCXVzLWVhc3QtMSJIMEYCIQ+/=="
KEYS = {
    "plain": ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    "of a session": ("ASIAEXAMPLE", "a+secret/of=ours", SESSION),
    "of a long session": ("ASIAEXAMPLE", "a+secret/of=ours", SESSION * 40),
}


def environment(key, secret, session):
    kept = {name: value for name, value in conftest.clean_environment().items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true"}
    return {**kept, **keys, **({"AWS_SESSION_TOKEN": session} if session else {})}


def lines_of(*command, env):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.ci
@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1"])
@pytest.mark.parametrize("seconds", [NOW, NOW + 3 * 24 * 3600 + 1])
@pytest.mark.parametrize("keys", KEYS)
def test_token_is_what_aws_signer_gives(keys, seconds, region):
    env = environment(*KEYS[keys])
    token, expires_ms, agent = lines_of(kafka_server.CACHE / "venv" / "bin" / "python", HERE / "msk_sign.py", region,
                                        seconds, env=env)
    own = lines_of(conftest.TOP / "build-san" / "tests" / "msk_token", region, agent, seconds, env=env)
    assert own == [token, expires_ms]


@pytest.fixture(scope="module", name="msk")
def fixture_msk(tmp_path_factory):
    port = conftest.free_port()
    directory = tmp_path_factory.mktemp("msk")
    with kafka_server.running(directory, advertised={"MSK": f"127.0.0.1:{port}"}) as kafka, \
            msk_server.Msk(kafka, port) as msk:
        yield msk


@pytest.fixture(name="settings")
def fixture_settings(msk):
    return ["--broker", "kafka", *(word for name, value in msk.client().items()
                                   for word in ("--kafka", f"{name}={value}"))]


def credentials(directory, keys):
    """A file of keys, and the environment that names it and nothing else."""
    file = directory / "credentials"
    token = f"aws_session_token = {keys[2]}\n" if keys[2] else ""
    file.write_text(f"[default]\naws_access_key_id = {keys[0]}\naws_secret_access_key = {keys[1]}\n{token}")
    return {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_CONFIG_FILE": "/dev/null", "AWS_REGION": msk_server.REGION,
            "AWS_EC2_METADATA_DISABLED": "true"}


def post(gateway, topic):
    """The status of a record's POST."""
    request = urllib.request.Request(f"{gateway.url}/topics/{topic}", b'{"records":[{"value":{"index":1}}]}',
                                     {"Content-Type": "application/vnd.kafka.json.v2+json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as answer:
        return answer.code


@pytest.mark.parametrize("keys", KEYS)
def test_all_clients_come_in(msk, settings, keys, run, start_gateway, tmp_path, data_dir):
    """Each token that came is what AWS's own signer gives for that time."""
    msk.keys, name = KEYS[keys], f"msk{len(KEYS[keys][2] or '')}"
    env = credentials(tmp_path, msk.keys)
    del msk.tokens[:]
    gateway = start_gateway("--id", name, *settings, env=env)
    assert post(gateway, f"{name}.pin") == 200
    run("sink", "--until-end", "--dir", data_dir, "--id", name, *settings, env=env)
    assert [path.read_text() for path in data_dir.glob(f"lake/topics/{name}.pin/*/*.json")] == ['{"index":1}\n']
    assert len(msk.tokens) >= 3 and all(taken for _, taken in msk.tokens)


def test_changed_keys_are_found(msk, settings, start_gateway, tmp_path):
    """The old ones are refused from one moment to the other; who writes the file need not start anything again."""
    msk.keys = KEYS["plain"]
    gateway = start_gateway("--id", "changed", *settings, env=credentials(tmp_path, msk.keys))
    assert post(gateway, "changed.pin") == 200
    msk.keys = KEYS["of a session"]
    msk.drop()
    conftest.wait_until(lambda: post(gateway, "changed.pin") == 503, "a refusal")
    credentials(tmp_path, msk.keys)
    conftest.wait_until(lambda: post(gateway, "changed.pin") == 200, "the new keys")


def test_who_has_no_keys_is_told_so(settings, run, tmp_path, data_dir):
    env = {**credentials(tmp_path, KEYS["plain"]), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    assert "there are no AWS keys" in run("topics", "list", "--dir", data_dir, *settings, env=env, status=1).stderr
    del env["AWS_REGION"]
    assert "AWS_REGION" in run("topics", "list", "--dir", data_dir, *settings, env=env, status=2).stderr
