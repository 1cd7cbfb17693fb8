"""`pinpipe run`: the whole pipeline once; counts agree, answers are those that others published."""
import json
import re
import signal
import subprocess
import urllib.request

from conftest import wait_until

TABLES = ("pin", "geo", "user")


def run_all(pinpipe, directory, *options, timeout=300):
    done = subprocess.run([pinpipe, "run", "--dir", directory, "--format", "json", *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_reconciled(result, posts):
    each = dict.fromkeys(TABLES, posts)
    assert result["posts"] == posts
    assert result["posted"] == {"batch": each, "stream": each}
    assert result["landed"] == each
    for path in ("batch", "stream"):
        assert {t: result["clean"][path][t] + result["dead"][path][t] for t in TABLES} == each


def test_made_up_posts_are_all_accounted_for(pinpipe, tmp_path):
    result = run_all(pinpipe, tmp_path, "--posts", "300", "--batch-size", "7")
    assert_reconciled(result, 300)
    assert len(result["analyses"]) == 8
    assert sum(row[1] for row in result["analyses"]["users_joined_by_year"]["rows"]) > 0


def test_a_second_run_counts_only_its_own_posts(pinpipe, tmp_path):
    run_all(pinpipe, tmp_path, "--posts", "40")
    assert_reconciled(run_all(pinpipe, tmp_path, "--posts", "25", "--seed", "7"), 25)


def test_course_order_gives_the_published_answers(pinpipe, tmp_path, shared):
    published = json.loads((shared / "published" / "first-168-posts.json").read_text())["analyses"]
    result = run_all(pinpipe, tmp_path, "--data", shared, "--order", "course", "--posts", "168")
    assert_reconciled(result, 168)
    for name, answer in published.items():
        assert sorted(map(tuple, result["analyses"][name]["rows"])) == sorted(map(tuple, answer["rows"])), name


def test_all_public_posts_of_the_course(pinpipe, tmp_path, shared):
    result = run_all(pinpipe, tmp_path, "--data", shared, "--order", "course", "--posts", "2239")
    assert_reconciled(result, 2239)
    rows = result["analyses"]["users_joined_by_year"]["rows"]
    assert [year for year, _ in rows] == [2015, 2016, 2017]


def test_the_table_shows_counts_and_answers(pinpipe, tmp_path):
    done = subprocess.run([pinpipe, "run", "--dir", tmp_path, "--posts", "20", "--format", "table"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.search(r"batch\W+pin\W+20\W+20\W+20\W+0", done.stdout)
    assert "number_users_joined" in done.stdout


def test_the_parts_read_the_file_that_was_named(run, start, tmp_path):
    """And not the one of the directory that they all run in."""
    (tmp_path / "pinpipe.yaml").write_text("id: usual\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "other.yaml").write_text("id: other\n")
    words = ("--config", "elsewhere/other.yaml", "--dir", "data")
    run("run", *words, "--posts", "5")
    landed = tmp_path / "data" / "lake" / "topics"
    assert {path.name for path in landed.iterdir()} == {f"other.{table}" for table in TABLES}
    service = start("up", *words, "--listen", "127.0.0.1:0")
    url = service.wait_for(r"listening on (http\S+)").group(1)
    with urllib.request.urlopen(f"{url}/topics") as reply:
        assert json.load(reply) == sorted(f"other.{table}" for table in TABLES)


def test_the_first_ctrl_c_ends_the_posting_and_drains(run, start, tmp_path):
    """More posts than any test waits for; what was acknowledged is in the lake, and no batch is begun."""
    directory = tmp_path / "data"
    words = ("--dir", directory, "--format", "json")
    service = start("run", *words, "--posts", "1000000", "--rate", "100")
    wait_until((directory / "log" / "topics").exists, "a log")
    wait_until(lambda: any(row["records"] for row in json.loads(run("topics", *words).stdout)), "a record in the log")
    assert service.stop(signal.SIGINT) == 128 + signal.SIGINT
    assert "pinpipe run: stopped before the end" in service.said()
    rows = json.loads(run("check", *words).stdout)
    assert all(row["in_log"] == row["lines"] for row in rows[:3]) and rows[0]["lines"] > 0
    assert not (directory / "lake" / "results").exists()
