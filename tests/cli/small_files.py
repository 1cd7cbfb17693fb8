"""Tables of many small files, and their logs as others read them."""

import json
import urllib.request

ID = "124df56aef51"
MANY = {"PINPIPE_STREAM_ROWS_MAX": "1"}  # each batch of the log is a commit


def post(gateway, count, start=0, table="user"):
    """So many requests of a record each, which the log has in batches of their own."""
    for ind in range(start, start + count):
        value = {"ind": ind, "first_name": "A", "last_name": "B", "age": "30", "country": "Peru"}
        body = json.dumps({"records": [{"data": json.dumps(value), "partition-key": f"k{ind}"}]}).encode()
        request = urllib.request.Request(f"{gateway.url}/streams/streaming-{ID}-{table}/records", method="PUT",
                                         data=body, headers={"Content-Type": "application/json"})
        urllib.request.urlopen(request).close()


class Table:
    """A table as its log has it."""

    def __init__(self, data_dir, name="user_table"):
        self.root = data_dir / "lake" / "tables" / f"{ID}_{name}"

    def versions(self):
        return sorted((self.root / "_delta_log").glob("*[0-9].json"))

    def actions(self, path):
        return [json.loads(line) for line in path.read_text().splitlines()]

    def live(self, versions=None):
        """{path: size} of the newest version, or of these."""
        live = {}
        for path in self.versions() if versions is None else versions:
            for action in self.actions(path):
                if "remove" in action:
                    live.pop(action["remove"]["path"], None)
                if "add" in action:
                    live[action["add"]["path"]] = action["add"]["size"]
        return live

    def operations(self):
        return [self.actions(path)[0]["commitInfo"]["operation"] for path in self.versions()]

    def put(self, *actions):
        """A commit by another program."""
        path = self.root / "_delta_log" / f"{len(self.versions()):020}.json"
        path.write_text("".join(json.dumps(action) + "\n" for action in actions))


def stream(run, data_dir):
    run("stream", "--dir", data_dir, "--until-end", env=MANY)


def optimize(run, data_dir, *words, status=0):
    done = run("optimize", "--dir", data_dir, "--format", "json", *words, status=status)
    return json.loads(done.stdout) if status == 0 else done


def rows(run, data_dir):
    text = "SELECT ind, user_name, age, _partition, _offset FROM user_all ORDER BY ALL"
    return json.loads(run("sql", "--dir", data_dir, "--from", "stream", "--format", "json", text).stdout)
