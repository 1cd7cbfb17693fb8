# Databricks notebook source
# MAGIC %md
# MAGIC # The analyses over pinpipe's lake
# MAGIC From the same SQL files as `pinpipe analyse`: `models/clean` say what the tables are, `models/analyses` ask.
# MAGIC Widgets: `lake` (such as `s3://my-bucket/pinpipe`), `models` (a directory; from this notebook's on, or absolute)
# MAGIC and `id` (the prefix of the tables). Elsewhere: `PINPIPE_LAKE`, `PINPIPE_MODELS` and `PINPIPE_ID`.

# COMMAND ----------

import json
import os
import pathlib

from pyspark.sql import SparkSession, functions

spark = SparkSession.builder.getOrCreate()
spark.conf.set("spark.sql.session.timeZone", "UTC")
spark.conf.set("spark.sql.ansi.enabled", "true")  # as Spark 4 has it: an error is an error, not a null
on_databricks = "dbutils" in globals()


def setting(name, default):
    if not on_databricks:
        return os.environ.get(f"PINPIPE_{name.upper()}", default)
    dbutils.widgets.text(name, default)  # noqa: F821
    return dbutils.widgets.get(name)  # noqa: F821


lake = setting("lake", "").rstrip("/")
models = pathlib.Path(setting("models", "../models"))
table_id = setting("id", "124df56aef51")
if not lake:
    raise ValueError("no lake is named: set the widget \"lake\", or the base parameter of the run")

# COMMAND ----------

# A file begins with "-- word: value" lines; a value goes on in lines that begin with "--" and two blanks.


def header(text):
    words, word = {}, None
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if line.startswith("--  "):
            words[word] += " " + line[2:].strip()
        else:
            word, _, value = line[2:].strip().partition(":")
            words[word] = value.strip()
    return words


def make_views(name, words):
    """<name>_all has every row; <name> the current ones: of the rows with one key the newest."""
    types = dict(column.split() for column in words["columns"].split(","))
    rows = spark.read.format("delta").load(f"{lake}/tables/{table_id}_{name}_clean")
    have = set(rows.columns)  # a column that the model has got since the last batch is null
    columns = [functions.col(column) if column in have else
               functions.lit(None).cast({"long": "bigint"}.get(kind, kind)).alias(column)
               for column, kind in types.items()]
    rows.select(*columns, "_partition", "_offset").createOrReplaceTempView(f"{name}_all")
    key = words.get("key", "").split()
    newest = "true" if not key else \
        f"row_number() OVER (PARTITION BY `{key[-1]}` ORDER BY _offset DESC, _partition DESC) = 1"
    names = ", ".join(f"`{column}`" for column in types)
    spark.sql(f"SELECT {names} FROM (SELECT *, {newest} AS _current FROM `{name}_all`) AS numbered "
              "WHERE _current").createOrReplaceTempView(name)


failed = {}
for path in sorted((models / "clean").glob("*.sql")):
    try:
        make_views(path.stem, header(path.read_text()))
    except Exception as error:  # the questions that read it fail; the others are answered
        failed[path.stem] = str(error).splitlines()[0]

# COMMAND ----------

answers = {}
for path in sorted((models / "analyses").glob("*.sql")):
    text = path.read_text()
    try:
        answer = spark.sql(text)
        answers[path.stem] = {"columns": answer.columns, "rows": [list(row) for row in answer.collect()]}
    except Exception as error:
        failed[path.stem] = str(error).splitlines()[0]
        continue
    if on_databricks:
        print(header(text).get("title", path.stem))
        display(answer)  # noqa: F821

# COMMAND ----------

told = json.dumps(answers, default=str, ensure_ascii=False)
if failed:
    raise RuntimeError("could not be answered: " + "; ".join(f"{name}: {why}" for name, why in failed.items()))
if on_databricks:
    dbutils.notebook.exit(told)  # noqa: F821
else:
    print(told)
