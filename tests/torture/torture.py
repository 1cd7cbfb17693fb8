"""Kills under load, then a checker of its own. Each run prints its seed; the same seed makes the same choices.

    python3 tests/torture/torture.py --binary build-fail/pinpipe --random 50 --points 2
"""
import argparse
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time

from checker import Checker
from client import Load
from pipeline import Pipeline

VICTIMS = ("gateway", "gateway", "sink", "stream", "batch", "supervisor")
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src"


def failpoints():
    """The names in the source."""
    names = set()
    for path in SOURCE.rglob("*.c"):
        names.update(re.findall(r'FAILPOINT\("([a-z0-9-]+)"\)', path.read_text()))
    return sorted(names)


def check(pipeline, load):
    pipeline.finish()
    return Checker(pipeline.directory / "lake", pipeline.user, load.ledger).run()


def random_kills(binary, directory, seed, kills):
    """SIGKILL one part after the other while clients post. Returns (report, kills done)."""
    rng = random.Random(seed)
    pipeline = Pipeline(binary, directory)
    try:
        pipeline.start()
        pipeline.await_healthy()
        with Load(pipeline.port, pipeline.user, seed) as load:
            for _ in range(kills):
                load.wait_for_more(rng.randrange(1, 100))
                pipeline.kill(rng.choice(VICTIMS))
            load.wait_for_more(50)
        return check(pipeline, load), kills
    finally:
        pipeline.close()


def kills_at(binary, directory, seed, point, kills):
    """Let the processes that pass the failpoint die there, again and again, until that many have."""
    rng = random.Random(seed)
    pipeline = Pipeline(binary, directory, failpoints=f"{point}:kill@{rng.randrange(1, 20)}")
    try:
        pipeline.start()
        with Load(pipeline.port, pipeline.user, seed) as load:
            end = time.monotonic() + 5
            while pipeline.ended_by_signal() < kills and time.monotonic() < end:
                time.sleep(0.02)  # looks at the condition again
        done = pipeline.ended_by_signal()
        return check(pipeline, load), done
    finally:
        pipeline.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--random", type=int, default=30, help="kills at random")
    parser.add_argument("--points", type=int, default=1, help="kills at every failpoint")
    parser.add_argument("--keep", action="store_true", help="keep the directories")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    runs = [("random", None)] * ((arguments.random + 29) // 30)
    runs += [("point", name) for name in failpoints()] if arguments.points else []
    total, bad, acked = 0, 0, 0
    for number, (kind, name) in enumerate(runs):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="pinpipe-torture-"))
        seed = arguments.seed + number
        if kind == "random":
            report, kills = random_kills(arguments.binary, directory, seed, min(30, arguments.random - 30 * number))
        else:
            report, kills = kills_at(arguments.binary, directory, seed, name, arguments.points)
        total, bad, acked = total + kills, bad + (not report.clean), acked + report.counts["acked"]
        print(f"{name or 'random':24} {kills:4} kills  {report}", flush=True)
        if report.clean and not arguments.keep:
            shutil.rmtree(directory)
        else:
            print(f"  kept: {directory}")
    print(f"{total} kills, {acked} records acknowledged, {bad} of {len(runs)} runs with a fault")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
