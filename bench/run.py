"""make bench: every figure beside a limit or a peer measured in the same run. README.md says how to read it."""
import argparse
import functools
import pathlib
import signal
import subprocess
import sys

import abuse
import batch
import delta
import emulate
import flood
import ingest
import kafka
import lapse
import log
import mysql
import page
import s3
import sink
import spark
import stream
import tables
from measure import TOP, Table

PARTS = {"ingest": ingest.measure, "log": log.measure, "emulate": emulate.measure, "batch": batch.measure,
         "sink": sink.measure, "stream": stream.measure, "delta": delta.measure, "s3": s3.measure,
         "kafka": kafka.measure, "mysql": mysql.measure, "spark": spark.measure, "abuse": abuse.measure,
         "tables": tables.measure, "page": page.measure, "lapse": lapse.from_nothing, "day": lapse.after_a_day,
         "flood": flood.measure}
LONG = ("lapse", "day", "flood")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build-bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of one load")
    parser.add_argument("--lapse", type=int, default=180, help="seconds of what takes half an hour, all scaled alike")
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing stays behind: processes, a million files
    rows = arguments.build / "rows"
    rows.mkdir(exist_ok=True)
    subprocess.run([arguments.build / "bench" / "make_rows", "rows", "20000", rows], check=True)
    table = Table()
    for part in arguments.parts:
        measure = functools.partial(PARTS[part], lapse_s=arguments.lapse) if part in LONG else PARTS[part]
        measure(table, arguments.build / "pinpipe", arguments.build, rows / "pin.ndjson", arguments.rounds,
                arguments.seconds)
    table.write(arguments.build / "bench.json")
    print(f"written: {arguments.build / 'bench.json'}")
    if table.missed:
        print("missed: " + "; ".join(table.missed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
