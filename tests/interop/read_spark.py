"""Reads tables with Spark and Delta for Spark. Arguments: the directories of the jars (":" between them), one for
Spark's own files.

Tables named "optimize…" are first compacted by OPTIMIZE.
"""

import glob
import sys

import pyspark.sql
import request
from pyspark.sql import functions


def s3_settings():
    place = request.s3()
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in {
        "endpoint": place["url"], "endpoint.region": place["region"], "path.style.access": "true",
        "access.key": place["id"], "secret.key": place["secret"], "change.detection.mode": "none",
        "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"}.items()} if place else {}


def session(jars, scratch):
    builder = pyspark.sql.SparkSession.builder.master("local[2]")
    for key, value in {
        "spark.jars": ",".join(sorted(jar for place in jars.split(":") for jar in glob.glob(place + "/*.jar"))),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.warehouse.dir": scratch + "/warehouse",
        "spark.local.dir": scratch,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        **s3_settings(),
    }.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def read_rows(table):
    """(columns, rows)"""
    columns = dict(table.dtypes)
    plain = [functions.unix_micros(name).alias(name) if kind == "timestamp" else table[name]
             for name, kind in columns.items()]
    return columns, request.sorted_rows(list(columns), table.select(plain).collect())


def read_version(spark, path, version):
    return request.digest(read_rows(spark.read.format("delta").option("versionAsOf", version).load(path))[1])


def read(spark, path, matches, versions):
    path, version = request.place_of(path)
    reader = spark.read.format("delta")
    table = (reader if version is None else reader.option("versionAsOf", version)).load(path)
    columns, rows = read_rows(table)
    counts = []
    for column, value in matches:
        wanted = functions.timestamp_micros(functions.lit(value)) if columns[column] == "timestamp" \
            else functions.lit(value)
        counts.append(table.where(table[column] == wanted).count())
    return {"columns": columns, "rows": rows, "matches": counts,
            "versions": {version: read_version(spark, path, version) for version in versions}}


def main():
    asked = request.asked()
    spark = session(*sys.argv[1:])
    for name, path in asked["tables"].items():
        if name.startswith("optimize"):
            spark.sql(f"OPTIMIZE delta.`{path}`")
    request.answer({name: read(spark, path, asked["matches"].get(name, []), asked["versions"].get(name, []))
                    for name, path in asked["tables"].items()})
    spark.stop()


if __name__ == "__main__":
    main()
