"""The server that the other tests rest on: what it refuses, beside AWS's own worked examples."""
import datetime

import pytest

import sigv4_check
from sigv4_check import Refused

# The Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header", its examples.
KEYS = {"AKIAIOSFODNN7EXAMPLE": ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)}
NOW = datetime.datetime(2013, 5, 24, tzinfo=datetime.timezone.utc)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
BODY = b"Welcome to Amazon S3."


def request(method, target, signature, names, more=(), body_hash=EMPTY):
    headers = {"Host": "examplebucket.s3.amazonaws.com", "x-amz-content-sha256": body_hash,
               "x-amz-date": "20130524T000000Z", **dict(more),
               "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                                f"SignedHeaders={names},Signature={signature}"}
    return method, target, headers


GET = request("GET", "/test.txt", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
              "host;range;x-amz-content-sha256;x-amz-date", {"Range": "bytes=0-9"})
PUT = request("PUT", "/test%24file.text", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
              "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
              {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
              "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
LIFECYCLE = request("GET", "/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
                    "host;x-amz-content-sha256;x-amz-date")
LIST = request("GET", "/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
               "host;x-amz-content-sha256;x-amz-date")
EXAMPLES = {"get": (GET, b""), "put": (PUT, BODY), "lifecycle": (LIFECYCLE, b""), "list": (LIST, b"")}


def check(example, body=b"", now=NOW, **changed):
    method, target, headers = example
    headers = {**headers, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return sigv4_check.check(method, target, list(headers.items()), body, KEYS, "us-east-1", now=now)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_aws_signed_is_right(name):
    example, body = EXAMPLES[name]
    assert check(example, body) == "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_changed_is_refused(name):
    example, body = EXAMPLES[name]
    method, target, headers = example
    changes = [dict(example=("DELETE", target, headers)), dict(example=(method, target + "x", headers)),
               dict(example=(method, target, {**headers, "Host": "other"})), dict(body=b"other"),
               dict(now=NOW + datetime.timedelta(minutes=16)), dict(now=NOW - datetime.timedelta(minutes=16)),
               dict(example=(method, target, {**headers, "x-amz-meta-new": "1"})),
               dict(example=(method, target, {**headers, "x-amz-security-token": "1"})),
               dict(example=(method, target, {k: v for k, v in headers.items() if k != "Authorization"}))]
    for change in changes:
        with pytest.raises(Refused):
            check(**{"example": example, "body": body, **change})


@pytest.mark.parametrize("path", ["/a b", "/a%2fb%2F", "/%41", "/a+b", "/ä"])
def test_a_path_in_another_encoding_is_refused(path):
    with pytest.raises(Refused):
        sigv4_check.canonical_path(path)
