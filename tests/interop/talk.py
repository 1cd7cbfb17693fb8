"""One session of a reader or writer that is not ours, which is told one thing after the other, so that others work on
the tables between. Arguments: spark with its two, as read_spark.py has them, or deltars.

stdin   a line each: {"sql": statement}                                     Spark only
                     {"call": name, "path": path, "with": {…}}              delta-rs only: a function of this file
                     {"read": path, "versions": [version, …]}
stdout  a line each: {"done": what it said} or {"failed": the kind of error and its text}
"""

import json
import sys


class Spark:
    def __init__(self, jars, scratch):
        import read_spark  # pylint: disable=import-outside-toplevel  # only who is asked for is there
        self.reader, self.spark = read_spark, read_spark.session(jars, scratch)

    def sql(self, statement):
        return [row.asDict() for row in self.spark.sql(statement).collect()]

    def read(self, path, versions):
        return self.reader.read(self.spark, path, [], versions)


class DeltaRs:
    def __init__(self):
        import deltalake  # pylint: disable=import-outside-toplevel
        import read_deltars  # pylint: disable=import-outside-toplevel
        self.reader, self.table, self.remembered = read_deltars, deltalake.DeltaTable, None

    def read(self, path, versions):
        return self.reader.read(path, [], None, versions)

    def call(self, name, path, arguments):
        """On the table as it is now; without a path, as it was when it was remembered."""
        if name == "remember":
            self.remembered = self.table(path)
            return self.remembered.version()
        table = self.table(path) if path else self.remembered
        return {"compact": lambda t: t.optimize.compact(**arguments),
                "z_order": lambda t: t.optimize.z_order(**arguments),
                "vacuum": lambda t: t.vacuum(**arguments),
                "delete": lambda t: t.delete(**arguments),
                "update": lambda t: t.update(**arguments),
                "checkpoint": lambda t: t.create_checkpoint(),
                "cleanup": lambda t: t.cleanup_metadata(),
                "properties": lambda t: t.alter.set_table_properties(**arguments)}[name](table)


def do(session, asked):
    if "sql" in asked:
        return session.sql(asked["sql"])
    if "call" in asked:
        return session.call(asked["call"], asked["path"], asked["with"])
    return session.read(asked["read"], asked["versions"])


def main():
    session = Spark(*sys.argv[2:]) if sys.argv[1] == "spark" else DeltaRs()
    for line in sys.stdin:
        try:
            answer = {"done": do(session, json.loads(line))}
        except Exception as error:  # pylint: disable=broad-except  # what it refuses is an answer, too
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)


main()
