"""What a reader is asked, and how it answers; the scripts read_*.py run in the readers' own Python.

stdin   {"tables": {name: path}, "matches": {name: [[column, value], …]}, "apps": {name: app id},
         "versions": {name: [version, …]}}
stdout  {name: {"columns": {column: type}, "rows": [[…]], "matches": [count, …], "versions": {version: digest}}}

Types are Spark's short names; timestamps are microseconds since 1970 UTC; rows go by _partition and _offset. A digest
is of all rows of that version.
"""

import glob
import hashlib
import json
import os
import sys


def httpfs():
    """The file of DuckDB's extension that reads from S3, or None."""
    found = glob.glob(os.environ.get("INTEROP_S3", "-") + "/venv/lib/python3*/site-packages/"
                      "duckdb_extension_httpfs/extensions/*/httpfs.duckdb_extension")
    return found[0] if found else None


def s3():
    """Where the tables are, if they are in a bucket: url, host, region, id, secret."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3")
    return {"url": url, "host": url.split("//")[1], "region": os.environ["AWS_REGION"],
            "id": os.environ["AWS_ACCESS_KEY_ID"], "secret": os.environ["AWS_SECRET_ACCESS_KEY"]} if url else None


def place_of(path):
    """A path with a version behind it, PATH@v3, is the table as it was then: its path and version, or None."""
    path, _, version = path.partition("@v")
    return path, int(version) if version else None


def asked():
    """The request."""
    return json.load(sys.stdin)


def answer(result):
    """Print the answers; the last line of stdout."""
    sys.stdout.flush()
    print(json.dumps(result))


def sorted_rows(columns, rows):
    """Rows in the order of the log; at the end those that are in no log of ours."""
    partition, offset = columns.index("_partition"), columns.index("_offset")
    return sorted((list(row) for row in rows),
                  key=lambda row: (row[partition] is None, row[partition] or "", row[offset] or ""))


def digest(rows):
    """Of rows that are sorted."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
