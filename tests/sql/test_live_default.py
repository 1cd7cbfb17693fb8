"""Without --from what was acknowledged is in the answer, of the path that has rows."""
import json
import os
import pty
import re
import shutil
import subprocess

import pytest

import test_live

@pytest.fixture(name="sql")
def fixture_sql(run, data_dir):
    def ask(question, *words):
        return json.loads(run("sql", "--dir", data_dir, *words, question).stdout)
    return ask


GEO = "SELECT ind FROM geo_all ORDER BY ind"


def inds(sql, *words):
    return [row["ind"] for row in sql(GEO, *words)]


@pytest.mark.parametrize("how", ["live", "batch-live"])
def test_what_was_acknowledged_is_in_the_answer(run, start_gateway, data_dir, sql, how):
    gateway = start_gateway("--shards", 1)
    test_live.post(gateway, how, "geo", test_live.geo(1, 2))
    assert inds(sql) == [1, 2] and inds(sql, "--from", test_live.TABLE[how]) == []
    test_live.settle(run, data_dir, how)
    test_live.post(gateway, how, "geo", test_live.geo(3))
    assert inds(sql) == [1, 2, 3] and inds(sql, "--from", test_live.TABLE[how]) == [1, 2]
    test_live.post(gateway, how, "user", [{"ind": 1, "first_name": "A", "date_joined": "2017-01-01T00:00:00"}])
    answer = json.loads(run("analyse", "users_joined_by_year", "--dir", data_dir).stdout)
    assert answer["users_joined_by_year"]["rows"] == [[2017, 1]]


def test_the_batch_path_where_both_have_rows(start_gateway, sql):
    gateway = start_gateway("--shards", 1)
    test_live.post(gateway, "live", "geo", test_live.geo(7))
    assert inds(sql) == [7]
    test_live.post(gateway, "batch-live", "geo", test_live.geo(1))
    assert inds(sql) == [1] and inds(sql, "--from", "live") == [7]
    # of those tables alone that the question names
    test_live.post(gateway, "live", "user", [{"ind": 5}])
    assert sql("SELECT ind FROM user") == [{"ind": 5}]


@pytest.mark.usefixtures("terminal")  # skips where there is none to be had
def test_a_person_is_told_which_path_it_is(pinpipe, start_gateway, data_dir, run):
    gateway = start_gateway("--shards", 1)
    said = "both paths have rows: this is of the batch path; --from live asks the streaming path"
    words = ["sql", "--dir", data_dir]
    question = "SELECT count(*) AS n FROM geo"

    def told(question=question):
        """What a terminal gets on stderr."""
        master, slave = pty.openpty()
        done = subprocess.run([pinpipe, *words, question], stdout=subprocess.DEVNULL, stderr=slave, check=True)
        os.close(slave)
        text = b""
        try:
            while chunk := os.read(master, 4096):
                text += chunk
        except OSError:
            pass
        os.close(master)
        assert done.returncode == 0
        return re.sub(r"\s+", " ", text.decode())
    test_live.post(gateway, "batch-live", "geo", test_live.geo(1))
    assert said not in told()
    test_live.post(gateway, "live", "geo", test_live.geo(1))
    assert said in told() and said not in run(*words, question).stderr
    assert said in told('SELECT count(*) FROM "GEO_ALL"')
    # Nothing is said of a table to who asks of another one, or of none.
    for other in ("SELECT 1 AS geography", "SELECT count(*) FROM user", "SHOW TABLES"):
        assert said not in told(other), other


def test_tables_without_a_log_are_those_that_are_there(run, start_gateway, data_dir, sql):
    gateway = start_gateway("--shards", 1)
    test_live.post(gateway, "live", "geo", test_live.geo(1, 2))
    test_live.settle(run, data_dir, "live")
    gateway.stop()
    shutil.rmtree(data_dir / "log")
    assert inds(sql) == [1, 2]
    lake = json.loads(run("sql", "--dir", data_dir.parent / "elsewhere", "--lake", data_dir / "lake", GEO).stdout)
    assert [row["ind"] for row in lake] == [1, 2]


@pytest.mark.parametrize("how", ["live", "batch-live"])
def test_a_log_that_was_put_back_takes_nothing_from_the_table(run, start_gateway, data_dir, sql, tmp_path, how):
    """Whoever asks for it with --from is refused; without, the table is shown, and why no more is."""
    def write(*numbers):
        gateway = start_gateway("--shards", 1)
        test_live.post(gateway, how, "geo", test_live.geo(*numbers))
        gateway.stop()
    write(1)
    shutil.copytree(data_dir / "log", tmp_path / "copy")
    write(2, 3)
    test_live.settle(run, data_dir, how)
    shutil.rmtree(data_dir / "log")
    shutil.copytree(tmp_path / "copy", data_dir / "log")
    write(12)
    assert "older copy" in run("sql", "--dir", data_dir, "--from", how, GEO, status=1).stderr
    assert inds(sql) == [1, 2, 3]
    said = run("sql", "--dir", data_dir, GEO).stderr
    assert 'what the log has beyond table "geo" is left out: ' in said and "older copy" in said
