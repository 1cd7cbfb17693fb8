"""make torture: faults under load, then a checker of its own. The seed makes the choices.

    python3 tests/torture/torture.py --binary build-fail/pinpipe --kills 240 --seed 7 kills cuts

A part is a module with add_arguments(parser), for its counts, and run(arguments, figures).
"""
import argparse
import pathlib
import random
import signal
import sys
import traceback

import bucket
import calls
import cuts
import flips
import hostile
import kafka_cycles
import kills
import planted
import tables
from figures import Figures

PARTS = {"kills": kills, "s3": bucket, "kafka": kafka_cycles, "hostile": hostile, "cuts": cuts,
         "tables": tables, "flips": flips, "calls": calls, "bugs": planted}


def possible_parts(figures):
    """All but what needs something that nobody has installed."""
    if kafka_cycles.is_installed():
        return list(PARTS)
    figures.left_out.append(f"kafka: {kafka_cycles.HOW}")
    return [name for name in PARTS if name != "kafka"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="built with -Dfailpoints=true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}")
    for part in PARTS.values():
        part.add_arguments(parser)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing stays behind: processes, disks, directories
    figures = Figures()
    for name in arguments.parts or possible_parts(figures):
        try:
            PARTS[name].run(arguments, figures)
        except Exception:  # pylint: disable=broad-except  # the others still get their turn
            figures.missed.append(f"{name}: {traceback.format_exc()}")
            print(figures.missed[-1], flush=True)
    figures.print()
    return 1 if figures.faults or figures.missed else 0


if __name__ == "__main__":
    sys.exit(main())
