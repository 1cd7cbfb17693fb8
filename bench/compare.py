"""make bench OLD=…: this program against an older one, round by round. README.md says how to read it."""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import works
from measure import TOP
from paired import ROUNDS_MIN, Ratios, pairs

LIMITS = {True: 1.05, False: 1.10}  # of hot rows (ingest, batch, stream), and of others


class Report:
    def __init__(self):
        self.rows = []
        print(f"{'work':42} {'old':>10} {'new':>10} {'':6} {'ratio':>6} {'95 % bounds':>13} {'limit':>6}  "
              f"{'verdict':14} {'CPU':>6} {'RSS':>6}", flush=True)

    def add(self, old, new, hot):
        """`old`, `new`: figures of one row, one a round."""
        row, limit = old[0], LIMITS[hot]
        ratios = pairs([figure.value for figure in old], [figure.value for figure in new], row.higher)

        def beside(what):
            """The same of CPU time or memory: shown, not judged."""
            found = [(getattr(a, what), getattr(b, what)) for a, b in zip(old, new)]
            return Ratios([b / a for a, b in found]) if all(a and b for a, b in found) else None

        cpu, rss, verdict = beside("cpu"), beside("rss"), ratios.verdict(limit)
        self.rows.append({
            "work": row.work, "unit": row.unit, "higher_is_better": row.higher, "hot": hot, "limit": limit,
            "old": [vars(figure) for figure in old], "new": [vars(figure) for figure in new], "verdict": verdict,
            **{name: found and {"ratios": found.ratios, "median": found.median, "lower": found.lower,
                                "upper": found.upper}
               for name, found in (("cost", ratios), ("cpu", cpu), ("rss", rss))}})
        middle = [statistics.median(figure.value for figure in side) for side in (old, new)]
        digits = 3 if middle[0] < 10 else 0
        bounds = "" if ratios.lower is None else f"{ratios.lower:.2f} to {ratios.upper:.2f}"
        print(f"{row.work:42} {middle[0]:>10,.{digits}f} {middle[1]:>10,.{digits}f} {row.unit:6} {ratios.median:6.2f} "
              f"{bounds:>13} {limit:6.2f}  {verdict:14} {f'{cpu.median:.2f}' if cpu else '':>6} "
              f"{f'{rss.median:.2f}' if rss else '':>6}", flush=True)

    def named(self, verdict):
        return [row["work"] for row in self.rows if row["verdict"] == verdict]


def rounds(measures, count):
    """{row: ([figure of the old one, a round each], [of the new one])}. Old, new, new, old, and so on, so that a drift
    of the machine falls on both alike. The first round warms up and does not count."""
    found = {}
    for k in range(-1, count):
        for side in (0, 1) if k % 2 == 0 else (1, 0):
            for figure in measures[side]():
                if k >= 0:
                    found.setdefault(figure.work, ([], []))[side].append(figure)
    return found


def compare(part, sides, count, report):
    with contextlib.ExitStack() as stack:
        measures = [stack.enter_context(part.open(side)) for side in sides]
        for both in zip(*measures):
            for old, new in rounds(both, count).values():
                report.add(old, new, part.hot)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", type=pathlib.Path, required=True, help="the program to compare with")
    parser.add_argument("--new", type=pathlib.Path, help="default: that of --build")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build-bench")
    parser.add_argument("--rounds", type=int, default=8, help=f"from {ROUNDS_MIN} on a bound can be told")
    parser.add_argument("--seconds", type=int, default=2, help="of one load")
    parser.add_argument("parts", nargs="*", default=list(works.PARTS), help=f"of {', '.join(works.PARTS)}")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in works.PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(works.PARTS)}")
    programs = [arguments.old.resolve(), (arguments.new or arguments.build / "pinpipe").resolve()]
    for program in programs:
        if not os.access(program, os.X_OK):
            parser.error(f"{program} is no program")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=arguments.build) as directory:
        directory = pathlib.Path(directory)
        rows = str(works.STREAM_POSTS)
        subprocess.run([arguments.build / "bench" / "make_rows", "rows", rows, directory], check=True)
        for name in arguments.parts:
            sides = [works.Side(program, arguments.build, directory, directory / name / age, arguments.seconds)
                     for program, age in zip(programs, ("old", "new"))]
            compare(works.PARTS[name], sides, arguments.rounds, report)
    written = arguments.build / "compare.json"
    written.write_text(json.dumps({"cores": os.cpu_count(), "old": str(programs[0]), "new": str(programs[1]),
                                   "rows": report.rows}, indent=1) + "\n")
    print(f"written: {written}")
    for verdict, words in (("WORSE", "worse than the limit"), ("not told", "the rounds do not tell; more would")):
        if rows := report.named(verdict):
            print(f"{words}: {'; '.join(rows)}")
    return 1 if report.named("WORSE") else 0


if __name__ == "__main__":
    sys.exit(main())
