"""kill -9 as in kills.py, with the lake in a bucket whose server plays faults by the seed: 500 and 503, connections cut
before and after the work is done, bodies cut in the middle, delays.

At the end the program's own check finds nothing, while the faults go on; then what is in the bucket is copied to where
the checker looks.
"""
import collections
import pathlib
import sys
import time

import kills
from figures import print_counts, workplace

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "s3"))

import s3_server  # noqa: E402  # pylint: disable=wrong-import-position

PREFIX = "lake/of u1/"
SHARE = 0.04        # of the requests
KILLS_A_SESSION = 60


class BucketSession(kills.Session):
    """One pipeline, and a bucket of its own."""

    def __init__(self, binary, directory, seed, server):
        self.server = server
        super().__init__(binary, directory, seed, environment={
            **server.environment(), "PINPIPE_LAKE": f"s3://{s3_server.BUCKET}/{PREFIX}"})

    def bring_lake(self):
        self.server.save(self.checker.lake, prefix=PREFIX)


def torture(binary, seed, count, points):
    """One session; (report, session, faults that were played by kind)."""
    faults = s3_server.Faults(seed, SHARE, delay_s=0.02)
    with workplace(f"s3-{seed}") as place, s3_server.Server(faults=faults) as server:
        session = BucketSession(binary, place.path, seed, server)
        report = session.run(session.steps(count, points))
        place.keep = not report.clean
        return report, session, faults.counts


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
