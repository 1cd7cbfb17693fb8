"""Which rows are current, kept from run to run: never other ones than those found out anew."""

import json
import random
import re
import shutil

import pytest

from lake import ID

QUESTION = "SELECT ind, country, CAST(coordinates[2] AS INT) AS place FROM geo ORDER BY ind, country, place"


@pytest.fixture(name="kept")
def fixture_kept(lake, models):
    (models / "analyses" / "everything.sql").write_text(
        f"-- title: All\n-- description: All.\n-- chart: none\n{QUESTION}\n")
    return Kept(lake, models)


class Kept:
    """A lake, batches, and what they answer."""

    def __init__(self, lake, models):
        self.lake, self.models, self.next = lake, models, {}
        self.path = lake.dir / "cache" / "current" / f"{ID}_geo_clean"

    def put(self, keys, partition=0):
        start = self.next.get(partition, 0)
        self.lake.put("geo", [{"ind": key, "country": f"{partition}", "longitude": start + i, "latitude": 1,
                               "timestamp": "2020-01-01 00:00:00"} for i, key in enumerate(keys)], start, partition)
        self.next[partition] = start + len(keys)

    def batch(self):
        """How many files' rows were known. What it answers must be what a question anew is."""
        ended = self.lake.run("batch", "--dir", self.lake.dir, "--models", self.models, "--verbose", "debug")
        rows = json.loads((self.lake.dir / "lake" / "results" / "everything.json").read_text())["rows"]
        asked = self.lake.sql(QUESTION, "--models", self.models)
        assert rows == [[row["ind"], row["country"], row["place"]] for row in asked]
        known = re.search(r'table "geo": of (\d+) files it is kept', ended.stderr)
        return int(known[1]) if known else 0

    def log(self):
        return self.lake.dir / "lake" / "tables" / f"{ID}_geo_clean" / "_delta_log"

    def remove_a_file(self, rng):
        """As another engine's DELETE of all that is in it."""
        live = {}
        for path in sorted(self.log().glob("*.json")):
            for action in map(json.loads, path.read_text().splitlines()):
                if "add" in action:
                    live[action["add"]["path"]] = True
                if "remove" in action:
                    live.pop(action["remove"]["path"], None)
        version = max(int(path.stem) for path in self.log().glob("*.json")) + 1
        (self.log() / f"{version:020}.json").write_text(json.dumps(
            {"remove": {"path": rng.choice(list(live)), "dataChange": True, "deletionTimestamp": 1}}) + "\n")


def test_a_new_file_is_all_that_is_looked_at(kept):
    """Of few keys again and again the latest rows are kept, of others those that are outdated."""
    kept.put(range(10))
    assert kept.batch() == 0
    kept.put([3, 20, 3])
    assert kept.batch() == 1 and b'"kind":"outdated","rows":2' in kept.path.read_bytes()
    kept.put([20, 3], 1)
    assert kept.batch() == 2 and b'"kind":"outdated","rows":4' in kept.path.read_bytes()
    kept.put([1] * 30)
    assert kept.batch() == 3 and b'"kind":"latest","rows":11' in kept.path.read_bytes()
    kept.put([1, 2, 77])
    assert kept.batch() == 4 and b'"kind":"latest","rows":12' in kept.path.read_bytes()
    kept.put(range(100, 200))
    assert kept.batch() == 5 and b'"kind":"outdated"' in kept.path.read_bytes()
    (kept.lake.dir / "lake" / "results" / "everything.csv").unlink()
    before = kept.path.stat().st_ino
    assert kept.batch() == 6 and kept.path.stat().st_ino == before


@pytest.mark.parametrize("seed", range(4))
def test_random_histories(kept, seed):
    rng = random.Random(seed)
    keys = rng.choice([3, 20, 1000])

    def damage():
        if kept.path.exists():
            text = bytearray(kept.path.read_bytes())
            text[rng.randrange(len(text))] ^= 1 << rng.randrange(8)
            kept.path.write_bytes(text[:rng.choice([len(text), len(text) - 3, 0])])

    def rebuild():
        kept.lake.run("rebuild", "geo", "--from", "batch", "--dir", kept.lake.dir, "--models", kept.models)

    kept.put([1, 2])
    kept.batch()
    for _ in range(12):
        kept.put([rng.randrange(keys) for _ in range(rng.randint(1, 30))], rng.choice([0, 0, 1, 7]))
        rng.choices([lambda: None, damage, rebuild, lambda: kept.remove_a_file(rng), kept.path.unlink],
                    [12, 1, 1, 1, 1])[0]()
        kept.batch()


def test_a_table_that_was_taken_back(kept):
    """The log begins anew with other files: none of them is taken for one of before."""
    kept.put([1, 2, 1])
    kept.batch()
    shutil.copytree(kept.log().parent, kept.lake.dir / "before")
    kept.put([2, 3])
    kept.batch()
    shutil.rmtree(kept.log().parent)
    (kept.lake.dir / "before").rename(kept.log().parent)
    kept.put([3, 3, 1])
    kept.batch()


def test_a_column_that_was_added(kept):
    kept.put([1, 2, 1])
    kept.batch()
    path = kept.models / "clean" / "geo.sql"
    text = path.read_text()
    path.write_text(text.replace("-- columns: ", "-- columns: note string, ", 1))
    assert path.read_text() != text
    path.write_text(re.sub(r"\nSELECT\b", "\nSELECT CAST('x' AS VARCHAR) AS note,", path.read_text(), count=1))
    kept.put([2, 3])
    assert kept.batch() == 1


def test_no_place_for_it(kept):
    """A batch goes on without."""
    (kept.lake.dir / "cache").mkdir(parents=True)
    (kept.lake.dir / "cache" / "current").write_text("in the way")
    for _ in range(2):
        kept.put([1, 1])
        assert kept.batch() == 0
