"""Tables that pinpipe merges and cleans up, beside others who read them, and who merge and clean up, too.

Every version that is kept has the rows of its time, for each reader. delta-rs's VACUUM, DELETE and UPDATE go on beside
a running `up`, its OPTIMIZE beside one that leaves merging to it (beside one that merges: test_heal.py). Spark's go on
between, as its log store may write over a commit of somebody else's. What Delta forbids us to touch is refused by
name. Properties that others set win.
"""

import hashlib
import itertools
import json
import re
import shutil
import threading

import pytest

import conftest
from test_interop import CACHE, READERS, ask, own_rows
from upkeep import LATER_S, ONE_SHARD, Failed, Rows, Talk, Workshop, kept_versions, operations, post, table_of

POSTS_BEFORE, POSTS_A_ROUND, ROUNDS = 60, 22, 7
KEPT_MIN = 120
SOON = {**ONE_SHARD, "PINPIPE_STREAM_AGE": "20ms", "PINPIPE_BATCH_EVERY": "1h"}
ROUNDS_BESIDE, COMMITS_A_ROUND = 10, 15     # of ours: more than are merged at once


def digest(rows):
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


class History:
    """A table of some 200 versions, the first of which have been cleaned up."""

    def __init__(self, place):
        self.shop = Workshop(place)
        self.root = table_of(self.shop.directory)
        self.versions = Rows(self.root)
        self.work(POSTS_BEFORE)
        self.before = {path.name for path in self.root.rglob("*") if path.is_file()}
        self.shop.run("vacuum", later_s=LATER_S)
        self.vacuumed = self.before - {path.name for path in self.root.rglob("*")}
        for _ in range(ROUNDS):
            self.work(POSTS_A_ROUND)
        self.rows = own_rows(self.shop.directory, "stream_geo")
        self.kept = kept_versions(self.root)

    def work(self, posts):
        self.shop.post(posts)
        self.shop.stream()
        self.shop.run("optimize")
        self.versions.note()

    def expected(self):
        return {str(version): digest(self.rows[:self.versions.at[version]]) for version in self.kept}


@pytest.fixture(scope="module", name="history")
def fixture_history(tmp_path_factory):
    return History(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module", name="spark")
def fixture_spark(tmp_path_factory):
    place = tmp_path_factory.mktemp("spark")
    talk = Talk(place, "spark", CACHE / "jars", place)
    yield talk
    talk.close()


@pytest.fixture(name="deltars")
def fixture_deltars(tmp_path):
    talk = Talk(tmp_path, "deltars")
    yield talk
    talk.close()


@pytest.mark.ci
def test_it_was_merged_and_cleaned_up(history):
    assert len(history.rows) == POSTS_BEFORE + ROUNDS * POSTS_A_ROUND == history.versions.count
    assert any(name.endswith(".parquet") for name in history.vacuumed)
    assert "00000000000000000000.json" in history.vacuumed and len(history.kept) >= KEPT_MIN
    done = list(operations(history.root).values())
    assert done.count("OPTIMIZE") >= ROUNDS - 2 and done.count("STREAMING UPDATE") >= KEPT_MIN


@pytest.mark.ci
@pytest.mark.parametrize("reader", ["duckdb", "deltars"])
def test_every_kept_version(history, reader):
    answer = ask(reader, {"geo": history.root}, versions={"geo": history.kept})["geo"]
    assert answer["rows"] == history.rows
    assert answer["versions"] == history.expected()


def test_every_kept_version_by_spark(history, spark):
    answer = spark.tell(read=str(history.root), versions=history.kept)
    assert answer["rows"] == history.rows
    assert answer["versions"] == history.expected()


class Beside:
    """A running `up` with posts, and somebody else at the same table; what is in it at the end."""

    def __init__(self, place, **settings):
        self.shop, self.countries = Workshop(place), []
        self.root = table_of(self.shop.directory)
        self.stop, self.failure = threading.Event(), None
        self.up = conftest.Service([conftest.binary(), "up", "--listen", "127.0.0.1:0", "--dir", self.shop.directory],
                                   place / "up", {**SOON, **settings}, place)
        self.url = self.up.wait_for(r"https?://[\d.]+:[1-9]\d*")[0]
        self.thread = threading.Thread(target=self.load, daemon=True)

    def load(self):
        try:
            for number in itertools.count():
                if self.stop.is_set():
                    return
                self.countries.append(f"c{number % 100}")
                post(self.url, number, self.countries[-1])
        except Exception as failure:  # pylint: disable=broad-except  # it fails the test
            self.failure = failure

    def __enter__(self):
        self.thread.start()
        conftest.wait_until(lambda: (self.root / "_delta_log").is_dir() and operations(self.root), "the table")
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        try:
            if self.up.process.poll() is None:
                self.up.stop()
        finally:
            self.up.destroy()

    def wait_for_commits(self):
        goal = max(operations(self.root), default=0) + COMMITS_A_ROUND
        conftest.wait_until(lambda: max(operations(self.root)) >= goal or self.failure, "more commits")
        assert not self.failure, self.failure

    def end(self):
        """(ind, country) of all rows, when all is worked off."""
        self.__exit__()
        assert not self.failure, self.failure
        self.shop.run("stream", "--until-end")
        rows = own_rows(self.shop.directory, "stream_geo")
        return [(row[0], row[1]) for row in rows]


def try_to(talk, name, path, **arguments):
    """1: it was done. What loses against a commit of ours may say so."""
    try:
        talk.call(name, path, **arguments)
        return 1
    except Failed as failed:
        assert "onflict" in str(failed) or "ommit" in str(failed), failed
        return 0


@pytest.mark.ci
def test_two_who_merge_are_one_too_many_for_deltars(tmp_path, deltars):
    """Why one has to leave it alone: it sees what others have done meanwhile, but no merge. Here it is its own."""
    maker = Workshop(tmp_path)
    maker.post(12)
    maker.stream()
    root = table_of(maker.directory)
    deltars.call("remember", root)
    deltars.call("compact", root)
    deltars.call("compact", "")
    assert len(deltars.rows(root)) == 2 * 12


@pytest.mark.ci
def test_deltars_merges_beside_us(tmp_path, deltars):
    """What it rewrites has all rows, and none twice, while a stream that does not know of it goes on."""
    done = dict.fromkeys(("compact", "z_order"), 0)
    with Beside(tmp_path, PINPIPE_MAINTAIN_EVERY="0") as beside:
        for _ in range(ROUNDS_BESIDE):
            beside.wait_for_commits()
            done["compact"] += try_to(deltars, "compact", beside.root)
            done["z_order"] += try_to(deltars, "z_order", beside.root, columns=["ind"])
        rows = beside.end()
    assert rows == list(enumerate(beside.countries)) and all(done.values()), done
    assert [tuple(row[:2]) for row in deltars.rows(beside.root)] == rows
    beside.shop.run("optimize")
    beside.shop.run("vacuum", later_s=LATER_S)
    beside.shop.run("check")
    assert [(row[0], row[1]) for row in own_rows(beside.shop.directory, "stream_geo")] == rows
    assert [tuple(row[:2]) for row in deltars.rows(beside.root)] == rows


def change(deltars, root, number, gone, renamed):
    """A DELETE and an UPDATE of what is in the table by now."""
    last = max(row[0] for row in deltars.rows(root))
    if try_to(deltars, "delete", root, predicate=f"country = 'c{number}' AND ind <= {last}"):
        gone |= {at for at in range(last + 1) if at % 100 == number}
    if try_to(deltars, "update", root, predicate=f"country = 'c{50 + number}' AND ind <= {last}",
              new_values={"country": f"new{number}"}):
        renamed |= {at: f"new{number}" for at in range(last + 1) if at % 100 == 50 + number}


@pytest.mark.ci
def test_deltars_changes_and_cleans_up_beside_us(tmp_path, deltars):
    """What it has changed stays changed, whatever we merge meanwhile; nothing else changes."""
    gone, renamed, done = set(), {}, dict.fromkeys(("vacuum", "checkpoint", "cleanup"), 0)
    with Beside(tmp_path) as beside:
        for number in range(ROUNDS_BESIDE):
            beside.wait_for_commits()
            change(deltars, beside.root, number, gone, renamed)
            done["vacuum"] += try_to(deltars, "vacuum", beside.root, dry_run=False)
            done["checkpoint"] += try_to(deltars, "checkpoint", beside.root)
            done["cleanup"] += try_to(deltars, "cleanup", beside.root)
        rows = sorted(beside.end())
    assert gone and renamed and all(done.values()), (len(gone), len(renamed), done)
    assert rows == [(at, renamed.get(at, country)) for at, country in enumerate(beside.countries) if at not in gone]
    beside.shop.run("optimize")
    beside.shop.run("vacuum", later_s=LATER_S)
    assert sorted((row[0], row[1]) for row in own_rows(beside.shop.directory, "stream_geo")) == rows
    assert sorted((row[0], row[1]) for row in deltars.rows(beside.root)) == rows


@pytest.fixture(name="copy")
def fixture_copy(history, tmp_path):
    """Of the table with its log and all, to be written to."""
    shop = Workshop(tmp_path)
    shutil.copytree(history.shop.directory, shop.directory)
    shop.numbers = itertools.count(len(history.rows))
    return shop


def test_spark_merges_and_cleans_up_between(copy, spark):
    root = table_of(copy.directory)
    spark.sql("SET spark.databricks.delta.retentionDurationCheck.enabled=false")
    for number in range(2):
        copy.post(15)
        copy.stream()
        spark.sql(f"OPTIMIZE delta.`{root}`" + (" ZORDER BY (ind)" if number == 1 else ""))
        copy.post(15)
        copy.stream()
        spark.sql(f"VACUUM delta.`{root}` RETAIN 0 HOURS")
        copy.run("optimize")
        copy.run("vacuum", later_s=LATER_S)
        rows = own_rows(copy.directory, "stream_geo")
        assert [row[0] for row in rows] == list(range(len(rows)))
        assert spark.rows(root) == rows
    copy.run("check")


def set_properties(spark, root, **properties):
    spark.sql(f"ALTER TABLE delta.`{root}` SET TBLPROPERTIES (" + ", ".join(
        f"'delta.{name}' = '{text}'" for name, text in properties.items()) + ")")


def there(root):
    """Data files and commits. Of checkpoints some may go, as they are thinned out."""
    return {path for path in root.rglob("*") if path.suffix in (".parquet", ".json") and "checkpoint" not in path.name}


def test_properties_that_spark_sets_win(copy, spark):
    """Also over an option that is set here, and also when a writer has been at the table since."""
    root = table_of(copy.directory)
    set_properties(spark, root, deletedFileRetentionDuration="interval 30 days",
                   logRetentionDuration="interval 31 days")
    copy.post(20)
    copy.stream()
    copy.run("optimize")
    before = there(root)
    copy.run("vacuum", later_s=LATER_S, PINPIPE_TABLE_RETENTION="2h", PINPIPE_TABLE_LOG_RETENTION="2h")
    assert before <= there(root)
    details, = spark.sql(f"DESCRIBE DETAIL delta.`{root}`")
    assert "interval 30 days" in str(details["properties"]) and "interval 31 days" in str(details["properties"])
    copy.run("vacuum", later_s=40 * 86400)
    after = there(root)
    assert any(path.suffix == ".parquet" and path.parent == root for path in before - after)
    assert any(path.suffix == ".json" for path in before - after)
    set_properties(spark, root, enableExpiredLogCleanup="false")
    copy.post(20)
    copy.stream()
    kept = {path for path in there(root) if path.parent.name == "_delta_log"}
    copy.run("vacuum", later_s=80 * 86400)
    assert kept <= there(root)
    assert spark.rows(root) == own_rows(copy.directory, "stream_geo")


@pytest.mark.parametrize("property_name", ["enableDeletionVectors", "enableChangeDataFeed", "enableRowTracking"])
def test_what_delta_forbids_us_is_refused_by_name(copy, spark, property_name):
    """Nothing of that table is touched; what it says names the table and why. There would be something to do."""
    root = table_of(copy.directory)
    copy.post(15)
    copy.stream()
    set_properties(spark, root, **{property_name: "true"})
    if property_name == "enableDeletionVectors":
        spark.sql(f"DELETE FROM delta.`{root}` WHERE ind = 7")
    before, rows = there(root), spark.rows(root)
    copy.post(3)
    for words in (["optimize"], ["vacuum"], ["stream", "--until-end"]):
        said = copy.run(*words, later_s=LATER_S, status=None)
        assert said.returncode and "geo_table" in said.stderr
        assert re.search("asks for (read|writ)er version", said.stderr)
    assert there(root) == before and spark.rows(root) == rows
