"""Commits to a Delta table of many versions against the same commits to one of few."""
import pathlib
import statistics
import tempfile

from measure import run

FEW, MANY = 20, 10000  # 20, not 10: the first checkpoint opens DuckDB, which is no cost of a version
FEW_COMMITS, MANY_COMMITS = 10, 100  # the interval of checkpoints there: each window holds one
MEMORY = "/dev/shm"  # 10,000 versions on a disk take minutes; a commit syncs as often at any version


def commits(build, directory, version, count, windows):
    """(median microseconds of a commit, of its CPU, peak RSS in MiB)"""
    _, _, rss, out = run([build / "bench" / "delta_commits", directory, version, count, windows])
    times, cpu = zip(*(map(float, line.split()) for line in out.splitlines()))
    return statistics.median(times), statistics.median(cpu), rss


def measure(table, _binary, build, _rows, count, _seconds):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=MEMORY) as directory:
        few = [commits(build, pathlib.Path(directory) / f"few{k}", FEW, FEW_COMMITS, 1) for k in range(2 * count + 1)]
        many, cpu, rss = commits(build, pathlib.Path(directory) / "many", MANY, MANY_COMMITS, count)
        table.add("Delta commit at version 10,000, at 20", many / 1000, statistics.median(f[0] for f in few) / 1000,
                  1.5, "ms", higher=False, rss_mib=rss,
                  note=f"CPU of a commit: {cpu:,.0f} us, at version 20 {statistics.median(f[1] for f in few):,.0f}")
