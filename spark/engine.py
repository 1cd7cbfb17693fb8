"""The Spark side of pinpipe's engine `spark` (src/engine/engine_spark.c): runs SQL that it is told over files.

usage: spark-submit [options] engine.py SOCKET

SOCKET is the name of an abstract Unix socket, on which pinpipe listens. Each message is a JSON object on a line.
pinpipe's first one configures; each further one asks for one thing, and is answered by one, {"done": …} or
{"error": …}:

    {"do": "configure", "settings": {…}, "functions": "CREATE …", "exchange": "file:///…"}
    {"do": "clean", "raw": url, "fields": [name], "columns": [[name, type]], "sql": "…", "to": url}
    {"do": "attach", "tables": [{"name": …, "columns": [[name, type]], "key": name or null, "files": [url]}]}
    {"do": "ask", "sql": "…", "to": url}
    {"do": "check", "sql": "…", and of a clean model "fields": [name], "columns": [[name, type]]}

{"do": "end"} closes the session. {"do": "cancel"} is heard while something runs, which then ends with an error of the
kind "stopped". Meanwhile {"progress": [tasks done, tasks known, tasks running]} goes out once a second, an empty list
where Spark does not tell: by it pinpipe knows that this process is alive.

Only SQL, files and the catalog of temporary views are used, so that Spark Connect (spark.remote) does as well. Nothing
is written but below `to`. This file is run by the user's Python and needs nothing but pyspark.
"""

import json
import os
import queue
import re
import socket
import sys
import threading
import traceback

OLDEST = (4, 0)
# What SQL means, whatever spark-defaults.conf or the server says: a model gives the same rows everywhere.
ALWAYS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.ansi.enforceReservedKeywords": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.crossJoin.enabled": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.groupByAliases": "true",
    "spark.sql.groupByOrdinal": "true",
    "spark.sql.orderByOrdinal": "true",
    "spark.sql.parquet.compression.codec": "snappy",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.variable.substitute": "false",  # ${env:…} in a text would be a variable of the environment
}
TYPES = {"int": "INT", "long": "BIGINT", "double": "DOUBLE", "string": "STRING", "boolean": "BOOLEAN",
         "timestamp": "TIMESTAMP", "array<double>": "ARRAY<DOUBLE>"}
TOLD_MAX = 1500  # characters of a message


class Refused(Exception):
    """What is not to be done, and why."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Line:
    """The connection: whole lines, written by any thread."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect("\0" + name)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.lock = threading.Lock()

    def send(self, message):
        with self.lock:
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self):
        try:
            line = self.lines.readline()
        except ConnectionError:
            return None
        return json.loads(line) if line.endswith("\n") else None


def name_of(name):
    return "`" + name.replace("`", "``") + "`"


def columns_of(columns):
    return ", ".join(f"{name_of(name)} {TYPES[kind]}" for name, kind in columns)


def casts_of(columns, schema):
    """A cast where it changes something: one that does not would take the blame of the cast within it."""
    there = {field.name: field.dataType.simpleString().upper() for field in schema}
    return ", ".join(name_of(name) if there.get(name) == TYPES[kind] else
                     f"CAST({name_of(name)} AS {TYPES[kind]}) AS {name_of(name)}" for name, kind in columns)


class Engine:
    """The session and its views."""

    def __init__(self, settings, functions, exchange):
        from pyspark import __version__ as version
        from pyspark.sql import SparkSession

        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise Refused("usage", f"this is Spark {version}; the functions of the models need Spark 4.0 or newer")
        os.environ.pop("MASTER", None)  # spark-submit's; a Spark Connect server is in its place
        builder = SparkSession.builder.appName("pinpipe")
        if "spark.remote" not in settings:
            builder = builder.config("spark.api.mode", "classic")
        for key, value in {**settings, **ALWAYS}.items():
            builder = builder.config(key, value)
        self.version = version
        self.exchange = f"/{exchange.rpartition('/')[2]}/"  # Hadoop writes a URL in several ways, this in one
        self.tables = {}
        self.viewed = set()
        self.statement = ""  # that is at work, whose first `before` lines are not the model's
        self.before = 0
        self.spark = builder.getOrCreate()
        for name in self.spark.conf.getAll:
            if name.startswith("spark.sql.legacy.") and name not in settings and self.spark.conf.isModifiable(name):
                self.spark.conf.unset(name)
        self.remote = "spark.remote" in settings
        self.stages = []  # of what runs on a Spark Connect server
        if self.remote:
            self.spark.registerProgressHandler(self.heard_of)
        for statement in re.split(r";\s*\n", functions):
            if re.sub(r"--.*", "", statement).strip():
                self.spark.sql(statement)

    def heard_of(self, stages, inflight_tasks, operation_id, done):
        """What a Spark Connect server tells of the tasks of a statement."""
        self.stages = [] if done else [sum(stage.num_completed_tasks for stage in stages),
                                       sum(stage.num_tasks for stage in stages), inflight_tasks]

    def progress(self):
        """Of the tasks of what runs: done, known, running; empty where that is not known."""
        if self.remote:
            return self.stages
        tracker = self.spark.sparkContext.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        stages = [stage for stage in stages if stage]
        return [sum(stage.numCompletedTasks for stage in stages), sum(stage.numTasks for stage in stages),
                sum(stage.numActiveTasks for stage in stages)]

    def cancel(self):
        if not self.remote:
            self.spark.sparkContext.cancelAllJobs()
        else:
            self.spark.interruptAll()

    def query(self, sql, columns=None):
        self.statement, self.before = sql, 0
        frame = self.spark.sql(sql)
        if columns:
            self.statement, self.before = f"SELECT {casts_of(columns, frame.schema)} FROM (\n{sql}\n)", 1
            frame = self.spark.sql(self.statement)
        return frame

    def line_of(self, error, text):
        """Of the model's SQL, where the error is about it; 0: not known."""
        for context in error.getQueryContext() if hasattr(error, "getQueryContext") else []:
            start, fragment = context.startIndex(), context.fragment()
            if start >= 0 and self.statement.startswith(fragment, start):
                return self.statement.count("\n", 0, start) + 1 - self.before
        at = re.search(r"\(line (\d+), pos \d+\)", text)
        return max(0, int(at[1]) - self.before) if at else 0

    def read(self, schema, *urls):
        """Each URL is one file, whatever characters it has."""
        return self.spark.read.schema(schema).option("__globPaths__", "false").parquet(*urls)

    def write(self, frame, to):
        """The rows, in their order, as Parquet files whose names sort; by c0, c1, …, as names may repeat."""
        from pyspark.sql import Observation, functions

        for field in frame.schema.fields:
            if "interval" in field.dataType.simpleString():
                raise Refused("usage", f"column \"{field.name}\": an interval has no form in Parquet; cast it to text")
        rows = Observation()
        frame = frame.toDF(*[f"c{i}" for i in range(len(frame.columns))])
        frame = frame.selectExpr(*[f"CAST({field.name} AS INT) AS {field.name}" if field.dataType.typeName() == "void"
                                   else field.name for field in frame.schema.fields])
        frame.observe(rows, functions.count(functions.lit(1)).alias("rows")).write.parquet(to)
        return rows.get["rows"]

    def clean(self, raw, columns, sql, to, fields):
        schema = ", ".join(f"{name_of(name)} STRING" for name in [*fields, "_partition", "_offset"])
        self.read(schema, raw).createOrReplaceTempView("raw")
        return {"rows": self.write(self.query(sql, columns), to)}

    def attach(self, tables):
        for view in self.viewed:
            self.spark.catalog.dropTempView(view)
        self.viewed = set()
        self.tables = {table["name"]: table for table in tables}
        return {}

    def view(self, table):
        """All rows, and of those with one key the one of the highest offset."""
        name, columns = table["name"], table["columns"]
        frame = self.read(columns_of(columns), *table["files"]) if table["files"] else \
            self.spark.sql("SELECT " + ", ".join(f"CAST(NULL AS {TYPES[kind]}) AS {name_of(column)}"
                                                 for column, kind in columns) + " WHERE false")
        frame.createOrReplaceTempView(name + "_all")
        own = ", ".join(name_of(column) for column, _ in columns if not column.startswith("_"))
        rows = name_of(name + "_all")
        if table["key"]:
            rows = (f"(SELECT *, row_number() OVER (PARTITION BY {name_of(table['key'])} ORDER BY _offset DESC,"
                    f" _partition DESC) AS _current FROM {rows}) WHERE _current = 1")
        self.spark.sql(f"SELECT {own} FROM {rows}").createOrReplaceTempView(name)
        self.viewed |= {name, name + "_all"}

    def need_views(self, sql):
        for name, table in self.tables.items():
            if name not in self.viewed and name.lower() in sql.lower():
                self.view(table)

    def ask(self, sql, to):
        if re.match(r"(?i)\s*SHOW\b", sql):
            raise Refused("usage", "Spark has no views but those that a question names; ask with --engine duckdb")
        self.need_views(sql)
        frame = self.query(sql)
        return {"columns": frame.columns, "rows": self.write(frame, to)}

    def check(self, sql, fields=None, columns=None):
        if fields is not None:
            self.spark.sql("SELECT " + ", ".join(f"CAST(NULL AS STRING) AS {name_of(name)}" for name in
                           [*fields, "_partition", "_offset"]) + " WHERE false").createOrReplaceTempView("raw")
        self.need_views(sql)
        return {"columns": self.query(sql, columns).schema.names}


def kind_of(state, text):
    """What pinpipe is to do about it, by SQLSTATE (https://spark.apache.org/docs/latest/sql-error-conditions.html).

    Where that says nothing, the text tells; else it may quote any value and any SQL, and its words mean nothing.
    """
    of_sql = {"42": "usage", "0A": "usage", "22": "shape", "21": "shape"}.get((state or "")[:2])
    if of_sql and not text.startswith("[PATH_NOT_FOUND]"):
        return of_sql
    if re.search(r"OutOfMemoryError|UNABLE_TO_ACQUIRE_MEMORY|Container killed .* exceeding", text):
        return "limit"
    if re.search(r"cancelled|OPERATION_CANCELED|Interrupted", text):
        return "stopped"
    if re.search(r"FILE_NOT_EXIST|FileNotFoundException|PATH_NOT_FOUND", text):
        return "absent"
    if "No space left on device" in text:
        return "space"
    if re.search(r"StatusCode.UNAVAILABLE|\bUNAVAILABLE: ", text):
        return "busy"
    return "io"


def told(error):
    """One line for a person: of an error that came by way of the JVM what lies beneath."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    if first.startswith("An error occurred while calling") and len(lines) > 1:
        first = lines[1].removeprefix(": ")
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    if "FILE_NOT_EXIST" in first:
        return re.sub(r".*reading file (.*?)\. File does not exist.*", r"\1 does not exist", first)[:TOLD_MAX]
    if causes and not first.startswith("["):
        first = f"{first} ({causes[-1]})"
    return re.sub(r"\s*SQLSTATE: \w+|[;.]? line \d+ pos \d+;?$", "", first)[:TOLD_MAX]


def state_of(error):
    try:
        return error.getSqlState()
    except Exception:  # what is asked about an error must not hide it
        return None


def answer(engine, request):
    try:
        return {"done": getattr(engine, request.pop("do"))(**request)}
    except Refused as refused:
        return {"error": {"kind": refused.kind, "message": str(refused), "line": 0}}
    except Exception as error:
        traceback.print_exc()
        text = str(error)
        return {"error": {"kind": kind_of(state_of(error), text), "message": told(error),
                          "line": engine.line_of(error, text), "exchange": engine.exchange in text}}


def listen(line, requests, heard):
    """What comes while a request is at work: a cancel, or the end of pinpipe, which is the end of this."""
    while (request := line.receive()) is not None:
        if request["do"] == "cancel":
            if heard["engine"] and heard["busy"]:
                heard["engine"].cancel()
        else:
            requests.put(request)
    os._exit(0)


def beat(line, heard):
    while not heard["ended"].wait(1):
        try:
            engine = heard["engine"]
            line.send({"progress": engine.progress() if engine and heard["busy"] else [0, 0, 0]})
        except OSError:
            os._exit(0)
        except Exception:  # Spark is about to end, which the request at work will tell
            traceback.print_exc()


def configure(request):
    try:
        engine = Engine(request["settings"], request["functions"], request["exchange"])
        return engine, {"done": {"spark": engine.version}}
    except Refused as refused:
        return None, {"error": {"kind": refused.kind, "message": str(refused), "line": 0}}
    except Exception as error:
        traceback.print_exc()
        text = told(error)
        if "stopped SparkContext" in text:  # it gave up on the master
            text = "its master could not be reached, or took no application"
        if "[PACKAGE_NOT_INSTALLED]" in text:
            text += " (Spark Connect needs pyspark[connect])"
        away = re.search(r"(?i)failed to connect|unavailable|timed out|refused|could not be reached", text)
        wrong = re.search(r"\[(CANNOT_CONFIGURE|PACKAGE_NOT_INSTALLED|INVALID_CONNECT_URL)|No module named", text)
        return None, {"error": {"kind": "usage" if wrong else "busy" if away else "io",
                                "message": f"spark could not be started: {text}", "line": 0}}


def main():
    line = Line(sys.argv[1])
    requests = queue.Queue()
    heard = {"engine": None, "busy": False, "ended": threading.Event()}
    threading.Thread(target=listen, args=(line, requests, heard), daemon=True).start()
    threading.Thread(target=beat, args=(line, heard), daemon=True).start()
    heard["engine"], reply = configure(requests.get())
    line.send(reply)
    while heard["engine"]:
        request = requests.get()
        if request["do"] == "end":
            heard["engine"].spark.stop()
            break
        heard["busy"] = True
        reply = answer(heard["engine"], request)
        heard["busy"] = False
        line.send(reply)


if __name__ == "__main__":
    main()
