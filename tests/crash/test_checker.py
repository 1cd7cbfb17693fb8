"""The torture's checker itself: of a log and a lake that were doctored it reports what was done, by its name."""
import base64
import copy
import json
import pathlib
import shutil
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

from crc32c import crc32c  # noqa: E402

from checker import KINDS, Checker, lane_of, live_files  # noqa: E402
from client import Client, Entry, Load  # noqa: E402
from duck import Duck  # noqa: E402
from journal import RECORDS, Log, Segment, digest  # noqa: E402
from pipeline import Pipeline  # noqa: E402

USER = "u1"


def is_known_letter(entry):
    """A dead letter of the pins, and its client was told where it is."""
    return entry.state == "acked" and (entry.path, entry.table, entry.row) == ("batch", "pin", None)


@pytest.fixture(scope="module")
def worked(pinpipe, tmp_path_factory):
    """(data directory, ledger) of a pipeline that has worked off a few hundred records, and had one restart."""
    place = tmp_path_factory.mktemp("worked")
    pipeline = Pipeline(pinpipe, place / "data", place, USER, {"PINPIPE_LOG_RETENTION": "0"})
    try:
        pipeline.start()
        pipeline.await_healthy()
        with Load(pipeline.port, USER, seed=1) as load:
            load.wait_for_more(400, pipeline)
            pipeline.kill("gateway")
            load.wait_for_more(400, pipeline)
            while not any(is_known_letter(entry) for entry in list(load.ledger)):
                load.wait_for_more(50, pipeline)
        pipeline.finish()
    finally:
        pipeline.close()
    return place / "data", load.ledger


@pytest.fixture
def case(worked, tmp_path):
    return Case(*worked, tmp_path / "data")


class Case:
    """A copy to be doctored."""

    def __init__(self, data, ledger, directory):
        shutil.copytree(data, directory)
        self.data, self.lake, self.ledger = directory, directory / "lake", copy.deepcopy(ledger)

    def report(self):
        checker = Checker(self.data, USER)
        checker.log.finish()
        return checker.check_lake(self.ledger)

    def expect(self, *kinds):
        """Exactly these kinds are reported."""
        report = self.report()
        assert {kind for kind in KINDS if report[kind]} == set(kinds), str(report)
        return report

    def acked(self, path="batch", table="pin", bad=False):
        """Those acknowledged, in their order in the log."""
        return sorted((entry for entry in self.ledger if entry.state == "acked" and entry.path == path
                       and entry.table == table and (entry.row is None) == bad), key=lambda e: lane_of(USER, e))

    def objects(self):
        return sorted((self.lake / "topics" / f"{USER}.pin").glob("partition=0/*.json"))

    def long_object(self):
        """That with the most lines: a machine that is slow makes some of one line."""
        return max(self.objects(), key=lambda path: path.read_bytes().count(b"\n"))

    def letters(self):
        return sorted((self.lake / "dlq" / f"{USER}.pin").glob("partition=0/*.ndjson"))

    def rewrite_letter(self, change):
        """One of a record whose client was told its place: only against that can a letter be held."""
        known = {(entry.partition, entry.offset) for entry in self.acked(bad=True)}
        for path in self.letters():
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for letter in lines:
                if (letter["partition"], letter["offset"]) in known:
                    change(letter)
                    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
                    return
        raise AssertionError("no letter of an acknowledged record")

    def rewrite_table(self, query, name=f"{USER}_pin_clean"):
        """The query, in which {0} is the table's newest file, takes its place."""
        duck = Duck()
        path = live_files(duck, self.lake / "tables" / name)[-1]
        duck.value(f"COPY ({query.format(path)}) TO '{path}.new' (FORMAT parquet)")
        duck.close()
        path.with_name(path.name + ".new").replace(path)

    def batch_in_log(self):
        """(segment's path, offset in it, batch) of the first records."""
        for path in sorted((self.data / "log").glob("*.segment")):
            segment = Segment(int(path.stem), path.read_bytes())
            position = segment.base + 4096
            while batch := segment.batch_at(position):
                if batch.kind == RECORDS:
                    return path, position - segment.base, batch
                position += (80 + batch.bytes + 7) // 8 * 8
        raise AssertionError("no records")

    def write_in_log(self, delta, data):
        path, at, _ = self.batch_in_log()
        with open(path, "r+b") as file:
            file.seek(at + delta)
            file.write(data)


def test_nothing_was_done(case):
    report = case.expect()
    assert report.counts["acked"] >= 800 and report.counts["log read"] >= 800 and not report.counts["log unread"]
    assert report.counts["rows"] and report.counts["letters"]
    assert report.counts["unknown"] == report.counts["unknown-present"] + report.counts["unknown-absent"]


def put_manifest(case, path, runs):
    start = int(path.stem.rpartition("+")[2])
    place = case.lake / "manifests" / f"{USER}.pin" / "partition=0"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{start:020}+{crc32c(path.read_bytes()):08x}.json").write_text(json.dumps(
        {"key": "", "after": None, "runs": [[f"{first:020}", count] for first, count in runs]}))


def test_a_manifest_says_which_offsets_the_lines_have(case):
    """What it leaves out, and the log has, is lost, whatever a letter says of it."""
    path = case.long_object()
    lines = path.read_bytes().splitlines(keepends=True)
    start = int(path.stem.rpartition("+")[2])
    put_manifest(case, path, [(start, 1), (start + 1, len(lines) - 1)])
    case.expect()
    del lines[1]
    path.write_bytes(b"".join(lines))
    put_manifest(case, path, [(start, 1), (start + 2, len(lines) - 1)])
    report = case.expect("lost")
    letter = {"topic": f"{USER}.pin", "partition": "0", "offset": f"{start + 1:020}", "stage": "sink",
              "reason": "left the log before it was read", "timestamp_ms": 0, "value": None}
    place = case.lake / "dlq" / f"{USER}.pin" / "partition=0"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{start:020}-{start + 1:020}.ndjson").write_text(json.dumps(letter) + "\n")
    assert case.expect("lost").faults == report.faults


def test_acknowledged_and_nowhere(case):
    last = case.acked()[-1]
    entry = Entry("nowhere", "batch", "pin", last.client, last.number + 1)
    entry.digest, entry.row, entry.state, entry.partition = digest(b"nowhere"), "", "acked", "0"
    entry.offset = "%020d" % (int(last.offset) + 1000)
    case.ledger.append(entry)
    case.expect("lost")


def test_object_gone(case):
    case.objects()[0].unlink()
    case.expect("lost")


def test_object_twice(case):
    path = case.long_object()
    stem, start = path.stem.rsplit("+", 1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.with_name(f"{stem}+{int(start) + len(lines) - 1:010d}.json").write_bytes(lines[-1])
    case.expect("doubled")


def test_line_altered(case):
    path = case.objects()[0]
    path.write_bytes(path.read_bytes().replace(b'"travel"', b'"cooking"', 1))
    case.expect("altered", "lost")


def test_lines_exchanged(case):
    path = case.long_object()
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([second, first, *rest]))
    assert "doubled" in {kind for kind in KINDS if case.report()[kind]}


def test_row_gone(case):
    case.rewrite_table("SELECT * FROM read_parquet('{0}') WHERE _offset <> "
                       "(SELECT max(_offset) FROM read_parquet('{0}'))")
    case.expect("lost")


def test_row_twice(case):
    case.rewrite_table("SELECT * FROM read_parquet('{0}') UNION ALL (FROM read_parquet('{0}') LIMIT 1)")
    case.expect("doubled")


def test_row_altered(case):
    case.rewrite_table("SELECT * REPLACE (ind + 1 AS ind) FROM read_parquet('{0}')", f"{USER}_pin_table")
    case.expect("altered")


def test_letter_gone(case):
    case.letters()[0].unlink()
    case.expect("lost")


def test_letter_twice(case):
    path = case.letters()[0]
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    case.expect("doubled")


def test_letter_altered(case):
    def change(letter):
        letter["value"] = base64.b64encode(base64.b64decode(letter["value"]) + b" ").decode()
    case.rewrite_letter(change)
    assert "altered" in {kind for kind in KINDS if case.report()[kind]}


def test_letter_elsewhere(case):
    """The text of its place is not what the client was told, though it means the same."""
    def change(letter):
        letter["offset"] = "0" + letter["offset"]
    case.rewrite_letter(change)
    case.expect("altered")


def test_commit_gone(case):
    """A reader of the table could not replay its log."""
    commits = sorted((case.lake / "tables" / f"{USER}_pin_table" / "_delta_log").glob("*.json"))
    commits[(len(commits) - 1) // 2].unlink()  # not the last: that one nobody would miss
    with pytest.raises(AssertionError, match="no commit"):
        case.report()


class Answering(Client):
    """Is given an answer instead of asking for it."""

    def __init__(self, status, body):
        super().__init__(0, 0, USER, "batch", 1, threading.Event())
        self.answer = status, body

    def request(self, *_):
        self.stop.set()
        return self.answer


@pytest.mark.parametrize("body", [b'{"offsets":[]}', b"{}", b"cut off {"])
def test_wrong_answer(body):
    """A client that cannot read what it is told fails the session; it is not one that got no answer."""
    load = Load(0, USER, 1, clients=0)
    load.clients = [Answering(200, body)]
    with pytest.raises(AssertionError, match="wrong answer"):
        with load:
            load.clients[0].join()


def test_row_as_letter(case):
    for entry in case.acked(bad=True):
        entry.row = "it was a row"
    case.expect("altered")


def test_never_sent(case):
    case.ledger = [entry for entry in case.ledger if entry is not case.acked()[0]]
    case.expect("phantom")


@pytest.mark.parametrize("state", ["refused", "unsent"])
def test_not_to_be_stored(case, state):
    case.acked()[0].state = state
    case.expect("phantom")


def test_reordered(case):
    first, second = [entry for entry in case.acked() if entry.client == case.acked()[0].client][:2]
    a, b = case.ledger.index(first), case.ledger.index(second)
    case.ledger[a], case.ledger[b] = second, first
    case.expect("reordered")


def test_acknowledged_elsewhere(case):
    entry = case.acked("stream")[0]
    entry.offset = str(int(entry.offset) + (1 << 80))
    report = case.report()
    assert report["doubled"] and report["lost"]


def test_unknown(case):
    before = case.report().counts
    case.acked()[0].state = "unknown"
    entry = Entry("absent", "batch", "pin", 0, 1 << 30)
    entry.digest, entry.row = digest(b"absent"), ""
    case.ledger.append(entry)
    counts = case.expect().counts
    assert counts["unknown-present"] == before["unknown-present"] + 1
    assert counts["unknown-absent"] == before["unknown-absent"] + 1


@pytest.mark.parametrize("delta", [8, 40, 80, 90])     # position, watermark, the first bytes of the payload
def test_log_damaged(case, delta):
    case.write_in_log(delta, b"\x5a")
    report = case.report()
    assert report["damaged"], str(report)


def test_log_differs(case):
    """The log holds another valid value: only log and lake together tell."""
    log = Log(case.data / "log")
    log.finish()
    lane, records = next((lane, records) for lane, records in log.records.items() if len(records) > 1)
    checker = Checker(case.data, USER)
    checker.log.finish()
    checker.log.records[lane][0], checker.log.records[lane][1] = records[1], records[0]
    report = checker.check_lake(case.ledger)
    assert report["altered"] and report["doubled"]


def test_log_cut(case):
    """Records that the lake holds are not in the log any more."""
    path = max((path for path in (case.data / "log").glob("*.segment")
                if Segment(int(path.stem), path.read_bytes()).state is not None), key=lambda path: int(path.stem))
    with open(path, "r+b") as file:
        first = Segment(int(path.stem), path.read_bytes()).batch_at(int(path.stem) + 4096)
        file.truncate(4096 + (80 + first.bytes + 7) // 8 * 8)
    report = case.report()
    assert report["lost"] and report["phantom"]
