"""Commits to a Delta table of many versions against the same commits to one of few."""
import statistics
import tempfile

from measure import run

FEW, MANY = 20, 10000  # 20, not 10: the first checkpoint opens DuckDB, which is no cost of a version
FEW_COMMITS, MANY_COMMITS = 10, 100  # the interval of checkpoints there: each window holds one
LATE_COMMITS, INTERVAL = 300, 50  # as stream has it; with 15,000 tombstones there is a checkpoint each 150 commits
MEMORY = "/dev/shm"  # 10,000 versions on a disk take minutes; a commit syncs as often at any version


def commits(build, lake, version, count, windows, *interval, **options):
    """(microseconds of a commit with its share of a checkpoint, of its CPU, of one without; peak RSS in MiB)"""
    _, _, rss, out = run([build / "bench" / "delta_commits", lake, version, count, windows, *interval], **options)
    return *map(statistics.median, zip(*(map(float, line.split()) for line in out.splitlines()))), rss


def measure(table, _binary, build, _rows, count, _seconds):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=MEMORY) as directory:
        few = [commits(build, f"file:{directory}/few{k}", FEW, FEW_COMMITS, 1) for k in range(2 * count + 1)]
        many, cpu, alone, rss = commits(build, f"file:{directory}/many", MANY, MANY_COMMITS, count)
        few, few_cpu, few_alone, _ = map(statistics.median, zip(*few))
        table.add("Delta commit at version 10,000, at 20", many / 1000, few / 1000, 1.5, "ms", higher=False,
                  rss_mib=rss, note=f"CPU of a commit: {cpu:,.0f} us, at version 20 {few_cpu:,.0f}")
        table.add("the same without a checkpoint", alone / 1000, few_alone / 1000, 1.5, "ms", higher=False)


def late_row(table, build, directory, work, count, note):
    """Of the table in `directory`/late, which is there already, against version 20 of a fresh one."""
    late, cpu, _, rss = commits(build, f"file:{directory}/late", 0, LATE_COMMITS, count, INTERVAL)
    few = [commits(build, f"file:{directory}/few{k}", FEW, LATE_COMMITS, 1, INTERVAL) for k in range(2 * count + 1)]
    few, few_cpu, _, _ = map(statistics.median, zip(*few))
    table.add(work, late / 1000, few / 1000, 1.2, "ms", higher=False, rss_mib=rss,
              note=f"{note}; CPU of a commit: {cpu:,.0f} us, at version 20 {few_cpu:,.0f}")
