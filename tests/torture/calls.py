"""The k-th system call of a kind fails, once or for ever, for every k of a canonical run (as SQLite tests itself).

A workload is one process on a directory of its own: the gateway under a few dozen requests; sink, stream or batch on a
log that was made before. callfault.c, loaded before the C library, counts its calls on that directory and its sockets,
and makes one fail. Whatever the process then does, this has to hold:
    it ends by itself or when asked to, with an exit status of its table, and says why; 0 only if all is done
    what is there then is right, though there may be less of it
    after the fault the next start does all that is left, and nothing twice
"""
import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import threading
import time

import client as clients
from checker import ROWS, Checker, Report, lane_of, letters, live_files, object_lines, table_rows
from delta_log import Names
from duck import Duck
from figures import workplace
from kept import Table
from pipeline import QUICK, await_that
from places import Dense

KINDS = ("write", "sync", "open", "rename", "link", "unlink", "mkdir", "read", "accept", "recv", "send")
ERRORS = {"write": ("eio", "enospc", "short"), "sync": ("eio", "enospc"), "open": ("eio", "enospc", "emfile"),
          "rename": ("eio", "enospc"), "link": ("eio", "enospc"), "unlink": ("eio",), "mkdir": ("eio", "enospc"),
          "read": ("eio", "short"), "accept": ("emfile", "econnaborted"), "recv": ("econnreset", "short"),
          "send": ("econnreset", "short")}
SOURCE = pathlib.Path(__file__).with_name("callfault.c")
PAGE = struct.Struct(f"<{len(KINDS)}QQQ512s512s")   # struct page
# Micro-batches end by their rows, not by the time, so that there are as many calls in each run.
ENVIRONMENT = {**QUICK, "PINPIPE_STREAM_AGE": "1h", "PINPIPE_STREAM_ROWS_MAX": "4", "PINPIPE_SINK_FLUSH_SIZE": "50",
               "PINPIPE_LOG_RETENTION": "1h", "PINPIPE_GATEWAY_PARTITIONS": "1", "PINPIPE_GATEWAY_SHARDS": "1"}
USER = "u1"
POSTS = 7               # requests of each path
STATUSES = (0, 74, 75)
ANALYSES_FAILED = "of the analyses failed; the others were answered"     # and 1
STOPPED = 128 + signal.SIGTERM  # if it was asked to end
PATIENCE_S = 60         # on a busy machine
STUBBORN_S = 0.4        # what tries again is given this long while the fault lasts
DRAIN_S = 0.2           # and this long to drain; asked once more, it leaves
WORKERS = 4             # most of them wait
REACHED_MIN = 0.9       # of the cases: a library that is not loaded fails nothing
CASES = 400             # of a workload's hundreds or thousands, unless more are asked for

Case = collections.namedtuple("Case", "kind at action ever")


def text_of(case):
    return f"{case.kind}:{case.action}@{case.at}{'+' if case.ever else ''}"


def build(directory):
    """The library, compiled."""
    library = directory / "callfault.so"
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return library


class Faults:
    """What the library is told and tells."""

    def __init__(self, library, directory, page, fault=""):
        page.write_bytes(bytes(4096))
        self.page = page
        self.environment = {"LD_PRELOAD": str(library), "CALLFAULT_DIR": str(directory), "CALLFAULT_PAGE": str(page),
                            "CALLFAULT": fault}

    def read(self):
        return PAGE.unpack_from(self.page.read_bytes())

    def counts(self):
        return dict(zip(KINDS, self.read()))

    @property
    def taken(self):
        return self.read()[len(KINDS)]

    @property
    def where(self):
        return self.read()[len(KINDS) + 2].split(b"\0")[0].decode()

    @property
    def careless(self):
        """The first name that was given before the file was synced."""
        names = self.read()
        name = names[len(KINDS) + 3].split(b"\0")[0].decode()
        return name if names[len(KINDS) + 1] else None


def environment(extra):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PINPIPE")}
    return {**kept, **ENVIRONMENT, **extra}


def start(binary, words, directory, extra, trace):
    """A process whose stderr is the file `trace`, and its stdout the one beside it."""
    with open(trace, "wb") as said, open(output_of(trace), "wb") as output:
        return subprocess.Popen([binary, *words, "--dir", directory, "--id", USER], stdin=subprocess.DEVNULL,
                                stdout=output, stderr=said, env=environment(extra))


def output_of(trace):
    return trace.with_name(trace.name + ".out")


class Wrong(Exception):
    """What a process did is not what it has to do."""


def ask_to_end(process):
    """The first request drains, the second leaves."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(DRAIN_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)


def end(process, trace, asked):
    """Its exit status, when it ends by itself or was asked to."""
    try:
        status = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Wrong(f"does not end{' when it is asked to' if asked else ''}:\n{said_in(trace)}") from None
    allowed = STATUSES + ((STOPPED,) if asked else ()) + ((1,) if ANALYSES_FAILED in said_in(trace) else ())
    if status not in allowed:
        raise Wrong(f"ended with {status}:\n{said_in(trace)}")
    if status not in (0, STOPPED) and not re.search(r"\w+ \w+", said_in(trace)):
        raise Wrong(f"ended with {status} and said nothing")
    return status


def check_short(case, status, trace):
    """A call that does half of what it was asked has not failed."""
    if case.action == "short" and status not in (0, STOPPED):
        raise Wrong(f"ended with {status}:\n{said_in(trace)}")


def said_in(trace):
    return trace.read_text(errors="replace")[-2000:]


class Client(clients.Client):
    bad_share = 0.2


class Hurried(Client):
    """What is not answered because of a fault is not waited for."""
    patience_s = 2


class Gateway:
    """A few dozen requests, one after the other, on one connection a path."""

    def __init__(self, is_first=True, posts=POSTS):
        self.is_first, self.posts = is_first, posts     # the first, or it goes on with a log that holds some already

    def prepare(self, binary, directory):
        """The directory that each case begins with."""
        self.binary, self.template, self.ledger = binary, directory / "template", []
        self.template.mkdir()
        if not self.is_first:
            _, self.ledger = self.session(self.template, directory / "trace", {}, 0, must_serve=True)

    def listening(self, process, trace):
        """Its port; None: it has ended."""
        def port():
            return re.search(r"http://127\.0\.0\.1:(\d+)", output_of(trace).read_text())
        await_that(lambda: process.poll() is not None or port(), "the gateway to listen")
        return int(port()[1]) if port() else None

    def post(self, client, table, count):
        texts, entries = zip(*[client.entry(table) for _ in range(count)])
        try:
            client.post(table, texts, entries)
        except OSError as error:
            client.drop()
            if isinstance(error, ConnectionRefusedError):
                for entry in entries:
                    entry.state = "unsent"
            return error
        return None

    def load(self, kind, port, number):
        """The requests, until too many in a row got no answer."""
        both = [kind(2 * number + n, port, USER, path, 1, threading.Event())
                for n, path in enumerate(("batch", "stream"))]
        for client in both:
            silent = 0
            for n in range(self.posts):
                error = self.post(client, clients.TABLES[n % 3], (1, 2, 1, 20)[n % 4])
                silent = silent + 1 if error else 0
                if silent == 3:
                    break
        return both

    def serves(self, both, process):
        """Soon a record of each path is acknowledged, or the process has ended."""
        end_at = time.monotonic() + PATIENCE_S
        for client in both:
            while process.poll() is None and not any(e.state == "acked" for e in client.entries[-1:]):
                if time.monotonic() > end_at:
                    raise Wrong(f"does not take a {client.path} record after the fault")
                self.post(client, "pin", 1)
        for client in both:
            client.drop()

    def session(self, directory, trace, extra, number, must_serve):
        """One life of a gateway; its exit status, and the ledger."""
        process = start(self.binary, ["gateway", "--listen", "127.0.0.1:0"], directory, extra, trace)
        both = []
        try:
            port = self.listening(process, trace)
            if port:
                both = self.load(Hurried if extra else Client, port, number)
                if must_serve:
                    self.serves(both, process)
            asked = process.poll() is None
            if asked:
                ask_to_end(process)
            status = end(process, trace, asked)
            if status == 0 and not asked:
                raise Wrong(f"ended by itself as if it had been asked to:\n{said_in(trace)}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            for client in both:
                client.drop()
        return status, [entry for client in both for entry in client.entries]

    def try_case(self, directory, faults, case, report):
        data, trace = directory / "data", directory / "trace"
        shutil.copytree(self.template, data)
        status, ledger = self.session(data, trace, faults.environment, 1, must_serve=not case.ever)
        check_short(case, status, trace)
        status, more = self.session(data, trace, {}, 2, must_serve=True)
        if status != STOPPED or not more:
            raise Wrong(f"the next start ended with {status}:\n{trace.read_text()}")
        checker = Checker(data, USER)
        checker.log.finish()
        entries = self.ledger + ledger + more
        checker.check_log(entries)
        checker.expect_in_log([e for e in entries if e.state == "acked"])
        checker.shelf.check_order(entries)
        for kind, texts in checker.report.items():
            report[kind] += texts
        for entry in ledger:
            report.counts[entry.state] += 1
        for path in ("batch", "stream"):
            if [e.state for e in more if e.path == path][-1:] != ["acked"]:
                report["lost"].append(f"the next start does not take a {path} record")


class Flow:
    """A command that works off what a log or a lake holds, on a copy of it."""

    posts = POSTS

    def __init__(self, name, words, before=()):
        self.name, self.words, self.before = name, words, before
        self.local = threading.local()

    def prepare(self, binary, directory):
        """The directory that each case begins with, and what is in the lake when all is done."""
        self.binary, self.template = binary, directory / "template"
        gateway = Gateway(is_first=False, posts=self.posts)
        gateway.prepare(binary, directory)
        self.ledger = gateway.ledger
        for words in self.before:
            self.run(words, self.template, directory / "trace", {})
        whole = directory / "whole"
        shutil.copytree(self.template, whole)
        if self.run(self.words, whole, directory / "trace", {}):
            raise Wrong(f"{self.name} fails by itself:\n{(directory / 'trace').read_text()}")
        try:
            self.whole = self.contents(whole)
        except (RuntimeError, AssertionError) as error:     # of who reads it
            raise Wrong(f"{self.name} leaves what cannot be read: {error}") from None
        self.check_whole(whole)

    def check_whole(self, whole):
        """Each record that was acknowledged is one of the items."""
        path = "stream" if self.name == "stream" else "batch"
        acked = sum(entry.state == "acked" and entry.path == path for entry in self.ledger)
        here = sum(n for item, n in self.whole.items() if item[0] in (("object",) if self.name == "sink"
                                                                       else ("row", "letter")))
        kinds = {item[0] for item in self.whole}
        if here != acked or (self.name != "sink" and "letter" not in kinds):
            raise Wrong(f"{acked} records were acknowledged, {here} are in the lake")
        said = {lane_of(USER, entry, Dense()) for entry in self.ledger
                if entry.state == "acked" and entry.path == path}
        objects = {((item[1], item[2]), int(item[3])) for item in self.whole if item[0] == "object"}
        if self.name == "sink" and objects != said:
            raise Wrong(f"objects hold {sorted(objects - said)[:3]}, which were not acknowledged there")

    def run(self, words, directory, trace, extra, faults=None):
        """Its exit status; with faults that last it is asked to end, as it may try again for ever."""
        process, asked = start(self.binary, words, directory, extra, trace), False
        try:
            if faults:
                await_that(lambda: process.poll() is not None or faults.taken, "the fault")
                try:
                    process.wait(STUBBORN_S)
                except subprocess.TimeoutExpired:
                    asked = True
                    ask_to_end(process)
            return end(process, trace, asked)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def duck(self):
        if not hasattr(self.local, "duck"):
            self.local.duck = Duck()
        return self.local.duck

    def contents(self, directory):
        """All that readers see in the lake, each with its place, counted."""
        lake, found = directory / "lake", collections.Counter()
        for topic in sorted(path.name for path in (lake / "topics").glob("*")):
            found.update(("object", topic, *line) for line in object_lines(lake, topic))
        for topic in sorted(path.name for path in (lake / "dlq").glob("*")):
            found.update(("letter", topic, letter["partition"], letter["offset"], letter["reason"], letter["value"])
                         for letter in letters(lake, topic))
        for table in sorted((lake / "tables").glob("*")):
            kind = table.name.split("_")[1]
            if any((table / "_delta_log").glob("*.json")) and kind in ROWS:
                found.update(("row", table.name, *row) for row in table_rows(self.duck(), table, kind))
        for answer in sorted((lake / "results").glob("*.json")):
            found["answer", answer.name, json.dumps(json.loads(answer.read_text())["rows"])] += 1
        return found

    def try_case(self, directory, faults, case, report):
        data, trace = directory / "data", directory / "trace"
        shutil.copytree(self.template, data)
        status = self.run(self.words, data, trace, faults.environment, faults if case.ever else None)
        said = trace.read_text(errors="replace")
        check_short(case, status, trace)
        between = self.contents(data)
        for item in list(between - self.whole)[:5]:
            report["doubled" if item in self.whole else "altered"].append(f"{item} is there after the fault")
        if status == 0 and between != self.whole:
            report["lost"].append(f"it says that all is done, and there is no {list(self.whole - between)[:3]}\n{said}")
        self.look(data, between, report, "after the fault")
        status = self.run(self.words, data, trace, {})
        after = self.contents(data)
        if status:
            raise Wrong(f"the next start ended with {status}:\n{trace.read_text()}\nafter\n{said}")
        for item in list(after - self.whole)[:5]:
            report["doubled" if item in self.whole else "altered"].append(f"{item} is there in the end")
        for item in list(self.whole - after)[:5]:
            report["lost"].append(f"{item} is not there in the end")
        self.look(data, after, report, "in the end")

    def look(self, directory, contents, report, when):
        """What else has to hold."""


class Upkeep(Flow):
    """A command that changes files, and no row of any version that is kept. `later_s`: so old is all by then."""

    posts = 35 * len(clients.TABLES)    # each request is a commit: a checkpoint by the stream itself

    def __init__(self, name, words, before, later_s=0):
        super().__init__(name, words, before)
        self.later_s = later_s

    def run(self, words, directory, trace, extra, faults=None):
        """What was done before comes in small commits."""
        if words in self.before:
            extra = {**extra, "PINPIPE_STREAM_ROWS_MAX": "1"}
        elif self.later_s:
            extra = {"LD_PRELOAD": str(self.library), "CALLFAULT_AHEAD_S": str(self.later_s), **extra}
        return super().run(words, directory, trace, extra, faults)

    def prepare(self, binary, directory):
        self.library = directory / "callfault.so"
        super().prepare(binary, directory)

    def check_whole(self, whole):
        """It has something to do."""
        before, self.litter = self.contents(self.template), self.litter_in(whole)
        if before != self.whole or not any(item[0] == "row" for item in before):
            raise Wrong(f"{self.name} changes rows: {list((before - self.whole) + (self.whole - before))[:3]}")
        if self.litter_in(self.template) == self.litter:
            raise Wrong(f"{self.name} does nothing: {self.litter}")

    def tables(self, directory):
        return sorted(path.parent for path in (directory / "lake" / "tables").glob("*/_delta_log"))

    def litter_in(self, directory):
        """Of each table so many live files, and what is there beside them: old files and commits."""
        found = {}
        for root in self.tables(directory):
            live = len(live_files(self.duck(), root))
            found[root.name] = live, len(list(root.glob("*.parquet"))) - live, len(Names(root).commits)
        return found

    def look(self, directory, contents, report, when):
        """At all versions that are kept, as who comes new reads them; and all rows are still there."""
        for root in self.tables(directory):
            table = Table(root, self.duck(), self.later_s)
            table.finish()
            for kind, text in table.faults:
                report[kind].append(f"{text} {when}")
        for item in list(self.whole - contents)[:5]:
            report["lost"].append(f"{item} is not there {when}")
        litter = self.litter_in(directory)
        if when == "in the end" and any(self.is_left(here, self.litter[name]) for name, here in litter.items()):
            report["damaged"].append(f"{litter} is there {when}, not {self.litter}")

    def is_left(self, here, there):
        """A vacuum that was cut off has written its version that says so, and the next one does, too."""
        (live, files, commits), (whole_live, whole_files, whole_commits) = here, there
        return live > whole_live or (self.later_s and (files > whole_files or commits > whole_commits + 1))


SINK, STREAM, BATCH = ["sink", "--until-end"], ["stream", "--until-end"], ["batch"]
OPTIMIZE, VACUUM, LATER_S = ["optimize"], ["vacuum"], 9 * 86400
WORKLOADS = {"gateway": Gateway, "restart": lambda: Gateway(is_first=False), "sink": lambda: Flow("sink", SINK),
             "stream": lambda: Flow("stream", STREAM), "batch": lambda: Flow("batch", BATCH, before=[SINK]),
             "optimize": lambda: Upkeep("optimize", OPTIMIZE, before=[STREAM]),
             "vacuum": lambda: Upkeep("vacuum", VACUUM, before=[STREAM, OPTIMIZE], later_s=LATER_S)}


def cases(counts, is_thorough):
    """Every k of every kind, once and for ever; thorough: with every error, otherwise with one after the other."""
    found = []
    for kind, count in counts.items():
        for at in range(1, count + 1):
            errors = ERRORS[kind] if is_thorough else ERRORS[kind][at % len(ERRORS[kind]):][:1]
            found += [Case(kind, at, action, ever) for action in errors for ever in (False, True)]
    return found


def some_of(chosen, count, seed):
    """So many of the cases, from the whole range of every kind; which ones is the seed's choice."""
    draw, found = random.Random(seed), []
    for _, of_kind in itertools.groupby(chosen, key=lambda case: case.kind):
        of_kind = list(of_kind)
        wanted = min(len(of_kind), max(1, round(count * len(of_kind) / len(chosen))))
        bounds = [i * len(of_kind) // wanted for i in range(wanted + 1)]
        found += [of_kind[draw.randrange(*between)] for between in itertools.pairwise(bounds)]
    return found


class Campaign:
    """The cases of one workload."""

    def __init__(self, binary, directory, name):
        self.directory, self.name = directory, name
        self.library = build(directory)
        self.workload = WORKLOADS[name]()
        self.report = Report()
        self.wrong = []         # sentences about what a process did
        self.missed = []        # cases whose call did not come: threads differ a little from run to run
        self.done = collections.Counter()
        self.whole = 0          # cases that there are
        self.lock = threading.Lock()
        self.workload.prepare(str(binary), directory)

    def count(self):
        """Calls of each kind in a run without faults."""
        place = self.directory / "count"
        place.mkdir()
        faults = Faults(self.library, place / "data", self.directory / "count.page")
        self.workload.try_case(place, faults, Case("write", 0, "eio", False), self.report)
        if faults.careless:
            self.wrong.append(f"{self.name}: {faults.careless} was named before it was synced")
        shutil.rmtree(place)
        return faults.counts()

    def try_case(self, case):
        name = text_of(case)
        place = self.directory / name
        place.mkdir()
        faults = Faults(self.library, place / "data", self.directory / f"{name}.page", name)
        report, wrong = Report(), None
        try:
            self.workload.try_case(place, faults, case, report)
        except Wrong as error:
            wrong = str(error)
        except Exception as error:  # of the checker: what it reads is not as it should be
            wrong = f"{type(error).__name__}: {error}"
        self.note(case, faults, report, wrong)
        if wrong is None and report.clean:
            shutil.rmtree(place)

    def note(self, case, faults, report, wrong):
        what = f"{self.name} {text_of(case)} ({faults.where.rpartition('/data')[2]})"
        with self.lock:
            if faults.taken:
                self.done[case.kind] += 1
            else:
                self.missed.append(text_of(case))
            if wrong is not None:
                self.wrong.append(f"{what}: {wrong}")
            for kind, texts in report.items():
                self.report[kind] += [f"{what}: {text}" for text in texts]
            self.report.counts.update(report.counts)

    def run(self, is_thorough, kinds=KINDS, stop_early=False, some=None):
        """Counts the calls, and lets each fail; or some = (how many of the cases, seed). How many cases there are."""
        counts = {kind: n for kind, n in self.count().items() if kind in kinds}
        chosen = cases(counts, is_thorough)
        self.whole = len(chosen)
        self.run_cases(some_of(chosen, *some) if some else chosen, stop_early)
        return self.whole

    def run_cases(self, chosen, stop_early=False):
        """`stop_early`: the first thing that is found is enough."""
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for done in [pool.submit(self.try_case, case) for case in chosen]:
                if stop_early and not self.is_clean:
                    pool.shutdown(cancel_futures=True)
                    break
                try:
                    done.result()
                except BaseException:   # Ctrl-C: thousands may still wait for their turn
                    pool.shutdown(cancel_futures=True)
                    raise

    @property
    def is_clean(self):
        return self.report.clean and not self.wrong


def torture(binary, name, is_thorough, kinds=KINDS, some=None):
    with workplace(f"calls-{name}") as place:
        campaign = Campaign(binary, place.path, name)
        count = campaign.run(is_thorough, kinds, some=some)
        place.keep = not campaign.is_clean
        print(f"{name}: {campaign.done.total()} of {count} cases {dict(campaign.done)}, "
              f"not reached {len(campaign.missed)}", flush=True)
        return campaign


def holds(binary, name, words):
    """Nothing is found, by a quick look at calls of these kinds; a number: at so many of them."""
    kinds, some = [word for word in words if not word.isdigit()], [int(word) for word in words if word.isdigit()]
    with workplace(f"calls-{name}") as place:
        try:
            campaign = Campaign(binary, place.path, name)
            campaign.run(False, kinds, stop_early=True, some=(some[0], 1) if some else None)
        except Wrong as error:
            print(f"  {error}")
            return False
        for text in [*campaign.wrong, *campaign.report.samples()][:1]:
            print(f"  {text}")
        return campaign.is_clean


def count_of(text):
    if text != "all" and int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1, or all")
    return None if text == "all" else int(text)


def add_arguments(parser):
    parser.add_argument("--calls", type=count_of, default=CASES, metavar="N|all",
                        help="cases of each workload, about (%(default)s)")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="of these only, whose k-th calls fail")
    parser.add_argument("--call", action="append", choices=KINDS, help="of these calls only")


def run(arguments, figures):
    for name in arguments.workload or WORKLOADS:
        started = time.monotonic()
        campaign = torture(arguments.binary, name, True, arguments.call or KINDS,
                           (arguments.calls, arguments.seed) if arguments.calls is not None else None)
        done, missed = campaign.done.total(), len(campaign.missed)
        figures.add(f"{name} calls", arguments.seed, done, time.monotonic() - started, campaign.report, campaign.whole)
        figures.missed += campaign.wrong
        if done < REACHED_MIN * (done + missed):
            figures.missed.append(f"{name} calls: of {done + missed} cases only {done} were reached")
