"""What a reader is asked, and how it answers; the scripts read_*.py run in the readers' own Python.

stdin   {"tables": {name: path}, "matches": {name: [[column, value], …]}, "apps": {name: app id}}
stdout  {name: {"columns": {column: type}, "rows": [[…]], "matches": [count, …]}}

Types are Spark's short names; timestamps are microseconds since 1970 UTC; rows go by _partition and _offset.
"""

import json
import sys


def asked():
    """The request."""
    return json.load(sys.stdin)


def answer(result):
    """Print the answers; the last line of stdout."""
    sys.stdout.flush()
    print(json.dumps(result))


def sorted_rows(columns, rows):
    """Rows in the order of the log."""
    partition, offset = columns.index("_partition"), columns.index("_offset")
    return sorted((list(row) for row in rows), key=lambda row: (row[partition], row[offset]))
