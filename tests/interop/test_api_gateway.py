"""deploy/ in others' hands: OpenAPI's own schema, requests that are made up from the description, and an API Gateway
that is made of aws-api-gateway.json.

Schemathesis asks what fits openapi.json, and what does not, and looks whether the answers do. moto imports the other
definition and has a Kinesis behind it; Velocity, the engine of AWS's, renders the templates. The same requests go to
pinpipe's gateway: what both then hold is the same. tools/interop/install-openapi brings all of it.
"""
import base64
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

import conftest

sys.path.append(str(conftest.TOP / "tests" / "http"))

from rest import KAFKA_JSON, PIN, ask  # noqa: E402

CACHE = conftest.TOP / ".cache" / "interop-openapi"
PYTHON = CACHE / "venv" / "bin" / "python"
HERE = conftest.TOP / "tests" / "interop"
DEPLOY = conftest.TOP / "deploy"
STREAM, SHARD = "/streams/both", "shardId-000000000000"

pytestmark = pytest.mark.ci


def validate(path):
    return subprocess.run([PYTHON, "-m", "openapi_spec_validator", path], capture_output=True, text=True, timeout=120,
                          check=False)


@pytest.mark.parametrize("name", ["openapi.json", "aws-api-gateway.json"])
def test_it_is_openapi(name):
    done = validate(DEPLOY / name)
    assert done.returncode == 0 and done.stdout.endswith("OK\n"), done.stdout + done.stderr


@pytest.mark.parametrize("name, what, instead", [
    ("openapi.json", '"required": true', '"required": false'),           # a parameter of the path
    ("openapi.json", '"in": "header"', '"in": "hat"'),
    ("aws-api-gateway.json", '"title": "pinpipe",', ""),
    ("aws-api-gateway.json", '{"name": "stream-name", "in": "path"', '{"name": "stream", "in": "path"'),
])
def test_the_validator_sees_what_is_not(tmp_path, name, what, instead):
    text = (DEPLOY / name).read_text()
    assert what in text
    (tmp_path / name).write_text(text.replace(what, instead))
    assert validate(tmp_path / name).returncode != 0


# What a schema does not say: whether a stream is there. Of methods that no path has, it knows 405 alone.
LEFT_OUT = {"examples,fuzzing,stateful": "positive_data_acceptance",
            "coverage": "positive_data_acceptance,unsupported_method,not_a_server_error"}


def made_up(gateway, phases, description, directory):
    """Schemathesis' verdict on requests that it makes up from the description: the process that has ended."""
    return subprocess.run(
        [PYTHON, CACHE / "venv" / "bin" / "schemathesis", "run", description, "--url", gateway.url, "--no-color",
         "--phases", phases, "--exclude-checks", LEFT_OUT[phases], "--max-examples", "50", "--generation-deterministic",
         "--continue-on-failure"], cwd=directory, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "made_up_lines"})


@pytest.mark.parametrize("phases", LEFT_OUT)
def test_answers_are_as_described_whatever_is_asked(gateway, tmp_path, phases):
    done = made_up(gateway, phases, f"{gateway.url}/openapi.json", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 300, done.stdout


@pytest.mark.parametrize("what, instead", [
    ('"enum": ["ok", "ready"]', '"enum": ["fine"]'),
    ('"maxItems": 500,', '"maxItems": 3,'),                             # more than that is taken, then
    ('"error_code": {"type": ["integer", "null"]}', '"error_code": {"type": "integer"}'),
])
def test_another_description_is_seen_through(gateway, tmp_path, what, instead):
    text = (DEPLOY / "openapi.json").read_text()
    assert what in text
    (tmp_path / "openapi.json").write_text(text.replace(what, instead))
    done = made_up(gateway, "coverage", tmp_path / "openapi.json", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr


class ApiGateway:
    """That of api_gateway.py; asked as rest.ask() asks a gateway."""

    def __init__(self, definition, said):
        keys = {"AWS_ACCESS_KEY_ID": "interop", "AWS_SECRET_ACCESS_KEY": "interop"}
        command = [PYTHON, HERE / "api_gateway.py", definition, CACHE / "jars"]
        self.said = said
        with open(said, "wb") as stderr:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=stderr, text=True, env=conftest.clean_environment(keys),
                                            preexec_fn=conftest.die_with_parent)
        self.methods = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, self.said.read_text()
        return json.loads(line)

    def ask(self, method, target, body=None, headers=None):
        path, _, query = target.partition("?")
        asked = {"method": method, "path": path, "query": dict(re.findall("([^=&]+)=([^&]*)", query)),
                 "headers": headers or {}, "body": "" if body is None else body}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        return answer["status"], answer["answer"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)


@pytest.fixture(name="aws", scope="module")
def fixture_aws(tmp_path_factory):
    """Made of what the command of docs/aws.md prints."""
    directory = tmp_path_factory.mktemp("aws")
    line, = re.findall(r"^ +(sed .*deploy/aws-api-gateway\.json) >", (conftest.TOP / "docs/aws.md").read_text(), re.M)
    with open(directory / "api.json", "wb") as filled:
        subprocess.run(shlex.split(line), cwd=conftest.TOP, stdout=filled, check=True)
    front = ApiGateway(directory / "api.json", directory / "said")
    yield front
    front.end()


def test_all_of_it_is_imported(aws):
    definition = json.loads((DEPLOY / "aws-api-gateway.json").read_text())
    wanted = {f"{method.upper()} {path}": operation["x-amazon-apigateway-integration"]
              for path, item in definition["paths"].items() for method, operation in item.items()}
    assert set(aws.methods) == set(wanted)
    for name, said in wanted.items():
        there = aws.methods[name]["integration"]
        assert (there["type"], there["httpMethod"]) == (said["type"], said["httpMethod"])
        assert there.get("requestTemplates") == said.get("requestTemplates")
        assert there["requestParameters"] == said["requestParameters"]
        assert there["uri"] == said["uri"].replace("REGION", "eu-west-1")
        assert ("credentials" in there) == ("credentials" in said)
        assert "REGION" not in json.dumps(there) and "ACCOUNT" not in json.dumps(there)
        assert {each["statusCode"] for each in there["integrationResponses"].values()} \
            == set(aws.methods[name]["method"]["methodResponses"]) \
            == {each["statusCode"] for each in said["responses"].values()}


def test_topics_go_on_to_the_proxy(aws, gateway):
    """The address that the integration names, with what its stage and its path have."""
    uri, = [each["integration"]["uri"] for name, each in aws.methods.items() if name.endswith("{proxy+}")]
    url = uri.replace("${stageVariables.kafkaRest}", f"{gateway.host}:{gateway.port}")
    url = url.replace("{proxy}", PIN.strip("/"))
    assert url == gateway.url + PIN
    assert ask(gateway, "POST", url.removeprefix(gateway.url), {"records": [{"value": 1}]}, KAFKA_JSON).status == 200


def both(aws, gateway, method, target, body=None, headers=None):
    """Asks both, with the same text, and wants the same status. (AWS's answer, pinpipe's.)"""
    status, theirs = aws.ask(method, target, body, headers)
    content_type = "application/json" if body is not None else None
    ours = ask(gateway, method, target, body, content_type, headers=headers)
    assert ours.status == status, (method, target, theirs, ours)
    return theirs, ours.json() if ours.text else {}


def records_of(each_asks):
    """What a shard holds: (key, bytes), by an iterator and what follows it."""
    iterator = each_asks("GET", f"{STREAM}/sharditerator?shard-id={SHARD}")["ShardIterator"]
    return [(record["PartitionKey"], base64.b64decode(record["Data"]))
            for record in each_asks("GET", f"{STREAM}/records", {"Shard-Iterator": iterator})["Records"]]


@pytest.fixture(name="stream")
def fixture_stream(aws, gateway):
    """One of that name in both, with a shard."""
    both(aws, gateway, "POST", STREAM, '{"ShardCount":1}')
    yield STREAM
    both(aws, gateway, "DELETE", STREAM)


RECORD = ['{"StreamName":"other","Data":{"index":1,"title":"a b","x":[1,{"y":null}]},"PartitionKey":"k"}',
          '{"PartitionKey":"\\u00e4","Data":"text with \\"quotes\\" and \\u00e9"}',
          '{"Data":[1, 2],"PartitionKey":7}', '{"Data":true,"PartitionKey":false}', '{"Data":12,"PartitionKey":1.50}']
RECORDS = ['{"records":[{"data":"{\\"index\\":1}","partition-key":"k"},{"data":"b","partition-key":"l"}]}',
           '{"records":[{"data":12,"partition-key":7},{"data":true,"partition-key":"x"},'
           '{"data":1.50,"partition-key":"y"}]}',
           '{"records":[{"data":{"a":1.50,"b":"x y","c":null,"d":{"e":{}}},"partition-key":{"a":[1, 2]}}]}',
           '{"records":[{"data":{"a":[1, {"b" : "x y"}, []]},"partition-key":"k"},{"data":[ ],"partition-key":"l"}]}']


def test_both_store_the_same(aws, gateway, stream):
    for body in RECORD:
        theirs, ours = both(aws, gateway, "PUT", f"{stream}/record", body)
        assert set(theirs) == set(ours) == {"SequenceNumber", "ShardId"}
    for body in RECORDS:
        theirs, ours = both(aws, gateway, "PUT", f"{stream}/records", body)
        assert theirs["FailedRecordCount"] == ours["FailedRecordCount"] == 0
        assert len(theirs["Records"]) == len(ours["Records"]) == len(json.loads(body)["records"])
    theirs = records_of(lambda method, target, headers=None: aws.ask(method, target, headers=headers)[1])
    ours = records_of(lambda method, target, headers=None: ask(gateway, method, target, headers=headers).json())
    assert len(ours) == len(RECORD) + 8
    assert ours[len(RECORD):] == theirs[len(RECORD):]
    # Of Data both have the JSON without blanks; pinpipe leaves escapes and digits as they were sent.
    assert [(key, json.loads(data)) for key, data in ours[:len(RECORD)]] \
        == [(key, json.loads(data)) for key, data in theirs[:len(RECORD)]]


def test_a_partition_key_with_quotation_marks(aws, gateway, stream):
    """What docs/aws.md says of it: the template puts the key into JSON as it is."""
    body = json.dumps({"Data": 1, "PartitionKey": 'a"b'})
    status, answer = aws.ask("PUT", f"{stream}/record", body)
    assert (status, answer["__type"]) == (400, "SerializationException")
    assert ask(gateway, "PUT", f"{stream}/record", body, "application/json").status == 200


@pytest.mark.parametrize("body, shards", [("", 5), ("{}", 5), ('{"ShardCount":2}', 2)])
def test_both_make_as_many_shards(aws, gateway, body, shards):
    both(aws, gateway, "POST", "/streams/made", body)
    for answer in both(aws, gateway, "GET", "/streams/made"):
        assert len(answer["StreamDescription"]["Shards"]) == shards
    for answer in both(aws, gateway, "GET", "/streams"):
        assert "made" in answer["StreamNames"]
    both(aws, gateway, "DELETE", "/streams/made")


@pytest.mark.parametrize("method, target, body", [
    ("GET", "/streams/nope", None),
    ("DELETE", "/streams/nope", None),
    ("PUT", "/streams/nope/record", RECORD[0]),
    ("PUT", "/streams/nope/records", RECORDS[0]),
    ("GET", f"/streams/nope/sharditerator?shard-id={SHARD}", None),
])
def test_both_refuse_the_same(aws, gateway, method, target, body):
    theirs, ours = both(aws, gateway, method, target, body)
    assert theirs["__type"] == ours["__type"] == "ResourceNotFoundException"
