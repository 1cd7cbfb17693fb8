"""Whether what was asked and answered is what deploy/openapi.json says. rest.ask() has it look at each exchange.

An answer must be one that the description has for the route, with its type and schema, and no member beside them.
A request that was answered with 2xx must fit, too; others may be wrong in any way.
"""

import copy
import functools
import json
import re
import urllib.parse

import jsonschema

from conftest import TOP

DOCUMENT = json.loads((TOP / "deploy" / "openapi.json").read_text())
METHODS = {"get", "post", "put", "delete"}
REFUSAL = {"anyOf": [{"$ref": "#/components/schemas/KafkaError"}, {"$ref": "#/components/schemas/KinesisError"}]}
LINES = "application/x-ndjson"
OTHER_NAMES = dict.fromkeys(["application/ndjson", "application/jsonl", "application/x-jsonlines"], LINES)
KINESIS_ERROR = {"$ref": "#/components/schemas/KinesisError"}


def operations():
    """(method, path, operation) of each; the operation has the parameters of its path, too."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & set(item):
            own = [resolved(parameter) for parameter in item[method].get("parameters", [])]
            names = {(parameter["in"], parameter["name"]) for parameter in own}
            shared = [resolved(parameter) for parameter in item.get("parameters", [])]
            parameters = own + [parameter for parameter in shared if (parameter["in"], parameter["name"]) not in names]
            yield method.upper(), path, {**item[method], "parameters": parameters}


def resolved(node):
    """What a $ref stands for; anything else is itself."""
    if "$ref" not in node:
        return node
    return functools.reduce(lambda at, name: at[name], node["$ref"].removeprefix("#/").split("/"), DOCUMENT)


def without_others(schema):
    """The same, where an object of named members has no others."""
    if isinstance(schema, list):
        return [without_others(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: without_others(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict):
        strict.setdefault("additionalProperties", False)
    return strict


ANSWERED = {"schemas": without_others(copy.deepcopy(DOCUMENT["components"]["schemas"]))}
ASKED = {"schemas": DOCUMENT["components"]["schemas"]}


@functools.cache
def validator(text, answered):
    schema = json.loads(text)
    components = ANSWERED if answered else ASKED
    return jsonschema.Draft202012Validator({"allOf": [without_others(schema) if answered else schema],
                                            "components": components})


def check_value(schema, value, what, answered=False):
    found = next(validator(json.dumps(schema), answered).iter_errors(value), None)
    assert not found, f"{what}: {found.message[:500]} (at {list(found.absolute_path)}), says deploy/openapi.json"


@functools.cache
def patterns():
    """The whole of a path, as a regular expression, of each operation."""
    found = []
    for method, path, operation in operations():
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
        found.append((method, re.compile(pattern.removesuffix("/") + "/?"), operation))
    return found


def find(method, path):
    """The operation and its parameters in the path; None: there is none."""
    for wanted, pattern, operation in patterns():
        if wanted == ("GET" if method == "HEAD" else method) and (match := pattern.fullmatch(path)):
            return operation, match.groupdict()
    return None


def media(content_type):
    return (content_type or "").split(";")[0].strip().lower()


def parameter_value(parameter, given):
    """As the schema wants it."""
    return int(given) if parameter["schema"].get("type") == "integer" and given.isdigit() else given


def check_parameters(operation, in_path, query, headers, what):
    given = {"path": in_path, "query": dict(urllib.parse.parse_qsl(query, keep_blank_values=True)),
             "header": {name.lower(): value for name, value in headers.items()}}
    for parameter in operation["parameters"]:
        place, name = parameter["in"], parameter["name"]
        value = given[place].get(name.lower() if place == "header" else name)
        assert value is not None or not parameter["required"], f"{what}: {place} {name} is missing"
        if value is not None:
            check_value(parameter["schema"], parameter_value(parameter, value), f"{what}: {place} {name}")


def check_body(operation, body, content_type, what):
    """Without a type, records are binary, says the description; there is one type else."""
    described = operation.get("requestBody")
    if not described or (not body and not described["required"]):
        return
    content = described["content"]
    taken = media(content_type)
    taken = OTHER_NAMES.get(taken, taken) or next((kind for kind in content if "binary" in kind), next(iter(content)))
    assert taken in content, f"{what}: {taken} is not described"
    if taken == LINES:
        for line in body.decode("utf-8-sig").split("\n"):
            assert not line.strip() or isinstance(json.loads(line), dict), f"{what}: the line {line}"
        return
    check_value(content[taken]["schema"], json.loads(body), f"{what}: the body")


def check_request(operation, in_path, query, headers, body):
    what = operation["operationId"]
    check_parameters(operation, in_path, query, headers, what)
    given = {name.lower(): value for name, value in headers.items()}
    if given.get("content-encoding", "identity") != "identity":
        return  # of a body that is packed
    check_body(operation, body, given.get("content-type"), what)


def check_answer(operation, method, reply, errors_are_200):
    what = f"{operation['operationId']}: the answer {reply!r}"
    responses = operation["responses"]
    described = responses.get(str(reply.status)) or responses.get(f"{reply.status // 100}XX")
    assert described, f"{what}: its status is not described"
    content = resolved(described).get("content")
    if method == "HEAD" or not content:
        assert not reply.text, what
        return
    assert media(reply.type) in content, f"{what}: its type is not described"
    if media(reply.type) == "text/plain":
        return
    value = reply.json()
    refused = errors_are_200 and reply.status == 200 and isinstance(value, dict) and "__type" in value
    check_value(KINESIS_ERROR if refused else content[media(reply.type)]["schema"], value, what, answered=True)


def check_refusal(method, path, reply):
    what = f"{method} {path}, which is not described: {reply!r}"
    assert reply.status >= 400, what
    if method != "HEAD":
        check_value(REFUSAL, reply.json(), what, answered=True)


def check(method, target, headers, body, reply, errors_are_200=False):
    """`errors_are_200`: the gateway was started with --kinesis-status 200."""
    path, _, query = target.partition("?")
    if path.startswith("/ui"):
        return  # the page's own, which is no API
    found = find(method, path)
    behind_stage = re.sub("^/[^/]+", "", path) or "/"
    if not found and (found := find(method, behind_stage)) and reply.status in (400, 403, 404, 405):
        found = None  # not every name is a stage: what comes of it is a refusal as any other
    if not found:
        check_refusal(method, path, reply)
        return
    operation, in_path = found
    check_answer(operation, method, reply, errors_are_200)
    if reply.status < 300 and not (errors_are_200 and "__type" in reply.text):
        check_request(operation, in_path, query, headers, body)
