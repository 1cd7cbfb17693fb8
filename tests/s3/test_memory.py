"""Peak memory over objects whose text is a hundred times what the bucket shows: as Confluent's connector packs them."""
import functools
import gzip
import json
import os
import random
import subprocess
import sys
import time

import pytest

import s3_server
from conftest import clean_environment
from s3_server import BUCKET, Server

TOPIC = "124df56aef51.geo"
LINES, OBJECTS = 8192, 48
MIB = 1 << 20
MOST = 192 * MIB  # more than of one object; all text is 340 MiB
# A child of ours would be told to have had our memory; so a small one asks for us.
ASK = ("import resource, subprocess, sys\n"
       "code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"
       "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
       "sys.exit(code)\n")


@functools.cache
def packed(i):
    """The i-th object, and the bytes of its text."""
    draw = random.Random(1)
    noise = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz ", k=900)) for _ in range(5)]
    text = "".join(json.dumps({"ind": i * LINES + n, "country": "Albania", "noise": noise[n % 5]}) + "\n"
                   for n in range(LINES)).encode()
    body = gzip.compress(text, mtime=0)
    assert 80 < len(text) / len(body) < 150
    return body, len(text)


def put_objects(server, count, folder):
    """*count* objects of one partition, each of 7 MiB of text; returns the bytes of all text."""
    size = 0
    for i in range(count):
        body, length = packed(i)
        key = f"topics/{TOPIC}/{folder.format(i)}/{TOPIC}+0+{i * LINES:010}.json.gz"
        server.buckets[BUCKET][key] = s3_server.Object(body, time.time(), '"e"', {})
        size += length
    return size


def peak(program, server, *words):
    """Bytes; the sanitizers, if there are any, keep next to nothing of what was freed."""
    env = clean_environment({**server.environment(), "PINPIPE_LAKE": f"s3://{BUCKET}",
                             "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"})
    done = subprocess.run([sys.executable, "-c", ASK, str(program), *map(str, words)], capture_output=True, text=True,
                          timeout=300, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.parametrize("words", [("batch",), ("check",), ("restore", "--from-lake")])
def test_packed_objects_in_their_order(pinpipe, tmp_path, words):
    peaks = []
    for count in (1, OBJECTS):
        with Server() as server:
            size = put_objects(server, count, "partition=0")
            peaks.append(peak(pinpipe, server, *words, "--dir", tmp_path / str(count)))
    assert size > 340 * MIB
    assert peaks[1] - peaks[0] < MOST, [one // MIB for one in peaks]


def test_a_sink_that_goes_on_after_packed_objects_by_time(pinpipe, tmp_path):
    """All of them are read once: how many lines there are tells where it begins."""
    peaks = []
    for count in (1, OBJECTS):
        with Server() as server:
            directory = tmp_path / str(count)
            put_objects(server, count, "hour={:02}")
            peak(pinpipe, server, "restore", "--from-lake", "--dir", directory)  # a log, which a sink wants
            peaks.append(peak(pinpipe, server, "sink", "--until-end", "--dir", directory))
    assert peaks[1] - peaks[0] < MOST, [one // MIB for one in peaks]
