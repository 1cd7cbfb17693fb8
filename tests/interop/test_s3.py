"""A lake on S3 servers that others wrote: versitygw, which is strict and durable, and moto.

The store's contract; a run whose answers are those of a lake on disk; boto3, delta-rs, DuckDB and Spark, which read
what it left there; and a table that delta-rs wrote to. tools/interop/install-s3 brings the servers and readers.
"""
import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import conftest
import test_interop
from test_interop import COLUMNS, HERE, ID, NAMES, READERS, ask, own_rows

CACHE = conftest.TOP / ".cache" / "interop-s3"
BUCKET, PREFIX = "pinpipe-lake", "a lake/of+ours"
LAKE = f"s3://{BUCKET}/{PREFIX}"
POSTS, MORE_POSTS = 150, 20
KEYS = {"AWS_ACCESS_KEY_ID": "interop", "AWS_SECRET_ACCESS_KEY": "interop/secret+key", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "INTEROP_S3": str(CACHE)}

pytestmark = pytest.mark.ci


def versitygw(port, directory):
    (directory / "objects").mkdir()
    return [CACHE / "bin" / "versitygw", "--access", KEYS["AWS_ACCESS_KEY_ID"], "--secret",
            KEYS["AWS_SECRET_ACCESS_KEY"], "--port", f"127.0.0.1:{port}", "posix", directory / "objects"]


def moto(port, _directory):
    programs = CACHE / "venv" / "bin"
    return [programs / "python", programs / "moto_server", "-H", "127.0.0.1", "-p", str(port)]


SERVERS = {"versitygw": versitygw, "moto": moto}


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def boto3(*words):
    done = subprocess.run([CACHE / "venv" / "bin" / "python", HERE / "bucket.py", *words], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def serving(name, directory):
    """That server, with its URL in the environment, as for AWS's own tools; there is an empty bucket."""
    port = conftest.free_port()
    command = SERVERS[name](port, directory)
    if not command[0].exists():
        pytest.skip(f"no {name} on this machine")
    with open(directory / "said", "wb") as said, pytest.MonkeyPatch.context() as patch:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                   cwd=directory, preexec_fn=conftest.die_with_parent)
        try:
            url = f"http://127.0.0.1:{port}"
            conftest.wait_until(lambda: answers(url), name)
            for variable, value in {**KEYS, "AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url}.items():
                patch.setenv(variable, value)
            boto3("make", BUCKET)
            yield name
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", name="server", params=SERVERS)
def fixture_server(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


def pinpipe(directory, *words):
    return test_interop.pinpipe(*words, "--dir", directory, "--lake", LAKE)


class Bucket:
    """One run of the pipeline into it, and one on disk beside it."""

    def __init__(self, directory):
        self.directory = directory / "data"
        rows = ["--posts", POSTS]
        if conftest.SHARED.is_dir():
            rows = ["--data", conftest.SHARED, "--order", "course", "--posts", 2239]
        self.on_disk = test_interop.pinpipe("run", "--dir", directory / "disk", *rows)
        self.posts = self.on_disk["posts"]
        started = time.monotonic()
        self.report = pinpipe(self.directory, "run", *rows)
        self.seconds = time.monotonic() - started
        self.rows = {name: own_rows(self.directory, name, "--lake", LAKE) for name in NAMES}


@pytest.fixture(scope="module", name="lake")
def fixture_lake(server, tmp_path_factory):
    return Bucket(tmp_path_factory.mktemp(f"lake-{server}"))


def table_url(name, scheme="s3"):
    path, table = name.split("_")
    return f"{scheme}://{BUCKET}/{PREFIX}/tables/{ID}_{table}_{'clean' if path == 'batch' else 'table'}"


def test_contract(server):
    program = conftest.TOP / "build-san" / "tests" / "test_store"
    done = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, "PINPIPE_TEST_BUCKET": BUCKET, "PINPIPE_TEST_BUCKET_ONLY": "1"})
    assert done.returncode == 0, f"{server}: {done.stdout[-3000:]}{done.stderr[-3000:]}"


def test_the_answers_are_those_of_a_lake_on_disk(lake):
    for what in ("posted", "landed", "clean", "dead", "analyses"):
        assert lake.report[what] == lake.on_disk[what], what
    assert not (lake.directory / "lake").exists()


def assert_sound(directory):
    rows = pinpipe(directory, "check")
    assert not any(row["faults"] or row["behind"] for row in rows), rows


def test_check_is_clean(lake):
    assert_sound(lake.directory)


def test_boto3_lists_confluents_layout(lake):
    listed = json.loads(boto3("list", BUCKET, f"{PREFIX}/topics/"))
    keys = [key.removeprefix(f"{PREFIX}/topics/") for key in listed]
    for table in COLUMNS:
        topic = f"{ID}.{table}"
        ours = [key for key in keys if key.startswith(f"{topic}/partition=0/{topic}+0+")]
        assert ours and ours[0] == f"{topic}/partition=0/{topic}+0+0000000000.json"
        assert len(ours) >= lake.posts // 1000
    assert min(listed.values()) > 0


@pytest.mark.parametrize("reader", READERS)
def test_others_read_the_same_rows(lake, reader, server, tmp_path):
    if (reader, server) == ("spark", "moto") and (CACHE / "bin" / "versitygw").exists():
        pytest.skip("Spark takes a minute, and reads from versitygw")
    scheme = "s3a" if reader == "spark" else "s3"
    jars = f"{test_interop.CACHE / 'jars'}:{CACHE / 'jars'}"
    found = ask(reader, {name: table_url(name, scheme) for name in NAMES},
                arguments=(jars, tmp_path) if reader == "spark" else ())
    for name in NAMES:
        assert found[name]["columns"] == COLUMNS[name.split("_")[1]]
        assert found[name]["rows"] == lake.rows[name], f"{reader}, {name}"


def test_pinpipe_goes_on_where_delta_rs_wrote(lake):
    """A row that is in no log of ours, appended in the bucket."""
    name = "stream_geo"
    written = ask("deltars", {name: table_url(name)}, arguments=["append"])[name]["rows"]
    assert len(written) == len(lake.rows[name]) + 1
    pinpipe(lake.directory, "run", "--posts", MORE_POSTS)
    rows = own_rows(lake.directory, name, "--lake", LAKE)
    assert len(rows) == len(written) + MORE_POSTS - dead_since(lake)
    assert_sound(lake.directory)


def dead_since(lake):
    """Of the geo posts that came with the second run, those that were no rows."""
    letters = pinpipe(lake.directory, "dlq", f"streaming-{ID}-geo")
    return len(letters) - lake.report["dead"]["stream"]["geo"]
