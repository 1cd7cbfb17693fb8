"""A rebuild is killed, or its disk fails, at every step: the old table stands or the new, and letters once."""

import json
import pathlib
import shutil
import sys
import urllib.request

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "tests" / "sql"))
from lake import ID, Lake  # noqa: E402

POINTS = ["rebuild-cleaned", "rebuild-kept", "rebuild-sealed", "rebuild-committed", "rebuild-forgot",
          "rebuild-copied", "batch-cleaned", "batch-dead", "batch-put", "batch-commit", "batch-committed"]
COMMITS = [f"delta-{word}@{nth}" for word in ("before-commit", "committed") for nth in (1, 2, 3)]
MODEL = """-- title: Clicks
-- key: {key} AS id
-- fields: {key}
-- columns: id int
SELECT as_int({key}) + {more} AS id, _partition, _offset FROM raw
"""
OLD, NEW = {"id": 1, "key": "id", "more": 0}, {"id": 1, "key": "ident", "more": 100}


@pytest.fixture
def models(tmp_path):
    return pathlib.Path(shutil.copytree(TOP / "models", tmp_path / "models"))


@pytest.fixture
def lake(run, data_dir, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    return Lake(run, data_dir)


def put_model(models, shape):
    (models / "clean" / "clicks.sql").write_text(MODEL.format(**shape))


def fill(lake, models):
    """Odd records are rows of the old model, even ones of the new; the objects of 0 to 9 are gone."""
    put_model(models, OLD)
    paths = [lake.put("clicks", [{"id" if i % 2 else "ident": i} for i in range(first, first + 10)], first)
             for first in (0, 10, 20)]
    lake.batch("--models", models)
    paths[0].unlink()


def ids(lake, models):
    return sorted(row["id"] for row in lake.sql("SELECT id FROM clicks_all", "--models", models))


def state(lake, models):
    """Rows and letters; each offset is one of them."""
    rows = [int(row["_offset"]) for row in lake.sql("SELECT _offset FROM clicks_all", "--models", models)]
    dead = [offset for _, offset in lake.letters("clicks")]
    assert sorted(rows + dead) == list(range(30))
    return ids(lake, models), sorted(dead)


@pytest.mark.parametrize("point,action", [(point, "kill") for point in POINTS + COMMITS] +
                         [(point, "eio") for point in POINTS if point.startswith("rebuild-")])
def test_every_step(lake, models, point, action):
    fill(lake, models)
    old = [i for i in range(30) if i % 2], [i for i in range(30) if i % 2 == 0]
    new = ([i for i in range(10) if i % 2] + [100 + i for i in range(10, 30) if i % 2 == 0],
           [i for i in range(10) if i % 2 == 0] + [i for i in range(10, 30) if i % 2])
    assert state(lake, models) == old
    put_model(models, NEW)
    name, _, nth = point.partition("@")
    failed = lake.run("rebuild", "clicks", "--from", "batch", "--dir", lake.dir, "--models", models, status=None,
                      env={"PINPIPE_FAILPOINTS": f"{name}:{action}@{nth or 1}"})
    assert failed.returncode != 0 or name == "delta-committed", failed
    assert ids(lake, models) in (old[0], sorted(new[0]))
    lake.batch("--models", models)
    assert state(lake, models) in (old, (sorted(new[0]), sorted(new[1])))
    done = json.loads(lake.run("rebuild", "clicks", "--from", "batch", "--dir", lake.dir, "--models", models,
                               "--format", "json").stdout)
    assert (done[0]["rows_after"], done[0]["kept"], done[0]["dead"]) == (15, 5, 15)
    assert state(lake, models) == (sorted(new[0]), sorted(new[1]))
    tables = lake.dir / "lake" / "tables" / f"{ID}_clicks_clean"
    assert not [path for path in (tables / "_rebuild").rglob("*") if path.is_file()]
    assert not list((lake.dir / "tmp").glob("*.parquet"))


@pytest.mark.parametrize("point", ["stream-cleaned", "stream-letters", "rebuild-sealed", "rebuild-committed",
                                   "rebuild-forgot", "rebuild-copied"])
def test_every_step_of_the_stream(lake, models, start_gateway, point):
    """What is half done is ended by the stream's next start."""
    put_model(models, OLD)
    gateway = start_gateway("--shards", 1, "--models", models)
    records = [{"data": json.dumps({"id" if i % 2 else "ident": i}), "partition-key": "k"} for i in range(20)]
    urllib.request.urlopen(urllib.request.Request(
        f"{gateway.url}/streams/streaming-{ID}-clicks/records", method="PUT",
        data=json.dumps({"records": records}).encode(), headers={"Content-Type": "application/json"})).close()
    lake.run("stream", "--dir", lake.dir, "--models", models, "--until-end")
    put_model(models, NEW)
    failed = lake.run("rebuild", "clicks", "--from", "stream", "--dir", lake.dir, "--models", models, status=None,
                      env={"PINPIPE_FAILPOINTS": f"{point}:kill@1"})
    assert failed.returncode == -9
    lake.run("stream", "--dir", lake.dir, "--models", models, "--until-end")
    lake.run("check", "--dir", lake.dir, "--models", models)
    found = sorted(row["id"] for row in lake.sql("SELECT id FROM clicks_all", "--models", models, "--from", "stream"))
    letters = json.loads(lake.run("dlq", f"streaming-{ID}-clicks", "--dir", lake.dir, "--format", "json").stdout)
    dead = sorted(next(iter(json.loads(letter["value"]).items())) for letter in letters)
    if point in ("rebuild-committed", "rebuild-forgot", "rebuild-copied"):
        assert found == [100 + i for i in range(0, 20, 2)] and dead == [("id", i) for i in range(1, 20, 2)]
    else:
        assert found == list(range(1, 20, 2)) and dead == [("ident", i) for i in range(0, 20, 2)]
