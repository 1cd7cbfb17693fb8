"""make interop: the tests of this directory. usage: interop.py [PART…]

A part is the NAME of a file test_NAME.py, or a mark: `ci` is what .ci/run has time for. Several parts: the union.
"""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def marks_of(path):
    return set(re.findall(r"pytest\.mark\.(?!parametrize)(\w+)", path.read_text()))


def chosen(parts):
    """What pytest is to be given: files, and files of which it takes the tests with one of the marks."""
    files = {path.stem.removeprefix("test_"): path for path in sorted(HERE.glob("test_*.py"))}
    marks = set().union(*map(marks_of, files.values()))
    if unknown := [part for part in parts if part not in files and part not in marks]:
        sys.exit(f"interop: no part {', '.join(unknown)}; there are {', '.join([*files, *sorted(marks)])}")
    whole = [str(files[part]) for part in parts if part in files] or ([] if parts else [str(HERE)])
    wanted = sorted(set(parts) & marks)
    marked = [str(path) for path in files.values() if str(path) not in whole and marks_of(path) & set(wanted)]
    return [arguments for arguments in (whole, [*marked, "-m", " or ".join(wanted)] if marked else []) if arguments]


def main():
    failed = 0
    for arguments in chosen(sys.argv[1:]):
        command = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                   "-o", "markers=ci: what .ci/run has time for", *arguments]
        failed |= subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
