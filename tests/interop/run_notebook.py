"""Runs a notebook with Spark and Delta for Spark. Arguments: as of read_spark.py, then the notebook.

It finds its session as on Databricks, by getOrCreate(), and no dbutils.
"""

import runpy
import sys

import read_spark

spark = read_spark.session(*sys.argv[1:3])
runpy.run_path(sys.argv[3])
spark.stop()
