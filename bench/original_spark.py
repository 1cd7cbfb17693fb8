"""The batch path as the original's notebook has it: PySpark reads the objects, cleans them column by column, writes
Delta tables, and asks the eight questions. No lineage, dead letters, repeats or increments.

usage: spark-submit … original_spark.py TOPICS TABLES ANALYSES
"""

import pathlib
import re
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

NOTHING = {
    "title": ["No Title Data Available"],
    "description": ["No description available Story format", "No description available"],
    "follower_count": ["User Info Error"], "poster_name": ["User Info Error"],
    "tag_list": ["N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"], "image_src": ["Image src error."],
}


def clean_pin(pin):
    for name, values in NOTHING.items():
        pin = pin.withColumn(name, f.when(f.col(name).isin(*values, ""), None).otherwise(f.col(name)))
    pin = pin.withColumn("follower_count", f.regexp_replace("follower_count", "k", "000"))
    pin = pin.withColumn("follower_count", f.regexp_replace("follower_count", "M", "000000"))
    pin = pin.withColumn("follower_count", f.expr("try_cast(follower_count AS bigint)"))
    pin = pin.withColumn("save_location", f.regexp_replace("save_location", "Local save in ", ""))
    pin = pin.withColumnRenamed("index", "ind").withColumn("ind", f.col("ind").cast("int"))
    return pin.select("ind", "unique_id", "title", "description", "follower_count", "poster_name", "tag_list",
                      "is_image_or_video", "image_src", "save_location", "category")


def clean_geo(geo):
    geo = geo.withColumn("coordinates", f.array("latitude", "longitude")).drop("latitude", "longitude")
    return geo.withColumn("timestamp", f.to_timestamp("timestamp")).select("ind", "country", "coordinates", "timestamp")


def clean_user(user):
    user = user.withColumn("user_name", f.concat("first_name", f.lit(" "), "last_name"))
    user = user.withColumn("date_joined", f.to_timestamp("date_joined")).withColumn("age", f.col("age").cast("int"))
    return user.select("ind", "user_name", "age", "date_joined")


def main():
    topics, tables, analyses = map(pathlib.Path, sys.argv[1:])
    spark = SparkSession.builder.getOrCreate()
    for name, clean in {"pin": clean_pin, "geo": clean_geo, "user": clean_user}.items():
        raw = spark.read.json(f"{topics}/124df56aef51.{name}/partition=0/*.json")
        clean(raw).write.format("delta").mode("overwrite").save(f"{tables}/{name}")
        spark.read.format("delta").load(f"{tables}/{name}").createOrReplaceTempView(name)
    for path in sorted(analyses.glob("*.sql")):
        spark.sql(re.sub(r"(?m)^--.*$", "", path.read_text())).collect()
    spark.stop()


if __name__ == "__main__":
    main()
