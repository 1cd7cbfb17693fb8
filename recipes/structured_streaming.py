"""Topics of Kafka into the streaming path's Delta tables by Spark Structured Streaming, each record once.

usage: spark-submit --packages io.delta:delta-spark_4.0_2.13:4.3.0,org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.1 \\
           structured_streaming.py --bootstrap-servers HOST:PORT --lake URL [--until-end]

docs/scale.md says when this is worth its price, what it costs and what it leaves out. For each models/clean/<table>.sql
the records of the topic <id>.<table> become rows of tables/<id>_<table>_table in the lake, by the model's own SQL.

How each record comes to be there once:

* How far a partition is stands in the table alone: in the `txn` that the write of its rows carries. A start reads it
  and goes on behind it, with a new checkpoint, as an old one would claim to know better than the table.
* A batch drops what the table says is done. Then each partition is one write, whose version is the highest offset,
  since a write has one `txn`. One that was committed before is skipped by Delta itself.
* What is no row is a dead letter, written before the write that passes it. What a crash left of letters whose write
  never came is removed at the next start.
* A table has one writer. Two of these jobs beside each other, or one beside `pinpipe stream`, may write a record
  twice: a `txn` says how far a partition is, and Delta does not ask how far it was when the batch began.
"""

import argparse
import base64
import json
import pathlib
import re
import shutil
import sys
import tempfile

from pyspark.sql import SparkSession, functions

HERE = pathlib.Path(__file__).resolve().parent.parent
SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.shuffle.partitions": "1",  # what is shuffled is a line a partition, and dead letters
    "spark.databricks.delta.snapshotPartitions": "1",  # of what the log says, which is little
}
BITS = {"int": (32, "as_int"), "long": (64, "as_long")}
EARLIEST = -2  # in place of an offset, in the source's words
CORRUPT = "_corrupt_record"  # where from_json puts a text of which it could make nothing
LETTERS_BYTES_MAX = 30 << 20  # of an object: pinpipe reads no larger ones


class Model:
    """models/clean/<name>.sql (docs/models.md)."""

    def __init__(self, path, table_id):
        text = path.read_text()
        words = self.header(text)
        self.name, self.sql = path.stem, text
        self.columns = [tuple(column.split(None, 1)) for column in words["columns"].split(",")]
        self.fields = [(unquoted(name), alias or name) for name, alias in
                       re.findall(r'("(?:[^"]|"")+"|\S+)(?: +AS +(\w+))?', words["fields"])]
        key, _, column = words.get("key", "").partition(" AS ")
        self.key = next((name for name, alias in self.fields if alias == key), None)  # as the JSON has it
        self.key_kind = dict(self.columns).get(column or key)
        self.topic = words.get("topic", "{id}." + self.name).replace("{id}", table_id)
        self.stream = words.get("stream", "streaming-{id}-" + self.name).replace("{id}", table_id)

    @staticmethod
    def header(text):
        words, word = {}, None
        for line in text.splitlines():
            if not line.startswith("--"):
                break
            if line.startswith("--  "):
                words[word] += " " + line[2:].strip()
            else:
                word, _, value = line[2:].strip().partition(":")
                words[word] = value.strip()
        return words

    def reason(self):
        """SQL: why a record is no row, as pinpipe judges it; null: it is one. `names` are those in its JSON."""
        has = " OR ".join(f"array_contains(names, {literal(name)})" for name, _ in self.fields if name != self.key)
        only_key = f"names = array({literal(self.key)}) OR size(names) = 0" if self.key else "false"
        cases = ["value IS NULL THEN 'a tombstone: it has no value'",
                 f"names IS NULL OR fields.{CORRUPT} IS NOT NULL OR NOT is_valid_utf8(text) THEN 'no JSON object'",
                 "size(names) <> size(array_distinct(names)) THEN 'a name stands in it twice'",
                 f"NOT ({has or 'false'} OR {only_key}) THEN 'has none of the fields of {self.name}'"]
        if self.key:
            key = f"nullif(fields.{quoted(self.key)}, '')"
            told = literal(f'"{self.key}"')
            cases += [f"NOT array_contains(names, {literal(self.key)}) THEN 'lacks ' || {told}",
                      f"{key} IS NULL THEN {told} || ' is empty'"]
            if self.key_kind in BITS:
                bits, reads = BITS[self.key_kind]
                cases.append(f"{reads}({key}) IS NULL THEN {told} || ' is no {bits}-bit integer: ' || left({key}, 40)")
        return "CASE " + " ".join(f"WHEN {case}" for case in cases) + " END"

    def rows(self, spark, records):
        """What the SQL makes of the records that are rows."""
        raw = records.select("fields.*", "_partition", "_offset").drop(CORRUPT).toDF(
            *[alias for _, alias in self.fields], "_partition", "_offset")
        raw.selectExpr(*[f"nullif({quoted(name)}, '') AS {quoted(name)}" for name in raw.columns]) \
            .createOrReplaceTempView("raw")
        casts = ", ".join(f"CAST({quoted(name)} AS {'bigint' if kind == 'long' else kind}) AS {quoted(name)}"
                          for name, kind in [*self.columns, ("_partition", "string"), ("_offset", "string")])
        return spark.sql(f"SELECT {casts} FROM (\n{self.sql}\n)")


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unquoted(name):
    """A name of a header, in which a quote is doubled."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def shard(partition):
    """What a partition is called on the streaming path."""
    return f"shardId-{partition:012}"


def joined(lines):
    """Objects that hold them, none larger than may be."""
    body, size = [], 0
    for line in lines:
        if body and size + len(line) > LETTERS_BYTES_MAX:
            yield b"".join(body)
            body, size = [], 0
        body.append(line)
        size += len(line)
    if body:
        yield b"".join(body)


class Lake:
    """Files below the lake, by Hadoop's own file systems: a directory, s3a://…, abfss://…"""

    def __init__(self, spark, url):
        self.jvm, self.url = spark._jvm, url
        self.files = self.path("").getFileSystem(spark._jsc.hadoopConfiguration())
        self.files.setWriteChecksum(False)

    def path(self, key):
        return self.jvm.org.apache.hadoop.fs.Path(f"{self.url}/{key}".rstrip("/"))

    def find(self, pattern):
        return [status.getPath() for status in self.files.globStatus(self.path(pattern)) or []]

    def put(self, key, body, by_way_of):
        """Whole or not at all, also on a disk."""
        out = self.files.create(self.path(by_way_of), True)
        out.write(body)
        out.close()
        self.files.mkdirs(self.path(key).getParent())
        if not self.files.rename(self.path(by_way_of), self.path(key)):
            raise RuntimeError(f"could not put \"{key}\" into the lake")


class Topic:
    """What only Kafka knows: the topic's id and its partitions."""

    def __init__(self, spark, client, name):
        settings = spark._jvm.java.util.Properties()
        for key, value in client.items():
            settings.setProperty(key, value)
        admin = spark._jvm.org.apache.kafka.clients.admin.Admin.create(settings)
        try:
            names = spark._jvm.java.util.List.of(name)
            told = admin.describeTopics(names).allTopicNames().get().get(name)
        finally:
            admin.close()
        halves = told.topicId().getMostSignificantBits(), told.topicId().getLeastSignificantBits()
        self.name = name
        self.uid = "".join(f"{half % 2**64:016x}" for half in halves)
        self.partitions = [partition.partition() for partition in told.partitions()]


class Table:
    """One table, its topic and its dead letters."""

    def __init__(self, spark, lake, topic, model):
        self.spark, self.lake, self.topic, self.model = spark, lake, topic, model

    def open(self, table_id):
        self.root = f"tables/{table_id}_{self.model.name}_table"
        self.url = f"{self.lake.url}/{self.root}"
        strange = [app for app in self.txns() if app.startswith(self.of_stream()) and self.partition_of(app) is None]
        if strange:
            sys.exit(f"\"{self.root}\" has rows of another stream or topic, as its txn \"{strange[0]}\" says: "
                     "another lake is wanted")
        self.settle()
        return self

    def of_stream(self):
        return f"pinpipe/stream/{self.model.stream}/"

    def app(self, partition):
        return f"{self.of_stream()}{shard(partition)}/{self.topic.uid}"

    def partition_of(self, app):
        found = re.fullmatch(re.escape(self.of_stream()) + r"shardId-(\d{12})/" + self.topic.uid, app)
        return int(found[1]) if found else None

    def txns(self):
        """App id → version, as the table has it now. Spark has no public call for that."""
        jvm = self.spark._jvm
        none = getattr(getattr(jvm.scala, "None$"), "MODULE$")
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.url)
        found = log.update(False, none, none).transactions().iterator()
        txns = {}
        while found.hasNext():
            txn = found.next()
            txns[txn._1()] = txn._2()
        return txns

    def done(self):
        """Partition → the last offset that is in the table, or a letter."""
        return {self.partition_of(app): version for app, version in self.txns().items()
                if self.partition_of(app) is not None}

    def settle(self):
        """Removes letters of writes that never came."""
        done = self.done()
        for path in self.lake.find(f"dlq/{self.model.stream}/partition=*/*+{self.model.name}.ndjson"):
            named = re.fullmatch(r"(?:none|\d{20})-(\d{20})(?:\.\d+)?\+.*", path.getName())
            place = re.fullmatch(r"partition=shardId-(\d{12})", path.getParent().getName())
            if named and place and int(named[1]) > done.get(int(place[1]), -1):
                self.lake.files.delete(path, False)

    def start(self, client, options, checkpoint):
        done = self.done()
        begin = {str(partition): done[partition] + 1 if partition in done else EARLIEST
                 for partition in self.topic.partitions}
        records = self.spark.readStream.format("kafka") \
            .options(**{f"kafka.{name}": value for name, value in client.items()}) \
            .option("subscribe", self.topic.name).option("startingOffsets", json.dumps({self.topic.name: begin})) \
            .option("maxOffsetsPerTrigger", options.batch_records).load()
        when = {"availableNow": True} if options.until_end else {"processingTime": options.every}
        return records.writeStream.queryName(self.model.name).foreachBatch(self.take) \
            .option("checkpointLocation", f"file:{checkpoint}/{self.model.name}").trigger(**when).start()

    def judged(self, records):
        """Each record with what its JSON has, or the reason why it is no row."""
        schema = ", ".join(f"{quoted(name)} STRING" for name in [*(name for name, _ in self.model.fields), CORRUPT])
        return records.selectExpr(
            "partition", "offset", "unix_millis(timestamp) AS timestamp_ms", "value", "CAST(value AS STRING) AS text") \
            .selectExpr("*", "json_object_keys(text) AS names", f"from_json(text, {literal(schema)}) AS fields") \
            .selectExpr("partition", "offset", "timestamp_ms", f"{self.model.reason()} AS reason", "value", "fields") \
            .selectExpr("partition", "offset", "timestamp_ms", "reason", "IF(reason IS NULL, NULL, value) AS value",
                        "IF(reason IS NULL, fields, NULL) AS fields")

    def take(self, frame, _):
        """A batch of Spark's, which is any batch to the table."""
        done = self.done()
        judged = self.judged(frame).persist()  # read and parsed once, not once a write
        try:
            ends = judged.groupBy("partition").agg(functions.max("offset").alias("last"), functions.count("reason"))
            for partition, last, dead in sorted(ends.collect()):
                if last > done.get(partition, -1):
                    self.commit(judged, partition, done.get(partition), last, dead)
        finally:
            judged.unpersist()

    def commit(self, judged, partition, done, last, dead):
        records = judged.where(f"partition = {partition} AND offset > {-1 if done is None else done}") \
            .selectExpr("*", f"'{shard(partition)}' AS _partition", "lpad(CAST(offset AS STRING), 20, '0') AS _offset")
        if dead:
            self.write_letters(records.where("reason IS NOT NULL").orderBy("offset"), partition, done, last)
        rows = self.model.rows(judged.sparkSession, records.where("reason IS NULL"))
        rows.coalesce(1).write.format("delta").mode("append") \
            .option("txnAppId", self.app(partition)).option("txnVersion", last).save(self.url)
        print(f"{self.model.name}: partition {partition} to offset {last}", flush=True)

    def write_letters(self, letters, partition, done, last):
        """dlq/…/<from>-<upto>[.<number>]+<table>.ndjson, as docs/formats.md has it."""
        begin = "none" if done is None else f"{done:020}"
        prefix = f"dlq/{self.model.stream}/partition={shard(partition)}/{begin}-{last:020}"
        for number, body in enumerate(joined(map(self.line, letters.toLocalIterator())), 1):
            key = f"{prefix}{f'.{number}' if number > 1 else ''}+{self.model.name}.ndjson"
            self.lake.put(key, body, f"{self.root}/_letters")

    def line(self, letter):
        value = None if letter.value is None else base64.b64encode(letter.value).decode()
        return json.dumps({
            "topic": self.model.stream, "partition": letter._partition, "offset": letter._offset, "stage": "stream",
            "table": self.model.name, "reason": letter.reason, "timestamp_ms": letter.timestamp_ms, "value": value,
        }, ensure_ascii=False).encode() + b"\n"


def parsed():
    parser = argparse.ArgumentParser(description="Topics of Kafka into the streaming path's Delta tables.")
    parser.add_argument("--bootstrap-servers", required=True, metavar="HOST:PORT,…")
    parser.add_argument("--client", type=pathlib.Path, metavar="FILE", help="settings of Kafka's client: name=value")
    parser.add_argument("--lake", required=True, metavar="URL", help="file:/DIR, s3a://BUCKET/PREFIX …")
    parser.add_argument("--id", default="124df56aef51", help="the prefix of topics and tables")
    parser.add_argument("--models", type=pathlib.Path, default=HERE / "models", metavar="DIR")
    parser.add_argument("--functions", type=pathlib.Path, default=HERE / "spark" / "functions.sql", metavar="FILE")
    parser.add_argument("--batch-records", type=int, default=100000, metavar="N", help="of a topic in a batch, at most")
    parser.add_argument("--every", default="10 seconds", metavar="TIME", help="between the starts of batches")
    parser.add_argument("--until-end", action="store_true", help="take what is there now, and end")
    return parser.parse_args()


def session(functions_file):
    builder = SparkSession.builder.appName("pinpipe-stream")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for statement in re.split(r";\s*\n", functions_file.read_text()):
        if re.sub(r"--.*", "", statement).strip():
            spark.sql(statement)
    return spark


def client_of(options):
    lines = options.client.read_text().splitlines() if options.client else []
    settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {**settings, "bootstrap.servers": options.bootstrap_servers, "isolation.level": "read_committed"}


def main():
    options = parsed()
    models = [Model(path, options.id) for path in sorted((options.models / "clean").glob("*.sql"))]
    if len({model.topic for model in models}) < len(models):
        sys.exit("several models read one topic: pinpipe decides whose a record is, this does not")
    spark, client = session(options.functions), client_of(options)
    lake = Lake(spark, options.lake.rstrip("/"))
    tables = [Table(spark, lake, Topic(spark, client, model.topic), model).open(options.id) for model in models]
    checkpoint = tempfile.mkdtemp(prefix="pinpipe-stream-")
    try:
        queries = [table.start(client, options, checkpoint) for table in tables]
        if options.until_end:
            for query in queries:
                query.awaitTermination()
        else:
            spark.streams.awaitAnyTermination()
    finally:
        shutil.rmtree(checkpoint, ignore_errors=True)
        spark.stop()


if __name__ == "__main__":
    main()
