"""How long a peer takes to open a Delta table and count its rows; runs in the Python that `make interop` brings.

    python open_table.py duckdb|deltars PATH ROUNDS

Prints a JSON object: the milliseconds of each round, and the rows. Libraries and DuckDB's extension are loaded before;
each round opens the table anew. (tests/interop/read_*.py compare what these two read.)
"""
import glob
import json
import sys
import time


def duckdb_counter(path):
    import duckdb

    extension = glob.glob(sys.prefix + "/lib/python3*/site-packages/duckdb_extension_delta/extensions/*/"
                          "delta.duckdb_extension")[0]
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{extension}'")
    return lambda: connection.execute(f"SELECT count(*) FROM delta_scan('{path}')").fetchone()[0]


def deltars_counter(path):
    import deltalake

    def count():
        result = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(path)).execute("SELECT count(*) FROM t")
        return result.read_all().column(0).chunks[0].to_pylist()[0]

    return count


def main():
    peer, path, rounds = sys.argv[1:]
    count = {"duckdb": duckdb_counter, "deltars": deltars_counter}[peer](path)
    times, rows = [], 0
    for _ in range(int(rounds)):
        began = time.monotonic()
        rows = count()
        times.append((time.monotonic() - began) * 1000)
    print(json.dumps({"ms": times, "rows": rows}))


main()
