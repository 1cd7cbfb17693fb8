"""What the parts of the torture share: a place to work in, and the table of what came out."""
import contextlib
import os
import pathlib
import shutil
import tempfile

from checker import KINDS

MEMORY = pathlib.Path("/dev/shm")  # a killed process needs no disk
OUTCOMES = ("acked", "unknown-present", "unknown-absent")


class Place:
    def __init__(self, path):
        self.path, self.keep = path, False


@contextlib.contextmanager
def workplace(name):
    """A directory that goes, unless `keep` was set or something was raised."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    place = Place(pathlib.Path(tempfile.mkdtemp(prefix=f"pinpipe-{name}-", dir=where)))
    try:
        yield place
    except Exception:   # not what was interrupted
        place.keep = True
        raise
    finally:
        if place.keep:
            print(f"kept: {place.path}", flush=True)
        else:
            shutil.rmtree(place.path)


class Figures:
    """A line a session while it goes on, a line a part at the end."""

    def __init__(self):
        self.sums = {}          # part -> what, in all
        self.missed = []        # what was to be done and could not be
        self.left_out = []      # what cannot be done on this machine

    def add(self, part, seed, done, seconds, report, whole=0):
        """`report`: the checker's, or another dict of lists with `counts`. `whole`: so many there are."""
        new = {"sessions": 1, "done": done, "of": whole, **{kind: len(report[kind]) for kind in KINDS},
               **{name: report.counts[name] for name in OUTCOMES}, "s": seconds}
        total = self.sums.setdefault(part, dict.fromkeys(new, 0))
        for name, value in new.items():
            total[name] += value
        print(f"{part}, seed {seed}: {done} in {seconds:.0f} s; {report}", flush=True)

    @property
    def faults(self):
        return sum(total[kind] for total in self.sums.values() for kind in KINDS)

    def print(self):
        columns = list(next(iter(self.sums.values()), {}))
        rows = [["part", *columns]] + [[part, *("" if name == "of" and not total[name] else f"{total[name]:.0f}"
                                                for name in columns)] for part, total in self.sums.items()]
        widths = [max(map(len, column)) for column in zip(*rows)]
        print()
        for row in rows:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
        for text in self.left_out:
            print(f"left out: {text}")
        for text in self.missed:
            print(f"missed: {text}")


def print_counts(title, counts):
    """Who it happened to, where, and how often: counts[who, where]."""
    names = sorted({who for who, _ in counts})
    print(f"{title:<26}" + "".join(f"{name:>12}" for name in names))
    for place in sorted({place for _, place in counts}):
        print(f"{place:<26}" + "".join(f"{counts[name, place] or '.':>12}" for name in names))
    print(f"{'in all':<26}" + "".join(f"{sum(n for (who, _), n in counts.items() if who == name):>12}"
                                      for name in names), flush=True)
