"""The Debian package, in a Debian that has nothing else: installed, run as its unit does, upgraded, removed."""

import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

import conftest

TOP = conftest.TOP
LIMIT_S = 1500  # of a step, on a busy machine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a bare Debian")


@pytest.fixture(name="package", scope="module")
def fixture_package():
    """Of what `make build` made."""
    done = subprocess.run([TOP / "tools" / "deb"], capture_output=True, text=True, timeout=LIMIT_S, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return TOP / done.stdout.splitlines()[-1]


@pytest.fixture(name="bare", scope="module")
def fixture_bare(package, tmp_path_factory):
    """bare(script): what that says in a bare Debian, in which /pinpipe.deb is installed."""
    root = tmp_path_factory.mktemp("bare") / "root"

    def run_it(script):
        done = subprocess.run([TOP / "tools" / "interop" / "bare-root", root, "sh", "-ec", script], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=LIMIT_S, check=False)
        if done.returncode == 75:
            pytest.skip(done.stdout.splitlines()[-1])
        assert done.returncode == 0, done.stdout
        return done.stdout
    run_it("true")
    shutil.copy(package, root / "pinpipe.deb")
    run_it("apt-get install -y -qq --no-install-recommends /pinpipe.deb curl >/dev/null")
    yield run_it
    shutil.rmtree(root)


# As systemd would: the user, the directory, the command.
SERVICE = """
install -d -o pinpipe -g pinpipe -m 750 /var/lib/pinpipe
cd /var/lib/pinpipe
as_service() { setpriv --reuid pinpipe --regid pinpipe --init-groups --no-new-privs --bounding-set -all "$@"; }
: >/tmp/service # not what the last one said
as_service {command} >/tmp/service 2>&1 &
service=$!
until grep -q 'listening on' /tmp/service; do kill -0 $service || { cat /tmp/service; exit 1; }; sleep 0.1; done
"""
END = """
kill -TERM $service
wait $service && status=0 || status=$?
test $status = 143 || { cat /tmp/service; exit 1; }
"""


@pytest.fixture(name="command")
def fixture_command(bare):
    unit = bare("cat /usr/lib/systemd/system/pinpipe.service")
    return re.search(r"^ExecStart=(.*)$", unit, re.M)[1]


def test_doctor_and_the_unit_s_command(bare, command):
    said = bare(SERVICE.replace("{command}", command)
                + "as_service pinpipe doctor --config /etc/pinpipe/pinpipe.yaml --format table; " + END)
    assert "nothing is in the way" in said and "`pinpipe up` (process" in said
    assert '"/var/lib/pinpipe" may be written to' in said


def test_own_events(bare, command):
    """The README's own-events tour, where the program is installed and runs as a service."""
    events = "".join(f'{{"user":"{user}","page":"/"}}\n' for user in ("ann", "bob", "cid"))
    said = bare(f"""
        cp -r /usr/share/pinpipe/models /etc/pinpipe/
        echo 'models: /etc/pinpipe/models' >>/etc/pinpipe/pinpipe.yaml
        printf %s {shlex.quote(events)} | pinpipe models new clicks --config /etc/pinpipe/pinpipe.yaml
        {SERVICE.replace("{command}", command)}
        curl -sS --fail-with-body -H 'Content-Type: application/json' -d '{{"user":"ann","page":"/"}}' \\
             http://127.0.0.1:8082/topics/124df56aef51.clicks
        curl -sS --fail-with-body -X PUT -H 'Content-Type: application/json' \\
             -d '{{"Data":{{"user":"bob","page":"/"}},"PartitionKey":"p"}}' \\
             http://127.0.0.1:8082/streams/streaming-124df56aef51-clicks/record
        as_service pinpipe sql --config /etc/pinpipe/pinpipe.yaml --from live --format csv \\
             'SELECT page, count(*) AS seen FROM clicks GROUP BY page'
        {END}""")
    assert "page,seen\n/,1\n" in said


def test_a_read_only_root(bare):
    """As the image runs: another user, nothing writable but the data and /tmp; and its health check is heard."""
    check, = re.findall(r'CMD \["bash", "-c", (".*")\]$', (TOP / "deploy" / "Containerfile").read_text(), re.M)
    said = bare(f"""
        install -d -o 10001 -g 10001 -m 750 /srv/data
        mount --bind / /mnt && mount --bind /srv/data /mnt/srv/data && mount -t tmpfs tmpfs /mnt/tmp
        mount -t proc proc /mnt/proc && mount --rbind /dev /mnt/dev && mount -o remount,bind,ro /mnt
        as_user() {{ chroot /mnt setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs \\
            --bounding-set -all env PINPIPE_DIR=/srv/data "$@"; }}
        as_user pinpipe up >/mnt/tmp/service 2>&1 &
        until grep -q 'listening on' /mnt/tmp/service; do sleep 0.1; done
        as_user touch /srv/beside 2>&1 || true
        as_user bash -c {shlex.quote(json.loads(check))} && echo healthy
        as_user pinpipe check --dir /srv/data && echo checked""")
    assert "healthy" in said and "checked" in said and "Read-only file system" in said


def test_upgraded_and_removed(bare):
    """What an administrator wrote and what was posted outlive both."""
    said = bare("""
        echo '# mine' >>/etc/pinpipe/pinpipe.yaml
        apt-get install -y -qq --reinstall -o Dpkg::Options::=--force-confold /pinpipe.deb >/dev/null
        grep -q '# mine' /etc/pinpipe/pinpipe.yaml
        pinpipe version
        zcat /usr/share/man/man1/pinpipe-up.1.gz | grep -c '^.SH'
        dpkg --verify pinpipe | grep -v ' c /etc/pinpipe/pinpipe.yaml$' || true
        apt-get purge -y -qq pinpipe 2>&1
        test ! -e /etc/pinpipe/pinpipe.yaml
        test ! -e /usr/lib/pinpipe && test ! -e /usr/share/pinpipe && test ! -e /usr/bin/pinpipe
        test -d /var/lib/pinpipe/log""")
    assert "pinpipe 0." in said and "your data are still in /var/lib/pinpipe" in said


def test_what_a_debian_expects_of_a_package(package, tmp_path):
    """Policy's errors, as lintian sees them; that it is no package of Debian's own is none."""
    if not shutil.which("lintian"):
        pytest.skip("needs lintian")
    said = subprocess.run(["lintian", "--fail-on", "none", package], capture_output=True, text=True, check=True,
                          env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.DEVNULL).stdout
    allowed = ("embedded-library", "bogus-mail-host",
               "python3-script-but-no-python3-dep")  # an example: the program needs none
    assert [line for line in said.splitlines() if line.startswith("E:") and not any(a in line for a in allowed)] == []
