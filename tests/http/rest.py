"""One HTTP request to a gateway, and its reply, for the tests of its routes."""

import http.client
import json

import described

KAFKA = "application/vnd.kafka.v2+json"
KAFKA_JSON = "application/vnd.kafka.json.v2+json"
KAFKA_BINARY = "application/vnd.kafka.binary.v2+json"
OWN_TOPICS = [f"124df56aef51.{table}" for table in ("geo", "pin", "user")]
OWN_STREAMS = [f"streaming-124df56aef51-{table}" for table in ("geo", "pin", "user")]
PIN = "/topics/124df56aef51.pin"
PIN_STREAM = "/streams/streaming-124df56aef51-pin"


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.type = response.headers.get("Content-Type")
        self.text = response.read().decode()

    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return f"{self.status} {self.type} {self.text[:500]}"


def ask(gateway, method, path, body=None, content_type=None, headers=None):
    """Sends one request on a connection of its own, and holds it and the answer against the API's description. A
    body that is no text or bytes goes as JSON."""
    if body is not None and not isinstance(body, (str, bytes)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    headers = dict(headers or {})
    if content_type:
        headers["Content-Type"] = content_type
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        reply = Reply(connection.getresponse())
    finally:
        connection.close()
    if method != "OPTIONS":  # a browser's question, which no route answers
        described.check(method, path, headers, body, reply, "--kinesis-status" in gateway.command)
    return reply


def produce(gateway, body, path=PIN, content_type=KAFKA_JSON, **more):
    return ask(gateway, "POST", path, body, content_type, **more)


def put(gateway, body, what="record", stream=PIN_STREAM, content_type="application/json", **more):
    return ask(gateway, "PUT", f"{stream}/{what}", body, content_type, **more)


def end_offset(gateway, topic=PIN, partition=0, **more):
    return ask(gateway, "GET", f"{topic}/partitions/{partition}/offsets", **more).json()["end_offset"]


def read_stream(gateway, stream=PIN_STREAM, shard="shardId-000000000000", **more):
    """All records of a shard, as GetRecords shows them."""
    reply = ask(gateway, "GET", f"{stream}/sharditerator?shard-id={shard}", **more)
    assert reply.status == 200, reply
    iterator, records = reply.json()["ShardIterator"], []
    while True:
        reply = ask(gateway, "GET", f"{stream}/records", headers={"Shard-Iterator": iterator})
        assert reply.status == 200, reply
        page = reply.json()
        if not page["Records"]:
            return records
        assert not records or page["Records"][0]["SequenceNumber"] > records[-1]["SequenceNumber"], page
        records += page["Records"]
        iterator = page["NextShardIterator"]
