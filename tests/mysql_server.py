"""A real MariaDB server for tests, on a socket and on a port of loopback, with a data directory of its own.

    with Server(directory) as server:
        server.do("CREATE TABLE t (a INT)"); server.rows("SELECT 1"); server.config(), server.kill(), server.start()
"""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import conftest

USER, PASSWORD, DATABASE = "pin", "a'secret", "pinterest"


def is_there():
    return shutil.which("mariadbd") and shutil.which("mariadb-install-db") and shutil.which("mariadb")


class Server:
    def __init__(self, directory, *words):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data, self.socket = self.directory / "data", self.directory / "s"
        self.port = conftest.free_port()
        self.words = words
        self.process = None
        self.as_user = ["--user=root"] if os.geteuid() == 0 else []
        # Its own: a server that starts clears away what looks like temporary tables, be they another server's.
        self.temporary = self.directory / "tmp"
        self.temporary.mkdir(exist_ok=True)
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", *self.as_user,
                        "--auth-root-authentication-method=normal", "--skip-test-db"],
                       env={**os.environ, "TMPDIR": str(self.temporary)}, check=True, capture_output=True, timeout=120)

    def __enter__(self):
        self.start()
        self.do(f"CREATE DATABASE {DATABASE}; CREATE USER {USER}@'%' IDENTIFIED BY 'a\\'secret'; "
                f"GRANT ALL ON {DATABASE}.* TO {USER}@'%'", database="")
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                 f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.directory / 'pid'}",
                 "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", *self.as_user, *self.words],
                env={**os.environ, "TMPDIR": str(self.temporary)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=conftest.die_with_parent)
        conftest.wait_until(self.answers, "MariaDB")

    def answers(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()
        return self.client("SELECT 1", "").returncode == 0

    def client(self, sql, database=DATABASE):
        return subprocess.run(["mariadb", "--no-defaults", "-uroot", f"-S{self.socket}", "--batch",
                               "--skip-column-names", "--default-character-set=utf8mb4", database],
                              input=sql.encode(), capture_output=True, timeout=60, check=False)

    def rows(self, sql, database=DATABASE):
        done = self.client(sql, database)
        assert done.returncode == 0, done.stderr.decode()
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    do = rows

    def kill(self):
        """As a crash: to a client that is gone, the server is."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Holds it: it answers nobody."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def await_threads(self, user=USER):
        """Until somebody of that name asks something."""
        deadline = time.monotonic() + conftest.PATIENCE_S
        sql = f"SELECT id FROM information_schema.processlist WHERE user = '{user}' AND command = 'Query'"
        while time.monotonic() < deadline:
            if found := self.rows(sql, ""):
                return [int(row[0]) for row in found]
        raise AssertionError(f"{user} never asked")

    def environment(self, **more):
        """What points pinpipe at it."""
        return {"PINPIPE_MYSQL_HOST": "127.0.0.1", "PINPIPE_MYSQL_PORT": str(self.port), "PINPIPE_MYSQL_USER": USER,
                "PINPIPE_MYSQL_PASSWORD": PASSWORD, "PINPIPE_MYSQL_DATABASE": DATABASE,
                **{f"PINPIPE_MYSQL_{name.upper()}": str(value) for name, value in more.items()}}
