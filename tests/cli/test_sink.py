"""The sink, and what looks at its results: cat, dlq, topics, streams."""

import base64
import json
import signal
import threading
import urllib.request

import pytest

from conftest import wait_until

ID = "124df56aef51"
TABLES = ("pin", "geo", "user")
PIN = f"{ID}.pin"
BINARY = "application/vnd.kafka.binary.v2+json"
JSON = "application/vnd.kafka.json.v2+json"


def post(gateway, topic, values, content_type=JSON, **of_record):
    """Posts values as records; returns the offsets."""
    if content_type == BINARY:
        values = [value if value is None else base64.b64encode(value).decode() for value in values]
    body = json.dumps({"records": [{"value": value, **of_record} for value in values]})
    request = urllib.request.Request(f"{gateway.url}/topics/{topic}", body.encode(),
                                     {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return [offset["offset"] for offset in json.load(reply)["offsets"]]


def objects(directory, topic, partition=0):
    """The objects of a partition: {start offset: lines}."""
    found = {}
    for path in directory.glob(f"lake/topics/{topic}/partition={partition}/*.json"):
        name, number, start = path.stem.split("+")
        assert (name, number, len(start)) == (topic, str(partition), 10)
        text = path.read_bytes()
        assert text.endswith(b"\n")
        found[int(start)] = text.split(b"\n")[:-1]
    return dict(sorted(found.items()))


def landed(directory, topic, partition=0):
    """The lines of all objects, which must follow each other without a gap or an overlap."""
    lines = []
    for start, part in objects(directory, topic, partition).items():
        assert start == len(lines)
        lines += part
    return lines


def sink(run, directory, *words, status=0):
    return json.loads(run("sink", "--until-end", "--dir", directory, *words, status=status).stdout)


def emulate(run, gateway, posts):
    run("emulate", "--posts", posts, "--rate", "max", "--batch-size", 50,
        "--url", f"{gateway.url}/topics/{ID}.")


def test_all_records_land_in_the_layout(run, gateway, data_dir):
    emulate(run, gateway, 250)
    counts = sink(run, data_dir, "--flush-size", 100)
    assert counts["records"] == {"pin": 250, "geo": 250, "user": 250, "other": 0}
    assert (counts["objects"], counts["missed"], counts["halted"]) == (9, 0, 0)
    for table in TABLES:
        assert list(objects(data_dir, f"{ID}.{table}")) == [0, 100, 200]
        shown = run("cat", f"{ID}.{table}", "--dir", data_dir).stdout
        assert [line.decode() for line in landed(data_dir, f"{ID}.{table}")] == shown.split("\n")[:-1]


def test_a_second_run_adds_only_what_is_new(run, gateway, data_dir):
    assert post(gateway, PIN, [{"index": 1}, {"index": 2}]) == [0, 1]
    assert sink(run, data_dir)["objects"] == 1
    assert sink(run, data_dir)["objects"] == 0
    post(gateway, PIN, [{"index": 3}])
    assert sink(run, data_dir)["records"]["pin"] == 1
    assert objects(data_dir, PIN) == {0: [b'{"index":1}', b'{"index":2}'], 2: [b'{"index":3}']}


def test_lost_positions_cost_nothing_and_double_nothing(run, gateway, data_dir):
    """Only the lake says where the sink is, whatever else of its own is gone."""
    post(gateway, PIN, [{"index": n} for n in range(10)])
    sink(run, data_dir, "--flush-size", 3)
    for path in [*data_dir.glob("**/*sink*"), *data_dir.glob("**/groups/*")]:
        if path.is_file():
            path.unlink()
    assert sink(run, data_dir)["objects"] == 0
    assert len(landed(data_dir, PIN)) == 10


def test_a_record_lands_after_its_age_though_none_follows(gateway, start, data_dir):
    start("sink", "--dir", data_dir, "--flush-age", "50ms")
    post(gateway, PIN, [{"index": 1}])
    wait_until(lambda: landed(data_dir, PIN) == [b'{"index":1}'], "the object")


def test_a_stop_drains_the_log(run, gateway, start, data_dir):
    running = start("sink", "--dir", data_dir, "--flush-age", "1h")
    emulate(run, gateway, 50)
    assert running.stop() in (0, 128 + signal.SIGTERM)
    assert [len(landed(data_dir, f"{ID}.{table}")) for table in TABLES] == [50, 50, 50]


def test_a_stop_does_not_wait_for_what_comes_meanwhile(run, gateway, start, data_dir, pinpipe):
    """Others post without a pause, and faster than the disk takes it; what they post then is the next sink's."""
    if b"PINPIPE_FAILPOINTS\0" not in pinpipe.read_bytes():
        pytest.skip("needs a program built with -Dfailpoints=true")
    running = start("sink", "--dir", data_dir, "--flush-age", "1h",
                    env={"PINPIPE_FAILPOINTS": "store-synced:delay100@1+"})
    posted, over = [], threading.Event()

    def post_on():
        while not over.is_set():
            posted.append(post(gateway, PIN, [{"index": len(posted)}]))

    poster = threading.Thread(target=post_on)
    poster.start()
    try:
        wait_until(lambda: len(posted) > 100, "posts")
        assert running.stop() in (0, 128 + signal.SIGTERM)
    finally:
        over.set()
        poster.join()
    assert 100 < len(landed(data_dir, PIN)) < len(posted)
    sink(run, data_dir)
    assert len(landed(data_dir, PIN)) == len(posted)


def test_killed_again_and_again(run, gateway, start, data_dir):
    """kill -9 at whatever moment: what has landed stays, and the rest lands once."""
    emulate(run, gateway, 1000)
    there, kills = 0, 0
    while there < 1000 and kills < 8:  # a busy machine may kill so late that all is there before the eighth
        running = start("sink", "--dir", data_dir, "--flush-size", 1)
        wait_until(lambda: len(objects(data_dir, PIN)) > there or running.process.poll() is not None,
                   "another object")
        running.kill()
        there, kills = len(objects(data_dir, PIN)), kills + 1
    assert kills > 2
    emulate(run, gateway, 1)  # for the last sink to do, who clears away what the killed ones left with its first put
    sink(run, data_dir)
    for table in TABLES:
        shown = run("cat", f"{ID}.{table}", "--dir", data_dir).stdout
        lines = landed(data_dir, f"{ID}.{table}")
        assert len(lines) == 1001
        assert [line.decode() for line in lines] == shown.split("\n")[:-1]
    assert len(list((data_dir / "lake/.tmp").iterdir())) == 0


def test_what_is_no_json_is_a_dead_letter(run, gateway, data_dir):
    values = [b'{"index": 1}', b"no JSON", b"\xff\xfe", None, b'{ "index":\n 5 }']
    post(gateway, PIN, values, BINARY)
    counts = sink(run, data_dir)
    assert (counts["records"]["pin"], counts["dead"]["pin"]) == (2, 3)
    assert objects(data_dir, PIN) == {0: [b'{"index":1}'], 4: [b'{"index":5}']}
    letters = json.loads(run("dlq", PIN, "--dir", data_dir, "--format", "json").stdout)
    assert [(int(letter["offset"]), letter["stage"]) for letter in letters] == \
        [(1, "sink"), (2, "sink"), (3, "sink")]
    assert letters[0]["value"] == "no JSON"
    assert letters[2]["value"] is None
    assert "not JSON" in letters[0]["reason"]
    summary = json.loads(run("dlq", "--dir", data_dir, "--format", "json").stdout)
    assert sum(kind["letters"] for kind in summary) == 3
    assert not any("byte 2" in kind["reason"] for kind in summary)  # kinds, not places
    (raw,) = data_dir.glob(f"lake/dlq/{PIN}/partition=0/{0:020}-{3:020}.ndjson")
    assert base64.b64decode(json.loads(raw.read_text().split("\n")[1])["value"]) == b"\xff\xfe"


def test_only_one_sink_a_directory(run, start, gateway, data_dir):
    start("sink", "--dir", data_dir)
    wait_until((data_dir / "sink.lock").exists, "the lock")
    wait_until(lambda: (data_dir / "sink.lock").read_text(), "its owner")
    refused = run("sink", "--dir", data_dir, status=73)
    assert "another sink" in refused.stderr


def test_a_lake_of_another_log_is_not_continued(run, gateway, start_gateway, data_dir, tmp_path):
    post(gateway, PIN, [{"index": 1}, {"index": 2}])
    sink(run, data_dir)
    other = start_gateway(directory=tmp_path / "other")
    post(other, PIN, [{"index": n} for n in range(7, 17)])
    post(other, f"{ID}.geo", [{"ind": 1}])
    lake = f"file:{data_dir}/lake"
    refused = run("sink", "--until-end", "--dir", tmp_path / "other", "--lake", lake, status=1)
    assert "another pipeline" in refused.stderr
    assert landed(data_dir, PIN) == [b'{"index":1}', b'{"index":2}']
    assert landed(data_dir, f"{ID}.geo") == [b'{"ind":1}']


def test_topics_without_a_model_land_too(run, start_gateway, data_dir):
    gateway = start_gateway("--auto-create", "any")
    post(gateway, "other", [{"a": 1}])
    assert sink(run, data_dir, "--take", "models")["objects"] == 0
    assert sink(run, data_dir)["records"]["other"] == 1
    assert landed(data_dir, "other") == [b'{"a":1}']


def land_named(run, start_gateway, data_dir, tmp_path, topics, *words):
    """The topics that land, of those of a pin, "shop", "shop.a" and "workshop"."""
    gateway = start_gateway("--auto-create", "any")
    for topic in (PIN, "shop", "shop.a", "workshop"):
        post(gateway, topic, [{"index": 1}])
    settings = tmp_path / "named.yaml"
    settings.write_text(f"sink:\n  topics: \"{topics}\"\n")
    sink(run, data_dir, "--config", settings, *words)
    return sorted(path.name for path in data_dir.glob("lake/topics/*"))


@pytest.mark.parametrize("topics, words, taken", [
    ("", (), [PIN, "shop", "shop.a", "workshop"]),
    ("shop", (), [PIN, "shop"]),
    ("shop*, nothing", (), [PIN, "shop", "shop.a"]),
    ("*.?", (), [PIN, "shop.a"]),
    ("shop", ("--take", "named"), ["shop"]),
    ("shop*", ("--take", "named"), ["shop", "shop.a"]),
    ("shop", ("--take", "all"), [PIN, "shop", "shop.a", "workshop"]),
    ("", ("--take", "models"), [PIN]),
])
def test_topics_by_name_and_pattern(run, start_gateway, data_dir, tmp_path, topics, words, taken):
    assert land_named(run, start_gateway, data_dir, tmp_path, topics, *words) == taken


def test_topics_of_a_connector_are_all_that_it_takes(run, start_gateway, data_dir, tmp_path):
    properties = tmp_path / "s3.properties"
    properties.write_text("topics=shop.a,workshop\n")
    assert land_named(run, start_gateway, data_dir, tmp_path, "shop", "--connector", properties,
                      "--lake", f"file:{data_dir}/lake", "--create") == \
        ["shop.a", "workshop"]


@pytest.mark.parametrize("topics, words, said", [
    ("sh/op", (), "not one of A-Z"),
    ("[ab]*", (), "not one of A-Z"),
    ("", ("--take", "named"), "names none"),
])
def test_topics_that_nothing_can_be_called(run, data_dir, tmp_path, topics, words, said):
    settings = tmp_path / "named.yaml"
    settings.write_text(f"sink:\n  topics: \"{topics}\"\n")
    assert said in run("sink", "--dir", data_dir, "--config", settings, *words, status=2).stderr


@pytest.mark.parametrize("words, shown", [
    ((), "0 1 2 3 4 5 6 7 8 9"),
    (("--from", "7"), "7 8 9"),
    (("--from", "-2"), "8 9"),
    (("--from", "-100"), "0 1 2 3 4 5 6 7 8 9"),
    (("--from", "end"), ""),
    (("--from", "@0", "--count", "2"), "0 1"),
    (("--from", "@99999999999999"), ""),
    (("--from", "@2000-01-01T00:00Z", "--count", "2"), "0 1"),
    (("--from", "@2999-01-01"), ""),
    (("--from", "100"), ""),
    (("--from", "beginning", "--count", "3"), "0 1 2"),
])
def test_cat_begins_and_ends_where_it_is_told(run, gateway, data_dir, words, shown):
    post(gateway, PIN, list(range(10)))
    assert run("cat", PIN, "--dir", data_dir, *words).stdout.split() == shown.split()


def test_cat_shows_envelopes(run, gateway, data_dir):
    post(gateway, PIN, [{"index": 1}], key={"k": 1})
    post(gateway, PIN, [b"\xff", None], BINARY)
    lines = run("cat", PIN, "--dir", data_dir, "--format", "json").stdout.split("\n")[:-1]
    records = [json.loads(line) for line in lines]
    assert [record["offset"] for record in records] == [f"{n:020}" for n in range(3)]
    assert all(record["topic"] == PIN and record["partition"] == "0" for record in records)
    assert all(record["timestamp_ms"] > 1600000000000 for record in records)
    assert (records[0]["key"], records[0]["value"]) == ('{"k":1}', {"index": 1})
    assert (records[1]["key"], records[1]["value_base64"]) == (None, "/w==")
    assert records[2]["value"] is None and records[2]["tombstone"]


def test_cat_of_partitions(run, start_gateway, data_dir):
    gateway = start_gateway("--partitions", "2")
    for partition in (0, 1):
        post(gateway, PIN, [partition] * 3, partition=partition)
    assert run("cat", f"{PIN}/1", "--dir", data_dir).stdout.split() == ["1", "1", "1"]
    assert sorted(run("cat", PIN, "--dir", data_dir).stdout.split()) == ["0"] * 3 + ["1"] * 3
    assert "no 2" in run("cat", f"{PIN}/2", "--dir", data_dir, status=1).stderr
    assert "neither" in run("cat", "nothing", "--dir", data_dir, status=1).stderr
    run("cat", f"{PIN}/x", "--dir", data_dir, status=2)
    run("cat", PIN, "--from", "x", "--dir", data_dir, status=2)
    run("cat", status=2)


def test_cat_follows(gateway, start, data_dir):
    post(gateway, PIN, ["before"])
    following = start("cat", PIN, "--follow", "--dir", data_dir)
    following.wait_for("before")
    post(gateway, PIN, ["after"])
    following.wait_for("after")


def test_topics_and_streams(run, data_dir):
    for command, unit in (("topics", "--partitions"), ("streams", "--shards")):
        run(command, "create", "clicks", unit, 3, "--dir", data_dir)
        refused = run(command, "create", "clicks", "--dir", data_dir, status=1)
        assert "exists" in refused.stderr
        listed = json.loads(run(command, "--dir", data_dir, "--format", "json").stdout)
        assert [row["name"] for row in listed] == ["clicks"]
        assert json.loads(run(command, "list", "--dir", data_dir, "--format", "json").stdout) == listed
        described = run(command, "describe", "clicks", "--dir", data_dir, "--format", "json").stdout
        assert [row["records"] for row in json.loads(described)] == [0, 0, 0]
        run(command, "delete", "clicks", "--dir", data_dir)
        assert json.loads(run(command, "--dir", data_dir, "--format", "json").stdout) == []
        run(command, "delete", "clicks", "--dir", data_dir, status=1)
        run(command, "create", "a/b", "--dir", data_dir, status=1)
        for word in (["make", "clicks"], ["make"]):
            assert '"make" is none of' in run(command, *word, "--dir", data_dir, status=2).stderr
        run(command, "list", "clicks", "--dir", data_dir, status=2)
        run(command, "create", "--dir", data_dir, status=2)


def test_topics_are_the_gateways_while_it_runs(run, gateway, data_dir):
    refused = run("topics", "create", "clicks", "--dir", data_dir, status=73)
    assert "a gateway is running" in refused.stderr
    post(gateway, PIN, [1, 2])
    listed = json.loads(run("topics", "--dir", data_dir, "--format", "json").stdout)
    assert {"name": PIN, "partitions": 1, "records": 2} in listed


def test_more_letters_than_can_be_shown(run, data_dir):
    """None is left out without a word; a count shows the first."""
    directory = data_dir / "lake" / "dlq" / "t" / "partition=0"
    directory.mkdir(parents=True)
    for start in range(0, 1_000_001, 200_000):
        (directory / f"t+0+{start:010}.ndjson").write_text("".join(
            f'{{"topic":"t","partition":"0","offset":"{offset:020}","stage":"sink","reason":"r","timestamp_ms":1,'
            '"value":null}\n' for offset in range(start, min(start + 200_000, 1_000_001))))
    words = ("dlq", "t", "--dir", data_dir, "--format", "csv")
    assert "more than 1000000 rows" in run(*words, status=1).stderr
    assert len(run(*words, "--count", 3).stdout.splitlines()) == 4


def test_a_refused_property_does_not_show_its_value(run, data_dir, tmp_path):
    path = tmp_path / "s3.properties"
    for name in ("s3.sse.customer.key", "transforms.mask.password", "partitioner.class", "path.format"):
        path.write_text(f"{name}={'k3y' * 500 if name == 'path.format' else 'k3y'}\n")
        refused = run("sink", "--until-end", "--dir", data_dir, "--connector", path, "--lake", "file:lake", "--create",
                      status=2)
        assert f'"{name}"' in refused.stderr
        assert "k3y" not in refused.stderr + refused.stdout


def test_a_connectors_partitioner_wins_over_the_configuration(run, gateway, data_dir, tmp_path):
    post(gateway, PIN, [{"n": 1}])
    (data_dir / "pinpipe.yaml").write_text("sink:\n  path.format: \"'hour'=HH\"\n  rotate.interval.ms: 1000\n")
    path = tmp_path / "s3.properties"
    path.write_text("partitioner.class=io.confluent.connect.storage.partitioner.DefaultPartitioner\n"
                    "path.format='day'=dd\npartition.duration.ms=86400000\nrotate.interval.ms=5\n")
    told = run("sink", "--until-end", "--dir", data_dir, "--config", data_dir / "pinpipe.yaml", "--connector", path,
               "--lake", f"file:{data_dir}/lake", "--create")
    assert landed(data_dir, PIN) == [b'{"n":1}']
    for name in ("path.format", "partition.duration.ms", "rotate.interval.ms"):
        assert f'"{name}" is not used: ' in told.stderr


@pytest.mark.parametrize("command", [("sink", "--until-end"), ("run", "--posts", 1), ("up",)])
@pytest.mark.parametrize("words, text, told", [
    ((), "flush.size=3\n", '"s3.bucket.name" is missing'),
    ((), "s3.bucket.name=\n", '"s3.bucket.name" is missing'),
    (("--lake", "file:lake", "--create"), "\ns3.bucket.name=there\n",
     ':2: "s3.bucket.name" is "there", but the lake is "file:lake" (--lake)'),
    (("--lake", "s3://there-too/x"), "s3.bucket.name=there\n", 'but the lake is "s3://there-too/x" (--lake)'),
])
def test_a_connectors_file_leaves_no_doubt_of_the_lake(run, data_dir, tmp_path, command, words, text, told):
    """The connector refuses to start without a bucket; and parts that use two lakes are no pipeline."""
    path = tmp_path / "s3.properties"
    path.write_text(text)
    assert told in run(*command, "--dir", data_dir, "--connector", path, *words, status=2).stderr
    assert not data_dir.exists() and not (tmp_path / "lake").exists()


def test_an_unknown_property_is_a_warning(run, data_dir, tmp_path):
    path = tmp_path / "s3.properties"
    path.write_text("flsh.size=3\nerrors.x=1\nerors.tolerance=all\n\nqqqq=3\nvalue.converter.schemas.enable=false\n")
    told = run("sink", "--until-end", "--dir", data_dir, "--connector", path, "--lake", "file:lake", "--create",
               "--verbose", "warn").stderr
    lines = [line.split(f"{path}:")[1] for line in told.splitlines()]
    assert lines == ['1: "flsh.size" is not known, and not used: did you mean "flush.size"?',
                     '3: "erors.tolerance" is not known, and not used', '5: "qqqq" is not known, and not used']
