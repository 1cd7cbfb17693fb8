"""A Delta table as its log says it is, followed while others write to it, compact it and clean its log."""
import json
import os
import pathlib
import threading

from duck import Duck


class LiveTable:
    """`files`: {path: bytes} of what is live at `version`. Of the commits that were read one by one, `written`:
    {operation: bytes of the files that it added}, `commits`: {operation: how many}, `heads`: the newest protocol and
    metaData. Any thread may follow it."""

    def __init__(self, root):
        self.root, self.log = pathlib.Path(root), pathlib.Path(root) / "_delta_log"
        self.version, self.files, self.written, self.commits, self.heads = -1, {}, {}, {}, {}
        self.lock = threading.Lock()

    def follow(self):
        """Reads the commits since the last call; where the log has been cleaned meanwhile, the newest checkpoint."""
        with self.lock:
            while True:
                while (text := self.commit(self.version + 1)) is not None:
                    self.apply(text)
                if not self.checkpoint():
                    return self

    def commit(self, version):
        try:
            return (self.log / f"{version:020}.json").read_text()
        except FileNotFoundError:
            return None

    def apply(self, text):
        actions = [json.loads(line) for line in text.splitlines()]
        operation = next((a["commitInfo"].get("operation", "") for a in actions if "commitInfo" in a), "")
        self.commits[operation] = self.commits.get(operation, 0) + 1
        for action in actions:
            if "add" in action:
                self.files[action["add"]["path"]] = action["add"]["size"]
                self.written[operation] = self.written.get(operation, 0) + action["add"]["size"]
            elif "remove" in action:
                self.files.pop(action["remove"]["path"], None)
            self.heads.update((kind, action) for kind in ("protocol", "metaData") if kind in action)
        self.version += 1

    def checkpoint(self):
        """True: one was read that is newer than what is known."""
        versions = [int(name.split(".")[0]) for name in self.names(self.log) if name.endswith(".checkpoint.parquet")]
        newest = max(versions, default=-1)
        if newest <= self.version:
            return False
        duck = Duck()
        try:
            lines = duck.lines('SELECT "add".size || chr(32) || "add".path FROM read_parquet('
                               f"'{self.log}/{newest:020}.checkpoint.parquet') WHERE \"add\".path IS NOT NULL")
        finally:
            duck.close()
        self.files = {path: int(size) for size, _, path in (line.partition(" ") for line in lines)}
        self.version = newest
        return True

    @staticmethod
    def names(directory):
        try:
            return os.listdir(directory)
        except FileNotFoundError:
            return []

    def on_disk(self):
        """(data files, their bytes), live or not."""
        return count(self.root, ".parquet")

    def log_size(self):
        """(files of the log, their bytes)"""
        return count(self.log)


def count(directory, ending=""):
    """(files in it whose names end so, their bytes)"""
    files, size = 0, 0
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(ending) and entry.is_file():
                    try:
                        size += entry.stat().st_size
                        files += 1
                    except FileNotFoundError:
                        pass    # went meanwhile
    except FileNotFoundError:
        pass
    return files, size
