"""The posts out of a MySQL database: a real MariaDB, what can be wrong with it, and `db load` and `db check`."""
import json
import re
import signal
import subprocess

import pytest

import mysql_server
from conftest import wait_until
from mysql_server import DATABASE

ID = "124df56aef51"
TABLES = {"pin": "pinterest_data", "geo": "geolocation_data", "user": "user_data"}
KEYS = {"pin": "index", "geo": "ind", "user": "ind"}

pytestmark = pytest.mark.skipif(not mysql_server.is_there(), reason="needs mariadb-server-core")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with mysql_server.Server(tmp_path_factory.mktemp("mysql")) as started:
        yield started


@pytest.fixture
def db(server):
    """The server, with an empty database."""
    server.do(f"DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4", "")
    return server


@pytest.fixture
def go(run, db):
    """go("db", "check"): a command that knows the database; mysql={"retry_for": "1s"} says more of it."""
    def go_on(*words, mysql=None, **more):
        return run(*words, env=db.environment(**(mysql or {})), **more)
    return go_on


@pytest.fixture
def posted(go, gateway, data_dir):
    """posted("--order", "rows"): {table: rows as they are posted}."""
    def post(*words, **more):
        went = go("emulate", "--source", "mysql", "--url", gateway.url, "--rate", "max", "--connections", 3, *words,
                  **more)
        return {table: go("cat", f"{ID}.{table}", "--dir", data_dir).stdout.splitlines() for table in TABLES} | \
            {"said": went.stderr}
    return post


def make(db, geo="ind INT PRIMARY KEY, timestamp DATETIME, latitude FLOAT, longitude FLOAT, country TEXT",
         rows=("3, '2020-08-28 03:52:47', -88, 1.5, 'Åland \"x\" 😀'",)):
    """A post of key 3, its geolocation as told."""
    db.do("""CREATE TABLE pinterest_data (`index` INT PRIMARY KEY, unique_id TEXT, title TEXT, description TEXT,
             poster_name TEXT, follower_count TEXT, tag_list TEXT, is_image_or_video TEXT, image_src TEXT,
             downloaded INT, save_location TEXT, category TEXT);
             CREATE TABLE user_data (ind INT PRIMARY KEY, first_name TEXT, last_name TEXT, age INT,
             date_joined DATETIME);
             INSERT INTO pinterest_data VALUES (3, 'u', 't', 'd', 'p', '1k', 'a,b', 'image', 'i', 1, 's', 'art');
             INSERT INTO user_data VALUES (3, 'A', 'B', 20, '2016-01-02 03:04:05')""")
    db.do(f"CREATE TABLE geolocation_data ({geo}) CHARACTER SET utf8mb4;"
          + "".join(f"INSERT INTO geolocation_data VALUES ({row});" for row in rows))


def answers(done):
    return json.loads(done.stdout)["analyses"]


# --- what is posted


def test_rows_are_posted_as_the_original_prints_them(db, posted):
    make(db)
    rows = posted("--order", "rows", "--posts", 1)
    assert rows["geo"] == ['{"ind":3,"timestamp":"2020-08-28 03:52:47","latitude":-88.0,"longitude":1.5,'
                           '"country":"Åland \\"x\\" 😀"}']
    assert rows["pin"] == ['{"index":3,"unique_id":"u","title":"t","description":"d","poster_name":"p",'
                           '"follower_count":"1k","tag_list":"a,b","is_image_or_video":"image","image_src":"i",'
                           '"downloaded":1,"save_location":"s","category":"art"}']
    assert rows["user"] == ['{"ind":3,"first_name":"A","last_name":"B","age":20,"date_joined":"2016-01-02 03:04:05"}']


GEO = "ind INT PRIMARY KEY, timestamp DATETIME, latitude FLOAT, longitude FLOAT, country TEXT"
VALUES = [
    # type, literal, as it is posted
    ("TINYINT(1)", "1", "1"), ("TINYINT(1)", "NULL", "null"), ("BIGINT UNSIGNED", "18446744073709551615", None),
    ("INT(6) ZEROFILL", "42", "42"), ("YEAR", "1999", "1999"), ("BIGINT", "-9223372036854775808", None),
    ("DOUBLE", "1e20", "1e+20"), ("DOUBLE", "0.00001", "1e-05"), ("DOUBLE", "1e15", "1000000000000000.0"),
    ("DOUBLE", "52", "52.0"), ("DOUBLE", "-0.1", "-0.1"), ("FLOAT", "16777216", "16777200.0"),
    ("FLOAT", "0.0405555", "0.0405555"), ("DOUBLE(10,3)", "52.1", "52.1"), ("DOUBLE", "123456.789", None),
    ("DECIMAL(6,2)", "12.5", '"12.50"'), ("DECIMAL(12,10)", "0.00000001", '"1.00E-8"'),
    ("DATETIME(6)", "'2020-01-02 03:04:05.120000'", '"2020-01-02 03:04:05.120000"'),
    ("DATETIME(3)", "'2020-01-02 03:04:05.120'", '"2020-01-02 03:04:05.120000"'),
    ("DATETIME(6)", "'2020-01-02 03:04:05'", '"2020-01-02 03:04:05"'),
    ("DATETIME", "0", '"0000-00-00 00:00:00"'), ("DATE", "'2020-01-02'", '"2020-01-02"'),
    ("DATETIME(6)", "0", '"0000-00-00 00:00:00.000000"'), ("DATE", "'2016-00-00'", '"2016-00-00"'),
    ("FLOAT", "514.14", "514.14"), ("FLOAT(60,20)", "1e35", "1.0000000409184788e+35"),
    ("DOUBLE(255,0)", "-1e200", "-1e+200"), ("DOUBLE(255,30)", "1e-30", "1e-30"),
    ("DATE", "0", '"0000-00-00"'), ("JSON", "'{\"a\": 1}'", '"{\\"a\\": 1}"'),
    ("ENUM('a','b')", "'b'", '"b"'), ("SET('a','b')", "'a,b'", '"a,b"'), ("CHAR(3)", "'x'", '"x"'),
    ("VARCHAR(9) CHARACTER SET latin1", "'Zoë'", '"Zoë"'), ("TEXT", "'a\\n\\\\\\t\\'\"'", '"a\\n\\\\\\t\'\\""'),
    ("LONGTEXT", "''", '""'), ("VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'😀'", '"😀"'),
]


def test_every_type_is_printed_as_python_does(db, posted):
    extra = "".join(f", c{i} {kind} NULL" for i, (kind, _, _) in enumerate(VALUES))
    make(db, GEO + extra, [])
    db.do("SET sql_mode = ''; INSERT INTO geolocation_data VALUES (3, NULL, NULL, NULL, NULL, "
          + ", ".join(literal for _, literal, _ in VALUES) + ")")
    [row] = posted("--order", "rows", "--posts", 1)["geo"]
    for i, (kind, literal, printed) in enumerate(VALUES):
        found = re.search(rf'"c{i}":(.*?)(,"c{i + 1}":|}}$)', row)[1]
        assert found == (printed or literal), (kind, literal)


def test_each_row_once_in_order_and_what_a_table_lacks(db, posted):
    make(db, rows=["9, NULL, 1, 2, 'x'", "3, NULL, 1, 2, 'y'"])
    db.do("INSERT INTO user_data VALUES (9, 'C', 'D', 1, NULL), (5, 'E', 'F', 2, NULL)")
    rows = posted("--order", "rows", "--posts", 4)  # the fourth is the first again
    assert [[json.loads(row)[KEYS[table]] for row in rows[table]] for table in TABLES] == \
        [[3, 3], [3, 9, 3], [3, 9, 5, 3]]


def test_a_row_between_others_is_no_answer_for_them(db, posted):
    """Neighbours are asked for as a range."""
    make(db, rows=["3, NULL, 1, 2, 'x'", "4, NULL, 1, 2, 'between'", "5, NULL, 1, 2, 'y'"])
    db.do("INSERT INTO pinterest_data (`index`, unique_id) VALUES (5, 'v');"
          "INSERT INTO user_data VALUES (5, 'C', 'D', 1, NULL)")
    rows = posted("--order", "rows", "--posts", 2)
    assert [[json.loads(row)[KEYS[table]] for row in rows[table]] for table in TABLES] == [[3, 5]] * 3


def test_rows_that_are_not_there_are_left_out(db, go, gateway):
    make(db, rows=["3, NULL, 1, 2, 'x'", "900, NULL, 1, 2, 'y'"])
    went = go("emulate", "--source", "mysql", "--url", gateway.url, "--rate", "max", "--posts", 2, "--order", "random",
              "--format", "json")
    assert json.loads(went.stdout)["acknowledged"] == {"pin": 2, "geo": 2, "user": 2}
    failed = go("emulate", "--source", "mysql", "--url", gateway.url, "--order", "course", "--posts", 1, status=2)
    assert "the course's order draws rows 0 to 11000" in failed.stderr


# --- the whole pipeline


@pytest.mark.parametrize("words", [("--rows", 11154), ("--data", None)], ids=["generated", "the course's"])
def test_answers_are_those_of_the_files(db, go, request, tmp_path, words):
    if words[0] == "--data":
        words = ("--data", request.getfixturevalue("shared"))
    go("db", "load", *words)
    course = ("--order", "course", "--posts", 998, "--format", "json", "--batch-size", 100)
    ours = go("run", "--source", "mysql", *course, "--dir", tmp_path / "ours")
    theirs = go("run", *words, *course, "--dir", tmp_path / "theirs")
    assert answers(ours) == answers(theirs)
    assert json.loads(ours.stdout)["dead"] == json.loads(theirs.stdout)["dead"]


# --- what is wrong with the database


@pytest.mark.parametrize("mysql, status, says", [
    ({"password": "wrong"}, 2, "are mysql.user and mysql.password (USER, PASSWORD) right?"),
    ({"database": "nowhere"}, 2, "is mysql.database (DATABASE) right?"),
    ({"host": ""}, 2, "which database?"),
    ({"port": "1"}, 75, "127.0.0.1:1"),
    ({"host": "no.such.host.invalid"}, 75, "no.such.host.invalid"),
    ({"socket": "/nonexistent/s"}, 75, "/nonexistent/s"),
    ({"tls": "required"}, 2, "does not speak TLS (mysql.tls)"),
], ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_a_database_that_cannot_be_opened(go, mysql, status, says):
    posts = ["--source", "mysql", "--posts", 1]
    for words in (["db", "check"], ["emulate", *posts], ["run", *posts]):
        assert says in go(*words, mysql=mysql, status=status).stderr


@pytest.mark.parametrize("sql, says", [
    ("DROP TABLE user_data", "user_data' doesn't exist (1146): is mysql.database (DATABASE) right?"),
    ("ALTER TABLE user_data DROP COLUMN age", 'table "user_data" has no column "age"'),
    ("ALTER TABLE user_data DROP COLUMN ind", 'table "user_data" has no column "ind"'),
    ("ALTER TABLE user_data ADD b BLOB", 'table "user_data", column "b": its type BLOB'),
    ("ALTER TABLE user_data ADD b VARBINARY(3)", 'table "user_data", column "b": its type BINARY'),
    ("ALTER TABLE user_data ADD t TIME", 'table "user_data", column "t": its type TIME'),
    ("ALTER TABLE user_data ADD f BIT(3)", 'table "user_data", column "f": its type BIT'),
    ("ALTER TABLE user_data ADD g POINT", 'table "user_data", column "g": its type GEOMETRY'),
    ("ALTER TABLE user_data MODIFY ind VARCHAR(9)", 'column "ind": the key must be a whole number'),
    ("ALTER TABLE user_data DROP PRIMARY KEY; INSERT INTO user_data SELECT * FROM user_data",
     'table "user_data" has several rows whose "ind" is 3'),
    ("ALTER TABLE user_data DROP PRIMARY KEY, MODIFY ind INT NULL; UPDATE user_data SET ind = NULL",
     'table "user_data" has a row whose "ind" is null'),
])
def test_tables_that_cannot_be_read(db, go, sql, says):
    make(db)
    db.do(sql)
    assert says in go("emulate", "--source", "mysql", "--posts", 1, status=1).stderr
    checked = go("db", "check", "--format", "json", status=1)
    assert any(says in (row["fault"] or "") for row in json.loads(checked.stdout)), checked.stdout
    assert "not all tables can be read" in checked.stderr and "lack a row" not in checked.stderr


def test_a_key_that_is_there_twice(db, go):
    """It has an index, which does not keep it from being there twice."""
    make(db)
    db.do("ALTER TABLE user_data DROP PRIMARY KEY, ADD KEY (ind); INSERT INTO user_data SELECT * FROM user_data")
    failed = go("emulate", "--source", "mysql", "--posts", 1, "--order", "rows", status=1)
    assert 'table "user_data" has several rows whose "ind" is 3' in failed.stderr


def test_an_empty_database(db, go):
    make(db)
    db.do("DELETE FROM pinterest_data; DELETE FROM geolocation_data; DELETE FROM user_data")
    assert "have no rows" in go("emulate", "--source", "mysql", "--posts", 1, status=1).stderr
    checked = go("db", "check", "--format", "json", status=1)
    assert [row["fault"] for row in json.loads(checked.stdout)] == ["no rows"] * 3
    assert "not all tables have rows" in checked.stderr


def drop_keys(db):
    db.do("".join(f"ALTER TABLE {name} DROP PRIMARY KEY;" for name in TABLES.values()))


def test_a_table_without_a_key_is_read_once_and_said_once(db, go, posted):
    go("db", "load", "--rows", 700)
    drop_keys(db)
    rows = posted("--order", "rows", "--posts", 700, "--batch-size", 50)
    assert [len(rows[table]) for table in TABLES] == [700] * 3
    assert rows["said"].count("has no index") == 3
    assert [json.loads(row)["index"] for row in rows["pin"]] == list(range(700))
    assert [row["key"] for row in json.loads(go("db", "check", "--format", "json").stdout)] == ["none"] * 3


def test_a_table_without_a_key_is_read_anew_when_that_was_cut(db, go, start, gateway, data_dir):
    go("db", "load", "--rows", 700)
    drop_keys(db)
    holder = subprocess.Popen(["mariadb", "--no-defaults", "--unbuffered", "-uroot", f"-S{db.socket}", DATABASE],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdin.write(b"LOCK TABLES user_data WRITE; SELECT 1;\n")
        holder.stdin.flush()
        assert holder.stdout.readline()
        service = start("emulate", "--source", "mysql", "--url", gateway.url, "--rate", "max", "--posts", 700,
                        "--order", "rows", "--connections", 3, env=db.environment())
        for connection in db.await_threads():
            db.client(f"KILL {connection}")
        service.wait_for("trying again")
    finally:
        holder.communicate(timeout=60)
    assert service.process.wait(60) == 0, service.said()
    assert len(go("cat", f"{ID}.user", "--dir", data_dir).stdout.splitlines()) == 700


def test_a_table_without_a_key_is_bounded(db, go):
    go("db", "load", "--rows", 3000)
    drop_keys(db)
    failed = go("emulate", "--source", "mysql", "--posts", 1, mysql={"memory_bytes_max": "1MiB"}, status=1)
    assert "more than 1048576 bytes of memory (mysql.memory_bytes_max)" in failed.stderr


def test_a_latin1_table_is_read_as_what_it_says(db, posted):
    make(db, "ind INT PRIMARY KEY, timestamp DATETIME, latitude FLOAT, longitude FLOAT, "
             "country VARCHAR(20) CHARACTER SET latin1", ["3, NULL, 1, 2, 'Curaçao €'"])
    assert json.loads(posted("--order", "rows", "--posts", 1)["geo"][0])["country"] == "Curaçao €"


def test_a_server_that_passes_over_the_clients_charset(run, gateway, data_dir, tmp_path):
    (tmp_path / "rows").mkdir()
    for name in TABLES:
        (tmp_path / "rows" / f"{name}.ndjson").write_text(json.dumps({KEYS[name]: 0}) + "\n")
    (tmp_path / "rows" / "pin.ndjson").write_text('{"index":0,"title":"Å😀"}\n')
    with mysql_server.Server(tmp_path / "db", "--skip-character-set-client-handshake",
                             "--character-set-server=latin1") as server:
        run("db", "load", "--data", tmp_path / "rows", env=server.environment())
        assert server.rows("SELECT HEX(title) FROM pinterest_data") == [["C385F09F9880"]]
        run("emulate", "--source", "mysql", "--url", gateway.url, "--posts", 1, "--order", "rows",
            env=server.environment())
    assert json.loads(run("cat", f"{ID}.pin", "--dir", data_dir).stdout)["title"] == "Å😀"


# --- a server that goes away


def emulate_slowly(start, db, gateway, posts, **mysql):
    return start("emulate", "--source", "mysql", "--url", gateway.url, "--rate", 400, "--posts", posts,
                 "--order", "rows", "--connections", 3, env=db.environment(**mysql))


def count(go, data_dir):
    return len(go("cat", f"{ID}.pin", "--dir", data_dir).stdout.splitlines())


def test_a_server_that_comes_back_is_gone_on_with(db, go, start, gateway, data_dir):
    go("db", "load", "--rows", 1500)
    service = emulate_slowly(start, db, gateway, 1500)
    wait_until(lambda: count(go, data_dir) > 50, "the first posts")
    db.kill()
    service.wait_for("trying again")
    db.start()
    assert service.process.wait(60) == 0, service.said()
    keys = [json.loads(row)["index"] for row in go("cat", f"{ID}.pin", "--dir", data_dir).stdout.splitlines()]
    assert keys == list(range(1500))


def test_a_server_that_never_comes_back(db, go, start, gateway, data_dir):
    go("db", "load", "--rows", 1500)
    service = emulate_slowly(start, db, gateway, 1500, retry_for="300ms")
    wait_until(lambda: count(go, data_dir) > 50, "the first posts")
    db.kill()
    try:
        assert service.process.wait(60) == 75, service.said()
        service.is_reported = True
    finally:
        db.start()
    assert "tried for 300 ms" in service.said()


def test_a_server_that_hangs_and_a_stop_meanwhile(db, go, start, gateway, data_dir):
    go("db", "load", "--rows", 1500)
    service = emulate_slowly(start, db, gateway, 1500)
    wait_until(lambda: count(go, data_dir) > 50, "the first posts")
    db.stop()
    try:
        assert service.stop(signal.SIGINT) == 128 + signal.SIGINT, service.said()
        late = go("db", "check", mysql={"timeout": "200ms"}, status=75)
        assert "did not answer within 200 ms" in late.stderr
    finally:
        db.go_on()


def test_a_killed_statement_is_asked_again(db, go, start, gateway, data_dir):
    """While a table is locked, whoever reads it waits, and can be killed."""
    go("db", "load", "--rows", 1500)
    holder = subprocess.Popen(["mariadb", "--no-defaults", "--unbuffered", "-uroot", f"-S{db.socket}", DATABASE],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        service = emulate_slowly(start, db, gateway, 1500)
        wait_until(lambda: count(go, data_dir) > 50, "the first posts")
        holder.stdin.write(b"LOCK TABLES pinterest_data WRITE, user_data WRITE, geolocation_data WRITE; SELECT 1;\n")
        holder.stdin.flush()
        for query in db.await_threads():
            db.client(f"KILL QUERY {query}")
        service.wait_for("trying again")
        for connection in db.await_threads():
            db.client(f"KILL {connection}")
    finally:
        holder.communicate(timeout=60)
    assert service.process.wait(60) == 0, service.said()
    assert count(go, data_dir) == 1500


def test_a_statement_that_had_worked_for_long_is_asked_again_as_well(db, go, start, gateway):
    """Longer than for how long a database that has gone is asked again."""
    go("db", "load", "--rows", 10)
    holder = subprocess.Popen(["mariadb", "--no-defaults", "--unbuffered", "-uroot", f"-S{db.socket}", DATABASE],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdin.write(b"LOCK TABLES pinterest_data WRITE; SELECT 1;\n")
        holder.stdin.flush()
        assert holder.stdout.readline()
        service = start("emulate", "--source", "mysql", "--url", gateway.url, "--posts", 1,
                        env=db.environment(retry_for="5s"))
        waits = "SELECT id FROM information_schema.processlist WHERE user = 'pin' AND time_ms > 5500"
        [[connection]] = wait_until(lambda: db.rows(waits), "a long wait for the table")
        db.client(f"KILL {connection}")
        service.wait_for("trying again")
    finally:
        holder.communicate(timeout=60)
    assert service.process.wait(60) == 0, service.said()


# --- TLS and the socket


def certify(directory, name, subject, *words):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject,
                    "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem", *words],
                   check=True, capture_output=True, timeout=60)
    return directory / f"{name}.pem"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A server with a certificate for 127.0.0.1; one that nobody signed for it is beside it."""
    directory = tmp_path_factory.mktemp("tls")
    ca = certify(directory, "ca", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    other = certify(directory, "other", "/CN=other")
    with mysql_server.Server(directory / "db", f"--ssl-cert={ca}", f"--ssl-key={directory / 'ca.key'}") as started:
        yield started, ca, other


def test_the_certificate_is_checked(tls, run):
    server, ca, other = tls
    run("db", "load", "--rows", 20, "--replace", env=server.environment(ca_file=ca))
    good = run("db", "check", env=server.environment(ca_file=ca))
    assert "encrypted with TLS_" in good.stderr
    for wrong in ({"ca_file": other}, {"tls": "verify"}, {"ca_file": "/nonexistent"}):
        refused = run("db", "check", env=server.environment(**wrong), status=2)
        assert "mysql.ca_file" in refused.stderr, refused.stderr
    assert "encrypted with TLS_" in run("db", "check", env=server.environment(tls="required")).stderr
    assert "not encrypted" in run("db", "check", env=server.environment(ca_file=ca, tls="off")).stderr


def test_a_certificate_for_another_host_is_refused(tmp_path, run):
    other = certify(tmp_path, "other", "/CN=db.example", "-addext", "subjectAltName=DNS:db.example")
    with mysql_server.Server(tmp_path / "db", f"--ssl-cert={other}", f"--ssl-key={tmp_path / 'other.key'}") as server:
        assert "mysql.tls" in run("db", "check", env=server.environment(ca_file=other), status=2).stderr


def test_a_unix_socket(db, go, tmp_path):
    go("db", "load", "--rows", 5)
    go("db", "check", mysql={"host": "", "socket": db.socket})


# --- db load and db check


def test_load_makes_what_check_finds_well(db, go):
    loaded = go("db", "load", "--rows", 300, "--format", "json")
    assert json.loads(loaded.stdout) == [{"table": name, "rows": 300} for name in TABLES.values()]
    assert json.loads(go("db", "check", "--format", "json").stdout) == [
        {"table": name, "rows": 300, "key": "primary", "first": 0, "last": 299, "charset": "utf8mb4", "fault": None}
        for name in TABLES.values()]
    assert sorted(db.rows("SHOW TABLES")) == sorted([name] for name in TABLES.values())


def test_what_is_there_is_kept_unless_it_may_be_replaced(db, go):
    go("db", "load", "--rows", 30)
    refused = go("db", "load", "--rows", 40, status=1)
    assert 'has a table "pinterest_data": --replace' in refused.stderr
    assert db.rows("SELECT COUNT(*) FROM user_data") == [["30"]]
    go("db", "load", "--rows", 40, "--replace")
    assert db.rows("SELECT COUNT(*) FROM user_data") == [["40"]]


@pytest.fixture(params=["LOAD DATA", "INSERT"])
def way(request, db):
    """Both ways of filling: INSERT is that of a server that allows no LOAD DATA LOCAL."""
    db.do(f"SET GLOBAL local_infile = {int(request.param == 'LOAD DATA')}")
    yield request.param
    db.do("SET GLOBAL local_infile = 1")


def write_rows(directory, **tables):
    """The files of a source; a table that is not told of has a row of key 0."""
    directory.mkdir()
    for name in TABLES:
        rows = tables.get(name, [{KEYS[name]: 0}])
        (directory / f"{name}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return directory


TEXTS = ["it's", "a\\b", "\\'", "😀", "a\u0000b", "a\nb\t", "\"; DROP TABLE user_data; --", "", " ", "%_`", "NULL",
         "null", "\\N", "\\", "\\\\", "'", "''", ",", "(", ")", "),", "),\n", "'),\n('", "\r\n", "\\\n", "\u001a",
         "\\0", "a',NULL", "é\u0301\ufeff", "x" * 60000, "😀\\" * 9000]


def test_files_with_every_text(way, go, posted, tmp_path):
    """A text in the midst of a row, and at its end."""
    pins = [{"index": i, "title": text, "category": text[:200], "downloaded": 1} for i, text in enumerate(TEXTS)]
    write_rows(tmp_path / "rows", pin=pins, geo=[{"country": None, "ind": 0, "latitude": 1.25}],
               user=[{"ind": 0, "age": 3}])
    loaded = go("db", "load", "--data", tmp_path / "rows", "--verbose", "debug")
    assert loaded.stderr.count("INSERT takes the place of LOAD DATA") == (way == "INSERT"), loaded.stderr
    rows = posted("--order", "rows", "--posts", len(TEXTS))
    assert [(row["title"], row["category"]) for row in map(json.loads, rows["pin"])] == \
        [(text, text[:200]) for text in TEXTS]
    assert json.loads(rows["geo"][0]) == {"ind": 0, "timestamp": None, "latitude": 1.25, "longitude": None,
                                          "country": None}
    assert f"{len(TEXTS) - 1} posts lack a row in a table" in go("db", "check", status=1).stderr


def test_numbers_and_truths_in_every_column(way, go, posted, tmp_path):
    data = write_rows(tmp_path / "rows")
    (data / "pin.ndjson").write_text('{"index":0,"title":1e2,"description":-0.0,"tag_list":true,"category":false,'
                                     '"follower_count":0.10,"downloaded":1.5e1}\n')
    (data / "geo.ndjson").write_text('{"ind":0,"timestamp":20200828035247,"latitude":-0.1e1,"longitude":"12.5"}\n')
    go("db", "load", "--data", data)
    rows = posted("--order", "rows", "--posts", 1)
    pin, geo = json.loads(rows["pin"][0]), json.loads(rows["geo"][0])
    assert [pin[name] for name in ("title", "description", "tag_list", "category", "follower_count", "downloaded")] == \
        ["1e2", "-0.0", "1", "0", "0.10", 15]
    assert [geo[name] for name in ("timestamp", "latitude", "longitude")] == ["2020-08-28 03:52:47", -1.0, 12.5]


def test_both_ways_make_the_same_tables(db, go):
    """Of enough rows for several statements and commits."""
    sums = []
    for allowed in (1, 0):
        db.do(f"SET GLOBAL local_infile = {allowed}")
        go("db", "load", "--rows", 70000, "--replace")
        sums.append(db.rows("CHECKSUM TABLE pinterest_data, geolocation_data, user_data"))
    db.do("SET GLOBAL local_infile = 1")
    assert sums[0] == sums[1]


def test_what_is_warned_of_but_fits_is_loaded(db, go, tmp_path):
    """Spaces at the end that a column has no room for are cut off, with a note."""
    users = [{"ind": i, "first_name": "x" * 255, "last_name": "y" * 255} for i in range(9000)]
    users[5000]["first_name"] += "  "
    data = write_rows(tmp_path / "rows", user=users)
    loaded = go("db", "load", "--data", data, "--verbose", "debug")
    assert "warns of rows: INSERT takes the place" in loaded.stderr
    assert db.rows("SELECT COUNT(*), MIN(LENGTH(first_name)), MAX(LENGTH(first_name)) FROM user_data") == \
        [["9000", "255", "255"]]


@pytest.mark.parametrize("table, row, says", [
    ("user", {"ind": 1, "date_joined": "yesterday"}, "Incorrect datetime value"),
    ("user", {"ind": 1, "date_joined": "2020-02-30 00:00:00"}, "Incorrect datetime value"),
    ("user", {"ind": 1, "date_joined": ""}, "Incorrect datetime value"),
    ("user", {"ind": 1, "age": "x"}, "Incorrect integer value"),
    ("user", {"ind": 1, "age": "3 x"}, "Data truncated"),
    ("user", {"ind": 1, "age": ""}, "Incorrect integer value"),
    ("user", {"ind": 2**40}, "Out of range value"),
    ("user", {"ind": 1, "first_name": "x" * 300}, "Data too long"),
    ("user", {"ind": 1, "nickname": "x"}, 'table "user_data" has no column "nickname"'),
    ("geo", {"ind": 1, "latitude": "north"}, "Incorrect double value"),
    ("geo", {"ind": 1, "latitude": 1e40}, "Out of range value"),
    ("pin", {"index": 1, "title": ["x"]}, 'column "title": an array or an object'),
    ("pin", {"index": 1, "title": "x" * 70000}, "Data too long"),
])
def test_rows_that_do_not_fit_change_nothing(way, db, go, tmp_path, table, row, says):
    go("db", "load", "--rows", 10)
    data = write_rows(tmp_path / "rows", **{table: [{KEYS[table]: 0}, row]})
    failed = go("db", "load", "--data", data, "--replace", status=1)
    assert says in failed.stderr, way
    assert sorted(db.rows("SHOW TABLES")) == sorted([name] for name in TABLES.values())
    assert db.rows("SELECT COUNT(*) FROM user_data") == [["10"]]


def test_a_table_without_a_file_is_missed(db, go, tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "pin.ndjson").write_text('{"index":1}\n')
    failed = go("db", "load", "--data", tmp_path / "rows", status=1)
    assert 'no row for "geolocation_data"' in failed.stderr
    assert db.rows("SHOW TABLES") == []


def await_no_connection(db):
    wait_until(lambda: not db.rows("SELECT 1 FROM information_schema.processlist WHERE user = 'pin'"),
               "the end of its connections")


def test_a_load_that_is_cut_leaves_what_was_there(db, go, start):
    go("db", "load", "--rows", 10)
    service = start("db", "load", "--rows", 100000000, "--replace", env=db.environment())
    db.await_threads()
    locked = go("db", "load", "--rows", 10, "--replace", status=73)
    assert "another load" in locked.stderr
    assert service.stop(signal.SIGINT) == 128 + signal.SIGINT, service.said()
    await_no_connection(db)
    service = start("db", "load", "--rows", 100000000, "--replace", env=db.environment())
    db.await_threads()
    service.kill()
    await_no_connection(db)
    assert db.rows("SELECT COUNT(*) FROM user_data") == [["10"]]
    go("db", "load", "--rows", 20, "--replace")
    assert sorted(db.rows("SHOW TABLES")) == sorted([name] for name in TABLES.values())


@pytest.mark.parametrize("kill", ["KILL QUERY", "KILL CONNECTION", "the server"])
def test_a_load_that_is_killed_leaves_what_was_there(way, db, go, start, kill):
    go("db", "load", "--rows", 10)
    service = start("db", "load", "--rows", 100000000, "--replace", env=db.environment())
    connections = db.await_threads()
    if kill == "the server":
        db.kill()
    while kill != "the server" and service.process.poll() is None:
        for connection in connections:
            db.client(f"{kill} {connection}")
    assert service.process.wait(60) == 75, (way, service.said())
    service.is_reported = True
    if kill == "the server":
        db.start()
    await_no_connection(db)
    assert db.rows("SELECT COUNT(*) FROM user_data") == [["10"]]
    go("db", "load", "--rows", 20, "--replace")
    assert sorted(db.rows("SHOW TABLES")) == sorted([name] for name in TABLES.values())


def test_load_without_rights_or_rows(db, go):
    db.do("CREATE USER IF NOT EXISTS reader@'%' IDENTIFIED BY 'r'; GRANT SELECT ON pinterest.* TO reader@'%'")
    failed = go("db", "load", "--rows", 5, mysql={"user": "reader", "password": "r"}, status=1)
    assert "denied" in failed.stderr
    assert "not from the database itself" in go("db", "load", "--source", "mysql", status=2).stderr
    assert "neither load nor check" in go("db", "drop", status=2).stderr
