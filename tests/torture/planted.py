"""Tests of the tests: bugs that are planted on purpose, each of which a check has to find.

bugs/NN-name.patch begins with two lines: what it breaks, and the check that catches it:
    unit NAME               the C test of that name
    pytest FILE             a file of Python tests
    calls WORKLOAD KIND… N  calls.py: the k-th call of these kinds fails (of one that never comes: a run without
                            faults), in N of the cases, or without a number in all
The tree is copied, one patch applied, rebuilt, the check run, the patch taken back. The check has to pass without a
patch and to fail with it. A patch that does not apply any more is a failure.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import calls
from figures import workplace

TOP = pathlib.Path(__file__).resolve().parents[2]
BUGS = TOP / "tests" / "torture" / "bugs"
PATIENCE_S = 300


def patches():
    return sorted(BUGS.glob("*.patch"))


def said_by(patch):
    """(what it breaks, the check's words)"""
    breaks, check = re.match(r"breaks: (.+)\ncaught by: (.+)\n", patch.read_text()).groups()
    return breaks, check


class Tree:
    """A copy of the project that is changed and built again and again."""

    def __init__(self, directory):
        self.top, self.build = directory / "pinpipe", directory / "pinpipe" / "build"
        shutil.copytree(TOP, self.top, symlinks=True,
                        ignore=lambda _, names: [n for n in names if re.match(r"build|\.git$|\.cache$|__pycache__", n)])
        (self.top / ".cache").symlink_to(TOP / ".cache")
        # What is built often and run briefly needs no optimising.
        self.run(["meson", "setup", self.build, "-Dfailpoints=true", "-Doptimization=0", "-Ddebug=false",
                  "-Dwerror=false"])

    def run(self, words, is_tried=False, **more):
        """True: it ended well; with `is_tried` it may also end badly, but end it must."""
        try:
            done = subprocess.run(words, cwd=self.top, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
                                  stderr=subprocess.STDOUT, text=True, errors="replace", timeout=PATIENCE_S, **more)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{words} did not end in {PATIENCE_S} s") from None
        if done.returncode and not is_tried:
            raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.returncode == 0

    def patch(self, patch, *options):
        self.run(["patch", "-p1", "--no-backup-if-mismatch", "--fuzz=1", *options, "-i", patch])

    def make(self, check):
        kind, name = check.split()[:2]
        more = [f"tests/{name}"] if kind == "unit" else ["tests/store_tool"] if "/s3/" in name else []
        self.run(["ninja", "-C", self.build, "--quiet", "pinpipe", *more])

    def passes(self, check):
        """The check's verdict on the tree as it is."""
        self.make(check)
        kind, name, *words = check.split()
        if kind == "unit":
            return self.run([self.build / "tests" / name], is_tried=True)
        if kind == "pytest":
            return self.run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", name], is_tried=True,
                            env={**os.environ, "PINPIPE": str(self.build / "pinpipe")})
        return calls.holds(self.build / "pinpipe", name, words)


def try_all(chosen):
    """name -> None (caught), or why that is not so."""
    found, clean = {}, {}
    with workplace("planted") as place:
        tree = Tree(place.path)
        for patch in chosen:
            _, check = said_by(patch)
            if check not in clean:
                clean[check] = tree.passes(check)
                print(f"{check}: {'passes' if clean[check] else 'FAILS'} without a bug", flush=True)
        for patch in chosen:
            breaks, check = said_by(patch)
            started = time.monotonic()
            found[patch.stem] = None
            if not clean[check]:
                found[patch.stem] = f"{check} fails without it, too"
            try:
                tree.patch(patch)
                if clean[check] and tree.passes(check):
                    found[patch.stem] = f"not caught by {check}: {breaks}"
                tree.patch(patch, "--reverse")
            except AssertionError as error:
                found[patch.stem] = str(error)
            print(f"{patch.stem:<32} {'caught' if found[patch.stem] is None else 'NOT CAUGHT':<11}"
                  f"{time.monotonic() - started:5.0f} s  {check}", flush=True)
    return found


def add_arguments(parser):
    parser.add_argument("--bug", action="append", help="of the planted bugs only those whose name holds this")


def run(arguments, figures):
    chosen = [patch for patch in patches() if any(word in patch.stem for word in arguments.bug or [""])]
    found = try_all(chosen)
    figures.missed += [f"{name}: {why}" for name, why in found.items() if why]
    print(f"planted bugs caught: {sum(why is None for why in found.values())} of {len(found)}", flush=True)
