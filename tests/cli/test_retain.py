"""Raw objects and dead letters that are older than they are kept: what goes, what stays, and who says so."""

import json
import os
import pathlib
import re
import shutil
import signal
import time
import urllib.request

import pytest

from conftest import TOP, wait_until
from test_sink import ID, PIN, emulate, objects, post, sink

KEEP = {"PINPIPE_RAW_RETENTION": "1h", "PINPIPE_LETTERS_RETENTION": "1h"}
PATHS = {"plain": (), "groups": ("--path-format", "'hour'=HH"),
         "packed": ("--path-format", "'hour'=HH", "--compression", "gzip")}


def age(place, hours=2):
    """All that is there now is so much older."""
    then = time.time() - hours * 3600
    for path in place.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def vacuum(run, data_dir, *words, env=None, status=0):
    result = run("vacuum", *words, "--dir", data_dir, "--format", "json", env={**KEEP, **(env or {})}, status=status)
    return json.loads(result.stdout) if status == 0 else result


def removed(answer, path, topic=None):
    return sum(row["files_removed"] for row in answer if row["path"] == path and topic in (None, row["table"]))


def files(data_dir, place, topic=PIN):
    return sorted(path for path in (data_dir / "lake" / place / topic).rglob("*") if path.is_file())


def values(data_dir, topic=PIN):
    return [path for path in files(data_dir, "topics", topic) if path.stat().st_size > 0]


def marks(data_dir, topic=PIN):
    return {int(path.parent.name.partition("=")[2]): int(path.stem.partition("+")[2])
            for path in files(data_dir, "manifests", topic) if path.name.startswith("kept+")}


def check(run, data_dir, topic=PIN):
    result = run("check", "--dir", data_dir, "--format", "json")
    return next(row for row in json.loads(result.stdout) if row["topic"] == topic), result.stderr


def rows(run, data_dir, table="pin", source="batch"):
    text = f"SELECT count(*) AS n, count(DISTINCT (_partition, _offset)) AS d FROM {table}_all"
    (row,) = json.loads(run("sql", "--dir", data_dir, "--from", source, "--format", "json", text).stdout)
    assert row["n"] == row["d"]
    return row["n"]


@pytest.fixture(name="begun", scope="module")
def fixture_begun(tmp_path_factory):
    """What tests begin with, made by the first that asks for it."""
    return tmp_path_factory.mktemp("begun")


@pytest.fixture(name="filled", params=PATHS)
def fixture_filled(request, run, start_gateway, data_dir, begun):
    """filled(n): so many records more of each topic, in objects of ten, cleaned; all that is there is old then."""
    words = (*PATHS[request.param], "--flush-size", 10)
    gateways = []

    def make(count, batch):
        if not gateways:
            gateways.append(start_gateway("--shards", 1, "--partitions", 1))
        emulate(run, gateways[0], count)
        sink(run, data_dir, *words)
        if batch:
            run("batch", "--dir", data_dir)

    def begin(count, batch):
        ready = begun / f"{request.param}-{count}-{batch}"
        if not ready.exists():
            make(count, batch)
            gateways.pop().stop()
            data_dir.rename(ready)
        shutil.copytree(ready, data_dir)

    def fill(count=100, batch=True):
        (make if data_dir.exists() else begin)(count, batch)
        age(data_dir / "lake" / "topics")
        age(data_dir / "lake" / "manifests")
    fill.words = words
    return fill


def test_what_is_old_and_cleaned_goes_and_all_others_go_on(run, data_dir, filled):
    filled()
    before = values(data_dir)
    assert len(before) == 10
    would = vacuum(run, data_dir, "--dry-run")
    assert values(data_dir) == before and not marks(data_dir)
    done = vacuum(run, data_dir)
    assert removed(done, "raw", PIN) == sum(row["path"] == "raw" and row["table"] == PIN for row in would) >= 9
    assert sum(row["bytes"] for row in would) == sum(row["bytes_removed"] for row in done)
    assert values(data_dir) == before[-1:]  # the newest, which the table stands in
    assert marks(data_dir) == {0: 90}
    counts, words = check(run, data_dir)
    assert counts["faults"] == 0 and counts["rows"] == 100 and "kept from offset 90" in words
    assert removed(vacuum(run, data_dir), "raw") == 0
    filled()
    assert check(run, data_dir)[0]["rows"] == 200 == rows(run, data_dir)
    assert removed(vacuum(run, data_dir), "raw", PIN) >= 10
    assert marks(data_dir) == {0: 190} and len(values(data_dir)) == 1
    assert check(run, data_dir)[0]["faults"] == 0
    filled(7, batch=False)
    run("check", "--dir", data_dir)
    assert rows(run, data_dir, source="batch-live") == 207


@pytest.mark.parametrize("filled", ["plain"], indirect=True)
def test_what_is_young_or_not_cleaned_stays(run, data_dir, filled):
    filled(batch=False)
    assert removed(vacuum(run, data_dir), "raw") == 0  # there are no tables yet
    run("batch", "--dir", data_dir)
    filled(50, batch=False)
    assert removed(vacuum(run, data_dir, env={"PINPIPE_RAW_RETENTION": "3h"}), "raw") == 0
    assert removed(vacuum(run, data_dir, env={"PINPIPE_RAW_RETENTION": "0ms"}), "raw") == 0
    newest = max(values(data_dir), key=lambda path: path.name)
    young = values(data_dir)[4]
    os.utime(young)
    vacuum(run, data_dir)
    assert values(data_dir)[0] == young and newest in values(data_dir)
    age(data_dir / "lake" / "topics")
    vacuum(run, data_dir)
    assert marks(data_dir) == {0: 90} and len(values(data_dir)) == 6
    run("batch", "--dir", data_dir)
    assert rows(run, data_dir) == 150 and check(run, data_dir)[0]["faults"] == 0


@pytest.mark.parametrize("filled", ["plain"], indirect=True)
def test_one_of_two_tables_that_share_a_topic_holds_all_back(run, data_dir, filled, models_copy):
    filled()
    text = (models_copy / "clean" / "geo.sql").read_text()
    (models_copy / "clean" / "places.sql").write_text(f"-- topic: {{id}}.pin\n{text}")
    words = ("--models", models_copy)
    before = values(data_dir)
    assert removed(vacuum(run, data_dir, *words), "raw", PIN) == 0
    assert values(data_dir) == before
    run("batch", "--dir", data_dir, *words)
    assert removed(vacuum(run, data_dir, *words), "raw", PIN) >= 9
    (models_copy / "clean" / "pin3.sql").write_text("-- topic: {id}.pin\nSELECT")
    filled(20)
    failed = vacuum(run, data_dir, *words, status=1)
    assert "pin3" in failed.stderr and len(values(data_dir)) == 3
    (models_copy / "clean" / "pin3.sql").unlink()
    vacuum(run, data_dir, *words)  # places has not begun with the newest
    assert len(values(data_dir)) == 3


def test_a_rebuild_keeps_the_rows_and_a_new_table_begins_where_objects_do(run, data_dir, filled, models_copy):
    filled()
    vacuum(run, data_dir)
    (row,) = json.loads(run("rebuild", "pin", "--from", "batch", "--dir", data_dir, "--format", "json").stdout)
    assert (row["rows_before"], row["rows_after"], row["kept"]) == (100, 100, 90)
    assert check(run, data_dir)[0]["rows"] == 100
    text = (models_copy / "clean" / "pin.sql").read_text()
    (models_copy / "clean" / "pin.sql").unlink()
    (models_copy / "clean" / "pins.sql").write_text(f"-- topic: {{id}}.pin\n{text}")
    words = ("--dir", data_dir, "--models", models_copy)
    told = run("batch", *words, status=None).stderr  # analyses ask for the other table
    assert "kept from offset 90" in told
    (row,) = json.loads(run("sql", *words, "--format", "json", "SELECT count(*) AS n FROM pins_all").stdout)
    assert row["n"] == 10
    run("check", *words)


def test_a_log_that_is_made_again_begins_where_objects_do(run, data_dir, filled, tmp_path):
    filled()
    vacuum(run, data_dir)
    (data_dir / "log").rename(tmp_path / "lost")
    run("restore", "--from-lake", "--dir", data_dir)
    shown = [json.loads(line) for line in run("cat", PIN, "--dir", data_dir, "--format", "json").stdout.splitlines()]
    assert [int(record["offset"]) for record in shown] == list(range(90, 100))
    run("check", "--dir", data_dir)
    sink(run, data_dir, *filled.words)
    run("batch", "--dir", data_dir)
    assert rows(run, data_dir) == 100 and check(run, data_dir)[0]["faults"] == 0


def test_a_copy_has_what_is_kept(run, data_dir, filled, tmp_path):
    filled()
    first = tmp_path / "first"
    run("cp", f"file:{data_dir}/lake", f"file:{first}")
    vacuum(run, data_dir)
    run("cp", f"file:{data_dir}/lake", f"file:{first}")
    filled(10)
    run("cp", f"file:{data_dir}/lake", f"file:{first}")
    run("cp", f"file:{data_dir}/lake", f"file:{tmp_path}/second")
    for copy in (first, tmp_path / "second"):
        run("check", "--dir", tmp_path / "none", "--lake", copy)


POINTS = ("retain-marked", "retain-removed")


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_each_step(run, data_dir, filled, point, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    filled()
    killed = vacuum(run, data_dir, env={"PINPIPE_FAILPOINTS": f"{point}:kill@1"}, status=-signal.SIGKILL)
    assert not killed.stdout
    topics = [topic.name for topic in (data_dir / "lake" / "topics").iterdir()]
    (first,) = [topic for topic in topics if marks(data_dir, topic)]
    if point == "retain-marked":  # some of them are gone, in no order
        for path in values(data_dir, first)[1:8:2]:
            path.unlink()
    assert check(run, data_dir, first)[0]["faults"] == 0
    run("batch", "--dir", data_dir)
    filled(10)
    assert check(run, data_dir, first)[0]["rows"] == 110
    vacuum(run, data_dir)
    for topic in topics:
        assert marks(data_dir, topic) == {0: 100} and len(values(data_dir, topic)) == 1
        assert check(run, data_dir, topic)[0]["faults"] == 0


def test_a_sink_that_slept_puts_nothing_that_counts(run, data_dir, start_gateway):
    gateway = start_gateway("--shards", 1, "--partitions", 1)
    post(gateway, PIN, [{"index": i} for i in range(30)])
    sink(run, data_dir, "--flush-size", 10)
    first = values(data_dir)[0]
    text = first.read_bytes()
    run("batch", "--dir", data_dir)
    emulate(run, gateway, 1)  # so that there are all tables
    sink(run, data_dir)
    run("batch", "--dir", data_dir)
    age(data_dir / "lake" / "topics")
    vacuum(run, data_dir)
    assert not first.exists()
    first.write_bytes(text)
    assert check(run, data_dir)[0]["faults"] == 0
    post(gateway, PIN, [{"index": 1}])
    sink(run, data_dir)
    run("batch", "--dir", data_dir)
    assert check(run, data_dir)[0]["rows"] == 32
    vacuum(run, data_dir)
    assert not first.exists()


def test_maintain_does_it_beside_all_others(run, data_dir, start_gateway, start):
    gateway = start_gateway("--shards", 1, "--partitions", 1)
    env = {"PINPIPE_RAW_RETENTION": "1ms", "PINPIPE_LETTERS_RETENTION": "1ms"}
    start("maintain", "--dir", data_dir, env=env)
    start("sink", "--dir", data_dir, "--flush-age", "50ms")
    posts = 0

    def kept():
        nonlocal posts
        run("emulate", "--posts", 50, "--rate", 100, "--url", f"{gateway.url}/topics/{ID}.")
        posts += 50
        run("batch", "--dir", data_dir)
        return marks(data_dir)
    wait_until(kept, "a mark")
    wait_until(lambda: run("batch", "--dir", data_dir) and rows(run, data_dir) == posts, "all rows")
    assert check(run, data_dir)[0]["faults"] == 0
    assert next(iter(objects(data_dir, PIN))) == marks(data_dir)[0]


# --- dead letters -----------------------------------------------------------------


@pytest.fixture(name="models_copy")
def fixture_models_copy(tmp_path):
    return pathlib.Path(shutil.copytree(TOP / "models", tmp_path / "models"))


@pytest.fixture(name="lettered")
def fixture_lettered(run, start_gateway, data_dir):
    """Both paths with letters of tables, and one of the sink's."""
    gateway = start_gateway("--shards", 1, "--partitions", 1)

    def fill():
        post(gateway, PIN, [{"index": 1}, {"nothing": 1}, {"index": 3}])
        post(gateway, PIN, [None])
        post(gateway, PIN, [{"nothing": 2}, {"index": 2}])
        run("emulate", "--streaming", "--posts", 3, "--rate", "max", "--streaming-url", gateway.url)
        put_stream(gateway, {"nothing": 1})
        run("emulate", "--posts", 2, "--rate", "max", "--url", f"{gateway.url}/topics/{ID}.")
        sink(run, data_dir, "--flush-size", 2)
        run("batch", "--dir", data_dir)
        run("stream", "--until-end", "--dir", data_dir)
    fill.gateway = gateway
    return fill


def put_stream(gateway, value):
    body = json.dumps({"records": [{"data": json.dumps(value), "partition-key": "k"}]}).encode()
    request = urllib.request.Request(f"{gateway.url}/streams/streaming-{ID}-pin/records", body, method="PUT",
                                     headers={"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def dlq(run, data_dir):
    return json.loads(run("dlq", "--dir", data_dir, "--format", "json").stdout)


def test_letters_go_when_their_table_has_passed_them(run, data_dir, lettered):
    lettered()
    before = dlq(run, data_dir)
    stages = {letter["stage"] for letter in before}
    assert stages == {"sink", "batch", "stream"}
    assert removed(vacuum(run, data_dir), "letters") == 0  # all young
    age(data_dir / "lake" / "dlq")
    would = vacuum(run, data_dir, "--dry-run")
    assert dlq(run, data_dir) == before
    done = vacuum(run, data_dir)
    assert removed(done, "letters") == sum(row["path"] == "letters" for row in would) >= 2
    # Raw objects are all kept, so is what the sink put aside between them.
    assert {letter["stage"] for letter in dlq(run, data_dir)} == {"sink"}
    counts, words = check(run, data_dir)
    assert counts["faults"] == 0 and "dead letters up to offset" in words
    counts, words = check(run, data_dir, f"streaming-{ID}-pin")
    assert counts["faults"] == 0 and "dead letters up to offset" in words
    assert json.loads(run("dlq", "replay", "--dir", data_dir, "--format", "json").stdout) is not None
    run("tables", "--dir", data_dir)
    lettered()
    assert check(run, data_dir)[0]["faults"] == 0
    age(data_dir / "lake")
    vacuum(run, data_dir)
    vacuum(run, data_dir)  # the sink's, after the objects around it
    assert check(run, data_dir)[0]["faults"] == 0
    assert len([letter for letter in dlq(run, data_dir) if letter["stage"] == "sink"]) < 2
    run("rebuild", "pin", "--dir", data_dir)
    assert check(run, data_dir)[0]["faults"] == 0
    lettered()
    run("check", "--dir", data_dir)


@pytest.mark.parametrize("point", ["retain-letters-marked", "retain-letters-removed"])
def test_a_kill_among_the_letters(run, data_dir, lettered, point, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    lettered()
    age(data_dir / "lake" / "dlq")
    vacuum(run, data_dir, env={"PINPIPE_FAILPOINTS": f"{point}:kill@1"}, status=-signal.SIGKILL)
    run("check", "--dir", data_dir)
    vacuum(run, data_dir)
    run("check", "--dir", data_dir)
    assert {letter["stage"] for letter in dlq(run, data_dir)} == {"sink"}
    assert not re.search("fault", check(run, data_dir)[1])


@pytest.mark.parametrize("filled", ["plain"], indirect=True)
def test_a_fault_behind_the_marks_is_still_found(run, data_dir, filled):
    filled()
    filled(20)
    os.utime(max(values(data_dir)[:-2], key=lambda path: path.name))
    vacuum(run, data_dir)
    left = [path for path in values(data_dir) if not path.name.startswith("group")]
    assert len(left) > 2
    left[1].unlink()
    result = run("check", "--dir", data_dir, status=1)
    assert "faults in the lake" in result.stderr


# --- a rebuild ----------------------------------------------------------------------


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def files_of(run, data_dir, table):
    answer = json.loads(run("tables", "--dir", data_dir, "--from", "stream", "--format", "json").stdout)
    return next(row["files"] for row in answer if row["table"] == table)


def test_maintain_stands_back_for_a_rebuild(run, data_dir, start_gateway, start, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    gateway = start_gateway("--shards", 1, "--partitions", 1)
    for _ in range(12):
        run("emulate", "--streaming", "--posts", 5, "--rate", "max", "--streaming-url", gateway.url)
        run("stream", "--until-end", "--dir", data_dir)
    rebuild = start("rebuild", "pin", "--from", "stream", "--dir", data_dir,
                    env={"PINPIPE_FAILPOINTS": "rebuild-cleaned:stop@1"})
    wait_until(lambda: state_of(rebuild.pid) == "T", "the failpoint")
    start("maintain", "--dir", data_dir, "--maintain-every", "10ms")
    wait_until(lambda: files_of(run, data_dir, "user") < 12, "a merge of another table")
    assert files_of(run, data_dir, "pin") == 12
    os.kill(rebuild.pid, signal.SIGCONT)
    wait_until(lambda: rebuild.process.poll() is not None, "the rebuild's end")
    assert rebuild.process.returncode == 0
    assert rows(run, data_dir, source="stream") == 60
    run("check", "--dir", data_dir)


@pytest.mark.parametrize("filled", ["plain"], indirect=True)
def test_raw_objects_stay_while_a_table_is_rebuilt_of_them(run, data_dir, filled, start, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    filled()
    rebuild = start("rebuild", "pin", "--from", "batch", "--dir", data_dir,
                    env={"PINPIPE_FAILPOINTS": "rebuild-cleaned:stop@1"})
    wait_until(lambda: state_of(rebuild.pid) == "T", "the failpoint")
    done = vacuum(run, data_dir)
    assert removed(done, "raw", PIN) == 0 < removed(done, "raw")
    os.kill(rebuild.pid, signal.SIGCONT)
    wait_until(lambda: rebuild.process.poll() is not None, "the rebuild's end")
    assert rebuild.process.returncode == 0
    assert removed(vacuum(run, data_dir), "raw", PIN) >= 9
    assert check(run, data_dir)[0]["rows"] == 100
