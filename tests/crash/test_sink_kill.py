"""The sink is killed, or its disk fails, in the middle of a group of objects; the next one, with whatever layout, makes
the group whole as its manifest says, and every record is in the lake once."""

import json
import pathlib
import sys
import urllib.request

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "torture"))
from checker import object_lines  # noqa: E402

ID = "124df56aef51"
TOPIC = f"{ID}.geo"
HOURLY = "'hour'=HH"
DAY = 1646092800000
LAYOUTS = [
    {"PINPIPE_SINK_PATH_FORMAT": HOURLY},
    {"PINPIPE_SINK_PATH_FORMAT": "'day'=dd/'hour'=HH", "PINPIPE_SINK_S3_COMPRESSION_TYPE": "gzip",
     "PINPIPE_SINK_PARTITION_DURATION_MS": "7200000"},
    {"PINPIPE_SINK_S3_COMPRESSION_TYPE": "gzip", "PINPIPE_SINK_STORE_KAFKA_KEYS": "true"},
    {},
]
COMMON = {"PINPIPE_SINK_FLUSH_SIZE": "4", "PINPIPE_SINK_TIMESTAMP_EXTRACTOR": "RecordField",
          "PINPIPE_SINK_TIMESTAMP_FIELD": "at"}
STEP = 30   # records a round


@pytest.fixture
def sink(run, data_dir, pinpipe):
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")

    def run_sink(layout, **options):
        env = {**COMMON, **LAYOUTS[layout], **options.pop("env", {})}
        return run("sink", "--until-end", "--dir", data_dir, env=env, **options)

    return run_sink


def post(gateway, numbers):
    records = [{"value": {"ind": n, "country": "Albania", "at": DAY + n * 7 % 24 * 3600000}} for n in numbers]
    request = urllib.request.Request(f"{gateway.url}/topics/{TOPIC}", json.dumps({"records": records}).encode(),
                                     {"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert all(offset.get("offset") is not None for offset in json.load(reply)["offsets"])


@pytest.mark.parametrize("action", ["kill", "eio"])
@pytest.mark.parametrize("first", range(len(LAYOUTS) - 1))
def test_in_the_middle_of_a_group(run, gateway, data_dir, sink, first, action):
    total = 0
    for nth in (1, 2, 3, 5, 9, 14):
        post(gateway, range(total, total + STEP))
        total += STEP
        failed = sink(first, status=None, env={"PINPIPE_FAILPOINTS": f"sink-output:{action}@{nth}"})
        if action == "kill":
            assert failed.returncode in (-9, 0), failed
        sink((first + nth) % len(LAYOUTS))
        lines = object_lines(data_dir / "lake", TOPIC)
        found = sorted((int(offset), json.loads(line)["ind"]) for _, offset, line in lines)
        assert found == [(n, n) for n in range(total)]
    run("batch", "--dir", data_dir)
    rows = json.loads(run("sql", "--dir", data_dir, "--format", "json",
                          "SELECT count(*) AS n, sum(ind - _offset::BIGINT) AS apart FROM geo_all").stdout)
    assert rows == [{"n": total, "apart": 0}]
    run("check", "--dir", data_dir)
