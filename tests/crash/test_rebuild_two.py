"""A rebuild beside batches with directories of their own, on one lake: it is held, or killed, and nothing is lost."""

import json
import pathlib
import random
import shutil
import sys
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "tests"))
sys.path.append(str(TOP / "tests" / "sql"))
from conftest import wait_until  # noqa: E402
from lake import ID, Lake  # noqa: E402

MODEL = """-- title: Clicks
-- key: {key} AS id
-- fields: {key}
-- columns: id int
SELECT as_int({key}) + {more} AS id, _partition, _offset FROM raw
"""
OLD, NEW = {"key": "id", "more": 0}, {"key": "ident", "more": 1000}
HELD = ["rebuild-cleaned", "rebuild-kept", "rebuild-sealed", "batch-cleaned", "delta-before-commit",
        "rebuild-committed", "rebuild-forgot", "rebuild-copied"]
PER_OBJECT = 10


class Two:
    """One lake, directories "a", which holds it, and "b", and the old model and the new."""

    def __init__(self, start, run, top):
        self.starter, self.run, self.top, self.total = start, run, top, 0
        self.lake = Lake(run, top / "a")
        self.url = f"file:{top / 'a' / 'lake'}"
        self.models = {name: self.put_model(name, shape) for name, shape in (("old", OLD), ("new", NEW))}
        (top / "b").mkdir()

    def put_model(self, name, shape):
        directory = pathlib.Path(shutil.copytree(TOP / "models", self.top / f"models-{name}"))
        (directory / "clean" / "clicks.sql").write_text(MODEL.format(**shape))
        return directory

    def fill(self):
        """Odd records are rows of the old model, even ones of the new."""
        self.lake.put("clicks", [{"id" if i % 2 else "ident": i}
                                 for i in range(self.total, self.total + PER_OBJECT)], self.total)
        self.total += PER_OBJECT

    def start(self, directory, model, *words, env=None):
        return self.starter(*words, "--dir", self.top / directory, "--lake", self.url, "--models", self.models[model],
                            env=env)

    def rebuild(self, env=None):
        return self.start("b", "new", "rebuild", "clicks", "--from", "batch", env=env)

    def state(self):
        """The rows' offsets by model, and those of the letters; each offset is one of them, once."""
        found = self.lake.sql("SELECT id, _offset FROM clicks_all", "--models", self.models["new"])
        rows = {int(row["_offset"]): row["id"] for row in found}
        listed = self.lake.run("dlq", f"{ID}.clicks", "--dir", self.lake.dir, "--format", "json").stdout
        dead = [int(letter["offset"]) for letter in json.loads(listed)]
        assert len(rows) == len(found) and sorted([*rows, *dead]) == list(range(self.total))
        return rows

    def staged(self):
        return [path for path in (self.lake.dir / "lake" / "tables" / f"{ID}_clicks_clean" / "_rebuild").rglob("*")
                if path.is_file()]


@pytest.fixture
def two(start, run, tmp_path, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    return Two(start, run, tmp_path)


def is_stopped(service):
    return pathlib.Path(f"/proc/{service.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def finish(service):
    assert service.process.wait(120) == 0, service.said()


@pytest.mark.parametrize("more", [False, True], ids=["nothing-new", "objects-come"])
@pytest.mark.parametrize("point", HELD)
def test_a_rebuild_is_held(two, point, more):
    """Whatever a batch of another directory does meanwhile, the rebuild ends well."""
    two.fill()
    two.fill()
    finish(two.start("a", "old", "batch"))
    assert all(i % 2 for i in two.state())
    rebuild = two.rebuild({"PINPIPE_FAILPOINTS": f"{point}:stop@1"})
    wait_until(lambda: is_stopped(rebuild), "the stop")
    if more:
        two.fill()
    for _ in range(2):
        finish(two.start("a", "new" if more else "old", "batch"))
    rebuild.process.send_signal(18)  # SIGCONT
    finish(rebuild)
    rows = two.state()
    assert rows == {i: 1000 + i for i in range(0, two.total, 2)}
    finish(two.start("a", "new", "batch"))
    assert two.state() == rows and not two.staged()


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random(two, seed):
    """Two rebuilds and a batch at once; whoever is left makes the table whole."""
    rng = random.Random(seed)
    two.fill()
    finish(two.start("a", "old", "batch"))
    (two.top / "c").mkdir()
    for nth in range(8):
        two.fill()
        workers = [two.rebuild(), two.start("c", "new", "rebuild", "clicks", "--from", "batch"),
                   two.start("a", "new", "batch")]
        if nth % 4 < 3:
            time.sleep(rng.uniform(0.02, 0.6))  # a kill at a random time is the point of it
            for worker in rng.sample(workers, rng.choice((1, 2))):
                worker.kill()
        for worker in workers:
            assert worker.process.wait(120) in (0, -9), worker.said()
        finish(two.start("a", "new", "batch"))
        two.state()
    finish(two.rebuild())
    assert two.state() == {i: 1000 + i for i in range(0, two.total, 2)} and not two.staged()
