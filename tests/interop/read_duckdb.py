"""Reads tables with DuckDB's delta extension (delta-kernel-rs underneath)."""

import glob
import sys

import duckdb
import request

TYPES = {"INTEGER": "int", "BIGINT": "bigint", "VARCHAR": "string", "DOUBLE": "double", "BOOLEAN": "boolean",
         "TIMESTAMP WITH TIME ZONE": "timestamp", "DOUBLE[]": "array<double>"}
EXTENSION = "/lib/python3*/site-packages/duckdb_extension_delta/extensions/*/delta.duckdb_extension"


def connect():
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for extension in (request.httpfs(), glob.glob(sys.prefix + EXTENSION)[0]):
        if extension:
            connection.execute(f"LOAD '{extension}'")
    if place := request.s3():
        connection.execute("CREATE SECRET (TYPE s3, KEY_ID '{id}', SECRET '{secret}', REGION '{region}', "
                           "ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)".format(**place))
    return connection


def read_rows(connection, source):
    """(columns, rows)"""
    columns = {row[0]: TYPES.get(row[1], row[1])
               for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    wanted = ", ".join(f'epoch_us("{name}")' if kind == "timestamp" else f'"{name}"'
                       for name, kind in columns.items())
    rows = connection.execute(f"SELECT {wanted} FROM {source}").fetchall()
    return columns, request.sorted_rows(list(columns), rows)


def read_version(connection, path, version):
    return request.digest(read_rows(connection, f"delta_scan('{path}', version => {version})")[1])


def read(connection, path, matches, versions):
    path, version = request.place_of(path)
    source = f"delta_scan('{path}'{'' if version is None else f', version => {version}'})"
    columns, rows = read_rows(connection, source)
    counts = []
    for column, value in matches:
        bound = "make_timestamptz(?)" if columns[column] == "timestamp" else "?"
        counts.append(connection.execute(f'SELECT count(*) FROM {source} WHERE "{column}" = {bound}',
                                         [value]).fetchone()[0])
    return {"columns": columns, "rows": rows, "matches": counts,
            "versions": {version: read_version(connection, path, version) for version in versions}}


def main():
    asked = request.asked()
    connection = connect()
    request.answer({name: read(connection, path, asked["matches"].get(name, []), asked["versions"].get(name, []))
                    for name, path in asked["tables"].items()})


main()
