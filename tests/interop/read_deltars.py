"""Reads tables with delta-rs: rows by its own query engine, history and the versions of an application.

With the argument "compact" it first rewrites the tables: small files into large ones, and a checkpoint. With
"append" it first adds a row of its own, which is in no log of ours.
"""

import json
import sys

import deltalake
import request

TYPES = {"integer": "int", "long": "bigint"}


def short_type(kind):
    if isinstance(kind, dict):
        return f"{kind['type']}<{short_type(kind['elementType'])}>"
    return TYPES.get(kind, kind)


def query(table, sql):
    """All rows, as lists."""
    result = deltalake.QueryBuilder().register("t", table).execute(sql).read_all()
    columns = [[value for chunk in result.column(i).chunks for value in chunk.to_pylist()]
               for i in range(result.num_columns)]
    return [list(row) for row in zip(*columns)]


def literal(value, kind):
    if kind == "timestamp":
        return f"arrow_cast({value}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    return str(value) if isinstance(value, (int, float)) else "'" + value.replace("'", "''") + "'"


def read_rows(table):
    """(columns, rows)"""
    columns = {field["name"]: short_type(field["type"]) for field in json.loads(table.schema().to_json())["fields"]}
    wanted = ", ".join(f"arrow_cast(\"{name}\", 'Int64')" if kind == "timestamp" else f'"{name}"'
                       for name, kind in columns.items())
    return columns, request.sorted_rows(list(columns), query(table, f"SELECT {wanted} FROM t"))


def read_version(path, version):
    return request.digest(read_rows(deltalake.DeltaTable(path, version=version))[1])


def read(path, matches, app, versions):
    path, version = request.place_of(path)
    table = deltalake.DeltaTable(path, version=version)
    columns, rows = read_rows(table)
    counts = [query(table, f'SELECT count(*) FROM t WHERE "{column}" = {literal(value, columns[column])}')[0][0]
              for column, value in matches]
    return {"columns": columns, "rows": rows, "matches": counts,
            "version": table.version(), "history": [entry["operation"] for entry in table.history()],
            "app_version": table.transaction_version(app) if app else None,
            "versions": {version: read_version(path, version) for version in versions}}


def compact(path):
    table = deltalake.DeltaTable(path)
    table.optimize.compact()
    table.create_checkpoint()


def append(path):
    table = deltalake.DeltaTable(path)
    names = [field.name for field in table.schema().fields]
    wanted = ", ".join(f'CAST(NULL AS VARCHAR) AS "{name}"' if name.startswith("_") else f'"{name}"' for name in names)
    row = deltalake.QueryBuilder().register("t", table).execute(f"SELECT {wanted} FROM t LIMIT 1").read_all()
    deltalake.write_deltalake(table, row, mode="append")


def main():
    asked = request.asked()
    if sys.argv[1:] == ["append"]:
        for path in asked["tables"].values():
            append(path)
    if sys.argv[1:] == ["compact"]:
        for path in asked["tables"].values():
            compact(path)
    request.answer({name: read(path, asked["matches"].get(name, []), asked["apps"].get(name),
                               asked["versions"].get(name, []))
                    for name, path in asked["tables"].items()})


if __name__ == "__main__":
    main()
