"""Clients that hold a rate for hours and keep their ledger on the disk; and what becomes of it: every record that was
acknowledged is in its table once, with its cells, or a dead letter.

A ledger of millions does not fit a checker that holds all in memory, so DuckDB compares them (through its C API, as in
checker.py; nothing of src/ is used).
"""
import base64
import collections
import csv
import hashlib
import json
import pathlib
import threading
import time

from checker import PATHS, ROWS, letters, topic_name
from client import PAUSES_S, RECORDS_A_REQUEST, TABLES, Client
from duck import Duck
from live_table import LiveTable

BAD_SHARE = 0.0002
COLUMNS = ("path", "tab", "identity", "state", "part", "place", "cells")
SAMPLES = 5
TYPES = "{%s}" % ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)


def short_hash(text):
    """Of a row's cells, as DuckDB's md5() begins."""
    return hashlib.md5(text.encode()).hexdigest()[:16]


class Poster(Client):
    """Posts `rate` records a second to one table by one path, and writes down what became of each."""
    bad_share = BAD_SHARE

    def __init__(self, number, port, user, path, table, rate, seed, stop, directory):
        super().__init__(number, port, user, path, seed, stop)
        self.table, self.rate = table, rate
        self.ledger = open(directory / f"{path}-{table}.csv", "w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.ledger)
        self.states = dict.fromkeys(("acked", "refused", "unsent", "unknown"), 0)
        self.longest_s = 0      # between two answers that were 200

    def work(self):
        began = answered = time.monotonic()
        while not self.stop.is_set():
            if self.sent > (time.monotonic() - began) * self.rate:
                self.stop.wait(0.01)  # paces the load
                continue
            acked = self.acked
            self.post_some()
            if self.acked > acked:
                now = time.monotonic()
                self.longest_s, answered = max(self.longest_s, now - answered), now
        self.ledger.close()

    def post_some(self):
        texts, entries = zip(*[self.entry(self.table) for _ in range(self.rng.choice(RECORDS_A_REQUEST))])
        pause = self.rng.choice(PAUSES_S)
        try:
            self.post(self.table, texts, entries)
        except ConnectionRefusedError:
            for entry in entries:
                entry.state = "unsent"
            pause = 0.05
        except OSError:
            self.drop()
        self.write_down(entries)
        self.stop.wait(pause)

    def write_down(self, entries):
        for entry in entries:
            self.states[entry.state] += 1
            self.writer.writerow((entry.path, entry.table, entry.identity, entry.state, entry.partition or "",
                                  entry.offset or "", "" if entry.row is None else short_hash(entry.row)))
        self.entries.clear()


class Posters:
    """One for each path and table."""

    def __init__(self, port, user, rate, seed, directory):
        self.stop = threading.Event()
        directory.mkdir()
        self.clients = [Poster(n, port, user, path, table, rate, seed, self.stop, directory)
                        for n, (path, table) in enumerate((p, t) for p in PATHS for t in TABLES)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for client in self.clients:
            client.join(120)

    def check(self):
        for client in self.clients:
            if client.failure:
                raise AssertionError(f"client {client.number} got a wrong answer") from client.failure

    def states(self):
        return {state: sum(client.states[state] for client in self.clients) for state in self.clients[0].states}

    def longest_s(self):
        return max(client.longest_s for client in self.clients)


def letter_rows(lake, user, path, table):
    """What the dead letters are of, in the ledger's columns."""
    for letter in letters(lake, topic_name(user, path, table)):
        value = json.loads(base64.b64decode(letter["value"] or b"e30="))
        yield path, table, value.get("nonsense", ""), "letter", letter["partition"], letter["offset"], ""


class Judge:
    """Compares the ledger with the tables; `faults`: {kind: how many}, `samples`: sentences."""

    def __init__(self, lake, user, ledger):
        self.lake, self.user, self.ledger = pathlib.Path(lake), user, ledger
        self.faults, self.samples, self.rows = collections.Counter(), [], 0

    def judge(self):
        for path in PATHS:
            for table in TABLES:
                self.duck = Duck()
                try:
                    self.judge_table(path, table)
                finally:
                    self.duck.close()
        return self

    def judge_table(self, path, table):
        self.duck.value(f"SET memory_limit = '3GB'; SET temp_directory = '{self.ledger}/spilled'")
        self.load(path, table)
        found, said = (f"SELECT tab, identity, part, place FROM {name}" for name in ("found", "said"))
        self.note("lost", f"{said} WHERE state = 'acked' EXCEPT ALL {found}")
        self.note("doubled", f"{found} QUALIFY row_number() OVER (PARTITION BY identity) > 1 "
                             "OR row_number() OVER (PARTITION BY part, place) > 1")
        self.note("phantom", f"{found} ANTI JOIN (FROM said WHERE state IN ('acked', 'unknown')) s USING (identity)")
        self.note("altered", "SELECT f.tab, f.identity, f.part, f.place FROM found f JOIN said s USING (identity) "
                             "WHERE f.cells <> s.cells "
                             "OR (s.state = 'acked' AND (f.part, f.place) <> (s.part, s.place))")
        self.rows += int(self.duck.value("SELECT count(*) FROM found"))

    def load(self, path, table):
        """`said`: the ledger; `found`: rows and letters."""
        letters_of_it = self.ledger / f"{path}-{table}.letters"
        with open(letters_of_it, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(letter_rows(self.lake, self.user, path, table))
        for name, file in (("said", self.ledger / f"{path}-{table}.csv"), ("found", letters_of_it)):
            self.duck.value(f"CREATE TABLE {name} AS SELECT * REPLACE (coalesce(cells, '') AS cells) "
                            f"FROM read_csv('{file}', header = false, auto_detect = false, columns = {TYPES})")
        root = self.lake / "tables" / f"{self.user}_{table}_{'clean' if path == 'batch' else 'table'}"
        files = LiveTable(root).follow().files
        if not files:
            return
        names = ",".join(f"'{root}/{name}'" for name in files)
        cells = ", ".join(f"coalesce(({cell})::VARCHAR, '~')" for cell in ROWS[table].split(", "))
        identity = ROWS[table].split(", ")[1]
        self.duck.value(f"INSERT INTO found SELECT '{path}', '{table}', regexp_replace({identity}, ' Acosta$', ''), "
                        f"'row', _partition, _offset, left(md5(concat_ws('|', {cells})), 16) "
                        f"FROM read_parquet([{names}])")

    def note(self, kind, sql):
        self.duck.value(f"CREATE OR REPLACE TABLE wrong AS {sql}")
        self.faults[kind] += int(self.duck.value("SELECT count(*) FROM wrong"))
        self.samples += [f"{kind}: {line}" for line in self.duck.lines(
            f"SELECT concat_ws(' ', tab, identity, part, place) FROM wrong LIMIT {SAMPLES}")]
