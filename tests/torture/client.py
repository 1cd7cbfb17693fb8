"""Clients that post to both paths and keep a ledger of their own: what was sent, and what they were told.

Every attempt carries an identity that is never used again, so whatever turns up later can be told apart.
States: acked (with partition and offset), refused (4xx: must not be stored), unsent (no connection: cannot be
stored), unknown (anything else: may be stored, once).
"""
import http.client
import json
import random
import threading
import time

TABLES = ("pin", "geo", "user")


class Entry:
    __slots__ = ("identity", "path", "table", "value", "state", "partition", "offset", "client", "number", "bad")

    def __init__(self, identity, path, table, value, client, number, bad):
        self.identity, self.path, self.table, self.value = identity, path, table, value
        self.client, self.number, self.bad = client, number, bad
        self.state, self.partition, self.offset = "unknown", None, None


def make_value(table, identity, rng):
    """A row of the table that carries its identity in a text column, and now and then something that is no row."""
    k = rng.randrange(0, 5000)
    if rng.random() < 0.03:
        return {"nonsense": identity}, True
    if table == "pin":
        return {"index": k, "unique_id": identity, "title": "dunes \u2026 " + "x" * rng.randrange(0, 300),
                "follower_count": rng.choice(["46k", "2M", "User Info Error"]), "category": "travel"}, False
    if table == "geo":
        return {"ind": k, "country": identity, "latitude": -88.8298, "longitude": 170.188,
                "timestamp": "2020-08-28 03:52:47"}, False
    return {"ind": k, "first_name": identity, "last_name": "Acosta", "age": 20,
            "date_joined": "2015-10-21 21:26:45"}, False


class Client(threading.Thread):
    def __init__(self, number, port, user, path, seed, stop):
        super().__init__(daemon=True)
        self.number, self.port, self.user, self.path, self.stop = number, port, user, path, stop
        self.rng = random.Random(seed * 1000 + number)
        self.entries, self.sent = [], 0
        self.connection = None

    def run(self):
        while not self.stop.is_set():
            table = self.rng.choice(TABLES)
            entries = [self.entry(table) for _ in range(self.rng.choice((1, 1, 1, 2, 20)))]
            try:
                self.connect()
                self.post(table, entries)
            except ConnectionRefusedError:
                for entry in entries:
                    entry.state = "unsent"
                self.drop()
                self.stop.wait(0.02)
            except (OSError, http.client.HTTPException, ValueError):
                self.drop()
                self.stop.wait(0.02)
        self.drop()

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def entry(self, table):
        self.sent += 1
        identity = f"{self.path}-{self.number}-{self.sent}"
        value, bad = make_value(table, identity, self.rng)
        entry = Entry(identity, self.path, table, value, self.number, self.sent, bad)
        self.entries.append(entry)
        return entry

    def connect(self):
        if not self.connection:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self.connection.connect()

    def request(self, method, path, kind, body):
        self.connection.request(method, path, json.dumps(body).encode(), {"Content-Type": kind})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def post(self, table, entries):
        if self.path == "batch":
            status, body = self.request("POST", f"/topics/{self.user}.{table}", "application/vnd.kafka.json.v2+json",
                                        {"records": [{"value": e.value} for e in entries]})
            answers = self.offsets(status, body)
        elif len(entries) == 1:
            status, body = self.request("PUT", f"/streams/streaming-{self.user}-{table}/record", "application/json",
                                        {"Data": entries[0].value, "PartitionKey": entries[0].identity})
            answers = [json.loads(body)] if status == 200 else []
            answers = [(a["ShardId"], a["SequenceNumber"]) for a in answers]
        else:
            status, body = self.request("PUT", f"/streams/streaming-{self.user}-{table}/records", "application/json",
                                        {"records": [{"data": json.dumps(e.value), "partition-key": e.identity}
                                                     for e in entries]})
            answers = json.loads(body)["Records"] if status == 200 else []
            answers = [(a.get("ShardId"), a.get("SequenceNumber")) for a in answers]
        if 400 <= status < 500:
            for entry in entries:
                entry.state = "refused"
        for entry, (partition, offset) in zip(entries, answers):
            if offset is not None:
                entry.state, entry.partition, entry.offset = "acked", partition, offset

    @staticmethod
    def offsets(status, body):
        if status != 200:
            return []
        return [(str(o["partition"]), o["offset"] if o["offset"] is None else "%020d" % o["offset"])
                for o in json.loads(body)["offsets"]]


class Load:
    """Several clients at once; `ledger` is what they know."""

    def __init__(self, port, user, seed, clients=2):
        self.stop = threading.Event()
        self.clients = [Client(n, port, user, path, seed, self.stop)
                        for n, path in enumerate(["batch", "stream"] * clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for client in self.clients:
            client.join(60)

    @property
    def ledger(self):
        return [entry for client in self.clients for entry in list(client.entries)]

    def acked(self):
        return sum(entry.state == "acked" for entry in self.ledger)

    def wait_for_more(self, count, timeout=60):
        """Until that many more records were acknowledged."""
        goal, end = self.acked() + count, time.monotonic() + timeout
        while self.acked() < goal:
            if time.monotonic() > end:
                raise AssertionError(f"no progress: {self.acked()} of {goal} records acknowledged")
            threading.Event().wait(0.01)
