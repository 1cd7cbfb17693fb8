"""What the tests of merged and cleaned tables share: posts one by one, a later time, a session of somebody else's."""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import conftest
from test_interop import CACHE, HERE, ID, PATIENCE_S

sys.path.insert(0, str(conftest.TOP / "tests" / "torture"))

import calls  # noqa: E402
import delta_log  # noqa: E402
from duck import Duck  # noqa: E402

# And a checkpoint after ten commits, of the stream's own after thirty.
ONE_SHARD = {"PINPIPE_GATEWAY_SHARDS": "1", "PINPIPE_GATEWAY_PARTITIONS": "1", "PINPIPE_TABLE_CHECKPOINT_COMMITS": "10"}
A_COMMIT_A_RECORD = {"PINPIPE_STREAM_ROWS_MAX": "1", "PINPIPE_STREAM_AGE": "1h"}
LATER_S = 9 * 86400     # older than any retention that we set by ourselves
STREAM = f"streaming-{ID}-geo"


def table_of(directory, table="geo"):
    return directory / "lake" / "tables" / f"{ID}_{table}_table"


def value(number, country):
    return {"ind": number, "country": country, "latitude": number / 64, "longitude": 170.25,
            "timestamp": f"2020-08-28 03:{number // 60 % 60:02}:{number % 60:02}"}


def post(url, number, country, table="geo"):
    """A record, which is acknowledged."""
    stream = f"streaming-{ID}-{table}"
    request = urllib.request.Request(
        f"{url}/streams/{stream}/record", method="PUT", headers={"Content-Type": "application/json"},
        data=json.dumps({"StreamName": stream, "Data": value(number, country), "PartitionKey": "p"}).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200, answer.read()


class Workshop:
    """A data directory, and the commands that are given for it."""

    def __init__(self, place):
        self.place, self.directory, self.numbers = place, place / "data", itertools.count()
        self.clock = None       # the library that makes it later

    def run(self, *words, later_s=0, status=0, **settings):
        """The finished process; status=None: however it ended."""
        env = {**ONE_SHARD, **settings}
        if later_s:
            self.clock = self.clock or calls.build(self.place)
            env |= {"LD_PRELOAD": str(self.clock), "CALLFAULT_AHEAD_S": str(later_s)}
        done = subprocess.run([conftest.binary(), *map(str, words), "--dir", self.directory, "--format", "json"],
                              check=False, capture_output=True, text=True, timeout=PATIENCE_S,
                              env=conftest.clean_environment(env))
        assert status is None or done.returncode == status, f"{words}: {done.returncode}: {done.stderr}"
        return done

    def post(self, count, country=lambda number: f"c{number % 7}"):
        """So many records into the log, by a gateway that then ends."""
        gateway = conftest.Service([conftest.binary(), "gateway", "--listen", "127.0.0.1:0", "--dir", self.directory],
                                   self.place / "gateway", ONE_SHARD, self.place)
        try:
            url = gateway.wait_for(r"https?://[\d.]+:[1-9]\d*")[0]
            for number in itertools.islice(self.numbers, count):
                post(url, number, country(number))
            gateway.stop()
        finally:
            gateway.destroy()

    def stream(self):
        self.run("stream", "--until-end", **A_COMMIT_A_RECORD)


class Rows:
    """How many rows a table has at each version, noted commit by commit before the log is cleaned."""

    def __init__(self, root):
        self.root, self.at, self.count = root, {}, 0

    def note(self):
        for version in delta_log.Names(self.root).commits:
            if version not in self.at:
                actions = delta_log.actions_of(delta_log.commit_path(self.root, version).read_text())
                self.count += sum(json.loads(action["add"]["stats"])["numRecords"] for action in actions
                                  if "add" in action and action["add"]["dataChange"])
                self.at[version] = self.count


def kept_versions(root):
    """Those that the log still tells and whose files are all there."""
    duck = Duck()
    try:
        names = delta_log.Names(root)
        first = delta_log.oldest(names)
        state = delta_log.state_at(duck, root, first, newest=first)
        found = []
        for version in range(first, names.commits[-1] + 1):
            if version > first:
                text = delta_log.commit_path(root, version).read_text()
                state.apply(version, delta_log.actions_of(text))
            if all((root / name).exists() for name in state.files):
                found.append(version)
        return found
    finally:
        duck.close()


def operations(root):
    """{version: its operation} of the commits that are kept."""
    found = {}
    for version in delta_log.Names(root).commits:
        for action in delta_log.actions_of(delta_log.commit_path(root, version).read_text()):
            if "commitInfo" in action:
                found[version] = action["commitInfo"].get("operation")
    return found


class Failed(Exception):
    """What they said."""


class Talk:
    """A session of Spark's or delta-rs's (talk.py), which is told one thing after the other."""

    def __init__(self, place, *words):
        self.said = open(place / f"{words[0]}.said", "wb")
        self.process = subprocess.Popen(
            [CACHE / "venv" / "bin" / "python", HERE / "talk.py", *map(str, words)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.said, text=True, env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
            preexec_fn=conftest.die_with_parent)

    def tell(self, **asked):
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            assert line, pathlib.Path(self.said.name).read_text(errors="replace")[-3000:]
            if line.startswith('{"'):
                answer = json.loads(line)
                if "failed" in answer:
                    raise Failed(answer["failed"])
                return answer["done"]

    def sql(self, statement):
        return self.tell(sql=statement)

    def call(self, name, path, **arguments):
        return self.tell(call=name, path=str(path), **{"with": arguments})

    def rows(self, path):
        return self.tell(read=str(path), versions=[])["rows"]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self.said.close()
