"""kill -9 as in kills.py, with the lake in a bucket whose server plays faults by the seed: 500 and 503, connections cut
before and after the work is done, bodies cut in the middle, delays.

Tables' files go in parts, as large ones do. At the end the program's own check finds nothing, while the faults go on;
then what is in the bucket is copied to where the checker looks.
"""
import collections
import contextlib
import json
import pathlib
import subprocess
import sys
import time

import kills
from figures import print_counts, workplace

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "s3"))

import s3_server  # noqa: E402  # pylint: disable=wrong-import-position

PREFIX = "lake/of u1/"
SHARE = 0.04        # of the requests
KILLS_A_SESSION = 60
PARTS = "s3-small-parts:eio@1+"     # of some KiB


class Bucket:
    """The server, in a process of its own, so that who watches the log is not held up by it."""

    def __init__(self, seed, save):
        self.process = subprocess.Popen(
            [sys.executable, HERE.parent / "s3" / "s3_server.py", "--faults", str(SHARE), "--seed", str(seed), "--save",
             str(save), "--prefix", PREFIX, "--part-min", "0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def end(self):
        """The faults that it played, by kind; what it held is saved."""
        self.process.terminate()
        return collections.Counter(json.loads(self.process.communicate(timeout=60)[0]))

    def close(self):
        self.process.kill()
        self.process.communicate()


class BucketSession(kills.Session):
    """One pipeline, and a bucket of its own."""

    def __init__(self, binary, directory, seed, bucket):
        self.bucket, self.played = bucket, collections.Counter()
        super().__init__(binary, directory, seed, environment={
            **s3_server.environment(bucket.url), "PINPIPE_LAKE": f"s3://{s3_server.BUCKET}/{PREFIX}",
            "PINPIPE_FAILPOINTS": PARTS})

    def look(self):
        """Only at the end, at what is left."""

    def bring_lake(self):
        self.played = self.bucket.end()


def torture(binary, seed, count, points):
    """One session; (report, session, faults that were played by kind)."""
    with workplace(f"s3-{seed}") as place, contextlib.closing(Bucket(seed, place.path / "data" / "lake")) as bucket:
        session = BucketSession(binary, place.path, seed, bucket)
        report = session.run(session.steps(count, points))
        place.keep = not report.clean
        return report, session, session.played


def add_arguments(parser):
    parser.add_argument("--faults", type=int, default=1000, help="of a bucket's server, at least")


def run(arguments, figures):
    points = arguments.point or kills.failpoints(bucket=True)
    killed, played, number = collections.Counter(), collections.Counter(), 0
    while killed.total() < arguments.kills or played.total() < arguments.faults:
        started, seed = time.monotonic(), arguments.seed + number
        report, session, faults = torture(arguments.binary, seed, KILLS_A_SESSION, points)
        figures.add("s3", seed, session.kills.total(), time.monotonic() - started, report)
        figures.missed += [f"s3, seed {seed}: nobody passed {point} for {action}" for point, action in session.open]
        killed += session.kills
        played += faults
        number += 1
    print_counts("killed at", killed)
    print("beside them the server played " + ", ".join(f"{count} × {kind}" for kind, count in sorted(played.items())))
