"""The page's sessions: a key, or the token, against a cookie, and who may do what with it."""

import hashlib
import os
import re
import subprocess
import time

import pytest

import conftest
from conftest import wait_until
from rest import ask
from test_gateway import metric
from test_keys import given, line, replace

KEYS = {"reader": "read", "boss": "read,admin", "loader": "post"}
SESSION = "/ui/session"
NOTHING_THERE = "/ui/nothing-there"  # needs no scope, but a caller: 404 for who is let in
ALL = ["post", "read", "admin"]


@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    """A file of keys, each of which is its own name."""
    path = tmp_path / "keys"
    path.write_text("".join(line(name, scopes, name) for name, scopes in KEYS.items()))
    return path


def origin(gateway):
    return {"Origin": f"http://{gateway.host}:{gateway.port}"}


def sign_in(gateway, key, **more):
    return ask(gateway, "POST", SESSION, {"key": key}, "application/json", {**origin(gateway), **more})


def cookie_of(reply):
    return re.match(r"pinpipe_session=([^;]*)", reply.headers["Set-Cookie"])[1]


def by(cookie):
    return {"Cookie": f"theme=dark; pinpipe_session={cookie}"}


def scopes(gateway, cookie=None):
    reply = ask(gateway, "GET", SESSION, headers=by(cookie) if cookie else {})
    assert reply.status == 200 and reply.headers["Cache-Control"] == "no-store"
    return reply.json()["scopes"]


def let_in(gateway, cookie):
    return ask(gateway, "GET", NOTHING_THERE, headers=by(cookie)).status == 404


def token_of(data_dir):
    return (data_dir / "page.token").read_text().strip()


def test_without_keys_the_token_gives_admin(gateway, data_dir):
    asked = ask(gateway, "GET", SESSION).json()
    assert asked == {"needs_key": False, "scopes": ["post", "read"], "id": "124df56aef51", "version": asked["version"]}
    token = token_of(data_dir)
    assert re.fullmatch("[0-9a-f]{64}", token)
    for name in ("page.token", "page.key"):
        assert (data_dir / name).stat().st_mode & 0o7777 == 0o600
    reply = sign_in(gateway, token)
    assert (reply.status, reply.json()) == (200, {**asked, "scopes": ALL})
    assert re.fullmatch(r"pinpipe_session=[\w.~-]+; HttpOnly; SameSite=Strict; Path=/ui; Max-Age=43200",
                        reply.headers["Set-Cookie"])
    assert token not in reply.headers["Set-Cookie"]
    assert scopes(gateway, cookie_of(reply)) == ALL
    assert ask(gateway, "GET", SESSION, headers={"x-api-key": token}).json()["scopes"] == ALL
    assert sign_in(gateway, token[:-1]).status == 401
    assert ask(gateway, "GET", NOTHING_THERE).status == 404  # looking is everybody's


def test_a_key_gives_its_scopes(start_gateway, keys, data_dir):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_KEYS": str(keys)})
    assert ask(gateway, "GET", SESSION).json()["needs_key"] is True and scopes(gateway) == []
    for name, own in KEYS.items():
        reply = sign_in(gateway, name)
        assert sorted(reply.json()["scopes"]) == sorted(own.split(","))
        assert scopes(gateway, cookie_of(reply)) == reply.json()["scopes"]
        assert hashlib.sha256(name.encode()).hexdigest() not in reply.headers["Set-Cookie"]
    assert not (data_dir / "page.token").exists()
    assert ask(gateway, "GET", NOTHING_THERE).status == 401
    reply = ask(gateway, "GET", NOTHING_THERE, headers=by("boss~1~2~3"))
    assert reply.status == 401 and "session has ended" in reply.text
    assert metric(gateway, 'pinpipe_auth_failures_total{reason="session"}', headers=given("boss")) == 1
    # Other programs on this host see the cookie, and other pages make a browser send it.
    assert ask(gateway, "GET", "/topics", headers=by(cookie_of(sign_in(gateway, "boss")))).status == 401


def test_is_void_once_its_key_is(start_gateway, keys):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_KEYS": str(keys)})
    cookies = {name: cookie_of(sign_in(gateway, name)) for name in KEYS}
    assert all(let_in(gateway, cookie) for cookie in cookies.values())
    replace(keys, line("boss", "read", "boss") + line("loader", "post", "another key"))
    wait_until(lambda: not let_in(gateway, cookies["reader"]), "the end of a key")
    assert scopes(gateway, cookies["boss"]) == ["read"]
    assert not let_in(gateway, cookies["loader"])


@pytest.mark.parametrize("with_keys", [False, True])
def test_outlives_the_gateway(start_gateway, keys, data_dir, with_keys):
    env = {"PINPIPE_GATEWAY_KEYS": str(keys)} if with_keys else {}
    gateway = start_gateway(env=env)
    cookie = cookie_of(sign_in(gateway, "boss" if with_keys else token_of(data_dir)))
    before = scopes(gateway, cookie)
    gateway.kill()
    gateway = start_gateway(env=env)
    assert scopes(gateway, cookie) == before and "admin" in before
    gateway.stop()
    (data_dir / "page.key").unlink()
    assert "admin" not in scopes(start_gateway(env=env), cookie)


def test_is_ended(start_gateway, keys):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_KEYS": str(keys)})
    cookie, other = (cookie_of(sign_in(gateway, "boss")) for _ in range(2))
    reply = ask(gateway, "DELETE", SESSION, headers={**by(cookie), **origin(gateway)})
    assert (reply.status, reply.json()["scopes"]) == (200, [])
    assert reply.headers["Set-Cookie"] == \
        "pinpipe_session=; HttpOnly; SameSite=Strict; Path=/ui; Max-Age=0"
    assert not let_in(gateway, cookie) and let_in(gateway, other)
    # Whoever it is that ends them; several have the name where their paths differ.
    third = cookie_of(sign_in(gateway, "boss"))
    both = {"Cookie": f"pinpipe_session={other}; pinpipe_session={third}"}
    reply = ask(gateway, "DELETE", SESSION, headers={**both, **given("reader")})
    assert (reply.status, reply.json()["scopes"]) == (200, ["read"])
    assert not let_in(gateway, other) and not let_in(gateway, third)


@pytest.mark.parametrize("end", [lambda gateway: gateway.kill(), lambda gateway: gateway.stop()])
def test_stays_ended(start_gateway, keys, data_dir, end):
    env = {"PINPIPE_GATEWAY_KEYS": str(keys)}
    gateway = start_gateway(env=env)
    ended, other = (cookie_of(sign_in(gateway, "boss")) for _ in range(2))
    assert ask(gateway, "DELETE", SESSION, headers={**by(ended), **origin(gateway)}).status == 200
    assert (data_dir / "page.ended").stat().st_mode & 0o7777 == 0o600
    end(gateway)
    gateway = start_gateway(env=env)
    assert not let_in(gateway, ended) and let_in(gateway, other)


def test_an_end_that_cannot_be_kept_is_told(start_gateway, keys, data_dir):
    env = {"PINPIPE_GATEWAY_KEYS": str(keys)}
    gateway = start_gateway(env=env)
    cookie, other = (cookie_of(sign_in(gateway, "boss")) for _ in range(2))
    (data_dir / "page.ended.new").mkdir()
    reply = ask(gateway, "DELETE", SESSION, headers={**by(cookie), **origin(gateway)})
    assert reply.status == 500 and "only until the gateway is started again" in reply.text
    assert "pinpipe_session=;" in reply.headers["Set-Cookie"] and not let_in(gateway, cookie)
    (data_dir / "page.ended.new").rmdir()
    gateway.stop()  # tries it again
    gateway = start_gateway(env=env)
    assert not let_in(gateway, cookie) and let_in(gateway, other)
    gateway.stop()
    (data_dir / "page.ended").write_text("mine\n")
    begun = int(time.time())
    wait_until(lambda: int(time.time()) > begun, "the next second: what began in this one may go on")
    gateway = start_gateway(env=env)
    assert "so all sessions of the page have ended" in gateway.said() and not let_in(gateway, other)
    assert let_in(gateway, cookie_of(sign_in(gateway, "boss")))


def test_wrong_keys_are_slowed_down(start_gateway, keys):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_KEYS": str(keys)})
    for _ in range(20):
        assert sign_in(gateway, "boss").status == 200  # right ones are not
    statuses = [sign_in(gateway, f"wrong {number}").status for number in range(20)]
    assert statuses[:10] == [401] * 10 and 429 in statuses
    reply = sign_in(gateway, "boss")
    assert (reply.status, reply.headers["Retry-After"], reply.json()["error_code"]) == (429, "6", 429)
    assert ask(gateway, "GET", "/topics", headers=given("boss")).status == 200
    assert metric(gateway, 'pinpipe_auth_failures_total{reason="slowed"}', headers=given("boss")) > 5
    wait_until(lambda: sign_in(gateway, "boss").status == 200, "another try")


def test_each_client_of_a_proxy_has_its_own_tries(start_gateway, keys):
    gateway = start_gateway(env={"PINPIPE_GATEWAY_KEYS": str(keys),
                                 "PINPIPE_GATEWAY_CLIENT_HEADER": "X-Forwarded-For"})
    for number in range(12):
        last = sign_in(gateway, f"wrong {number}", **{"X-Forwarded-For": "198.51.100.7, 192.0.2.1"})
    assert last.status == 429
    assert sign_in(gateway, "boss", **{"X-Forwarded-For": "198.51.100.7, 192.0.2.2"}).status == 200


@pytest.mark.parametrize("body, status", [("{", 400), ("[]", 422), ("{}", 422), ('{"key":1}', 422), ("", 400),
                                          ('{"key":"%s"}' % ("x" * 70000), 413)])
def test_bodies_that_are_none(gateway, body, status):
    reply = ask(gateway, "POST", SESSION, body, "application/json", origin(gateway))
    assert reply.status == status and "error_code" in reply.json()


def test_only_the_page_itself_changes_anything(start_gateway, data_dir):
    app = "https://app.example"
    gateway = start_gateway(env={"PINPIPE_GATEWAY_CORS_ORIGINS": app})
    body = {"key": token_of(data_dir)}
    for method in ("POST", "DELETE"):
        for headers in ({}, {"Origin": app}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}):
            reply = ask(gateway, method, SESSION, body, "application/json", headers)
            assert reply.status == 403 and "Set-Cookie" not in reply.headers, reply
    assert ask(gateway, "OPTIONS", SESSION, headers={"Origin": app}).status == 403
    assert ask(gateway, "POST", SESSION, body, "application/json", {"x-api-key": "a script's"}).status == 200
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 404), ("none", 404)):
        assert ask(gateway, "GET", NOTHING_THERE, headers={"Sec-Fetch-Site": site}).status == status
    evil = {"Host": "evil.example", "Origin": "http://evil.example"}  # a name of its own for this address
    for method, path, sent in (("GET", NOTHING_THERE, None), ("GET", SESSION, None), ("POST", SESSION, body)):
        reply = ask(gateway, method, path, sent, "application/json" if sent else None, evil)
        assert reply.status == 403 and "gateway.hosts" in reply.text and "Set-Cookie" not in reply.headers


def test_the_page_is_no_stage(gateway):
    """What is the page's by its path is not the API's behind a name that may stand before it."""
    for path in ("/ui/topics/124df56aef51.pin", "/ui/streams", "/ui/ui/session"):
        assert ask(gateway, "GET", path).status == 404


@pytest.mark.parametrize("spoil, told", [
    (lambda path: path.chmod(0o644), "others may read it"),
    (lambda path: path.write_text("mine\n"), "not what this program wrote"),
    (lambda path: (path.unlink(), path.mkdir()), "page.token"),
])
def test_a_token_that_is_no_secret_is_not_used(start_gateway, data_dir, spoil, told):
    gateway = start_gateway()
    token = token_of(data_dir)
    gateway.stop()
    spoil(data_dir / "page.token")
    gateway = start_gateway()
    assert told in gateway.said() and "page.token" in gateway.said()
    assert sign_in(gateway, token).status == 401


def test_the_cookie_is_for_tls_alone_under_tls(start_gateway, data_dir, tmp_path, run):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"], check=True,
                   capture_output=True)
    gateway = start_gateway("--tls-cert", cert, "--tls-key", key)
    curl = subprocess.run(["curl", "-ksi", "-H", f"Origin: {gateway.url}", "-H", "Content-Type: application/json",
                           "-d", '{"key":"%s"}' % token_of(data_dir), gateway.url + SESSION], capture_output=True,
                          text=True, check=True)
    assert re.search(r"^Set-Cookie: pinpipe_session=\S+; HttpOnly; .*; Secure\r?$", curl.stdout, re.MULTILINE)


def test_the_token_is_shown_to_a_terminal_alone(pinpipe, start, data_dir, tmp_path):
    service = start("gateway", "--listen", "127.0.0.1:0", "--dir", data_dir)
    service.wait_for(rf"page: http://127.0.0.1:\d+/ \(its token is in \"{data_dir}/page.token\"\)")
    assert token_of(data_dir) not in service.said()
    service.stop()
    master, slave = conftest.pseudo_terminal()
    with subprocess.Popen([pinpipe, "gateway", "--listen", "127.0.0.1:0", "--dir", data_dir], cwd=tmp_path,
                          stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=conftest.clean_environment(),
                          preexec_fn=conftest.die_with_parent) as process:
        os.close(slave)
        said = b""
        while b"page: " not in said or not said.endswith(b"\n"):
            said += os.read(master, 4096)
        process.terminate()
    os.close(master)
    assert re.search(rf"page: http://127.0.0.1:\d+/#token={token_of(data_dir)}\r\n", said.decode())
