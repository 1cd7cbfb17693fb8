"""deploy/aws-api-gateway.json: the methods that it makes, and the rules by which an API Gateway refuses an import.

The rules are those of its documentation, and of reports by those whose import was refused.
"""

import json
import re
import shlex
import subprocess

import pytest

import described
from conftest import TOP

PATH = TOP / "deploy" / "aws-api-gateway.json"
DEFINITION = json.loads(PATH.read_text())
ANY = "x-amazon-apigateway-any-method"
METHODS = {(path, method): operation for path, item in DEFINITION["paths"].items()
           for method, operation in item.items()}
IN = {"path": "path", "querystring": "query", "header": "header"}
each_method = pytest.mark.parametrize("path, method", METHODS)


def integration(path, method):
    return METHODS[path, method]["x-amazon-apigateway-integration"]


def declared(path, method):
    return {(parameter["in"], parameter["name"]) for parameter in METHODS[path, method].get("parameters", [])}


def test_the_methods_are_those_of_the_original_and_of_the_gateway():
    actions = {(path, method): integration(path, method)["uri"].rpartition("/")[2] for path, method in METHODS}
    assert actions.pop(("/{proxy+}", ANY)) == "{proxy}"
    assert actions == {
        ("/streams", "get"): "ListStreams",
        ("/streams/{stream-name}", "get"): "DescribeStream",
        ("/streams/{stream-name}", "post"): "CreateStream",
        ("/streams/{stream-name}", "delete"): "DeleteStream",
        ("/streams/{stream-name}/record", "put"): "PutRecord",
        ("/streams/{stream-name}/records", "put"): "PutRecords",
        ("/streams/{stream-name}/records", "get"): "GetRecords",
        ("/streams/{stream-name}/sharditerator", "get"): "GetShardIterator",
    }
    ours = {(path.replace("{stream}", "{stream-name}"), method.lower()): operation["summary"]
            for method, path, operation in described.operations() if path.startswith("/streams")}
    assert actions == ours


@each_method
def test_parameters_of_the_path_are_declared_and_no_others(path, method):
    for segment in path.strip("/").split("/"):
        assert re.fullmatch(r"[\w.-]+|\{[\w.-]+\}|\{[\w.-]+\+\}", segment), path
        assert not segment.endswith("+}") or path.endswith(segment), "a greedy parameter is the last"
    in_path = {("path", name) for name in re.findall(r"\{([\w.-]+)\+?\}", path)}
    assert {each for each in declared(path, method) if each[0] == "path"} == in_path
    for parameter in METHODS[path, method].get("parameters", []):
        assert parameter["required"] or parameter["in"] != "path"


@each_method
def test_an_integration_says_what_it_calls_and_as_whom(path, method):
    said = integration(path, method)
    if path == "/{proxy+}":
        assert (said["type"], said["httpMethod"]) == ("http_proxy", "ANY")
        # Of a stage variable in an address only this form, and text behind it, is taken.
        assert re.fullmatch(r"http://\$\{stageVariables\.\w+\}/\{proxy\}", said["uri"])
        assert "credentials" not in said
    else:
        assert (said["type"], said["httpMethod"]) == ("aws", "POST")
        assert re.fullmatch(r"arn:aws:apigateway:REGION:kinesis:action/\w+", said["uri"])
        assert said["credentials"] == "arn:aws:iam::ACCOUNT:role/ROLE"
        assert list(said["requestTemplates"]) == ["application/json"]
        assert said["passthroughBehavior"] == "when_no_templates"


@each_method
def test_what_is_mapped_is_declared(path, method):
    """Else: "Invalid mapping expression specified"."""
    said = integration(path, method)
    for target, source in said.get("requestParameters", {}).items():
        place, name = re.fullmatch(r"integration\.request\.(path|querystring|header)\.([\w-]+)", target).groups()
        assert place != "path" or "{%s}" % name in said["uri"]
        if not re.fullmatch("'[^']*'", source):
            place, name = re.fullmatch(r"method\.request\.(path|querystring|header)\.([\w-]+)", source).groups()
            assert (IN[place], name) in declared(path, method)
    for template in said.get("requestTemplates", {}).values():
        for name in re.findall(r"\$input\.params\('([^']*)'\)", template):
            assert name in {name for _, name in declared(path, method)}
        assert len(re.findall(r"#(?:if|foreach)\(", template)) == len(re.findall("#end", template))


@each_method
def test_statuses_that_an_integration_gives_are_declared(path, method):
    """Else: "No method response exists for method"."""
    responses = integration(path, method)["responses"]
    assert "default" in responses
    assert {response["statusCode"] for response in responses.values()} == set(METHODS[path, method]["responses"])
    for pattern in set(responses) - {"default"}:
        re.compile(pattern)


def test_it_has_nothing_that_an_import_does_not_know():
    assert DEFINITION["openapi"] == "3.0.1"
    assert set(DEFINITION) == {"openapi", "info", "paths"}  # no models, no $ref to them, no security of the root
    text = PATH.read_text()
    for word in ("$ref", "anyOf", "oneOf", "nullable", "example", "null"):
        assert f'"{word}"' not in text


def test_the_command_of_the_documentation_fills_it_in():
    line, = re.findall(r"^ +(sed .*deploy/aws-api-gateway\.json) >", (TOP / "docs" / "aws.md").read_text(), re.M)
    filled = subprocess.run(shlex.split(line), cwd=TOP, capture_output=True, text=True, check=True).stdout
    assert json.loads(filled)["paths"].keys() == DEFINITION["paths"].keys()
    assert not re.search("REGION|ACCOUNT|ROLE", filled)
