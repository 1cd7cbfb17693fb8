"""Five of the planted bugs: the checks that have to find them do. `make torture` tries them all."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))

import planted  # noqa: E402

CHEAP = ("sync-retried", "sync-error-ignored", "skip-crc", "rename-before-sync", "stream-commit-without-txn")
BUGS_MIN = 20


def test_planted_bugs_are_caught():
    chosen = [patch for patch in planted.patches() if any(word in patch.stem for word in CHEAP)]
    assert len(chosen) == len(CHEAP) and len(planted.patches()) >= BUGS_MIN
    found = planted.try_all(chosen)
    assert not any(found.values()), found
