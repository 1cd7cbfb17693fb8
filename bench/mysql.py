"""The posts out of a MySQL database, beside the same from files; and filling one, beside LOAD DATA."""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from ingest import ID, gateway
from measure import TOP, rounds, run

sys.path.append(str(TOP / "tests"))
import mysql_server  # noqa: E402

TABLES = ("pinterest_data", "geolocation_data", "user_data")
CONNECTIONS = 32
POSTS_A_SECOND = {1: 8000, 100: 80000}  # by records a request
ROWS = 200_000
LOADED = 1_000_000


class Emulator:
    def __init__(self, binary, server, batch_size, posts, *source, env=None):
        self.posts, self.env = posts, env
        self.arguments = [binary, "emulate", "--format", "json", "--posts", posts, "--rate", "max", "--order", "rows",
                          "--connections", CONNECTIONS, "--batch-size", batch_size, *source,
                          "--url", f"http://127.0.0.1:{server.port}/topics/{ID}."]

    def load(self):
        """Records/s, from the first request to the last answer."""
        _, cpu, self.rss, out = run(self.arguments, env=self.env)
        result = json.loads(out)
        records = sum(result["acknowledged"].values())
        if records != 3 * self.posts:
            raise RuntimeError(f"not every record was acknowledged: {result}")
        self.cpu_us = cpu / records * 1e6
        return records / result["seconds"]


def emulate(table, binary, build, database, folder, count, seconds, label, bar):
    for batch_size, each_second in POSTS_A_SECOND.items():
        with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
            server = gateway(binary, f"{directory}/data")
            posts = min(each_second * seconds, ROWS)
            ours = Emulator(binary, server, batch_size, posts, "--source", "mysql", env=database.environment())
            files = Emulator(binary, server, batch_size, posts, "--data", folder, env=database.environment())
            try:
                figures = rounds(count, {"ours": ours.load, "files": files.load})
            finally:
                server.process.stop()
        table.add(f"emulate from MySQL, {batch_size} a request{label}", figures["ours"], figures["files"], bar, "rec/s",
                  cpu_us=ours.cpu_us, rss_mib=ours.rss, note=f"from files {files.cpu_us:.1f} us/rec")


def load_data(database, directory):
    """Posts/s of three clients that load a table each."""
    database.do("".join(f"DROP TABLE IF EXISTS other_{name}; CREATE TABLE other_{name} LIKE {name};"
                        for name in TABLES))
    begin = time.monotonic()
    clients = [subprocess.Popen(
        ["mariadb", "--no-defaults", "-uroot", f"-S{database.socket}", "--local-infile=1",
         "--default-character-set=utf8mb4", mysql_server.DATABASE, "-e",
         f"LOAD DATA LOCAL INFILE '{directory}/{name}.tsv' INTO TABLE other_{name}"]) for name in TABLES]
    if any([client.wait() for client in clients]):
        raise RuntimeError("LOAD DATA failed")
    took = time.monotonic() - begin
    if database.rows(f"SELECT COUNT(*) FROM other_{TABLES[0]}") != [[str(LOADED)]]:
        raise RuntimeError("LOAD DATA did not load all rows")
    return LOADED / took


def fill(table, binary, database, directory, count):
    def db_load():
        took, cpu, db_load.rss, _ = run([binary, "db", "load", "--rows", LOADED, "--replace"],
                                        env=database.environment())
        db_load.cpu_us = cpu / LOADED / 3 * 1e6
        return LOADED / took
    db_load()
    database.do("".join(f"SELECT * FROM {name} INTO OUTFILE '{directory}/{name}.tsv';" for name in TABLES))
    figures = rounds(count, {"ours": db_load, "LOAD DATA": lambda: load_data(database, directory)})
    table.add("db load", figures["ours"], figures["LOAD DATA"], 0.5, "posts/s", cpu_us=db_load.cpu_us,
              rss_mib=db_load.rss)


def measure(table, binary, build, _rows, count, seconds):
    if not mysql_server.is_there():
        print("mysql: left out, there is no MariaDB server")
        return
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory, \
            mysql_server.Server(directory, "--innodb-buffer-pool-size=512M") as database:
        folder = pathlib.Path(directory) / "rows"
        folder.mkdir()
        run([build / "bench" / "make_rows", "rows", ROWS, folder])
        run([binary, "db", "load", "--data", folder], env=database.environment())
        emulate(table, binary, build, database, folder, count, seconds, "", 0.5)
        database.do("".join(f"ALTER TABLE {name} DROP PRIMARY KEY;" for name in TABLES))
        emulate(table, binary, build, database, folder, count, seconds, ", no key", 0.2)
        fill(table, binary, database, directory, count)
