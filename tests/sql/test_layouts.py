"""The sink's layouts under Confluent's names, and all that reads them back: batch, check, the census, a rebuild."""

import base64
import gzip
import json
import re
import urllib.request

import pytest

from lake import ID

TOPIC = f"{ID}.pin"
DAY = 1646092800000  # 2022-03-01T00:00:00Z
HOUR = 3600000
POSTS = 240
HOURLY = "'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH"


def pin(n):
    return {"index": n, "unique_id": f"u{n}", "title": f"Title {n}", "description": "d", "poster_name": "p",
            "follower_count": "10k", "tag_list": "a,b", "is_image_or_video": "image", "image_src": "http://i",
            "downloaded": 1, "save_location": "Local save in /data/x", "category": "travel",
            "at": DAY + n * 7 % 24 * HOUR}


def post(gateway, numbers):
    body = {"records": [{"value": pin(n)} for n in numbers]}
    request = urllib.request.Request(f"{gateway.url}/topics/{TOPIC}", json.dumps(body).encode(),
                                     {"Content-Type": "application/vnd.kafka.json.v2+json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert all(offset.get("offset") is not None for offset in json.load(reply)["offsets"])


def configure(data_dir, sink):
    path = data_dir / "pinpipe.yaml"
    path.write_text("sink:\n" + "".join(f"  {name}: {json.dumps(value)}\n" for name, value in sink.items()))
    return "--config", path


LAYOUTS = {
    "hours": {"path.format": HOURLY, "timestamp.extractor": "RecordField", "timestamp.field": "at"},
    "days packed": {"path.format": "'day'=YYYY-MM-dd", "partition.duration.ms": 86400000, "s3.compression.type": "gzip",
                    "timezone": "Europe/Berlin", "timestamp.extractor": "RecordField", "timestamp.field": "at"},
    "packed, with sides": {"s3.compression.type": "gzip", "store.kafka.keys": True, "store.kafka.headers": True},
    "plain": {},
}


def land(run, data_dir, **options):
    return json.loads(run("sink", "--until-end", "--dir", data_dir, *configure(data_dir, options)).stdout)


def values_of(data_dir):
    """{n: times} of all lines of all objects, as another program finds them."""
    found = {}
    for path in (data_dir / "lake" / "topics" / TOPIC).rglob("*.json*"):
        if re.search(r"\.(keys|headers)\.json", path.name):
            continue
        data = path.read_bytes()
        for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines():
            n = json.loads(line)["index"]
            found[n] = found.get(n, 0) + 1
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_back(run, gateway, lake, data_dir, layout):
    options = {**LAYOUTS[layout], "flush.size": 10}
    for first in (0, POSTS // 2):
        post(gateway, range(first, first + POSTS // 2))
        counts = land(run, data_dir, **options)
        assert (counts["records"]["pin"], counts["halted"]) == (POSTS // 2, 0)
        lake.batch()
    assert values_of(data_dir) == dict.fromkeys(range(POSTS), 1)
    rows = lake.sql("SELECT count(*) AS n, count(DISTINCT _offset) AS offsets, min(_offset) AS first, "
                    "max(_offset) AS last, sum(ind - _offset::BIGINT) AS apart FROM pin_all")
    assert rows == [{"n": POSTS, "offsets": POSTS, "first": f"{0:020}", "last": f"{POSTS - 1:020}", "apart": 0}]
    run("check", "--dir", data_dir)
    run("rebuild", "pin", "--dir", data_dir, "--from", "batch")
    assert lake.sql("SELECT count(*) AS n FROM pin") == [{"n": POSTS}]
    run("check", "--dir", data_dir)


def test_layouts_may_follow_each_other(run, gateway, lake, data_dir):
    for n, layout in enumerate([*LAYOUTS, *LAYOUTS]):
        post(gateway, range(n * 50, n * 50 + 50))
        land(run, data_dir, **{**LAYOUTS[layout], "flush.size": 7})
        if n % 3 == 1:
            lake.batch()
    lake.batch()
    assert values_of(data_dir) == dict.fromkeys(range(400), 1)
    rows = lake.sql("SELECT count(*) AS n, sum(ind - _offset::BIGINT) AS apart FROM pin_all")
    assert rows == [{"n": 400, "apart": 0}]
    run("check", "--dir", data_dir)


def test_time_folders_and_their_names(run, gateway, data_dir):
    post(gateway, range(48))
    land(run, data_dir, **LAYOUTS["hours"])
    paths = [path.relative_to(data_dir / "lake").as_posix() for path in (data_dir / "lake" / "topics").rglob("*.json")]
    assert len(paths) == 24
    for path in paths:
        match = re.fullmatch(rf"topics/{TOPIC}/year=2022/month=03/day=01/hour=(\d\d)/"
                             rf"{TOPIC}\+0\+(\d{{10}})\.json", path)
        assert int(match[2]) * 7 % 24 == int(match[1])


def amend(data_dir, lost):
    """As the sink does when the log has let go of records that a group needed: of 24, each an object by itself."""
    (path,) = (data_dir / "lake/manifests" / TOPIC / "partition=0").glob("group+*.json")
    group = json.loads(path.read_text())
    for entry in group["objects"][:lost]:
        (data_dir / "lake" / entry["key"]).unlink()
    group.update(amended=True, objects=group["objects"][lost:],
                 runs=[-1, lost, *(word for n in range(24 - lost) for word in (n, 1))])
    path.write_text(json.dumps(group, separators=(",", ":")) + "\n")
    letter = {"topic": TOPIC, "partition": "0", "offset": f"{0:020}", "last": f"{lost - 1:020}", "stage": "sink",
              "reason": "left the log before it was read", "timestamp_ms": 0, "value": None}
    folder = data_dir / "lake/dlq" / TOPIC / "partition=0"
    folder.mkdir(parents=True)
    (folder / f"none-{23:020}.ndjson").write_text(json.dumps(letter, separators=(",", ":")) + "\n")


@pytest.mark.parametrize("lost", [1, 5, 24])
def test_a_group_of_which_the_log_lost_records_is_read(run, gateway, lake, data_dir, lost):
    post(gateway, range(24))
    land(run, data_dir, **LAYOUTS["hours"])
    amend(data_dir, lost)
    post(gateway, range(24, 30))
    assert land(run, data_dir, **LAYOUTS["hours"])["records"]["pin"] == 6
    lake.batch()
    rows = lake.sql("SELECT count(*) AS n, min(ind) AS first, sum(ind - _offset::BIGINT) AS apart FROM pin_all")
    assert rows == [{"n": 30 - lost, "first": lost, "apart": 0}]
    run("check", "--dir", data_dir)


CONNECTOR = f"""name=pins
connector.class=io.confluent.connect.s3.S3SinkConnector
tasks.max=3
topics={TOPIC}
s3.region=us-east-1
flush.size=5
schema.compatibility=NONE
format.class=io.confluent.connect.s3.format.json.JsonFormat
storage.class=io.confluent.connect.s3.storage.S3Storage
partitioner.class=io.confluent.connect.storage.partitioner.HourlyPartitioner
timestamp.extractor=RecordField
timestamp.field=at
locale=en-US
timezone=UTC
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
s3.part.size=5242880
"""


def test_a_connectors_file_is_taken_as_it_is(run, gateway, data_dir):
    post(gateway, range(48))
    path = data_dir / "s3.properties"
    path.write_text(CONNECTOR)
    result = run("sink", "--until-end", "--dir", data_dir, "--connector", path, "--lake", f"file:{data_dir}/lake",
                 "--create")
    assert json.loads(result.stdout)["objects"] == 24
    assert values_of(data_dir) == dict.fromkeys(range(48), 1)
    assert len(list((data_dir / "lake/topics" / TOPIC).rglob("hour=*"))) == 24
    for name in ("tasks.max", "schema.compatibility", "s3.part.size"):
        assert len(re.findall(rf'"{re.escape(name)}" is not used: ', result.stderr)) == 1
    assert "flush.size" not in result.stderr


@pytest.mark.parametrize("line", [
    "format.class=io.confluent.connect.s3.format.avro.AvroFormat",
    "format.class=io.confluent.connect.s3.format.bytearray.ByteArrayFormat",
    "format.class=io.confluent.connect.s3.format.parquet.ParquetFormat",
    "partitioner.class=io.confluent.connect.storage.partitioner.FieldPartitioner",
    "value.converter.schemas.enable=true",
    "topics.dir=elsewhere",
    "topics.regex=124df.*",
    "behavior.on.null.values=write",
    "transforms=mask",
    "timezone=Mars/Olympus",
    "flush.size=none",
])
def test_what_would_make_other_objects_is_refused(run, data_dir, tmp_path, line):
    path = tmp_path / "s3.properties"
    path.write_text(CONNECTOR + line + "\n")
    result = run("sink", "--until-end", "--dir", data_dir, "--connector", path, "--lake", "file:lake", "--create",
                 status=2)
    assert line.split("=")[0] in result.stderr or line.split("=")[1] in result.stderr


def test_the_old_name_is_understood_and_told(run, gateway, data_dir):
    post(gateway, range(6))
    result = run("sink", "--until-end", "--dir", data_dir, *configure(data_dir, {"flush_size": 2}))
    assert json.loads(result.stdout)["objects"] == 3
    assert '"sink.flush_size" is called "sink.flush.size" now' in result.stderr


def test_keys_and_headers_lie_beside(run, gateway, data_dir):
    body = {"records": [{"key": base64.b64encode(b"k1").decode(), "value": base64.b64encode(b'{"index":0}').decode()},
                        {"value": base64.b64encode(b'{"index":1}').decode()}]}
    request = urllib.request.Request(f"{gateway.url}/topics/{TOPIC}", json.dumps(body).encode(),
                                     {"Content-Type": "application/vnd.kafka.binary.v2+json"})
    urllib.request.urlopen(request, timeout=60).close()
    land(run, data_dir, **{"store.kafka.keys": True, "store.kafka.headers": True})
    folder = data_dir / "lake/topics" / TOPIC / "partition=0"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        f"{TOPIC}+0+0000000000.json": '{"index":0}\n{"index":1}\n',
        f"{TOPIC}+0+0000000000.keys.json": '"k1"\nnull\n',
        f"{TOPIC}+0+0000000000.headers.json": "[]\n[]\n",
    }
