"""Whether a request carries a right AWS Signature Version 4: written from the specification, and strict.

It takes nothing that AWS would refuse, and refuses some of what AWS lets pass: a header x-amz-* that is not signed, a
path that is not encoded as the canonical request encodes it, a query that has a parameter twice.
"""
import datetime
import hashlib
import hmac
import re
import urllib.parse

SKEW_S = 15 * 60
UNSIGNED = "UNSIGNED-PAYLOAD"
UNRESERVED = "-._~"
HEADER = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, ?"
                    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})")


class Refused(Exception):
    """As S3 answers it: status, code, message."""

    def __init__(self, status, code, message="", **more):
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.more = status, code, message, more


def encoded(text, slash=False):
    """URI-encoded by the specification's own table."""
    return urllib.parse.quote(text, safe=UNRESERVED + ("/" if slash else ""), encoding="utf-8", errors="strict")


def canonical_path(raw):
    path = encoded(urllib.parse.unquote(raw, errors="strict"), slash=True)
    if path != raw:
        raise Refused(400, "InvalidURI", f"the path is not encoded as it is to be: {raw}")
    return path


def canonical_query(raw):
    """S3 sorts by the encoded name; a parameter without a value has an empty one."""
    pairs = []
    for part in raw.split("&") if raw else []:
        name, _, value = part.partition("=")
        pairs.append((encoded(urllib.parse.unquote(name)), encoded(urllib.parse.unquote(value))))
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused(400, "InvalidArgument", "a parameter of the query comes twice")
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def canonical_headers(headers, signed):
    """`headers`: [(name, value)] as they came."""
    lines = []
    for name in signed:
        values = [" ".join(value.split()) for key, value in headers if key.lower() == name]
        if not values:
            raise Refused(403, "AccessDenied", f"the signed header {name} is not there")
        lines.append(f"{name}:{','.join(values)}\n")
    return "".join(lines)


def must_be_signed(headers):
    names = {name.lower() for name, _ in headers}
    return {"host"} | {name for name in names if name.startswith("x-amz-") or name in ("content-md5", "range")}


def digest_of(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256)


def signing_key(secret, day, region, service):
    key = f"AWS4{secret}".encode()
    for word in (day, region, service, "aws4_request"):
        key = digest_of(key, word).digest()
    return key


def check_date(text, day, now):
    try:
        date = datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Refused(403, "AccessDenied", "x-amz-date is no date") from None
    if not text.startswith(day):
        raise Refused(403, "SignatureDoesNotMatch", "the scope is of another day than x-amz-date")
    if abs((date - now).total_seconds()) > SKEW_S:
        raise Refused(403, "RequestTimeTooSkewed",
                      "The difference between the request time and the current time is too large.")


def check_payload(declared, body, unsigned_allowed):
    if declared == UNSIGNED and unsigned_allowed:
        return
    if not re.fullmatch(r"[0-9a-f]{64}", declared):
        raise Refused(400, "InvalidRequest", f"x-amz-content-sha256 is {declared!r}")
    if declared != hashlib.sha256(body).hexdigest():
        raise Refused(400, "XAmzContentSHA256Mismatch", "the body is not what was signed")


def one(headers, name):
    values = [value for key, value in headers if key.lower() == name]
    if len(values) > 1:
        raise Refused(400, "InvalidRequest", f"{name} comes {len(values)} times")
    return values[0] if values else None


def check(method, target, headers, body, keys, region, service="s3", now=None, unsigned_allowed=False):
    """Raises Refused; returns the access key. `keys`: {access key: (secret, session token or None)}."""
    authorization = one(headers, "authorization")
    if authorization is None:
        raise Refused(403, "AccessDenied", "the request is not signed")
    found = HEADER.fullmatch(authorization)
    if not found:
        raise Refused(400, "AuthorizationHeaderMalformed", "the Authorization header is malformed")
    access, day, its_region, its_service, names, signature = found.groups()
    if access not in keys:
        raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    if its_region != region:
        raise Refused(400, "AuthorizationHeaderMalformed", f"the region '{its_region}' is wrong; expecting '{region}'",
                      Region=region)
    if its_service != service:
        raise Refused(400, "AuthorizationHeaderMalformed", f"the service is {its_service}, not {service}")
    secret, token = keys[access]
    if one(headers, "x-amz-security-token") != token:
        raise Refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    signed = names.split(";")
    if signed != sorted(set(signed)) or not set(signed) >= must_be_signed(headers):
        raise Refused(403, "AccessDenied", f"there are headers that are not signed: {names}")
    date = one(headers, "x-amz-date") or ""
    check_date(date, day, now or datetime.datetime.now(datetime.timezone.utc))
    declared = one(headers, "x-amz-content-sha256") or ""
    path, _, query = target.partition("?")
    request = "\n".join((method, canonical_path(path), canonical_query(query), canonical_headers(headers, signed),
                         names, declared))
    text = "\n".join(("AWS4-HMAC-SHA256", date, f"{day}/{region}/{service}/aws4_request",
                      hashlib.sha256(request.encode()).hexdigest()))
    expected = digest_of(signing_key(secret, day, region, service), text).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise Refused(403, "SignatureDoesNotMatch",
                      "The request signature we calculated does not match the signature you provided.")
    check_payload(declared, body, unsigned_allowed)
    return access
