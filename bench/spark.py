"""The batch path with Spark as its engine, and with DuckDB, beside the original's way in the same Spark.

Spark and the jars of Delta, for the original, are those that `make interop` brings; without them the part is left out.
"""
import os
import pathlib
import shutil
import tempfile

from batch import POSTS, batch, make_objects
from measure import HERE, TOP, rounds, run

CACHE = TOP / ".cache" / "interop"
# One machine with two cores, and for either a heap of which it takes what it wants.
HEAP = "4g"
LOCAL = {"spark.master": "local[2]", "spark.driver.memory": HEAP,
         "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
         "spark.ui.enabled": "false", "spark.log.level": "WARN", "spark.sql.session.timeZone": "UTC"}
DELTA = {"spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
         "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog"}


def home():
    return next((CACHE / "venv" / "lib").glob("python3*")) / "site-packages" / "pyspark"


class Lake:
    """Raw objects, and what a run makes of them, which can be undone."""

    def __init__(self, build, directory):
        self.directory, self.lake = directory, directory / "lake"
        make_objects(build, self.lake, POSTS)

    def undo(self):
        for name in ("tables", "results", "dlq"):
            shutil.rmtree(self.lake / name, ignore_errors=True)


def original(lake, figures):
    settings = {**LOCAL, **DELTA, "spark.jars": ",".join(sorted(map(str, (CACHE / "jars").glob("*.jar")))),
                "spark.local.dir": lake.directory / "local", "spark.sql.warehouse.dir": lake.directory / "warehouse"}
    words = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    seconds, figures["cpu"], figures["rss"], _ = run(
        [home() / "bin" / "spark-submit", *words, HERE / "original_spark.py", lake.lake / "topics",
         lake.lake / "tables", TOP / "models" / "analyses"],
        env={**os.environ, "SPARK_HOME": str(home()), "PYSPARK_PYTHON": str(CACHE / "venv" / "bin" / "python")})
    return seconds


def measure(table, binary, build, _rows, count, _seconds):
    if not (CACHE / "jars").is_dir():
        print("spark: left out, as make interop has not brought a Spark")
        return
    os.environ.update(SPARK_HOME=str(home()), PYSPARK_PYTHON=str(CACHE / "venv" / "bin" / "python"))
    with tempfile.TemporaryDirectory(prefix="pinpipe-bench-", dir=build) as directory:
        lake = Lake(build, pathlib.Path(directory))
        figures = {"spark": {}, "duckdb": {}, "original": {}}

        def by(engine):
            lake.undo()
            os.environ.update(PINPIPE_ENGINE_KIND=engine, PINPIPE_ENGINE_THREADS="2",
                              **({"PINPIPE_SPARK__DRIVER_MEMORY": HEAP} if engine == "spark" else {}))
            try:
                return batch(binary, lake, POSTS, figures[engine])
            finally:
                for name in ("ENGINE_KIND", "ENGINE_THREADS", "SPARK__DRIVER_MEMORY"):
                    os.environ.pop(f"PINPIPE_{name}", None)

        def as_original():
            lake.undo()
            return original(lake, figures["original"])

        taken = rounds(count, {"spark seconds": lambda: by("spark"), "spark": lambda: figures["spark"]["cpu"],
                               "spark rss": lambda: figures["spark"]["rss"],
                               "original seconds": as_original, "original": lambda: figures["original"]["cpu"],
                               "original rss": lambda: figures["original"]["rss"],
                               "duckdb seconds": lambda: by("duckdb"), "duckdb": lambda: figures["duckdb"]["cpu"],
                               "duckdb rss": lambda: figures["duckdb"]["rss"]})
    note = "{:.0f} s against {:.0f} s by the clock".format
    table.add("spark: 1 M posts, CPU", taken["spark"], taken["original"], 1.0, "s", higher=False,
              note=note(taken["spark seconds"], taken["original seconds"]))
    table.add("spark: peak memory", taken["spark rss"], taken["original rss"], 0.9, "MiB", higher=False)
    table.add("duckdb: the same, CPU", taken["duckdb"], taken["original"], 0.05, "s", higher=False)
    table.add("duckdb: peak memory", taken["duckdb rss"], taken["original rss"], 0.1, "MiB", higher=False)
