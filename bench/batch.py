"""The batch path against plain SQL in the same DuckDB, and again after 1 % more posts."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from measure import HERE, rounds, run

POSTS = 1000000
MORE = POSTS // 100
MANY = 4 * POSTS
IDLE_S = 0.05
MEMORY_MIB = 2048
TABLES = "tables/124df56aef51_{}_clean/*.parquet"


def make_objects(build, directory, count, first=0):
    subprocess.run([build / "bench" / "make_rows", "lake", str(count), directory, str(first)], check=True)


class Lake:
    """Raw objects, and what a run makes of them, which can be undone."""

    def __init__(self, build, directory, posts=POSTS, more=MORE):
        self.directory, self.lake, self.more = directory, directory / "lake", directory / "more"
        make_objects(build, self.lake, posts)
        make_objects(build, self.more, more, posts)

    def objects_of_more(self):
        for path in self.more.rglob("*.json"):
            yield path, self.lake / path.relative_to(self.more)

    def undo(self):
        shutil.rmtree(self.directory / "cache", ignore_errors=True)
        for name in ("tables", "results", "dlq", "plain"):
            shutil.rmtree(self.lake / name, ignore_errors=True)
        for _, placed in self.objects_of_more():
            placed.unlink(missing_ok=True)

    def add_more(self):
        for path, placed in self.objects_of_more():
            os.link(path, placed)


def batch(binary, lake, posts, figures):
    """Seconds of one run; what it reports goes to `figures`."""
    seconds, figures["cpu"], figures["rss"], out = run([binary, "batch", "--dir", lake.directory, "--format", "json"])
    report = json.loads(out)
    if {table["rows"] for table in report["tables"].values()} != {posts}:
        raise RuntimeError(f"batch cleaned {report['tables']}")
    figures["clean"], figures["analyses"] = report["clean_ms"] / 1000, report["analyses_ms"] / 1000
    return seconds


def plain(build, lake):
    (lake.lake / "plain").mkdir()
    return run([build / "bench" / "plain_sql", HERE / "plain_batch.sql"], cwd=lake.lake)[0]


def plain_answers(build, lake):
    """The eight analyses alone, of tables that hold their current rows and nothing else."""
    text = (HERE / "plain_batch.sql").read_text()
    text = text[text.index("CREATE VIEW pin"):]
    for name in ("pin", "geo", "user"):
        text = text.replace(f"plain/{name}.parquet", TABLES.format(name))
    script = lake.directory / "answers.sql"
    script.write_text("SET timezone = 'UTC';\n" + text)
    return run([build / "bench" / "plain_sql", script], cwd=lake.lake)[0]


def measure_many(table, binary, build, count):
    """What a run costs where most, or all, is known already."""
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        lake = Lake(build, pathlib.Path(directory), MANY, MANY // 100)
        report = {}

        def whole():
            lake.undo()
            return batch(binary, lake, MANY, report)

        def increment():
            lake.add_more()
            return batch(binary, lake, MANY // 100, report)

        def nothing():
            return batch(binary, lake, 0, report)

        figures = rounds(count, {"whole": whole, "more": increment, "nothing": nothing,
                                 "plain": lambda: plain_answers(build, lake)})
        table.add("batch: nothing new at 4 M posts", figures["nothing"], IDLE_S, 1.0, "s", higher=False)
        limit = 1.1 * figures["plain"] + 0.04 * figures["whole"]
        table.add("batch: 1 % new at 4 M posts", figures["more"], limit, 1.0, "s", higher=False,
                  note=f"1.1 x plain analyses ({figures['plain']:.2f} s) + 4 % of all ({figures['whole']:.2f} s)")


def measure(table, binary, build, _rows, count, _seconds):
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        lake = Lake(build, pathlib.Path(directory))
        first, again = {}, {}

        def whole():
            lake.undo()
            return batch(binary, lake, POSTS, first)

        def increment():
            lake.add_more()
            return batch(binary, lake, MORE, again)

        def limit():
            lake.undo()
            return plain(build, lake)

        figures = rounds(count, {"ours": whole, "clean": lambda: first["clean"], "peak": lambda: first["rss"],
                                 "more": increment, "clean more": lambda: again["clean"], "plain": limit})
        table.add("batch: 1 M posts", figures["ours"], figures["plain"], 1.5, "s", higher=False,
                  cpu_us=first["cpu"] / (3 * POSTS) * 1e6, rss_mib=first["rss"],
                  note=f"to clean {first['clean']:.2f} s, to analyse {first['analyses']:.2f} s")
        table.add("batch: peak memory", figures["peak"], MEMORY_MIB, 1.0, "MiB", higher=False)
        table.add("batch after 1 % more: to clean, of all", figures["clean more"], figures["clean"], 0.05, "s",
                  higher=False)
        table.add("batch after 1 % more: the whole, of all", figures["more"], figures["ours"], 0.3, "s", higher=False,
                  rss_mib=again["rss"], note=f"to analyse {again['analyses']:.2f} s")
    measure_many(table, binary, build, count)
