"""What bounds a client of the running gateway: sizes, connections, time; and clients that leave."""

import contextlib
import hashlib
import http.client
import json
import selectors
import socket
import struct
import threading
import time

import pytest

from abuse import BODY, HEAD, PATIENCE_S
from conftest import wait_until
from rest import KAFKA_JSON, PIN, ask, end_offset, produce
from test_gateway import metric

KEY = "correct horse"
POST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
GET_MUCH = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW_TIMEOUT_S = 2


def connect(gateway, source="127.0.0.1", buffer_bytes=None):
    connection = socket.socket()
    connection.settimeout(PATIENCE_S)
    if buffer_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    connection.bind((source, 0))
    connection.connect((gateway.host, gateway.port))
    return connection


def receive_until(connection, end):
    received = b""
    while not received.endswith(end):
        chunk = connection.recv(65536)
        assert chunk, f"closed after {received[-500:]}"
        received += chunk
    return received


def is_served(connection):
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return receive_until(connection, b"}").startswith(b"HTTP/1.1 200")


def is_closed(connection):
    return connection.recv(1) == b""


def test_a_thousand_pipelined_posts_are_answered_in_order(gateway):
    with connect(gateway) as connection:
        sender = threading.Thread(target=connection.sendall, args=(POST * 999 + POST.replace(
            b"Host: localhost\r\n", b"Host: localhost\r\nConnection: close\r\n"),))
        sender.start()
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        sender.join()
    answers = [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in received.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [answer["offsets"][0]["offset"] for answer in answers] == list(range(1000))


@pytest.mark.parametrize("key, length, status", [
    ("wrong", b"25", b"401"), (KEY, b"99999999", b"413"), (KEY, b"25", b"100"),
])
def test_expect_continue_checks_key_and_size_first(start_gateway, key, length, status):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_API_KEY_SHA256": hashlib.sha256(KEY.encode()).hexdigest()})
    with connect(gateway) as connection:
        connection.sendall(HEAD + b"x-api-key: %s\r\nExpect: 100-continue\r\nContent-Length: %s\r\n\r\n"
                           % (key.encode(), length))
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 " + status)
        if status == b"100":
            connection.sendall(BODY)
            assert receive_until(connection, b"null}").startswith(b"HTTP/1.1 200")
        else:
            assert b"Connection: close" in answer and is_closed(connection)
    assert end_offset(gateway, headers={"x-api-key": KEY}) == (status == b"100")


@pytest.mark.parametrize("mib", [10, 60])
def test_the_largest_body_allowed_is_taken(start_gateway, mib):
    """Whatever the limit is set to: there is memory for it."""
    gateway = start_gateway(env={"PINPIPE_GATEWAY_BODY_BYTES_MAX": f"{mib}MiB"})
    assert produce(gateway, BODY.ljust(mib << 20)).status == 200
    assert produce(gateway, BODY.ljust((mib << 20) + 1)).status == 413


def test_connections_of_one_address(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_CONNECTIONS_PER_IP_MAX": "2"})
    with contextlib.ExitStack() as stack:
        ours = [stack.enter_context(connect(gateway)) for _ in range(3)]
        assert is_served(ours[0]) and is_served(ours[1]) and is_closed(ours[2])
        assert is_served(stack.enter_context(connect(gateway, "127.0.0.2")))
        ours[0].close()
        wait_until(lambda: reaches(gateway), "a place")


def begin(gateway, client):
    """A request through a proxy that names its client, of which the last byte is missing."""
    connection = connect(gateway)
    connection.sendall(HEAD + b"X-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n" % (client, len(BODY)) + BODY[:-1])
    return connection


def through_proxy(gateway, *clients):
    return produce(gateway, BODY, headers={"X-Forwarded-For": ", ".join(clients)}).status


def test_requests_of_one_client_of_a_proxy(start_gateway):
    """Connections are the proxy's, so requests in flight are what a client can have too many of."""
    gateway = start_gateway(env={"PINPIPE_GATEWAY_CONNECTIONS_PER_IP_MAX": "2",
                                 "PINPIPE_GATEWAY_CLIENT_HEADER": "x-forwarded-for"})
    with begin(gateway, b"192.0.2.1"), begin(gateway, b"192.0.2.1:1234") as second:
        wait_until(lambda: through_proxy(gateway, "192.0.2.1") == 429, "the bound")
        assert through_proxy(gateway, "192.0.2.9", "192.0.2.1") == 429  # the last one is the proxy's word
        assert through_proxy(gateway, "192.0.2.1", "192.0.2.9") == 200
        assert through_proxy(gateway, "2001:db8::1") == 200
        second.sendall(BODY[-1:])
        receive_until(second, b"null}")
        assert through_proxy(gateway, "192.0.2.1") == 200  # one is answered,
    wait_until(lambda: through_proxy(gateway, "192.0.2.1") == 200, "the end of the other")
    with begin(gateway, b"192.0.2.1"):  # and the other gone: counted once each
        assert [through_proxy(gateway, "192.0.2.1") for _ in range(20)] == [200] * 20
    with begin(gateway, b"unknown"), begin(gateway, b"_hidden"):  # no addresses: one client
        wait_until(lambda: through_proxy(gateway, "unknown") == 429, "the bound")


def test_nobody_is_believed_unless_told(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_CONNECTIONS_PER_IP_MAX": "3"})
    with begin(gateway, b"192.0.2.1"), begin(gateway, b"192.0.2.1"):
        assert through_proxy(gateway, "192.0.2.1") == 200


def reaches(gateway):
    with connect(gateway) as connection, contextlib.suppress(OSError, AssertionError):
        return is_served(connection)


def test_when_full_the_longest_idle_is_closed(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_CONNECTIONS_MAX": "3"})
    with contextlib.ExitStack() as stack:
        ours = [stack.enter_context(connect(gateway)) for _ in range(3)]
        assert all(map(is_served, ours)) and is_served(ours[0])
        assert is_served(stack.enter_context(connect(gateway)))
        assert is_closed(ours[1]) and is_served(ours[0]) and is_served(ours[2])


def answers_nobody_else(gateway):
    """Between two questions of ours."""
    name = "pinpipe_http_requests_2xx_total"
    return metric(gateway, name) + 1 == metric(gateway, name)


def test_a_reset_in_mid_reply_leaves_what_was_stored(gateway):
    """The client reads nothing of its answers and leaves; that they were lost is counted."""
    with connect(gateway, buffer_bytes=4096) as connection:
        connection.sendall(POST)
        wait_until(lambda: end_offset(gateway) == 1, "the record")
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                connection.send(GET_MUCH * 16)
        wait_until(lambda: answers_nobody_else(gateway), "the gateway to write no further")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: metric(gateway, "pinpipe_http_answers_lost_total") == 1, "the lost answer")
    assert end_offset(gateway) == 1


class SlowClient:
    """One that says how it begins and then a byte a tick (`drip`), or takes one of what it asked for."""

    def __init__(self, gateway, begin, drip):
        self.drip, self.received = drip, b""
        self.socket = connect(gateway, buffer_bytes=None if drip else 4096)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.send(begin)

    def tick(self):
        with contextlib.suppress(OSError):
            if self.drip:
                self.socket.send(self.drip)
            else:
                self.socket.recv(1)

    def read(self):
        """False: the server has closed it."""
        with contextlib.suppress(ConnectionError):
            chunk = self.socket.recv(65536)
            self.received += chunk
            return chunk != b""
        return False


def await_close(gateway, clients, others, tick_s=0.2):
    """Each goes on at its pace until the gateway has only the others' connections. A reader cannot tell itself: what
    it has not read stands before the end."""
    deadline = time.monotonic() + 3 * PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for client in clients:
            if client.drip:
                selector.register(client.socket, selectors.EVENT_READ, client)
        while (left := metric(gateway, "pinpipe_http_connections")) > others:
            next_tick = time.monotonic() + tick_s
            assert next_tick < deadline, f"{left - others} clients are still there"
            for client in clients:
                client.tick()
            while (wait_s := next_tick - time.monotonic()) > 0:
                for key, _ in selector.select(wait_s):
                    if not key.data.read():
                        selector.unregister(key.fileobj)
                        key.data.socket.close()


class Healthy(threading.Thread):
    """Posts one record after the other until it is told to end; counts what was answered with 200."""

    def __init__(self, gateway):
        super().__init__()
        self.gateway, self.ended, self.answered, self.wrong = gateway, threading.Event(), 0, []

    def run(self):
        connection = http.client.HTTPConnection(self.gateway.host, self.gateway.port, timeout=PATIENCE_S)
        while not self.ended.is_set() and not self.wrong:
            try:
                connection.request("POST", PIN, BODY, {"Content-Type": KAFKA_JSON})
                reply = connection.getresponse()
                reply.read()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                break
            if reply.status != 200:
                self.wrong.append(reply.status)
            self.answered += reply.status == 200
        connection.close()


def test_slow_clients_are_ended_and_others_served(start_gateway):
    """1,000 each that are slow with headers, with bodies and in reading: 408 or closed, and nothing of them stored.
    Who had to wait for them would be answered once in their time."""
    kinds = {
        "headers": (HEAD + b"X: ", b"x"),
        "body": (HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
        "reads": (GET_MUCH * 200, b""),
    }
    gateway = start_gateway(env={f"PINPIPE_GATEWAY_{what}_TIMEOUT": f"{SLOW_TIMEOUT_S}s"
                                 for what in ("HEADER", "BODY", "WRITE")})
    healthy = Healthy(gateway)
    healthy.start()
    clients = {kind: [SlowClient(gateway, *kinds[kind]) for _ in range(1000)] for kind in kinds}
    before, began = healthy.answered, time.monotonic()
    try:
        await_close(gateway, [client for kind in clients.values() for client in kind], others=2)
        ended = time.monotonic()
    finally:
        healthy.ended.set()
        healthy.join()
        for kind in clients.values():
            for client in kind:
                client.socket.close()
    assert not healthy.wrong
    assert healthy.answered - before > 5 * (ended - began) / SLOW_TIMEOUT_S
    for kind in ("headers", "body"):
        assert {client.received[:12] for client in clients[kind]} == {b"HTTP/1.1 408"}, kind
    assert end_offset(gateway) == healthy.answered


def test_idle_connections_are_closed(start_gateway):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_IDLE_TIMEOUT": "100ms"})
    with connect(gateway) as fresh, connect(gateway) as used:
        assert is_served(used)
        assert is_closed(fresh) and is_closed(used)
        assert ask(gateway, "GET", "/healthz").status == 200
