"""MSK by IAM: the token, byte for byte as AWS's own signer makes it."""
import subprocess

import pytest

import conftest
import kafka_server

HERE = conftest.TOP / "tests" / "interop"
NOW = 1795869296
SESSION = "IQoJb3JpZ2luX2VjEGMaCXVzLWVhc3QtMSJIMEYCIQ+/=="
KEYS = {
    "plain": ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    "of a session": ("ASIAEXAMPLE", "a+secret/of=ours", SESSION),
    "of a long session": ("ASIAEXAMPLE", "a+secret/of=ours", SESSION * 40),
}

pytestmark = pytest.mark.ci


def environment(key, secret, session):
    kept = {name: value for name, value in conftest.clean_environment().items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true"}
    return {**kept, **keys, **({"AWS_SESSION_TOKEN": session} if session else {})}


def lines_of(*command, env):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1"])
@pytest.mark.parametrize("seconds", [NOW, NOW + 3 * 24 * 3600 + 1])
@pytest.mark.parametrize("keys", KEYS)
def test_token_is_what_aws_signer_gives(keys, seconds, region):
    env = environment(*KEYS[keys])
    token, expires_ms, agent = lines_of(kafka_server.CACHE / "venv" / "bin" / "python", HERE / "msk_sign.py", region,
                                        seconds, env=env)
    own = lines_of(conftest.TOP / "build-san" / "tests" / "msk_token", region, agent, seconds, env=env)
    assert own == [token, expires_ms]
