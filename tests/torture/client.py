"""Clients that post to both paths and keep a ledger of their own: what was sent, and what they were told.

Every attempt carries an identity that is never used again, so no two values are the same bytes, and whatever turns up
later can be told apart by its digest. States: acked (with partition and offset), refused (4xx: must not be stored),
unsent (no connection: cannot be stored), unknown (anything else: may be stored, once).
"""
import contextlib
import json
import random
import socket
import threading
import time

from journal import digest

TABLES = ("pin", "geo", "user")
FOLLOWERS = {"46k": "46000", "2M": "2000000", "1.5M": "1500000", "User Info Error": "~"}
TIME, TIME_S = "2020-08-28 03:52:47", 1598586767
RECORDS_A_REQUEST = (1, 1, 1, 1, 2, 20, 60)
PAUSES_S = (0, 0, 0.002, 0.01)  # between requests, so that the program gets some of the processor, too
BAD_SHARE = 0.03
PATIENCE_S = 30


class Entry:
    """One attempt. `row` is the text of the row that it must become (checker.ROWS), None: a dead letter."""
    __slots__ = ("identity", "path", "table", "digest", "row", "state", "partition", "offset", "client", "number")

    def __init__(self, identity, path, table, client, number):
        self.identity, self.path, self.table, self.client, self.number = identity, path, table, client, number
        self.state, self.partition, self.offset = "unknown", None, None


def make_value(table, identity, rng, bad_share):
    """A row of the table that carries its identity in a text column, and the text of what it is cleaned to; now and
    then something that is no row."""
    k = rng.randrange(0, 5000)
    if rng.random() < bad_share:
        return {"nonsense": identity}, None
    if table == "pin":
        title, followers = "dunes \u2026 " + "x" * rng.randrange(0, 600), rng.choice(list(FOLLOWERS))
        return ({"index": k, "unique_id": identity, "title": title, "follower_count": followers,
                 "category": "travel"}, f"{k}|{identity}|{title}|{FOLLOWERS[followers]}|travel")
    if table == "geo":
        return ({"ind": k, "country": identity, "latitude": k / 64, "longitude": 170.25, "timestamp": TIME},
                f"{k}|{identity}|{k / 64}|170.25|{TIME_S}")
    age = rng.randrange(13, 90)
    return ({"ind": k, "first_name": identity, "last_name": "Acosta", "age": age, "date_joined": TIME},
            f"{k}|{identity} Acosta|{age}|{TIME_S}")


class Connection:
    """As much of HTTP as these clients need; http.client takes five times as long."""

    def __init__(self, port, patience_s):
        self.socket = socket.create_connection(("127.0.0.1", port), patience_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_over = False

    def request(self, method, path, kind, body):
        """(status, body of the answer); OSError: no answer. Anything else is raised by what is no HTTP."""
        self.socket.sendall(b"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                            % (method, path, kind, len(body), body))
        head, text = b"", b""
        while b"\r\n\r\n" not in text:
            text += self.more()
        head, _, text = text.partition(b"\r\n\r\n")
        status, *fields = head.lower().split(b"\r\n")
        length = int(next(f for f in fields if f.startswith(b"content-length:")).partition(b":")[2])
        while len(text) < length:
            text += self.more()
        self.is_over = b"connection: close" in fields
        return int(status.split()[1]), text

    def more(self):
        some = self.socket.recv(1 << 16)
        if not some:
            raise ConnectionResetError
        return some

    def close(self):
        self.socket.close()


class Client(threading.Thread):
    bad_share, patience_s, pauses_s = BAD_SHARE, PATIENCE_S, PAUSES_S
    busy_pause_s = 0        # after a 503

    def __init__(self, number, port, user, path, seed, stop):
        super().__init__(daemon=True)
        self.number, self.port, self.user, self.path, self.stop = number, port, user, path, stop
        self.rng = random.Random(seed * 1000 + number)
        self.entries, self.sent, self.acked = [], 0, 0
        self.go = threading.Event()
        self.go.set()
        self.connection = None
        self.failure = None     # an answer that is none

    def run(self):
        try:
            self.work()
        except Exception as failure:  # pylint: disable=broad-except  # it fails the session, in Load.check()
            self.failure = failure
        finally:
            self.drop()

    def work(self):
        while self.go.wait() and not self.stop.is_set():
            table = self.rng.choice(TABLES)
            texts, entries = zip(*[self.entry(table) for _ in range(self.rng.choice(RECORDS_A_REQUEST))])
            pause = self.rng.choice(self.pauses_s)
            try:
                if self.post(table, texts, entries) == 503:
                    pause = max(pause, self.busy_pause_s)
            except ConnectionRefusedError:
                for entry in entries:
                    entry.state = "unsent"
                pause = 0.02
            except OSError:
                self.drop()
                pause = 0.005
            if pause:
                self.stop.wait(pause)

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def entry(self, table):
        self.sent += 1
        entry = Entry(f"{self.path}-{self.number}-{self.sent}", self.path, table, self.number, self.sent)
        value, entry.row = make_value(table, entry.identity, self.rng, self.bad_share)
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        entry.digest = digest(text.encode())
        self.entries.append(entry)
        return text, entry

    def request(self, method, path, kind, body):
        if not self.connection:
            self.connection = Connection(self.port, self.patience_s)
        answer = self.connection.request(method, path.encode(), kind, body.encode())
        if self.connection.is_over:
            self.drop()
        return answer

    def post(self, table, texts, entries):
        """The answer's status."""
        if self.path == "batch":
            status, body = self.request(b"POST", f"/topics/{self.user}.{table}", b"application/vnd.kafka.json.v2+json",
                                        '{"records":[%s]}' % ",".join('{"value":%s}' % t for t in texts))
            answers = self.offsets(status, body)
        elif len(entries) == 1:
            status, body = self.request(b"PUT", f"/streams/streaming-{self.user}-{table}/record", b"application/json",
                                        '{"Data":%s,"PartitionKey":"%s"}' % (texts[0], entries[0].identity))
            answers = [json.loads(body)] if status == 200 else []
            answers = [(a["ShardId"], a["SequenceNumber"]) for a in answers]
        else:
            records = ",".join('{"data":%s,"partition-key":"%s"}' % (json.dumps(t), e.identity)
                               for t, e in zip(texts, entries))
            status, body = self.request(b"PUT", f"/streams/streaming-{self.user}-{table}/records", b"application/json",
                                        '{"records":[%s]}' % records)
            answers = json.loads(body)["Records"] if status == 200 else []
            answers = [(a.get("ShardId"), a.get("SequenceNumber")) for a in answers]
        assert len(answers) == (len(entries) if status == 200 else 0), f"{len(entries)} records got {answers}"
        if 400 <= status < 500:
            for entry in entries:
                entry.state = "refused"
        for entry, (partition, offset) in zip(entries, answers):
            if offset is not None:
                entry.state, entry.partition, entry.offset = "acked", partition, offset
                self.acked += 1
        return status

    @staticmethod
    def offsets(status, body):
        if status != 200:
            return []
        return [(str(o["partition"]), o["offset"] if o["offset"] is None else "%020d" % o["offset"])
                for o in json.loads(body)["offsets"]]


class Load:
    """Several clients at once; `ledger` is what they know."""

    def __init__(self, port, user, seed, clients=2, kind=Client):
        self.stop = threading.Event()
        self.clients = [kind(n, port, user, path, seed, self.stop)
                        for n, path in enumerate(["batch", "stream"] * clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for client in self.clients:
            client.join(2 * PATIENCE_S)
            assert not client.is_alive(), f"client {client.number} hangs"
        self.check()

    @contextlib.contextmanager
    def paused(self):
        """Nothing is sent but what is on its way."""
        for client in self.clients:
            client.go.clear()
        try:
            yield
        finally:
            for client in self.clients:
                client.go.set()

    def check(self):
        """Every client has only got answers that can be read."""
        for client in self.clients:
            if client.failure:
                raise AssertionError(f"client {client.number} got a wrong answer") from client.failure

    @property
    def ledger(self):
        return [entry for client in self.clients for entry in list(client.entries)]

    def acked(self):
        return sum(client.acked for client in self.clients)

    def wait_for_more(self, count, pipeline, timeout=60):
        """Until that many more records were acknowledged."""
        goal, end = self.acked() + count, time.monotonic() + timeout
        while self.acked() < goal:
            pipeline.assert_running()
            self.check()
            if time.monotonic() > end:
                raise AssertionError(f"no progress: {self.acked()} of {goal} records acknowledged")
            time.sleep(0.002)  # paces the look at the count
