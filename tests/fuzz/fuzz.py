#!/usr/bin/python3
"""Runs the fuzz targets of build-fuzz and prints a table: executions, seconds, coverage, crashes.

usage: tests/fuzz/fuzz.py [--seconds N] [--runs N] [--jobs N] [WORD…]

    --seconds N   each target so long (20)
    --runs N      each target so many executions instead, however long it takes
    --jobs N      so many targets at a time (2)
    WORD          only targets whose name holds one of the words

What a target finds interesting grows in build-fuzz/corpus/<target>; an input that breaks something is kept in
build-fuzz/crashes, and the run ends with 1.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build-fuzz"
CRASHES = BUILD / "crashes"
SHARED_JSON = HERE.parent.parent.parent / "shared" / "data" / "json-parsing"
LEN_MAX = 4096
INPUT_S_MAX = 10
SLACK_S = 60  # of a run, for its start and the corpus

# Nobody asks who allocated what while all is well; a crash is looked at by itself, with whole stacks.
SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=0:symbolize=1:allocator_may_return_null=0:"
                    "quarantine_size_mb=16:malloc_context_size=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


def targets(words):
    names = sorted(path.stem for path in HERE.glob("fuzz_*.c"))
    return [name for name in names if not words or any(word in name for word in words)]


def command(name, options):
    grown = BUILD / "corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    limit = [f"-runs={options.runs}"] if options.runs else [f"-max_total_time={options.seconds}"]
    words = HERE / f"{name}.dict"
    seeds = [HERE / "corpus" / name] + ([SHARED_JSON] if name == "fuzz_json" and SHARED_JSON.is_dir() else [])
    return [BUILD / "tests" / "fuzz" / name, *limit, f"-max_len={LEN_MAX}", f"-timeout={INPUT_S_MAX}",
            # Weighing inputs by how rare what they reach is costs up to half of the time.
            "-entropic=0", "-print_final_stats=1", f"-artifact_prefix={CRASHES}/{name}-",
            *([f"-dict={words}"] if words.exists() else []), grown, *seeds]


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def run(name, options):
    """One target; returns what is told of it."""
    before = set(CRASHES.iterdir())
    started = time.monotonic()
    limit = None if options.runs else options.seconds + SLACK_S
    try:
        done = subprocess.run(command(name, options), env={**os.environ, **SANITIZERS}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit, check=False)
        text, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired:
        text, status = "did not end", 1
    seconds = time.monotonic() - started
    return {"name": name, "runs": number(r"stat::number_of_executed_units:\s*(\d+)", text), "seconds": seconds,
            "coverage": number(r"cov: (\d+)", text), "failed": status != 0, "text": text,
            "crashes": [path for path in sorted(set(CRASHES.iterdir()) - before) if path.name.startswith(f"{name}-")]}


def tell(told):
    print(f"{told['name']:<14} {told['runs']:>12,} {told['seconds']:>9.0f} {told['runs'] / told['seconds']:>10,.0f} "
          f"{told['coverage']:>9} {len(told['crashes']) or int(told['failed']):>8}", flush=True)
    if told["failed"]:
        print(told["text"][-6000:])
    for path in told["crashes"]:
        print(f"  {path}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    CRASHES.mkdir(parents=True, exist_ok=True)
    names = targets(options.words)
    print(f"{'target':<14} {'executions':>12} {'seconds':>9} {'exec/s':>10} {'coverage':>9} {'crashes':>8}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(run, name, options) for name in names]
        told = [job.result() for job in concurrent.futures.as_completed(jobs) if tell(job.result()) is None]
    sys.exit(1 if not told or any(one["failed"] or one["runs"] == 0 for one in told) else 0)


if __name__ == "__main__":
    main()
