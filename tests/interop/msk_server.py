"""Amazon MSK's way in by IAM, before a real Kafka: TLS, then a token that has to be what AWS's own signer makes.

    port = conftest.free_port()
    with kafka_server.running(directory, advertised={"MSK": f"127.0.0.1:{port}"}) as kafka:
        with msk_server.Msk(kafka, port) as msk:
            pinpipe … with msk.client(), and the keys of msk.keys in the environment

The way in is a proxy: it answers SaslHandshake and SaslAuthenticate itself, as a broker does, and hands on all else.
"""
import base64
import contextlib
import datetime
import functools
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from unittest import mock

import kafka_server

REGION = "eu-west-1"
HANDSHAKE, AUTHENTICATE = 17, 36
MECHANISM, DENIED = b"OAUTHBEARER", 58


@functools.cache
def signer():
    kafka_server.confluent()  # whose Python has it
    import botocore.auth  # pylint: disable=import-outside-toplevel
    import botocore.credentials  # pylint: disable=import-outside-toplevel
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # pylint: disable=import-outside-toplevel
    return botocore, MSKAuthTokenProvider


def sign(keys, agent, seconds):
    """The token of AWS's own signer."""
    botocore, provider = signer()

    class Provider(botocore.credentials.CredentialProvider):
        def load(self):
            return botocore.credentials.Credentials(*keys)

    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at), \
            mock.patch.object(provider, "__get_user_agent__", return_value=agent):
        return provider.generate_auth_token_from_credentials_provider(REGION, Provider())[0]


def text(content):
    return struct.pack(">h", len(content)) + content


def length_of(frames):
    """Of the first one, with what says how long it is; beyond the end while that has not come."""
    return 4 + struct.unpack_from(">i", frames)[0] if len(frames) >= 4 else 4


class Msk:
    """keys: (id, secret, session's token or None), which may be changed; tokens: all that came, as (token, taken)."""

    def __init__(self, kafka, port, session_ms=0):
        self.kafka, self.port, self.session_ms = kafka, port, session_ms
        self.keys = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
        self.tokens = []
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(kafka.certificates.both("server"))
        self.listener = socket.create_server(("127.0.0.1", port))
        self.connections = []

    def client(self):
        return {"bootstrap.servers": f"127.0.0.1:{self.port}", "sasl.mechanism": "AWS_MSK_IAM",
                "ssl.ca.location": str(self.kafka.certificates.cert("ca"))}

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()

    def drop(self):
        """Ends all connections, as a broker does that is restarted."""
        connections, self.connections = self.connections, []
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=self.listener.accept()[:1], daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            self.connections.append(connection)
            client = self.tls.wrap_socket(connection, server_side=True)
            with socket.create_connection(("127.0.0.1", self.kafka.nodes[0].ports["MSK"])) as broker, client:
                self.connections.append(client)
                self.hand_over(client, broker)

    def hand_over(self, client, broker):
        parts = {client: b"", broker: b""}
        while True:
            ready = [client] if client.pending() else select.select([client, broker], [], [])[0]
            for sock in ready:
                if not (came := sock.recv(65536)):
                    return
                parts[sock] += came
                while len(parts[sock]) >= (end := length_of(parts[sock])):
                    frame, parts[sock] = parts[sock][:end], parts[sock][end:]
                    if sock is broker:
                        client.sendall(frame)
                    elif answer := self.answer(frame):
                        client.sendall(struct.pack(">i", len(answer)) + answer)
                    else:
                        broker.sendall(frame)

    def answer(self, frame):
        """None: it is for the broker."""
        api, version, number, name_len = struct.unpack_from(">hhih", frame, 4)
        body = frame[14 + max(name_len, 0):]
        if api == HANDSHAKE:
            return struct.pack(">ihi", number, 0, 1) + text(MECHANISM)
        if api != AUTHENTICATE:
            return None
        token = body[4:].split(b"auth=Bearer ")[1].split(b"\x01")[0].decode()
        taken = self.takes(token)
        self.tokens.append((token, taken))
        lifetime = struct.pack(">q", self.session_ms) if version > 0 else b""
        if taken:
            return struct.pack(">ihhi", number, 0, -1, 0) + lifetime
        return struct.pack(">ih", number, DENIED) + text(b"Access denied") + struct.pack(">i", 0) + lifetime

    def takes(self, token):
        url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        signed = datetime.datetime.strptime(query["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
        return abs(time.time() - signed) < 900 and token == sign(self.keys, query["User-Agent"], int(signed))
