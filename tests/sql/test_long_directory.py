"""A partition of many objects: what a batch does there follows what is new, and it misses nothing."""

import json
import os
import shutil
import subprocess

import pytest

from lake import ID

OBJECTS = 20000
GAP = "in no object of the lake"
FOLDER = f"topics/{ID}.geo/partition=0"


@pytest.fixture(name="many")
def fixture_many(lake):
    """Objects of a record each, all of them one file with many names, and a batch that had them."""
    first = lake.put("geo", geo(1))
    for start in range(1, OBJECTS):
        os.link(first, first.with_name(f"{ID}.geo+0+{start:010}.json"))
    if first.parent.stat().st_size < 256 << 10:
        pytest.skip("this file system does not tell that a directory is long")
    lake.batch(timeout_s=600)
    settle(lake)
    return lake


def geo(count):
    return [{"ind": i, "country": "Fiji", "timestamp": "2020-01-01 00:00:00", "latitude": 1, "longitude": i}
            for i in range(count)]


def settle(lake):
    """Until the folder's mark is known: it is none within a second of a change."""
    while True:
        lake.batch()
        tables = json.loads((lake.dir / "lake" / "results" / "answered").read_text())["tables"]
        if all(mark[3] != "0" for table in tables for mark in table["partitions"]):
            return


def reads(lake, pinpipe, tmp_path):
    """How often the folder was read by a batch, and what that reports."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    trace = tmp_path / "trace"
    done = subprocess.run(["strace", "-f", "-y", "-e", "trace=getdents64", "-o", trace, pinpipe, "batch", "--dir",
                           lake.dir, "--format", "json"], capture_output=True, check=True, timeout=300,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # which cannot be traced
    found = [line for line in trace.read_text().splitlines() if f"{FOLDER}>" in line and " = 0" not in line]
    return len(found), json.loads(done.stdout)["tables"]["geo"]


def test_what_is_not_new_is_not_read(many, pinpipe, tmp_path):
    assert reads(many, pinpipe, tmp_path)[0] == 0
    many.put("geo", geo(3), OBJECTS)
    many.put("geo", geo(2), OBJECTS + 3)
    count, report = reads(many, pinpipe, tmp_path)
    assert count == 0 and (report["objects"], report["rows"]) == (2, 5)
    count, report = reads(many, pinpipe, tmp_path)  # once, since the folder has changed
    assert count > 0 and report["objects"] == 0
    settle(many)
    assert reads(many, pinpipe, tmp_path)[0] == 0


def test_a_hole_and_what_is_behind_it(many):
    """What comes before it at once; what is behind is found by the run after, which tells the hole."""
    many.put("geo", geo(2), OBJECTS)
    many.put("geo", geo(1), OBJECTS + 5)
    assert many.batch()["tables"]["geo"]["rows"] == 2
    report = many.batch()["tables"]["geo"]
    assert report["rows"] == 1 and list(many.letters("geo").values()) == [(GAP, None)]
    assert not many.batch()["tables"]["geo"]["objects"]


def test_what_is_live_goes_on_behind_a_hole(many):
    """Who asks now has no run after it that would find the rest."""
    many.put("geo", geo(2), OBJECTS)
    many.put("geo", geo(1), OBJECTS + 5)
    assert many.sql("SELECT count(*) AS n FROM geo_live") == [{"n": OBJECTS + 3}]


def test_an_object_that_was_landed_again_longer(many):
    """The one that the table ends with."""
    last = many.put("geo", geo(2), OBJECTS)
    assert many.batch()["tables"]["geo"]["rows"] == 2
    last.unlink()
    many.put("geo", geo(5), OBJECTS)
    assert many.batch()["tables"]["geo"]["rows"] == 3
    many.put("geo", geo(1), OBJECTS + 5)
    assert many.batch()["tables"]["geo"]["total_rows"] == OBJECTS + 6


def test_an_object_that_is_too_many_to_be_followed(many):
    for start in range(OBJECTS, OBJECTS + 300):
        os.link(many.dir / "lake" / FOLDER / f"{ID}.geo+0+0000000000.json",
                many.dir / "lake" / FOLDER / f"{ID}.geo+0+{start:010}.json")
    assert many.batch()["tables"]["geo"]["objects"] == 300
