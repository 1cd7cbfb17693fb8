"""A small S3 server for tests, in memory: strict about signatures, and it plays faults by a seed.

    python3 s3_server.py [--bucket NAME] [--racy] [--faults SHARE --seed N] [--save DIR --prefix P]
        prints its URL; on SIGTERM saves the objects below the prefix as files, and prints the faults that it played

    with Server() as server: server.url, server.environment(), server.objects("lake"), server.faults = Faults(7, 0.05)

What the answers look like is from the Amazon S3 API reference (2006-03-01), not from the program that is tested.
"""
import argparse
import base64
import collections
import ctypes
import datetime
import email.utils
import hashlib
import http.server
import io
import json
import pathlib
import random
import re
import signal
import socket
import socketserver
import struct
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree
from xml.sax.saxutils import escape

import crc32c

import sigv4_check
from sigv4_check import Refused

ACCESS, SECRET, REGION, BUCKET = "AKIDTEST", "a/secret+key", "eu-test-1", "lake"
BODY_MAX = 1 << 30
PAGE = 1000
STEPS = 20  # of what is slow
DRIP_S = 0.05  # between two drips of …
DRIPS = {"drip": 1, "flow": 2000}  # … so many bytes
RACE_S = 0.02  # a racy store's time between looking and writing

Object = collections.namedtuple("Object", "body modified etag headers")


class Upload:
    """A multipart upload under way."""

    def __init__(self, key, headers, since):
        self.key, self.headers, self.parts, self.since = key, headers, {}, since


class Faults:
    """Which of the requests go wrong, and how; `share` of them, by a seed. `counts` tells what was played: those of a
    kind that fits the request, and that the client was there for.

    What is refused goes these ways, too: "after" and "truncated" lose or cut the answer, whichever it is. "200 with
    error" is of nothing that was done, as S3 has it where an upload is completed; "… after" of all of it.

    Only where they are planned: "trickle", a body that comes or goes slowly but steadily for `trickle_s`, "trickle and
    reset", an answer that does and lacks its last byte, "stall", half a body, and then nothing, "silence", no answer
    and no end, "drip" and "flow", an answer of a byte at a time, or of so many as a slow line brings, and "no S3":
    something else answers, which knows nothing of this.
    """

    KINDS = ("500", "503", "reset before", "reset after", "delay", "truncated", "500 after", "200 with error",
             "200 with error after")

    def __init__(self, seed, share, kinds=KINDS, delay_s=0.05, trickle_s=2):
        self.random, self.share, self.kinds, self.delay_s = random.Random(seed), share, kinds, delay_s
        self.trickle_s = trickle_s
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.planned = []  # [(method, part of the target, kind)]: each once, before chance has its say

    def plan(self, method, part, kind, times=1):
        self.planned += [(method, part, kind)] * times
        return self

    def next(self, method, target, completes):
        with self.lock:
            kind = self.choose(method, urllib.parse.unquote(target))
            if not completes and kind in ("200 with error", "200 with error after"):
                kind = "500" + kind.removeprefix("200 with error")
            if kind == "truncated" and method != "GET":
                kind = "reset after"
            return kind

    def played(self, kind):
        with self.lock:
            self.counts[kind] += 1

    def choose(self, method, target):
        for planned in self.planned:
            if planned[0] == method and planned[1] in target:
                self.planned.remove(planned)
                return planned[2]
        return self.random.choice(self.kinds) if self.random.random() < self.share else None


class Cut(Exception):
    """The connection is cut, with an RST."""


def environment(url, region=REGION):
    """What makes a client come to this server."""
    return {"AWS_ENDPOINT_URL_S3": url, "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": region, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


def date_text(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def crc32c_text(body):
    return base64.b64encode(struct.pack(">I", crc32c.crc32c(body))).decode()


def rolled_up(found, prefix, delimiter, after):
    """Keys that have the next delimiter in common as one, without an object; a token leads behind all of it."""
    level = {}
    for key, one in found:
        rest, cut, _ = key.removeprefix(prefix).partition(delimiter)
        folder = prefix + rest + cut
        if not cut:
            level[key] = one
        elif folder != after:
            level[folder] = None
    return list(level.items())


def url_encoded(text):
    """As encoding-type=url gives keys: a blank is a plus."""
    return urllib.parse.quote_plus(text, safe="/*-._")


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def s3(self):
        return self.server.s3

    # --- the exchange

    def play(self, kind, *wanted):
        """Whether it is one of those wanted, which counts."""
        if kind in wanted:
            self.s3.faults.played(kind)
        return kind in wanted

    def slowly(self, length, move):
        """move(length) of each of a few pieces."""
        for i in range(STEPS):
            move(length * (i + 1) // STEPS - length * i // STEPS)
            time.sleep(self.s3.faults.trickle_s / STEPS)

    def stall(self):
        """Until the server goes."""
        self.s3.ended.wait()
        raise Cut

    def drip(self, body, size):
        for at in range(0, len(body), size):
            self.wfile.write(body[at:at + size])
            if self.s3.ended.wait(DRIP_S):
                raise Cut

    def read_body(self, kind):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raise Refused(501, "NotImplemented", "chunked bodies")
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            raise Refused(400, "EntityTooLarge")
        parts = []
        if length and self.play(kind, "trickle", "stall"):
            # The systems between the two hold some MiB, which are on their way when the client has no more to send.
            move, half = (lambda n: parts.append(self.rfile.read(n))), length // 2
            if kind == "trickle":
                self.slowly(half, move)
            else:
                move(half)
                self.stall()
        parts.append(self.rfile.read(length - sum(map(len, parts))))
        if sum(map(len, parts)) < length:
            raise Cut
        return b"".join(parts)

    def answer(self, status, body=b"", headers=(), kind=None):
        self.send_response(status)
        given = dict(headers)
        for name, value in given.items():
            if value is not None:
                self.send_header(name, value)
        if kind != "no S3":
            self.send_header("x-amz-request-id", f"{self.s3.count:016X}")
        if status != 204 and "Content-Length" not in given:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if len(body) > 1 and self.command != "HEAD" and self.play(kind, "truncated", "stall"):
            self.wfile.write(body[:len(body) // 2])
            if kind == "stall":
                self.stall()
            raise Cut
        if body and self.command == "GET" and self.play(kind, *DRIPS):
            self.drip(body, DRIPS[kind])
        elif body and self.command == "GET" and self.play(kind, "trickle", "trickle and reset"):
            rest = io.BytesIO(body)
            self.slowly(len(body) - (kind != "trickle"), lambda n: self.wfile.write(rest.read(n)))
            if kind != "trickle":
                raise Cut
        elif self.command != "HEAD":
            self.wfile.write(body)

    def refusal(self, refused):
        """As an answer."""
        self.s3.refusals.append((self.command, self.path, refused.status, refused.code))
        more = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in refused.more.items())
        body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{refused.code}</Code>'
                f"<Message>{escape(refused.message)}</Message>{more}</Error>").encode()
        headers = {"Content-Type": "application/xml"}
        if "Region" in refused.more:
            headers["x-amz-bucket-region"] = refused.more["Region"]
        if self.command == "HEAD":
            headers["Content-Length"] = "0"
        late = self.s3.refuses_late and self.completes and refused.status in (400, 409, 412)
        return 200 if late else refused.status, body, headers

    @property
    def completes(self):
        return self.command == "POST" and "uploadId=" in self.path

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(timestamp or time.time() + self.s3.clock_s, usegmt=True)

    def answer_to(self, kind, body):
        """What the server answers, and what it does before; if the answer is lost, Cut."""
        error = Refused(500, "InternalError", "a fault by the seed")
        if self.play(kind, "no S3"):
            return 404, b"404 page not found\n", {"Content-Type": "text/plain"}
        if self.play(kind, "500", "503"):
            return self.refusal(error if kind == "500" else Refused(503, "SlowDown", "a fault by the seed"))
        if self.play(kind, "200 with error"):
            return 200, self.refusal(error)[1], {}
        if self.play(kind, "delay"):
            time.sleep(self.s3.faults.delay_s)
        try:
            answer = self.s3.handle(self.command, self.path, self.headers.items(), body)
        except Refused as refused:
            answer = self.refusal(refused)
        if kind == "truncated" and len(answer[1]) < 2:
            kind = "reset after"
        if self.play(kind, "reset after"):
            raise Cut
        if self.play(kind, "500 after"):
            return self.refusal(error)
        if self.play(kind, "200 with error after"):
            return 200, self.refusal(error)[1], {}
        return answer

    def serve(self):
        self.s3.count += 1
        try:
            kind = self.s3.faults.next(self.command, self.path, self.completes) if self.s3.faults else None
            body = self.read_body(kind)
            if self.play(kind, "reset before"):
                raise Cut
            if self.play(kind, "silence"):
                self.stall()
            self.answer(*self.answer_to(kind, body), kind=kind)
        except Refused as refused:
            self.answer(*self.refusal(refused))
        except Cut:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve


class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread a connection."""

    daemon_threads = True
    request_queue_size = 128
    address_family = socket.AF_INET

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Server:
    """Buckets, keys and a port."""

    def __init__(self, bucket=BUCKET, racy=False, faults=None, region=REGION, tls=None):
        self.buckets = {bucket: {}} if bucket else {}
        self.uploads = {}
        self.keys = {ACCESS: (SECRET, None)}
        self.region, self.racy, self.faults = region, racy, faults
        self.clock_s = 0  # ahead of this machine's
        self.denied = set()  # methods that nobody has a right to
        self.refuses_late = False  # to complete an upload: with 200, and then the error
        self.part_min = 5 << 20  # of an upload's parts but the last
        self.knows_ranges = self.knows_encoding = self.knows_checksums = True
        self.etags_are_md5 = True  # they are not where keys of a KMS encrypt
        self.tells_size = True  # in the answer to a HEAD
        self.base = ""  # a path that everything is below
        self.begins_behind = True  # a key that is to be listed behind
        self.empty_pages = False  # before each page with keys, as where much was removed
        self.full = False
        self.page = PAGE
        self.count = 0
        self.refusals = collections.deque(maxlen=1000)
        self.requests = collections.Counter()
        self.got = collections.Counter()  # keys
        self.lock = threading.RLock()
        self.ended = threading.Event()
        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.listener.s3 = self
        self.listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
        if tls:
            self.listener.socket = tls.wrap_socket(self.listener.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.listener.server_port}"
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.listener.shutdown()
        self.listener.server_close()

    def now(self):
        """By the server's clock."""
        return time.time() + self.clock_s

    def environment(self):
        """What makes a client come here."""
        return environment(self.url, self.region)

    def objects(self, bucket=BUCKET, prefix=""):
        """{key: bytes}, in the order of a listing."""
        with self.lock:
            return {key: found.body for key, found in sorted(self.buckets[bucket].items(),
                                                             key=lambda item: item[0].encode())
                    if key.startswith(prefix)}

    def save(self, directory, bucket=BUCKET, prefix=""):
        """The objects below a prefix as files."""
        for key, body in self.objects(bucket, prefix).items():
            path = pathlib.Path(directory) / key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

    # --- a request

    def handle(self, method, target, headers, body):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock_s)
        sigv4_check.check(method, target, headers, body, self.keys, self.region, now=now,
                          unsigned_allowed=self.url.startswith("https"))
        path, _, query = target.partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        headers = {name.lower(): value for name, value in headers}
        if not path.startswith(self.base + "/"):
            raise Refused(404, "NotFound", "there is nothing here")
        bucket, key = self.place(urllib.parse.unquote(path.removeprefix(self.base)), headers["host"])
        for name in headers:
            if name.startswith("x-amz-checksum-") and not self.knows_checksums:
                raise Refused(501, "NotImplemented", f"Header '{name}' with value '{headers[name]}' not implemented")
        if method in self.denied:
            raise Refused(403, "AccessDenied", "Access Denied")
        if bucket not in self.buckets:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        what = self.what(method, key, query)
        self.requests[what.__name__.removeprefix("do_")] += 1
        return what(bucket, key, query, headers, body)

    def place(self, path, host):
        name = host.rpartition(":")[0]
        if name.endswith(".localhost"):
            return name.removesuffix(".localhost"), path[1:]
        bucket, _, key = path[1:].partition("/")
        return bucket, key

    def what(self, method, key, query):
        operations = {
            ("GET", False): self.do_uploads if "uploads" in query else self.do_list,
            ("HEAD", False): self.do_head_bucket,
            ("GET", True): self.do_get,
            ("HEAD", True): self.do_head,
            ("PUT", True): self.do_part if "uploadId" in query else self.do_put,
            ("DELETE", True): self.do_abort if "uploadId" in query else self.do_delete,
            ("POST", True): self.do_create if "uploads" in query else self.do_complete,
        }
        if (method, bool(key)) not in operations:
            raise Refused(405, "MethodNotAllowed")
        return operations[method, bool(key)]

    # --- objects

    @staticmethod
    def kept_headers(headers):
        kept = {name: value for name, value in headers.items()
                if name.startswith(("x-amz-meta-", "x-amz-server-side-encryption")) or name == "content-type"}
        sse = headers.get("x-amz-server-side-encryption")
        if sse not in (None, "AES256", "aws:kms", "aws:kms:dsse"):
            raise Refused(400, "InvalidArgument", "The encryption method specified is not supported")
        return kept

    def etag(self, body):
        digest = hashlib.md5(body) if self.etags_are_md5 else hashlib.sha1(body)
        return f'"{digest.hexdigest()[:32]}"'

    @staticmethod
    def check_body(headers, body):
        checksum = headers.get("x-amz-checksum-crc32c")
        if checksum is not None and checksum != crc32c_text(body):
            raise Refused(400, "BadDigest", "The CRC32C you specified did not match what we received.")
        md5 = headers.get("content-md5")
        if md5 is not None and md5 != base64.b64encode(hashlib.md5(body).digest()).decode():
            raise Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")

    def store(self, bucket, key, found, headers):
        """Only one of those who say If-None-Match gets in, unless this server is a racy one."""
        condition = headers.get("if-none-match")
        if condition not in (None, "*"):
            raise Refused(501, "NotImplemented")
        if self.full:
            raise Refused(507, "QuotaExceeded", "no room")
        if self.racy:
            taken = key in self.buckets[bucket]
            time.sleep(RACE_S)
            if condition and taken:
                raise Refused(412, "PreconditionFailed")
        with self.lock:
            if condition and not self.racy and key in self.buckets[bucket]:
                raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
            self.buckets[bucket][key] = found

    def do_put(self, bucket, key, _query, headers, body):
        if len(key.encode()) > 1024:
            raise Refused(400, "KeyTooLongError", "Your key is too long")
        self.check_body(headers, body)
        etag = self.etag(body)
        self.store(bucket, key, Object(body, self.now(), etag, self.kept_headers(headers)), headers)
        return 200, b"", {"ETag": etag}

    def find(self, bucket, key):
        with self.lock:
            found = self.buckets[bucket].get(key)
        if found is None:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.", Key=key)
        return found

    def described(self, found):
        return {"ETag": found.etag, "Last-Modified": email.utils.formatdate(found.modified, usegmt=True),
                "Accept-Ranges": "bytes", **found.headers}

    def do_head(self, bucket, key, *_):
        found = self.find(bucket, key)
        return 200, b"", {**self.described(found), "Content-Length": str(len(found.body)) if self.tells_size else None}

    def do_get(self, bucket, key, _query, headers, _body):
        found = self.find(bucket, key)
        self.got[key] += 1
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        if not wanted or not self.knows_ranges:
            return 200, found.body, self.described(found)
        first, last = int(wanted[1]), int(wanted[2] or len(found.body))
        if first >= len(found.body) or last < first:
            raise Refused(416, "InvalidRange", "The requested range is not satisfiable")
        part = found.body[first:last + 1]
        return 206, part, {**self.described(found),
                           "Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(found.body)}"}

    def do_delete(self, bucket, key, *_):
        with self.lock:
            self.buckets[bucket].pop(key, None)
        return 204, b"", {}

    def do_head_bucket(self, *_):
        return 200, b"", {"x-amz-bucket-region": self.region}

    def do_list(self, bucket, _key, query, *_):
        if query.get("list-type") != "2":
            raise Refused(501, "NotImplemented", "version 1 of the listing")
        prefix, after = query.get("prefix", ""), query.get("start-after", "")
        token = query.get("continuation-token")
        if token:
            after = bytes.fromhex(token).decode()
        most = min(int(query.get("max-keys", self.page)), self.page)
        with self.lock:
            everything = sorted(self.buckets[bucket].items(), key=lambda item: item[0].encode())
        found = [(key, one) for key, one in everything if key.startswith(prefix) and
                 (key.encode() > after.encode() or (key == after and not self.begins_behind))]
        if query.get("delimiter"):
            found = rolled_up(found, prefix, query["delimiter"], after)
        if self.empty_pages and not token:
            most = 0
        encoded = query.get("encoding-type") == "url" and self.knows_encoding
        text = url_encoded if encoded else escape
        body = "".join(f"<Contents><Key>{text(key)}</Key><LastModified>{date_text(one.modified)}</LastModified>"
                       f"<ETag>{escape(one.etag)}</ETag><Size>{len(one.body)}</Size>"
                       "<StorageClass>STANDARD</StorageClass></Contents>" for key, one in found[:most] if one)
        body += "".join(f"<CommonPrefixes><Prefix>{text(key)}</Prefix></CommonPrefixes>"
                        for key, one in found[:most] if not one)
        head = (f"<Name>{bucket}</Name><Prefix>{text(prefix)}</Prefix><MaxKeys>{most}</MaxKeys>"
                f"<KeyCount>{len(found[:most])}</KeyCount>"
                f"<IsTruncated>{'true' if len(found) > most else 'false'}</IsTruncated>")
        if len(found) > most:
            last = found[most - 1][0] if most else after or "\0"
            head += f"<NextContinuationToken>{last.encode().hex()}</NextContinuationToken>"
        # What tells how keys are encoded comes after them: a reader may not rest on the order.
        return self.xml("ListBucketResult", head + body + ("<EncodingType>url</EncodingType>" if encoded else ""))

    @staticmethod
    def xml(name, inside):
        return 200, (f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                     f"{inside}</{name}>").encode(), {"Content-Type": "application/xml"}

    # --- in parts

    def do_create(self, bucket, key, _query, headers, _body):
        with self.lock:
            name = f"upload-{len(self.uploads)}-{self.count}+/="
            self.uploads[name] = Upload((bucket, key), {**headers, **self.kept_headers(headers)}, self.now())
        return self.xml("InitiateMultipartUploadResult", f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                        f"<UploadId>{name}</UploadId>")

    def upload(self, bucket, key, query):
        upload = self.uploads.get(query["uploadId"])
        if not upload or upload.key != (bucket, key):
            raise Refused(404, "NoSuchUpload", "The specified upload does not exist.")
        return upload

    def do_part(self, bucket, key, query, headers, body):
        upload = self.upload(bucket, key, query)
        self.check_body(headers, body)
        wants = upload.headers.get("x-amz-checksum-algorithm")
        if wants and "x-amz-checksum-" + wants.lower() not in headers:
            raise Refused(400, "InvalidRequest", "Checksum Type mismatch occurred")
        etag = self.etag(body)
        upload.parts[int(query["partNumber"])] = (etag, crc32c_text(body), body)
        return 200, b"", {"ETag": etag}

    def do_complete(self, bucket, key, query, headers, body):
        upload = self.upload(bucket, key, query)
        space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        bodies = []
        for part in xml.etree.ElementTree.fromstring(body):
            told = {one.tag.removeprefix(space): one.text for one in part}
            etag, checksum, data = upload.parts.get(int(told["PartNumber"]), (None, None, None))
            if etag != told["ETag"] or told.get("ChecksumCRC32C", checksum) != checksum:
                raise Refused(400, "InvalidPart", "One or more of the specified parts could not be found.")
            bodies.append(data)
        if not bodies or any(len(data) < self.part_min for data in bodies[:-1]):
            raise Refused(400, "EntityTooSmall")
        etag = f'"{hashlib.md5(b"".join(bodies)).hexdigest()}-{len(bodies)}"'
        self.store(bucket, key, Object(b"".join(bodies), self.now(), etag, self.kept_headers(upload.headers)), headers)
        del self.uploads[query["uploadId"]]
        return self.xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>{escape(etag)}</ETag>")

    def do_abort(self, bucket, key, query, *_):
        self.upload(bucket, key, query)
        with self.lock:
            self.uploads.pop(query["uploadId"], None)
        return 204, b"", {}

    def do_uploads(self, bucket, _key, query, *_):
        with self.lock:
            found = sorted((upload.key[1], name, upload.since) for name, upload in self.uploads.items()
                           if upload.key[0] == bucket and upload.key[1].startswith(query.get("prefix", "")))
        return self.xml("ListMultipartUploadsResult", "".join(
            f"<Upload><Key>{escape(key)}</Key><UploadId>{escape(name)}</UploadId>"
            f"<Initiated>{date_text(since)}</Initiated></Upload>" for key, name, since in found))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bucket", default=BUCKET)
    parser.add_argument("--racy", action="store_true")
    parser.add_argument("--faults", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part-min", type=int, default=5 << 20)
    parser.add_argument("--save")
    parser.add_argument("--prefix", default="")
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    faults = Faults(arguments.seed, arguments.faults, delay_s=0.02)
    with Server(arguments.bucket, arguments.racy, faults) as server:
        server.part_min = arguments.part_min
        print(server.url, flush=True)
        signal.sigwait({signal.SIGTERM})
        if arguments.save:
            server.save(arguments.save, arguments.bucket, arguments.prefix)
        print(json.dumps(faults.counts), flush=True)


if __name__ == "__main__":
    main()
