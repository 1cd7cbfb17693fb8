"""make torture: faults under load, then a checker of its own. The seed makes the choices.

    python3 tests/torture/torture.py --binary build-fail/pinpipe --kills 240 --seed 7 kills cuts

A part is a module with add_arguments(parser), for its counts, and run(arguments, figures).
"""
import argparse
import pathlib
import random
import sys

import calls
import cuts
import flips
import kills
import planted
from figures import Figures

PARTS = {"kills": kills, "cuts": cuts, "flips": flips, "calls": calls, "bugs": planted}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="built with -Dfailpoints=true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}")
    for part in PARTS.values():
        part.add_arguments(parser)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    figures = Figures()
    for name in arguments.parts:
        PARTS[name].run(arguments, figures)
    figures.print()
    return 1 if figures.faults or figures.missed else 0


if __name__ == "__main__":
    sys.exit(main())
