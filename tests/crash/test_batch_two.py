"""Two batches with directories of their own clean one lake, and are killed at random."""

import json
import random
import sys
import pathlib
import time

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "sql"))
from lake import Lake, put  # noqa: E402

ROUNDS, PER_OBJECT, OBJECTS = 12, 40, 3
KEYS = {"pin": "index", "geo": "ind", "user": "ind"}


class Two:
    """One lake, and two directories to work from."""

    def __init__(self, start, run, top):
        self.starter, self.top, self.total = start, top, 0
        self.lake = Lake(run, top / "a")
        self.url = f"file:{top / 'a' / 'lake'}"

    def post(self):
        """Objects of all topics, every tenth record no row."""
        for table, key in KEYS.items():
            for start in range(self.total, self.total + PER_OBJECT * OBJECTS, PER_OBJECT):
                put(self.lake.dir, table, [{key: i} if i % 10 else "no row" for i in range(start, start + PER_OBJECT)],
                    start)
        self.total += PER_OBJECT * OBJECTS

    def start(self, name):
        (self.top / name).mkdir(exist_ok=True)
        return self.starter("batch", "--dir", self.top / name, "--lake", self.url)

    def check(self):
        """Each offset is a row once, or counts as a dead letter once."""
        for table in KEYS:
            rows = [int(row["_offset"]) for row in self.lake.sql(f"SELECT _offset FROM {table}_all")]
            listed = self.lake.run("dlq", f"124df56aef51.{table}", "--dir", self.lake.dir, "--format", "json").stdout
            dead = [int(letter["offset"]) for letter in json.loads(listed)]
            assert sorted(rows + dead) == list(range(self.total)), table
            assert all(offset % 10 == 0 for offset in dead), table


@pytest.mark.parametrize("seed", [1, 2])
def test_two_batches_on_one_lake(start, run, tmp_path, seed):
    rng = random.Random(seed)
    two = Two(start, run, tmp_path)
    for nth in range(ROUNDS):
        two.post()
        workers = [two.start("a"), two.start("b")]
        if nth % 4 < 3:
            time.sleep(rng.uniform(0.02, 0.6))  # a kill at a random time is the point of it
            for worker in rng.sample(workers, rng.choice((1, 2))):
                worker.kill()
        for worker in workers:
            assert worker.process.wait(120) in (0, -9), worker.said()
    for name in ("a", "b"):
        last = two.start(name)
        assert last.process.wait(120) == 0, last.said()
    two.check()


def test_the_loser_of_a_race_goes_on(start, run, tmp_path):
    """Both begin at once, again and again; nobody fails, and nothing is cleaned twice."""
    two = Two(start, run, tmp_path)
    for _ in range(6):
        two.post()
        workers = [two.start("a"), two.start("b")]
        for worker in workers:
            assert worker.process.wait(120) == 0, worker.said()
        two.check()
