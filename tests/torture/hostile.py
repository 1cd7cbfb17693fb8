"""kill -9 as in kills.py, of a pipeline whose log looks like the worst service there may be (broker_hostile.c)."""
import pathlib

import kills
from pipeline import QUICK
from places import Hostile


def add_arguments(parser):
    parser.add_argument("--hostile-binary", type=pathlib.Path, help="built with -Dhostile=true -Dfailpoints=true, too")


def run(arguments, figures):
    if not arguments.hostile_binary:
        raise ValueError("--hostile-binary is not given")
    kills.sessions("hostile", arguments.hostile_binary, arguments, figures,
                   Hostile(int(QUICK["PINPIPE_GATEWAY_SHARDS"])))
