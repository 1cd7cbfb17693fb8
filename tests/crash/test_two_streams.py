"""Two streams of different directories write one lake and are killed at random: every record is in the table once."""
import json
import os
import random
import urllib.request

import pytest
from conftest import wait_until

STREAM = "streaming-124df56aef51-user"
SHARDS, ROUNDS, POSTS = 3, 15, 20


class Pair:
    """The log's own directory, and another one that reads the same log, both on one lake."""

    def __init__(self, start, run, data_dir, tmp_path, gateway):
        self.start, self.run_command, self.gateway = start, run, gateway
        self.lake = tmp_path / "lake"
        self.dirs = [data_dir, tmp_path / "other"]
        self.dirs[1].mkdir()
        self.lake.mkdir()
        os.symlink(data_dir / "log", self.dirs[1] / "log")
        self.log = self.lake / "tables" / "124df56aef51_user_table" / "_delta_log"
        self.posted = 0
        self.running = [None, None]

    def words(self, which):
        return ["stream", "--dir", self.dirs[which], "--lake", f"file:{self.lake}"]

    def begin(self, which):
        # Batches of different ages, so that they overlap.
        self.running[which] = self.start(*self.words(which), "--stream-age", ("5ms", "30ms")[which])

    def kill(self, which):
        self.running[which].kill()

    def commits(self):
        return len(list(self.log.glob("*.json"))) if self.log.exists() else 0

    def post(self):
        values = [{"ind": i} if i % 10 else "no row" for i in range(self.posted, self.posted + POSTS)]
        records = [{"data": json.dumps(value), "partition-key": str(n)} for n, value in enumerate(values)]
        request = urllib.request.Request(f"{self.gateway.url}/streams/{STREAM}/records", method="PUT",
                                         data=json.dumps({"records": records}).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            assert json.load(reply)["FailedRecordCount"] == 0
        self.posted += POSTS

    def ask(self, *words):
        """The answer of a command on the lake."""
        done = self.run_command(*words, "--dir", self.dirs[0], "--lake", f"file:{self.lake}", "--format", "json")
        return json.loads(done.stdout)

    def sql(self, query):
        return self.ask("sql", "--from", "stream", query)

    def check(self):
        rows = [(row["_partition"], row["_offset"]) for row in self.sql("SELECT _partition, _offset FROM user_all")]
        letters = [(letter["partition"], letter["offset"]) for letter in self.ask("dlq", STREAM)]
        assert len(rows) == len(set(rows)) == self.posted * 9 // 10
        assert len(letters) == len(set(letters)) == self.posted // 10
        assert not set(rows) & set(letters)
        inds = sorted(row["ind"] for row in self.sql("SELECT ind FROM user_all"))
        assert inds == [i for i in range(self.posted) if i % 10]


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random(start, run, start_gateway, data_dir, tmp_path, seed):
    chance = random.Random(seed)
    pair = Pair(start, run, data_dir, tmp_path, start_gateway("--shards", SHARDS))
    pair.post()
    for which in (0, 1):
        pair.begin(which)
    for _ in range(ROUNDS):
        wanted = pair.commits() + chance.randrange(1, 8)
        wait_until(lambda: pair.post() or pair.commits() >= wanted, "commits")
        which = chance.randrange(2)
        pair.kill(which)
        pair.begin(which)
    for which in (0, 1):
        pair.kill(which)
        run(*pair.words(which), "--until-end")
    pair.check()
    run("check", "--dir", data_dir, "--lake", f"file:{pair.lake}")
