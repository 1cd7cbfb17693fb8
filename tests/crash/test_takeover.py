"""A newer gateway takes over from the running one: no request is refused, none fails, none is stored twice."""

import contextlib
import fcntl
import http.client
import json
import pathlib
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from conftest import Gateway, wait_until

PIN = "124df56aef51.pin"
HELLO, SOCKETS, GO, CONNECTIONS, LOG, OPEN, YOURS, NO = range(1, 9)
LENGTH = 8 + 4 + 4 + 2 + 128 + 32 + 256 + 2  # of each message, as takeover.c has it


def body_of(client, number):
    return json.dumps({"index": number, "unique_id": f"{client}", "title": f"{client}-{number}"})


class Client(threading.Thread):
    """Posts one record after the other, on a connection that it keeps, or on a new one each."""

    def __init__(self, gateway, name, kept, context=None):
        super().__init__()
        self.gateway, self.client, self.kept, self.context = gateway, name, kept, context
        self.done, self.failed, self.connects, self.ends = 0, [], 0, False

    def connect(self):
        self.connects += 1
        if self.context:
            return http.client.HTTPSConnection(self.gateway.host, self.gateway.port, timeout=60, context=self.context)
        return http.client.HTTPConnection(self.gateway.host, self.gateway.port, timeout=60)

    def run(self):
        connection = None
        while not self.ends:
            try:
                connection = connection or self.connect()
                connection.request("POST", f"/topics/{PIN}", body_of(self.client, self.done),
                                   {"Content-Type": "application/x-ndjson"})
                reply = connection.getresponse()
                reply.read()
                if reply.status != 200:
                    self.failed.append(reply.status)
                if not self.kept or reply.will_close:
                    connection.close()
                    connection = None
                self.done += 1
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                return
        if connection:
            connection.close()


class Load:
    """Clients of both kinds, from its beginning to its end."""

    def __init__(self, gateway, count=8, context=None):
        self.clients = [Client(gateway, f"c{n}", n % 2 == 0, context) for n in range(count)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        self.await_more()
        return self

    def await_more(self, count=20):
        """Each has had so many answers since."""
        before = [client.done for client in self.clients]
        wait_until(lambda: any(client.failed for client in self.clients) or
                   all(client.done >= was + count for client, was in zip(self.clients, before)), "answers")
        assert [client.failed for client in self.clients] == [[]] * len(self.clients)

    def __exit__(self, *_):
        for client in self.clients:
            client.ends = True
        for client in self.clients:
            client.join()

    def expected(self):
        return sorted((client.client, number) for client in self.clients for number in range(client.done))


def stored(run, directory):
    lines = run("cat", PIN, "--dir", directory, "--format", "json").stdout.splitlines()
    return sorted((row["unique_id"], row["index"]) for row in (json.loads(line)["value"] for line in lines))


def take_over(start, gateway, directory, *words):
    """The new one, once the old one has ended well."""
    new = start("gateway", "--listen", f"{gateway.host}:{gateway.port}", "--dir", directory, "--takeover", *words,
                kind=Gateway).listen()
    assert gateway.process.wait(60) == 0, gateway.said()
    assert new.port == gateway.port
    return new


def test_ten_in_a_row_under_load(run, start, start_gateway, data_dir):
    gateway = start_gateway()
    with Load(gateway) as load:
        for _ in range(10):
            gateway = take_over(start, gateway, data_dir)
            load.await_more()
    assert [client.failed for client in load.clients] == [[]] * len(load.clients)
    assert [client.connects for client in load.clients if client.kept] == [1] * (len(load.clients) // 2)
    gateway.stop()
    assert stored(run, data_dir) == load.expected()


def commands_of(up):
    """What its children run."""
    words = set()
    for child in pathlib.Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has just ended
            words |= set(pathlib.Path(f"/proc/{child}/cmdline").read_text().split("\0"))
    return words


def test_up_takes_over_and_the_other_drains(run, start, data_dir):
    words = ("--dir", data_dir, "--flush-age", "1s")
    old = start("up", "--listen", "127.0.0.1:0", *words, kind=Gateway).listen()
    with Load(old, count=4) as load:
        for _ in range(2):
            new = start("up", "--listen", f"{old.host}:{old.port}", *words, "--takeover", kind=Gateway).listen()
            load.await_more()
            assert old.process.wait(120) == 0, old.said()
            assert "drained: " in old.said()
            new.wait_for("the other up has ended")
            wait_until(lambda: {"gateway", "sink", "stream", "maintain"} <= commands_of(new), "all of its processes")
            load.await_more()
            old = new
    assert new.stop(signal.SIGTERM) in (0, 143)
    assert [client.failed for client in load.clients] == [[]] * len(load.clients)
    assert stored(run, data_dir) == load.expected()
    run("batch", "--dir", data_dir)
    run("check", "--dir", data_dir)


def test_up_that_finds_nobody_is_told_first_that_its_port_is_taken(run, data_dir):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = "127.0.0.1:%d" % other.getsockname()[1]
        refused = run("up", "--dir", data_dir, "--listen", address, "--takeover", status=1)
    assert refused.stderr.startswith(f"pinpipe up: something listens on {address} already"), refused.stderr


def test_up_takes_over_from_a_gateway_alone(run, start, start_gateway, data_dir):
    gateway = start_gateway()
    with Load(gateway, count=2) as load:
        new = start("up", "--listen", f"{gateway.host}:{gateway.port}", "--dir", data_dir, "--takeover",
                    kind=Gateway).listen()
        assert gateway.process.wait(60) == 0, gateway.said()
        load.await_more()
    assert new.stop(signal.SIGTERM) in (0, 143)
    assert [client.failed for client in load.clients] == [[]] * len(load.clients)
    assert stored(run, data_dir) == load.expected()


# --- when it fails --------------------------------------------------------------------------------------------


class Taker:
    """The new gateway's side, as far as a test wants to play it."""

    def __init__(self, directory):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.fds, self.why = [], ""
        wait_until(lambda: (directory / "gateway.sock").exists(), "gateway.sock")
        self.socket.connect(str(directory / "gateway.sock"))

    def say(self, word):
        head = b"PINTAKE1" + word.to_bytes(4, "little") + (1).to_bytes(4, "little")
        self.socket.send(head.ljust(LENGTH, b"\0"))

    def hear(self):
        message, fds, _, _ = socket.recv_fds(self.socket, LENGTH, 128)
        self.fds += fds
        self.why = message[178:434].split(b"\0")[0].decode()
        return int.from_bytes(message[8:12], "little")

    def close(self):
        for fd in self.fds:
            socket.socket(fileno=fd).close()
        self.socket.close()


def ask(connection, number):
    connection.request("POST", f"/topics/{PIN}", body_of("kept", number), {"Content-Type": "application/x-ndjson"})
    reply = connection.getresponse()
    assert reply.status == 200, reply.read()
    return json.loads(reply.read())["offsets"][0]["offset"]


@pytest.mark.parametrize("until", ["HELLO", "GO", "LOG"])
def test_one_that_dies_before_it_serves_changes_nothing(run, start, start_gateway, data_dir, until):
    gateway = start_gateway()
    kept = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    assert ask(kept, 0) == 0
    with Load(gateway, count=4) as load:
        for _ in range(3):
            taker = Taker(data_dir)
            taker.say(HELLO)
            assert taker.hear() == SOCKETS
            if until != "HELLO":
                taker.say(GO)
            while until == "LOG" and taker.hear() != LOG:
                pass
            taker.close()
            gateway.wait_for("(this gateway goes on|nobody takes over)")
            load.await_more()
    assert [client.failed for client in load.clients] == [[]] * len(load.clients)
    ask(kept, 1)
    connected = kept.sock.getsockname()
    new = take_over(start, gateway, data_dir)
    ask(kept, 2)
    assert kept.sock.getsockname() == connected
    kept.close()
    new.stop()
    assert stored(run, data_dir) == sorted(load.expected() + [("kept", n) for n in range(3)])


def begin_post(gateway, name):
    """A request that is known there, all but the end of its body; the connection, and what is missing."""
    body = body_of(name, 0).encode()
    client = socket.create_connection((gateway.host, gateway.port), timeout=60)
    client.sendall(b"POST /topics/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                   b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (PIN.encode(), len(body)))
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(body[:5])
    return client, body[5:]


def refuses(gateway):
    try:
        socket.create_connection((gateway.host, gateway.port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def test_one_that_ends_hands_nothing_over(run, start_gateway, data_dir):
    """Its sockets are closed already while it answers what is in flight."""
    gateway = start_gateway()
    client, rest = begin_post(gateway, "slow")
    with client:
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(gateway), "the drain")
        taker = Taker(data_dir)
        taker.say(HELLO)
        assert (taker.hear(), taker.why) == (NO, "it has been asked to end")
        taker.close()
        client.sendall(rest)
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert gateway.process.wait(60) == 143, gateway.said()
    assert stored(run, data_dir) == [("slow", 0)]


def ticks(pid):
    """The processor's time that a process has had, in hundredths of a second."""
    return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))


def test_without_descriptors_it_waits_for_some(start, start_gateway, data_dir):
    """Whoever wants to take over waits, and no processor is kept busy by that."""
    gateway = start_gateway()
    _, most = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)

    def spins():
        before = ticks(gateway.pid)
        time.sleep(1)
        return ticks(gateway.pid) - before > 30

    wait_until((data_dir / "gateway.sock").exists, "gateway.sock")
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (3, most))
    taker = Taker(data_dir)
    taker.say(HELLO)
    assert not spins()
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (most, most))
    assert taker.hear() == SOCKETS
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (3, most))
    (data_dir / "gateway.sock").unlink()
    taker.close()
    gateway.wait_for("nobody takes over")
    assert not spins()  # where not even a socket can be made
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (most, most))
    wait_until((data_dir / "gateway.sock").exists, "gateway.sock")
    take_over(start, gateway, data_dir).stop()


def test_one_waits_until_another_has_left(start, start_gateway, data_dir):
    """Nobody else can meet the running one meanwhile, but it is there."""
    gateway = start_gateway()
    taker = Taker(data_dir)
    taker.say(HELLO)
    assert taker.hear() == SOCKETS
    new = start("gateway", "--listen", f"{gateway.host}:{gateway.port}", "--dir", data_dir, "--takeover", kind=Gateway)
    time.sleep(0.5)
    taker.close()
    new.listen()
    assert gateway.process.wait(60) == 0, gateway.said()
    assert "taking over from" in new.said()


def test_one_that_cannot_open_the_log_leaves_it(run, start, start_gateway, data_dir, pinpipe):
    if b"recovery-state" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    gateway = start_gateway()
    with Load(gateway, count=4) as load:
        failed = run("gateway", "--listen", f"{gateway.host}:{gateway.port}", "--dir", data_dir, "--takeover",
                     env={"PINPIPE_FAILPOINTS": "recovery-state:eio@1+"}, status=None)
        assert failed.returncode not in (0, 75), failed.stderr
        gateway.wait_for("this gateway goes on")
        load.await_more()
    gateway.stop()
    assert stored(run, data_dir) == load.expected()


def taker_with_the_log(data_dir):
    """One that has been told that the log is its own to open."""
    taker = Taker(data_dir)
    taker.say(HELLO)
    taker.hear()
    taker.say(GO)
    while taker.hear() != LOG:
        pass
    return taker


def test_one_that_says_nothing_for_long_changes_nothing(run, start_gateway, data_dir):
    """As if it were stopped before it opens the log."""
    gateway = start_gateway()
    with Load(gateway, count=4) as load:
        taker = taker_with_the_log(data_dir)
        began = time.monotonic()
        gateway.wait_for("nobody takes over: the other process has said nothing for 10 s; this gateway goes on")
        load.await_more()
        assert time.monotonic() - began < 30
        assert (taker.hear(), taker.why) == (NO, "the other process has said nothing for 10 s")
        with pytest.raises(BrokenPipeError):
            taker.say(OPEN)
        taker.close()
    gateway.stop()
    assert "killed" not in gateway.said()
    assert stored(run, data_dir) == load.expected()


def test_one_that_stops_with_the_log_open_is_killed(run, start, start_gateway, data_dir, pinpipe):
    if b"recovery-state" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    gateway = start_gateway()
    with Load(gateway, count=4) as load:
        new = start("gateway", "--listen", f"{gateway.host}:{gateway.port}", "--dir", data_dir, "--takeover",
                    env={"PINPIPE_FAILPOINTS": "recovery-state:stop@1"})
        gateway.wait_for("this gateway goes on")
        gateway.wait_for(f"process {new.pid}, which was to take over, has the log and does nothing: it is killed")
        assert new.process.wait(60) == -signal.SIGKILL
        load.await_more()
    assert [client.failed for client in load.clients] == [[]] * len(load.clients)
    gateway = take_over(start, gateway, data_dir)
    gateway.stop()
    assert stored(run, data_dir) == load.expected()


def test_up_tries_it_once(run, start_gateway, data_dir, pinpipe):
    """Each try that hangs makes clients wait."""
    if b"recovery-state" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    gateway = start_gateway()
    with Load(gateway, count=2) as load:
        said = run("up", "--listen", f"{gateway.host}:{gateway.port}", "--dir", data_dir, "--takeover",
                   env={"PINPIPE_FAILPOINTS": "recovery-state:stop@1"}, status=74, timeout_s=60).stderr
        assert "gateway ended with status 137 at its start" in said
        load.await_more()
    assert gateway.said().count("it is killed") == 1
    gateway.stop()


def test_the_log_may_be_held_a_little_longer(run, start_gateway, data_dir):
    """By one that was killed with the log open, and has not ended yet: clients wait, none is told so."""
    gateway = start_gateway()
    with Load(gateway, count=4) as load:
        taker = taker_with_the_log(data_dir)
        with open(data_dir / "log" / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            taker.close()
            gateway.wait_for("trying again until that passes")
            time.sleep(0.3)
        load.await_more()
    gateway.stop()
    assert stored(run, data_dir) == load.expected()


class Giver:
    """The running gateway's side, which has the log, and a socket that listens."""

    def __init__(self, directory):
        self.lock = open(directory / "log" / "lock", "rb")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.port = self.listening.getsockname()[1]
        self.meeting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.meeting.bind(str(directory / "gateway.sock"))
        self.meeting.listen(1)
        self.meeting.settimeout(60)

    def give_sockets(self):
        taker, _ = self.meeting.accept()
        taker.settimeout(60)
        assert taker.recv(LENGTH)[8] == HELLO
        head = b"PINTAKE1" + SOCKETS.to_bytes(4, "little") + (1).to_bytes(4, "little")
        socket.send_fds(taker, [head.ljust(LENGTH, b"\0")], [self.listening.fileno()])
        assert taker.recv(LENGTH)[8] == GO
        return taker


def test_one_that_dies_with_the_log_open_is_waited_for(run, start, start_gateway, data_dir):
    """Its sockets are told of its end before the lock of its log is free: no client is to notice."""
    start_gateway().stop()
    giver = Giver(data_dir)
    client = http.client.HTTPConnection("127.0.0.1", giver.port, timeout=60)
    client.connect()
    new = start("gateway", "--listen", f"127.0.0.1:{giver.port}", "--dir", data_dir, "--takeover", kind=Gateway)
    taker = giver.give_sockets()
    giver.listening.close()
    giver.meeting.close()
    taker.close()
    new.wait_for("trying again until that passes")
    giver.lock.close()
    new.listen()
    assert ask(client, 0) == 0
    client.close()
    new.stop()
    assert stored(run, data_dir) == [("kept", 0)]


@pytest.mark.parametrize("words, said", [
    (("--listen", "127.0.0.2:0"), "listens on an address that this one does not have"),
    (("--tls-cert", "cert.pem", "--tls-key", "key.pem"), "speaks plain HTTP, and this one would not"),
])
def test_another_address_or_tls_is_refused(run, start_gateway, data_dir, tmp_path, words, said):
    gateway = start_gateway()
    make_certificate(tmp_path)
    listen = ("--listen", f"{gateway.host}:{gateway.port}")
    refused = run("gateway", *listen, "--dir", data_dir, "--takeover", *words, status=2)
    assert said in refused.stderr
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    assert ask(connection, 0) == 0
    connection.close()


def test_without_a_running_one_it_is_an_ordinary_start(start_gateway, data_dir):
    gateway = start_gateway("--takeover")
    assert "no gateway runs on" in gateway.said()
    gateway.stop()
    assert not (data_dir / "gateway.sock").exists()
    gateway = start_gateway()
    wait_until(lambda: (data_dir / "gateway.sock").exists(), "gateway.sock")
    gateway.kill()
    assert "no gateway runs on" in start_gateway("--takeover").said()


# --- what goes along --------------------------------------------------------------------------------------------


def test_a_request_whose_body_is_on_its_way_is_answered_first(run, start, start_gateway, data_dir):
    gateway = start_gateway()
    client, rest = begin_post(gateway, "slow")
    with client:
        new = start("gateway", "--listen", f"{gateway.host}:{gateway.port}", "--dir", data_dir, "--takeover",
                    kind=Gateway)
        gateway.wait_for("takes over")
        time.sleep(0.2)
        client.sendall(rest)
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        new.listen()
        assert gateway.process.wait(60) == 0
    assert stored(run, data_dir) == [("slow", 0)]


def trickle(gateway, begun):
    """A body that is as fast as it must be, but long, until the connection is cut."""
    with socket.create_connection((gateway.host, gateway.port), timeout=60) as client, contextlib.suppress(OSError):
        client.sendall(b"POST /topics/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                       b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n" % PIN.encode())
        client.recv(100)
        begun.wait()
        while True:
            client.sendall(b" " * 4096)
            time.sleep(0.5)


def test_requests_that_are_too_slow_are_cut_and_told(run, start, start_gateway, data_dir):
    gateway = start_gateway()
    with Load(gateway, count=2) as load:
        begun = threading.Barrier(4)
        slow = [threading.Thread(target=trickle, args=(gateway, begun)) for _ in range(3)]
        for client in slow:
            client.start()
        begun.wait()
        take_over(start, gateway, data_dir)
        assert "3 connections were closed before they were answered" in gateway.said()
        for client in slow:
            client.join()
        load.await_more()
    assert [client.failed for client in load.clients] == [[]] * len(load.clients)
    assert stored(run, data_dir) == load.expected()


def test_each_address_goes_along_with_its_connections(run, start, start_gateway, data_dir):
    """In whatever order the new one names them; one more may come, none may be left out."""
    gateway = start_gateway("--listen-also", "127.0.0.2:0 ops")
    second = int(gateway.wait_for(r"http://127\.0\.0\.2:(\d+)")[1])
    kept = http.client.HTTPConnection("127.0.0.2", second, timeout=60)
    kept.request("GET", "/healthz")
    assert kept.getresponse().read()
    connected = kept.sock.getsockname()
    listen = ("--listen", f"{gateway.host}:{gateway.port}", "--dir", data_dir, "--takeover")
    refused = run("gateway", *listen, status=2)
    assert "listens on an address that this one does not have" in refused.stderr
    also = f"127.0.0.3:0 ops; 127.0.0.2:{second} ops"
    new = start("gateway", *listen, "--listen-also", also, kind=Gateway).listen()
    assert gateway.process.wait(60) == 0
    kept.request("GET", "/healthz")
    assert kept.getresponse().status == 200 and kept.sock.getsockname() == connected
    kept.close()
    third = http.client.HTTPConnection("127.0.0.3", int(new.wait_for(r"http://127\.0\.0\.3:(\d+)")[1]), timeout=60)
    third.request("GET", "/topics")
    assert third.getresponse().status == 404  # no face of that address
    third.close()


def make_certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", "key.pem", "-out", "cert.pem", "-days", "1", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1"], cwd=directory, check=True, capture_output=True)


def test_over_tls_each_connection_ends_with_its_answer(run, start, start_gateway, data_dir, tmp_path):
    make_certificate(tmp_path)
    tls = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    gateway = start_gateway(*tls)
    with Load(gateway, count=4, context=ssl.create_default_context(cafile=tmp_path / "cert.pem")) as load:
        for _ in range(2):
            gateway = take_over(start, gateway, data_dir, *tls)
            load.await_more(5)
    assert [client.failed for client in load.clients] == [[]] * len(load.clients)
    gateway.stop()
    assert stored(run, data_dir) == load.expected()


def test_iterators_of_a_stream_stay_good(start, start_gateway, data_dir):
    gateway = start_gateway()
    stream = "/streams/streaming-124df56aef51-pin"

    def get(path, headers=None):
        connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
        connection.request("GET", stream + path, headers=headers or {})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        assert reply.status == 200, text
        return json.loads(text)

    iterator = get("/sharditerator?shard-id=shardId-000000000000")["ShardIterator"]
    gateway = take_over(start, gateway, data_dir)
    assert get("/records", {"Shard-Iterator": iterator})["Records"] == []


def test_a_directory_with_a_long_path(start, start_gateway, tmp_path):
    directory = tmp_path / ("d" * 120) / ("e" * 120)
    gateway = start_gateway(directory=directory)
    wait_until(lambda: (directory / "gateway.sock").exists(), "gateway.sock")
    assert pathlib.Path(directory / "gateway.sock").stat().st_mode & 0o777 == 0o600
    take_over(start, gateway, directory)


@pytest.fixture(name="manager")
def fixture_manager(tmp_path):
    """The end of a socket at which a service manager is told things."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        yield manager


@pytest.mark.parametrize("after", ["gateway", "up"])
@pytest.mark.parametrize("before", ["gateway", "up"])
def test_the_service_manager_is_told_who_it_is_now(start, manager, data_dir, before, after):
    env = {"NOTIFY_SOCKET": manager.getsockname()}
    words = ("--listen", "127.0.0.1:0", "--dir", data_dir)
    old = start(before, *words, env=env, kind=Gateway).listen()
    new = start(after, *words, "--takeover", env=env, kind=Gateway).listen()
    assert old.process.wait(60) == 0
    told = []
    while not (told and told[-1].startswith("MAINPID=")):
        told.append(manager.recv(1000).decode())
    assert told[-1] == f"MAINPID={new.pid}"
    assert old.port == new.port
    assert ("it is a part of an `up`" in new.said()) == (before == "up" and after == "gateway")
    new.stop()


def test_the_service_manager_is_told_that_nobody_took_over(start, manager, data_dir):
    """Who was to may have said that it had."""
    gateway = start("gateway", "--listen", "127.0.0.1:0", "--dir", data_dir,
                    env={"NOTIFY_SOCKET": manager.getsockname()}, kind=Gateway).listen()
    taker = Taker(data_dir)
    taker.say(HELLO)
    assert taker.hear() == SOCKETS
    taker.say(GO)
    while taker.hear() != LOG:
        pass
    taker.close()
    while manager.recv(1000).decode() != f"MAINPID={gateway.pid}":
        pass
    gateway.stop()


def test_an_open_page_holds_nothing_up(start, start_gateway, data_dir):
    """What it follows ends as a whole answer does, and goes on at the new one as soon as it asks again."""
    gateway = start_gateway()
    for _ in range(2):
        page = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
        page.request("GET", "/ui/events")
        reply = page.getresponse()
        assert reply.status == 200 and reply.readline()
        began = time.monotonic()
        gateway = take_over(start, gateway, data_dir)
        reply.read()
        assert time.monotonic() - began < 8  # what is in flight may take ten seconds
        page.close()
