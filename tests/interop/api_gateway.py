"""An API Gateway made of deploy/aws-api-gateway.json: moto imports it, Velocity renders its templates, and moto's
Kinesis is behind it. In the Python that tools/interop/install-openapi made.

    api_gateway.py DEFINITION JARS

The first line of stdout is what was imported: {"METHOD path": {"method": …, "integration": …}}. Then a line of stdin is
{"method", "path", "query", "headers", "body"}, and its answer {"status", "answer"}.
"""

import base64
import json
import pathlib
import re
import subprocess
import sys

import boto3
import botocore.exceptions
import moto

TEMPLATES = pathlib.Path(__file__).with_name("MappingTemplates.java")
REGION = "eu-west-1"


class Velocity:
    def __init__(self, jars):
        self.process = subprocess.Popen(["java", "-cp", f"{jars}/*", TEMPLATES], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")

    def render(self, template, body, params):
        self.process.stdin.write(json.dumps({"template": template, "body": body, "params": params}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def imported(definition):
    """What the service has of it."""
    client = boto3.client("apigateway", REGION)
    api = client.import_rest_api(body=pathlib.Path(definition).read_bytes(), failOnWarnings=True,
                                 parameters={"endpointConfigurationTypes": "REGIONAL"})
    found = {}
    for resource in client.get_resources(restApiId=api["id"], limit=500)["items"]:
        for method in resource.get("resourceMethods", {}):
            whole = client.get_method(restApiId=api["id"], resourceId=resource["id"], httpMethod=method)
            integration = whole.pop("methodIntegration", {})
            whole.pop("ResponseMetadata")
            found[f"{method} {resource['path']}"] = {"method": whole, "integration": integration}
    return found


def call(client, action, text):
    """The request as the template has written it: boto3 knows the members, and what each may be."""
    try:
        arguments = json.loads(text)
    except ValueError as wrong:
        return 400, {"__type": "SerializationException", "message": f"{wrong}: {text}"}
    for record in arguments.get("Records", [arguments]):
        if "Data" in record:
            record["Data"] = base64.b64decode(record["Data"], validate=True)
    name = re.sub("(?<!^)([A-Z])", r"_\1", action).lower()
    try:
        answer = getattr(client, name)(**arguments)
        return answer.pop("ResponseMetadata")["HTTPStatusCode"], answer
    except botocore.exceptions.ClientError as refused:
        status = refused.response["ResponseMetadata"]["HTTPStatusCode"]
        return status, {"__type": refused.response["Error"]["Code"], "message": refused.response["Error"]["Message"]}
    except botocore.exceptions.ParamValidationError as refused:
        return 400, {"__type": "ValidationException", "message": str(refused)}


def status_of(integration, status):
    """The first pattern that the service's status fits; that without one is for all others."""
    responses = integration["integrationResponses"].values()
    fits = [each for each in responses if each.get("selectionPattern")
            and re.fullmatch(each["selectionPattern"], str(status))]
    default = [each for each in responses if not each.get("selectionPattern")]
    return int((fits or default)[0]["statusCode"])


def answer_to(asked, methods, velocity, client):
    for name, each in methods.items():
        method, path = name.split(" ")
        match = re.fullmatch(re.sub(r"\\{(\w+)\\-name\\}", r"(?P<\1>[^/]+)", re.escape(path)), asked["path"])
        if method != asked["method"] or not match:
            continue
        integration = each["integration"]
        headers = {name: value.replace("\n", "") for name, value in asked["headers"].items()}  # moto's iterators
        params = {**asked["query"], **headers, **{f"{k}-name": v for k, v in match.groupdict().items()}}
        text = velocity.render(integration["requestTemplates"]["application/json"], asked["body"], params)
        status, answer = call(client, integration["uri"].rpartition("/")[2], text)
        return {"status": status_of(integration, status), "answer": answer, "sent": text}
    return {"status": 403, "answer": {"message": "Missing Authentication Token"}}


def as_text(value):
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.timestamp()


def main():
    definition, jars = sys.argv[1:]
    with moto.mock_aws():
        methods = imported(definition)
        client = boto3.client("kinesis", REGION)
        velocity = Velocity(jars)
        print(json.dumps(methods), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer_to(json.loads(line), methods, velocity, client), default=as_text), flush=True)
        velocity.end()


main()
