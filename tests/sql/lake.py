"""A lake made by hand: objects as the sink writes them, and what comes of them."""

import base64
import json

ID = "124df56aef51"


def put(data_dir, table, values, start=0, partition=0):
    """One object. A value is anything that JSON can say; bytes are put as they are."""
    topic = f"{ID}.{table}"
    directory = data_dir / "lake" / "topics" / topic / f"partition={partition}"
    directory.mkdir(parents=True, exist_ok=True)
    lines = [v if isinstance(v, bytes) else json.dumps(v, ensure_ascii=False).encode() for v in values]
    path = directory / f"{topic}+{partition}+{start:010}.json"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def letters(data_dir, table):
    """{offset: (reason, raw bytes)} of the dead letters of a topic."""
    found = {}
    for path in sorted((data_dir / "lake" / "dlq" / f"{ID}.{table}").rglob("*.ndjson")):
        for line in path.read_text().splitlines():
            letter = json.loads(line)
            assert letter["stage"] == "batch"
            key = letter["partition"], int(letter["offset"])
            assert key not in found, f"{key} died twice"
            value = letter["value"]
            found[key] = letter["reason"], value if value is None else base64.b64decode(value)
    return found


class Lake:
    """lake.put(…), lake.batch(), lake.sql(…): one data directory."""

    def __init__(self, run, data_dir):
        self.run, self.dir = run, data_dir

    def put(self, table, values, start=0, partition=0):
        return put(self.dir, table, values, start, partition)

    def letters(self, table):
        return letters(self.dir, table)

    def batch(self, *words, **options):
        result = self.run("batch", "--dir", self.dir, "--format", "json", *words, **options)
        return json.loads(result.stdout) if result.returncode == 0 else result

    def sql(self, text, *words):
        """The rows, each a dict."""
        return json.loads(self.run("sql", "--dir", self.dir, "--format", "json", *words, text).stdout)

    def analyse(self, *words):
        return json.loads(self.run("analyse", "--dir", self.dir, "--format", "json", *words).stdout)
