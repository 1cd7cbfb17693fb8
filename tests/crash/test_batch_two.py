"""Two batches with directories of their own clean one lake, and are killed at random."""

import json
import pathlib
import random
import sys
import time
import urllib.request

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "sql"))
from lake import Lake  # noqa: E402

ROUNDS, PER_OBJECT, OBJECTS = 12, 40, 3
ID = "124df56aef51"
KEYS = {"pin": "index", "geo": "ind", "user": "ind"}


class Two:
    """One lake, and two directories to work from; the first one has the log."""

    def __init__(self, start, start_gateway, run, top):
        self.starter, self.top, self.total = start, top, 0
        self.lake = Lake(run, top / "a")
        self.url = f"file:{top / 'a' / 'lake'}"
        self.gateway = start_gateway(directory=top / "a")

    def post(self):
        """Objects of all topics, every tenth record no row."""
        for table, key in KEYS.items():
            values = [{key: i} if i % 10 else "no row" for i in range(self.total, self.total + PER_OBJECT * OBJECTS)]
            request = urllib.request.Request(
                f"{self.gateway.url}/topics/{ID}.{table}",
                json.dumps({"records": [{"value": value} for value in values]}).encode(),
                {"Content-Type": "application/vnd.kafka.json.v2+json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.status == 200
        self.lake.run("sink", "--dir", self.lake.dir, "--until-end", "--flush-size", PER_OBJECT)
        self.total += PER_OBJECT * OBJECTS

    def start(self, name):
        (self.top / name).mkdir(exist_ok=True)
        return self.starter("batch", "--dir", self.top / name, "--lake", self.url)

    def check(self):
        """Each offset is a row once, or counts as a dead letter once."""
        for table in KEYS:
            rows = [int(row["_offset"]) for row in self.lake.sql(f"SELECT _offset FROM {table}_all")]
            listed = self.lake.run("dlq", f"{ID}.{table}", "--dir", self.lake.dir, "--format", "json").stdout
            dead = [int(letter["offset"]) for letter in json.loads(listed)]
            assert sorted(rows + dead) == list(range(self.total)), table
            assert all(offset % 10 == 0 for offset in dead), table
        self.lake.run("check", "--dir", self.lake.dir)


@pytest.mark.parametrize("seed", [1, 2])
def test_two_batches_on_one_lake(start, start_gateway, run, tmp_path, seed):
    rng = random.Random(seed)
    two = Two(start, start_gateway, run, tmp_path)
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


def test_the_loser_of_a_race_goes_on(start, start_gateway, run, tmp_path):
    """Both begin at once, again and again; nobody fails, and nothing is cleaned twice."""
    two = Two(start, start_gateway, run, tmp_path)
    for _ in range(6):
        two.post()
        workers = [two.start("a"), two.start("b")]
        for worker in workers:
            assert worker.process.wait(120) == 0, worker.said()
        two.check()
