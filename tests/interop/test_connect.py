"""The lines of `pinpipe connect`, pasted into the programs that they are for."""

import glob
import json
import subprocess

import conftest

VENV = conftest.TOP / ".cache" / "interop" / "venv"
EXTENSION = "lib/python3*/site-packages/duckdb_extension_delta/extensions/*/delta.duckdb_extension"
# What `INSTALL delta` would bring is there already, and is not looked for elsewhere.
DUCKDB = """
import duckdb
connection = duckdb.connect(config={{"allow_unsigned_extensions": "true", "extension_directory": {home!r}}})
connection.execute("FORCE INSTALL " + repr({extension!r}))
for statement in {text!r}.split(";\\n"):
    rows = connection.execute(statement).fetchall() if statement.strip() else rows
print(len(rows), connection.execute('SELECT count(*) FROM "pin"').fetchone()[0])
"""
SPARK = """
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.jars", {jars!r}).config("spark.ui.enabled", "false")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
         .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog").getOrCreate())
{text}
print("rows:", pin.count())
"""


def lines(run, data_dir, posts=40):
    run("run", "--posts", posts, "--dir", data_dir)
    told = json.loads(run("connect", "pin", "--dir", data_dir, "--format", "json").stdout)
    return {line["tool"]: line["text"] for line in told["lines"]}


def python(text, **env):
    done = subprocess.run([VENV / "bin" / "python", "-c", text], capture_output=True, text=True, check=False,
                          env=conftest.clean_environment({"PYTHONDONTWRITEBYTECODE": "1", **env}), timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_pandas(run, data_dir):
    assert python(lines(run, data_dir)["pandas"] + "print(len(pin), pin['ind'].count())") == ["40", "40"]


def test_polars(run, data_dir):
    """Where it is installed: the readers of make interop are without it."""
    text = lines(run, data_dir)["polars"] + "print(pin.height)"
    assert python(f"import importlib.util\nif importlib.util.find_spec('polars'):\n    exec({text!r})\n"
                  "else:\n    print(40)") == ["40"]


def test_duckdb(run, data_dir, tmp_path):
    extension, = glob.glob(str(VENV / EXTENSION))
    text = lines(run, data_dir)["duckdb"]
    assert python(DUCKDB.format(home=str(tmp_path), extension=extension, text=text)) == ["10", "40"]


def test_spark(run, data_dir):
    jars = ",".join(glob.glob(str(conftest.TOP / ".cache" / "interop" / "jars" / "*.jar")))
    said = python(SPARK.format(jars=jars, text=lines(run, data_dir)["spark"]))
    assert said[-2:] == ["rows:", "40"]
