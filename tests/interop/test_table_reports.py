"""What others reported of tables that are merged, cleaned up and checkpointed elsewhere, each tried on ours.

A number is that of an issue: delta-io/delta, delta-io/delta-rs, delta-io/delta-kernel-rs, duckdb/ducklake.
"""

import json
import os
import resource
import shutil
import subprocess
import threading
import time
import uuid

import pytest

import conftest
from test_interop import ask, own_rows
from upkeep import (A_COMMIT_A_RECORD, LATER_S, Duck, Rows, Workshop, delta_log, kept_versions, operations, table_of)

POSTS = 95          # so many commits: three checkpoints by the stream itself
DAY_S = 86400
ONE_ROW_FILES = 1200
COLUMN = "-- columns: ind integer, country string, more string\n"


@pytest.fixture(scope="module", name="made")
def fixture_made(tmp_path_factory):
    """A data directory with a table of POSTS commits, which nobody has merged."""
    shop = Workshop(tmp_path_factory.mktemp("reports"))
    shop.post(POSTS)
    shop.stream()
    return shop.directory


@pytest.fixture(name="shop")
def fixture_shop(made, tmp_path):
    shop = Workshop(tmp_path)
    shutil.copytree(made, shop.directory, copy_function=shutil.copy2)
    shop.numbers = iter(range(POSTS, 1 << 30))
    return shop


@pytest.fixture(name="root")
def fixture_root(shop):
    return table_of(shop.directory)


def go_on(shop, root, posts=12):
    """What was there is there once, and so is what comes now, here and for others."""
    shop.post(posts)
    shop.stream()
    rows = own_rows(shop.directory, "stream_geo")
    assert [row[0] for row in rows] == list(range(next(shop.numbers)))
    for reader in ("deltars", "duckdb"):
        assert ask(reader, {"geo": root})["geo"]["rows"] == rows
    shop.run("check")


def checkpoints(root):
    return delta_log.Names(root).checkpoints


def cut(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def make_old(paths, age_s):
    for path in paths:
        os.utime(path, (time.time() - age_s,) * 2)


def log_files(root):
    return {path.name for path in (root / "_delta_log").iterdir() if path.is_file()}


def data_files(root):
    return {path.name for path in root.glob("*.parquet")}


@pytest.mark.ci
def test_last_checkpoint_names_one_that_is_missing(shop, root):
    """kernel-rs 582, delta 6495: a hint is only that."""
    (root / "_delta_log" / "_last_checkpoint").write_text(json.dumps({"version": 33, "size": 40}))
    assert len(own_rows(shop.directory, "stream_geo")) == POSTS
    delta_log.checkpoint_path(root, checkpoints(root)[-1]).unlink()
    shop.post(12)
    shop.stream()
    assert len(own_rows(shop.directory, "stream_geo")) == POSTS + 12
    shop.run("check")


@pytest.mark.ci
@pytest.mark.parametrize("is_named", [False, True])
def test_checkpoint_that_is_cut(shop, root, is_named):
    """delta-rs 2258, delta 5458: whoever wrote it was killed. All commits are still there."""
    newest = checkpoints(root)[-1]
    cut(delta_log.checkpoint_path(root, newest))
    if not is_named:
        (root / "_delta_log" / "_last_checkpoint").write_text(
            json.dumps({"version": checkpoints(root)[-2], "size": 40}))
    assert [row[0] for row in own_rows(shop.directory, "stream_geo")] == list(range(POSTS))
    shop.post(12)
    shop.stream()
    assert [row[0] for row in own_rows(shop.directory, "stream_geo")] == list(range(POSTS + 12))


@pytest.mark.ci
def test_log_is_not_cleaned_up_to_a_checkpoint_that_is_cut(shop, root):
    """delta 2673: who cleans up makes sure of what all rests on then."""
    cut(delta_log.checkpoint_path(root, checkpoints(root)[-1]))
    shop.run("vacuum", later_s=LATER_S, status=None)
    assert [row[0] for row in own_rows(shop.directory, "stream_geo")] == list(range(POSTS))


@pytest.mark.ci
def test_checkpoint_in_parts_of_which_one_is_missing(shop, root):
    """kernel-rs 497."""
    newest = delta_log.checkpoint_path(root, checkpoints(root)[-1])
    newest.rename(newest.with_name(newest.name.replace(".parquet", ".0000000001.0000000002.parquet")))
    shop.run("vacuum", later_s=LATER_S)
    assert [row[0] for row in own_rows(shop.directory, "stream_geo")] == list(range(POSTS))


@pytest.mark.ci
def test_what_may_still_be_committed_stays(shop, root):
    """delta-rs 3645: a file without a commit is an orphan only when it is as old as files are kept."""
    young, old = (root / f"part-{uuid.uuid4()}.snappy.parquet" for _ in range(2))
    for path in (young, old):
        shutil.copy(root / sorted(data_files(root))[0], path)
    make_old([old], 8 * DAY_S)
    make_old([young], 600)
    shop.run("vacuum")
    assert young.exists() and not old.exists()


@pytest.mark.ci
def test_what_is_not_the_tables_stays(shop, root):
    """delta-rs 3645, too: with `full` all that no commit names was taken."""
    strangers = [root / name for name in ("notes.txt", "_private/part-1.parquet", ".hidden.parquet",
                                          "_delta_log/00000000000000000003.note.json")]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("somebody's")
    shop.run("vacuum", later_s=LATER_S)
    assert all(path.read_text() == "somebody's" for path in strangers)


@pytest.mark.ci
def test_dry_run_says_what_goes(shop, root):
    """delta-rs 3911: what was listed as deleted was still there. Here neither more nor less goes than was listed."""
    shop.run("optimize")
    before = data_files(root) | log_files(root)
    said = shop.run("vacuum", "--dry-run", later_s=LATER_S)
    assert data_files(root) | log_files(root) == before
    shop.run("vacuum", later_s=LATER_S)
    gone = before - data_files(root) - log_files(root)
    assert gone
    assert all(name in said.stdout + said.stderr for name in gone)
    assert not any(name in said.stdout for name in data_files(root))


@pytest.mark.ci
def test_progress_outlives_the_commits_that_made_it(shop, root):
    """The log no longer has a commit that says how far the stream is: the checkpoint does."""
    shop.run("optimize")
    shop.run("vacuum", later_s=LATER_S)
    assert delta_log.Names(root).commits[0] > 0
    go_on(shop, root)


@pytest.mark.ci
def test_young_versions_stay_readable(shop, root):
    """delta 606 and 255, delta-rs 3692: the log was cleaned up to a time that lies between two checkpoints."""
    versions = Rows(root)
    versions.note()
    make_old((root / "_delta_log").iterdir(), 3 * DAY_S)
    shop.post(12)
    shop.stream()
    versions.note()
    rows = own_rows(shop.directory, "stream_geo")
    shop.run("vacuum")
    assert delta_log.Names(root).commits[0] > 0
    kept = kept_versions(root)
    assert set(range(POSTS, POSTS + 13)) <= set(kept)
    for version in (kept[0], POSTS, POSTS + 1, POSTS + 6):
        answer = shop.run("sql", "--from", "stream", f'SELECT count(*) AS n FROM "geo_all@v{version}"')
        assert json.loads(answer.stdout) == [{"n": versions.at[version]}]
    assert len(rows) == POSTS + 12


@pytest.mark.ci
def test_version_whose_files_are_gone_is_named(shop, root):
    """delta 174: a reader got an error about some file."""
    shop.run("optimize")
    merged = delta_log.Names(root).commits[-1]
    shop.post(3)
    shop.stream()
    for name in delta_log.state_at(Duck(), root, 20).files:
        (root / name).unlink()
    said = shop.run("sql", "--from", "stream", 'SELECT count(*) FROM "geo_all@v20"', status=None)
    assert said.returncode and "geo" in said.stderr and "20" in said.stderr
    assert merged and len(own_rows(shop.directory, "stream_geo")) == POSTS + 3


@pytest.mark.ci
def test_checksums_go_with_their_commits(shop, root):
    """delta 7205."""
    for version in delta_log.Names(root).commits:
        (root / "_delta_log" / f"{version:020}.crc").write_text("{}")
    shop.run("vacuum", later_s=LATER_S)
    first = delta_log.Names(root).commits[0]
    assert first > 0
    assert min(name for name in log_files(root) if name.endswith(".crc")) >= f"{first:020}.crc"


@pytest.mark.ci
def test_merged_again_and_again(shop, root):
    """delta-rs 3047, ducklake 336: after a checkpoint it doubled rows, or merged no more. With nothing to do nothing is
    committed."""
    for _ in range(5):
        shop.post(15)
        shop.stream()
        shop.run("optimize")
        shop.run("vacuum", later_s=LATER_S)
    version = delta_log.Names(root).commits[-1]
    shop.run("optimize")
    assert delta_log.Names(root).commits[-1] == version
    assert len(delta_log.newest_state(Duck(), root).files) <= 25
    go_on(shop, root)


@pytest.mark.ci
def test_several_merge_at_once(shop, root):
    """delta 228, 326, 1305: a stream and an OPTIMIZE failed each other."""
    shop.post(40)
    stream = threading.Thread(target=shop.stream)
    stream.start()
    running = [subprocess.Popen([conftest.binary(), "optimize", "--dir", shop.directory], stderr=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, env=conftest.clean_environment()) for _ in range(3)]
    assert {process.wait(60) for process in running} <= {0, 73, 75}
    stream.join(60)
    shop.run("optimize")
    go_on(shop, root)
    assert "OPTIMIZE" in operations(root).values()


def widen(models):
    """A column more in the model of geo."""
    path = models / "clean" / "geo.sql"
    text = path.read_text()
    assert "country" in text
    path.write_text(text.replace("country string", "country string, more string", 1)
                    .replace("_partition,", "'more' AS more, _partition,", 1))


def test_thousands_of_one_row_files(tmp_path):
    """ducklake 536, delta-rs 2347 and 2518: they were not merged, in 100 GB, and not where a column had come since."""
    shop = Workshop(tmp_path)
    models = shutil.copytree(conftest.TOP / "models", tmp_path / "models")
    shop.post(ONE_ROW_FILES // 2)
    shop.stream()
    widen(models)
    shop.post(ONE_ROW_FILES // 2)
    shop.run("stream", "--until-end", "--models", models, **A_COMMIT_A_RECORD)
    root = table_of(shop.directory)
    assert len(delta_log.newest_state(Duck(), root).files) == ONE_ROW_FILES
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    shop.run("optimize", "--models", models, PINPIPE_MAINTAIN_MEMORY="64MiB")
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert after == before or after < 400 << 10
    assert len(delta_log.newest_state(Duck(), root).files) <= 30
    rows = json.loads(shop.run("sql", "--from", "stream", "--models", models,
                               "SELECT ind, more FROM geo_all ORDER BY ind").stdout)
    assert rows == [{"ind": n, "more": "more" if n >= ONE_ROW_FILES // 2 else None} for n in range(ONE_ROW_FILES)]


@pytest.mark.ci
def test_bounds_hold_to_the_microsecond(tmp_path):
    """delta-rs 2571: a file whose largest time was cut to milliseconds was passed over."""
    shop = Workshop(tmp_path)
    shop.post(30)
    shop.stream()
    root = table_of(shop.directory)
    shop.run("optimize")
    rows = own_rows(shop.directory, "stream_geo")
    for row in (rows[0], rows[13], rows[-1]):
        for reader in ("deltars", "duckdb"):
            assert ask(reader, {"geo": root}, {"geo": [["timestamp", row[3]], ["country", row[1]]]})["geo"]["matches"] \
                == [sum(other[at] == row[at] for other in rows) for at in (3, 1)]
