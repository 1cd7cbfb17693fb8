"""A soak of seconds: it ends clean, its judge finds what is planted, and a fabricated day is a table like any other."""

import argparse
import json
import shutil
import subprocess
import sys

import pytest

import conftest

sys.path[:0] = [str(conftest.TOP / "bench"), str(conftest.TOP / "tests" / "torture")]

import soak  # noqa: E402  pylint: disable=wrong-import-position
from day import Day  # noqa: E402  pylint: disable=wrong-import-position
from live_table import LiveTable  # noqa: E402  pylint: disable=wrong-import-position
from soak_ledger import Judge  # noqa: E402  pylint: disable=wrong-import-position

CLEAN = {"lost": 0, "doubled": 0, "phantom": 0, "altered": 0}


@pytest.fixture(name="soaked", scope="module")
def fixture_soaked(tmp_path_factory):
    place = tmp_path_factory.mktemp("soak")
    patch = pytest.MonkeyPatch()
    patch.setattr(soak, "VICTIMS", ("gateway", "stream", "supervisor"))
    try:
        done = soak.Soak(argparse.Namespace(binary=conftest.binary(), minutes=0.1, rate=50, seed=1, kill_every=3),
                         place)
        assert done.run()
    finally:
        patch.undo()
    assert done.killer.kills.total() >= 1
    return done


@pytest.fixture(name="copied")
def fixture_copied(soaked, tmp_path):
    """Of what a soak left: (the lake, the ledger), to be spoiled."""
    shutil.copytree(soaked.pipeline.directory / "lake", tmp_path / "lake")
    shutil.copytree(soaked.place / "ledger", tmp_path / "ledger")
    return tmp_path / "lake", tmp_path / "ledger"


def judged(lake, ledger):
    return Judge(lake, "u1", ledger).judge()


def change(ledger, name, edit):
    lines = (ledger / name).read_text().splitlines()
    edit(lines)
    (ledger / name).write_text("".join(line + "\n" for line in lines))


def acked(lines):
    return next(n for n, line in enumerate(lines) if ",acked," in line and not line.endswith(","))


def test_a_soak_samples_what_it_takes(soaked):
    lines = (soaked.place / "samples.csv").read_text().splitlines()
    assert lines[0].startswith("s,up_MiB,up_fds,gateway_MiB") and len(lines) > 1
    assert judged(soaked.pipeline.directory / "lake", soaked.place / "ledger").faults == CLEAN


def test_what_was_acknowledged_and_is_nowhere_is_lost(copied):
    change(copied[1], "stream-pin.csv",
           lambda lines: lines.append("stream,pin,stream-3-999999,acked,shardId-000000000000,77,abc"))
    assert judged(*copied).faults == {**CLEAN, "lost": 1}


def test_a_row_that_nobody_sent_is_a_phantom(copied):
    change(copied[1], "batch-user.csv", lambda lines: lines.pop(acked(lines)))
    assert judged(*copied).faults == {**CLEAN, "phantom": 1}


def test_a_row_with_other_cells_is_altered(copied):
    def edit(lines):
        n = acked(lines)
        lines[n] = lines[n].rpartition(",")[0] + ",0123456789abcdef"
    change(copied[1], "batch-geo.csv", edit)
    assert judged(*copied).faults == {**CLEAN, "altered": 1}


def test_rows_of_a_file_that_is_live_twice_are_doubled(copied):
    table = LiveTable(copied[0] / "tables" / "u1_geo_table").follow()
    name = next(iter(table.files))
    shutil.copy(table.root / name, table.root / f"again-{name}")
    add = {"add": {"path": f"again-{name}", "size": 1}}
    (table.log / f"{table.version + 1:020}.json").write_text(json.dumps(add) + "\n")
    assert judged(*copied).faults["doubled"] >= 1


def asked(directory):
    out = subprocess.run([conftest.binary(), "sql", "--dir", directory, "--id", "u1", "--from", "stream", "--format",
                          "json", "SELECT count(*) AS n FROM geo_all"], env=conftest.clean_environment(),
                         stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    return json.loads(out)[0]["n"]


def test_a_day_that_was_made_is_a_table_with_its_rows(copied, tmp_path):
    before, table = asked(tmp_path), LiveTable(copied[0] / "tables" / "u1_geo_table").follow()
    rows = [json.loads(json.loads(line)["add"]["stats"])["numRecords"]
            for version in range(table.version + 1)
            for line in (table.log / f"{version:020}.json").read_text().splitlines() if line.startswith('{"add"')]
    assert sum(rows) == before
    seeds, first = len(rows), table.version + 1
    Day(table, 200).make()
    made = before + sum(rows[version % seeds] for version in range(first, 200))
    assert asked(tmp_path) == made
    for version in range(190):      # its checkpoints name all that its commits do
        (table.log / f"{version:020}.json").unlink()
    assert LiveTable(table.root).follow().files == table.files
    assert asked(tmp_path) == made
