"""The batch path as a whole: increments, holes, poison, and what a crash leaves."""

import collections
import fcntl
import json

import pytest

from lake import ID


def geo(first, count):
    return [{"ind": i, "country": "Fiji", "timestamp": "2020-01-01 00:00:00", "latitude": 1, "longitude": i}
            for i in range(first, first + count)]


def offsets(lake, table="geo"):
    return [(row["_partition"], int(row["_offset"]))
            for row in lake.sql(f"SELECT _partition, _offset FROM {table}_all ORDER BY ALL")]


def commits(lake, table="geo"):
    log = lake.dir / "lake" / "tables" / f"{ID}_{table}_clean" / "_delta_log"
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in sorted(log.glob("*.json"))]


def test_only_what_is_new_is_cleaned(lake):
    lake.put("geo", geo(0, 3))
    assert lake.batch()["tables"]["geo"]["rows"] == 3
    first = lake.put("geo", geo(3, 2), 3)
    lake.put("geo", geo(5, 1), 5)
    report = lake.batch()["tables"]["geo"]
    assert (report["objects"], report["rows"], report["commits"], report["total_rows"]) == (2, 3, 1, 6)
    first.write_bytes(b"never read again")
    assert lake.batch()["tables"]["geo"]["objects"] == 0
    assert offsets(lake) == [("0", i) for i in range(6)]
    txns = [action["txn"] for commit in commits(lake) for action in commit if "txn" in action]
    progress = f"pinpipe/batch/{ID}.geo/0"
    assert [txn["version"] for txn in txns if txn["appId"] == progress] == [2, 5]
    assert [txn["version"] for txn in txns if txn["appId"] == f"{progress}/object"] == [0, 5]


def test_what_is_landed_again_longer(lake):
    """The newest object went, and the sink, which knows of it by the lake alone, ends it elsewhere."""
    lake.put("geo", geo(0, 3))
    lake.put("geo", geo(3, 1), 3)
    lake.batch()
    lake.put("geo", geo(3, 2), 3)
    report = lake.batch()["tables"]["geo"]
    assert (report["objects"], report["rows"]) == (1, 1)
    lake.put("geo", geo(5, 1), 5)
    assert lake.batch()["tables"]["geo"]["rows"] == 1
    assert offsets(lake) == [("0", i) for i in range(6)]
    assert lake.batch()["tables"]["geo"]["objects"] == 0


def test_what_is_landed_again_from_further_back(lake):
    """Two objects went, and one came."""
    for start in (0, 3, 4):
        lake.put("geo", geo(start, 3 if start == 0 else 1), start)
    path = lake.put("geo", geo(5, 1), 5)
    lake.batch()
    path.unlink()
    path.with_name(path.name.replace("0000000005", "0000000004")).unlink()
    lake.put("geo", geo(3, 4), 3)
    assert lake.batch()["tables"]["geo"]["rows"] == 1
    lake.put("geo", geo(7, 2), 7)
    assert lake.batch()["tables"]["geo"]["rows"] == 2
    assert offsets(lake) == [("0", i) for i in range(9)]


def test_a_table_that_does_not_say_which_object(lake):
    """Its commits are older than that; what the object before holds is found when it is missed."""
    lake.put("geo", geo(0, 2))
    lake.batch()
    log = sorted((lake.dir / "lake" / "tables" / f"{ID}_geo_clean" / "_delta_log").glob("*.json"))
    for path in log:
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True)
                                if "/object" not in line and "/bytes" not in line))
    lake.put("geo", geo(0, 4))
    lake.put("geo", geo(4, 1), 4)
    assert lake.batch()["tables"]["geo"]["rows"] == 3
    assert offsets(lake) == [("0", i) for i in range(5)]
    assert lake.letters("geo") == {}


def test_partitions_each_have_their_progress(lake):
    for partition in (0, 1, 10, 2):
        lake.put("geo", geo(0, 2), partition=partition)
    assert lake.batch()["tables"]["geo"]["rows"] == 8
    lake.put("geo", geo(2, 1), 2, partition=10)
    lake.put("geo", geo(0, 1), 0, partition=3)
    assert lake.batch()["tables"]["geo"]["rows"] == 2
    assert offsets(lake) == sorted([(str(p), o) for p in (0, 1, 2, 10) for o in (0, 1)] + [("10", 2), ("3", 0)])


def test_the_newest_row_of_an_ind_wins_over_partitions(lake):
    lake.put("geo", [{"ind": 1, "country": "b"}], partition=1)
    lake.put("geo", [{"ind": 1, "country": "a"}], partition=0)
    lake.batch()
    assert lake.sql("SELECT country FROM geo") == [{"country": "b"}]


def test_a_log_that_had_let_go_of_its_beginning(lake):
    lake.put("geo", geo(0, 2), 4000000000)
    lake.put("geo", geo(2, 2), 4000000002)
    assert lake.batch()["tables"]["geo"]["rows"] == 4


def test_offsets_of_more_than_ten_digits(lake):
    for start in (9999999998, 10000000000, 10000000002):
        lake.put("geo", geo(0, 2), start)
        assert lake.batch()["tables"]["geo"]["rows"] == 2
    assert [offset for _, offset in offsets(lake)] == list(range(9999999998, 10000000004))


@pytest.mark.parametrize("real", [0, 3])
def test_an_empty_object_is_told_once_and_passed_over(lake, real):
    """It holds nothing, so it is no progress: taken along it was found new for ever."""
    if real:
        lake.put("geo", geo(0, real))
        lake.batch()
    before = len(commits(lake))
    lake.put("geo", [], real)
    lake.put("geo", [], real + 1)
    done = lake.run("batch", "--dir", lake.dir, timeout_s=60)
    assert done.stderr.count("is empty and is passed over") == 1
    assert len(commits(lake)) == max(before, 1)
    lake.put("geo", geo(real, 2), real)
    lake.put("geo", geo(real + 2, 2), real + 2)
    assert lake.batch()["tables"]["geo"]["rows"] == 4
    assert [offset for _, offset in offsets(lake)] == list(range(real + 4))


def gaps(lake, table="geo"):
    """(first, last, reason) of the letters that tell of a range, and all letters once."""
    found = []
    for path in sorted((lake.dir / "lake" / "dlq" / f"{ID}.{table}").rglob("*.ndjson")):
        for line in path.read_text().splitlines():
            letter = json.loads(line)
            if letter["stage"] == "batch":
                found.append((int(letter["offset"]), int(letter.get("last", letter["offset"])), letter["reason"]))
    return sorted(found)


def test_a_gap_is_told_once_and_the_batch_goes_on(lake):
    lake.put("geo", geo(0, 2))
    lake.put("geo", geo(5, 2), 5)
    lake.put("pin", [{"index": 1}])
    done = lake.run("batch", "--dir", lake.dir)
    assert f'"{ID}.geo" partition 0: offsets 2 to 4 are in no object of the lake' in done.stderr
    assert offsets(lake) == [("0", i) for i in (0, 1, 5, 6)] and offsets(lake, "pin") == [("0", 0)]
    assert gaps(lake) == [(2, 4, "in no object of the lake")]
    lake.put("geo", geo(7, 1), 7)
    done = lake.run("batch", "--dir", lake.dir)
    assert "in no object" not in done.stderr
    lake.put("geo", geo(9, 1), 9)
    lake.batch()
    assert gaps(lake) == [(2, 4, "in no object of the lake"), (8, 8, "in no object of the lake")]
    assert offsets(lake) == [("0", i) for i in (0, 1, 5, 6, 7, 9)]


def sink_letters(lake, name, *offsets):
    directory = lake.dir / "lake" / "dlq" / f"{ID}.geo" / "partition=0"
    directory.mkdir(parents=True, exist_ok=True)
    letters = [{"topic": f"{ID}.geo", "partition": "0", "offset": f"{i:020}", "stage": "sink", "reason": "not JSON",
                "timestamp_ms": 1, "value": "eA=="} for i in offsets]
    (directory / name).write_text("".join(json.dumps(letter) + "\n" for letter in letters))


def test_dead_letters_of_the_sink_fill_a_gap(lake):
    """By what the name of their object says that the sink went over; of older names, by themselves."""
    lake.put("geo", geo(0, 2))
    lake.put("geo", geo(4, 1), 4)
    sink_letters(lake, f"{ID}.geo+0+0000000002.ndjson", 2, 3)
    assert lake.batch()["tables"]["geo"]["rows"] == 3
    lake.put("geo", geo(9, 1), 9)
    sink_letters(lake, f"{4:020}-{8:020}.ndjson", 6)
    assert lake.batch()["tables"]["geo"]["rows"] == 1
    assert gaps(lake) == []
    lake.put("geo", geo(12, 1), 12)
    sink_letters(lake, f"{ID}.geo+0+0000000010.ndjson", 10)
    lake.batch()
    assert gaps(lake) == [(11, 11, "in no object of the lake")]


def test_objects_that_overlap_give_each_record_once(lake):
    lake.put("geo", geo(0, 3))
    lake.put("geo", geo(2, 3), 2)
    lake.put("geo", geo(3, 1), 3)
    assert lake.batch()["tables"]["geo"]["rows"] == 5
    lake.put("geo", geo(5, 1), 5)
    assert lake.batch()["tables"]["geo"]["rows"] == 1
    assert offsets(lake) == [("0", i) for i in range(6)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def manifest(lake, path, start, after, runs):
    """What the sink puts beside an object whose lines are not the offsets from its start on."""
    directory = lake.dir / "lake" / "manifests" / f"{ID}.geo" / "partition=0"
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{start:020}+{crc32c(path.read_bytes()):08x}.json"
    (directory / name).write_text(json.dumps({
        "key": str(path.relative_to(lake.dir / "lake")), "after": after if after is None else f"{after:020}",
        "runs": [[f"{first:020}", count] for first, count in runs]}, separators=(",", ":")) + "\n")


def test_a_manifest_says_which_offsets_the_lines_have(lake):
    manifest(lake, lake.put("geo", geo(0, 6)), 0, None, [(0, 2), (5, 1), (9, 3)])
    manifest(lake, lake.put("geo", geo(6, 2), 20), 20, 11, [(20, 2)])
    lake.put("geo", [*geo(8, 1), "no row"], 22)
    assert lake.batch()["tables"]["geo"]["rows"] == 9
    assert [offset for _, offset in offsets(lake)] == [0, 1, 5, 9, 10, 11, 20, 21, 22]
    assert [row["ind"] for row in lake.sql("SELECT ind FROM geo_all ORDER BY _offset")] == list(range(9))
    assert [gap[:2] for gap in gaps(lake)] == [(23, 23)]
    manifest(lake, lake.put("geo", geo(9, 1), 40), 40, 30, [(40, 1)])
    lake.batch()
    assert [gap[:2] for gap in gaps(lake)][1:] == [(24, 30)]


def test_an_object_that_its_manifest_does_not_fit_stops_its_partition_alone(lake):
    lake.put("geo", geo(0, 2))
    manifest(lake, lake.put("geo", geo(2, 3), 2), 2, None, [(2, 1), (8, 1)])
    lake.put("geo", geo(9, 1), 9)
    lake.put("geo", geo(0, 4), partition=1)
    failed = lake.batch(status=None)
    assert failed.returncode == 1 and "partition 0" in failed.stderr
    assert offsets(lake) == [("0", 0), ("0", 1)] + [("1", i) for i in range(4)]
    assert (lake.dir / "lake" / "results" / "users_joined_by_year.json").exists()


def test_a_last_line_without_its_end(lake):
    path = lake.put("geo", geo(0, 2))
    path.write_bytes(path.read_bytes()[:-1])
    assert lake.batch()["tables"]["geo"]["rows"] == 2


def strict(models):
    """A model of the user's that fails at ages that are no numbers."""
    path = models / "clean" / "user.sql"
    path.write_text(path.read_text().replace("as_int(age)", "CAST(age AS INTEGER)"))
    return path


def users(count, bad=()):
    return [{"ind": i, "first_name": "A", "last_name": "B", "age": "x" if i in bad else "30"} for i in range(count)]


def test_poison_is_put_aside(lake, models):
    strict(models)
    bad = {0, 700, 701, 2999}
    values = users(3000, bad)
    values[5] = "dead anyway"
    for start in (0, 1000, 2000):
        lake.put("user", values[start:start + 1000], start)
    report = lake.batch("--models", models)["tables"]["user"]
    assert (report["rows"], report["dead"], report["commits"]) == (2995, 5, 1)
    assert {offset for _, offset in offsets(lake, "user")} == set(range(3000)) - bad - {5}
    letters = lake.letters("user")
    assert {offset for _, offset in letters} == bad | {5}
    assert all("user.sql" in letters["0", offset][0] and "'x'" in letters["0", offset][0] for offset in bad)
    assert json.loads(letters["0", 700][1]) == values[700]


def test_a_model_at_fault_ends_the_run(lake, models):
    path = strict(models)
    lake.put("user", users(400, range(300)))
    failed = lake.batch("--models", models, status=1)
    assert f"{path}:" in failed.stderr and "more than 100 records" in failed.stderr
    assert lake.letters("user") == {} and offsets(lake, "user") == []
    path.write_text(path.read_text().replace("CAST(age AS INTEGER)", "as_int(age)"))
    assert lake.batch("--models", models)["tables"]["user"]["unreadable"] == 300


def test_a_model_that_fails_on_the_whole_ends_the_run(lake, models):
    """No record is blamed for it, and none is lost."""
    path = models / "clean" / "user.sql"
    path.write_text(path.read_text().replace(
        "as_int(age)", "CASE WHEN count(*) OVER () > 2 THEN error('too many at once') ELSE as_int(age) END"))
    for start in (0, 2):
        lake.put("user", users(2), start)
    failed = lake.batch("--models", models, status=1)
    assert "no record by itself is to blame" in failed.stderr and "too many at once" in failed.stderr
    assert lake.letters("user") == {}
    assert lake.batch()["tables"]["user"]["rows"] == 4


@pytest.mark.parametrize("old, new, said", [
    ("FROM raw", "FROM raw WHERE ind <> '1'", "made 2 rows of 3 records"),
    ("FROM raw", "FROM raw WHERE ind IN (SELECT ind FROM raw)", "can read raw once"),
    ("as_int(age)", "as_age(age)", "user.sql:8: "),
    ("-- key: ind", "-- key: index", 'user.sql:2: the key "index" is none of the fields'),
    ("-- title: Users", "-- titel: Users", 'user.sql:1: no such header line: "titel"'),
    ("age int,", "age integer,", 'user.sql:4: column "age" has no type'),
])
def test_wrong_models(lake, models, old, new, said):
    path = models / "clean" / "user.sql"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    lake.put("user", users(3))
    failed = lake.batch("--models", models, status=None)
    assert failed.returncode in (1, 2) and said in failed.stderr
    assert offsets(lake, "user") == []


def test_one_batch_at_a_time(lake):
    lake.put("geo", geo(0, 1))
    lake.dir.mkdir(exist_ok=True)
    with open(lake.dir / "batch.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lake.batch(status=73)
    lake.batch()


def test_history(lake):
    lake.put("geo", geo(0, 3))
    report = lake.batch()
    runs = list((lake.dir / "lake" / "results" / "runs").iterdir())
    assert [run.stem for run in runs] == [report["run"]]
    assert json.loads(runs[0].read_text()) == report
    assert report["tables"]["geo"]["rows"] == 3 and report["ms"] >= report["clean_ms"] >= 0
    assert report["analyses"]["users_joined_by_year"]["rows"] == 0
    assert not collections.Counter(path.name for path in (lake.dir / "tmp").rglob("*.parquet"))
