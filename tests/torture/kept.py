"""Follows Delta tables while they are written, compacted and cleaned up, and looks at every version that is kept.

What has to hold at each look, by the log alone:
    log          its commits have no gap; those after the first follow a checkpoint, unless it is version 0; what was
                 read once is never another text, and no commit comes where the log was cleaned
    rows         a commit that changes no data adds the rows again that it removes, all columns of them; one that does
                 (a rebuild) as many or more; all others only add
    statistics   each file has as many rows as its commit says
    files        a file of the newest version is there, and so is one that was removed less than the retention ago
    checkpoints  each has the files, the tombstones, the progress and the columns that the commits up to it say

So the rows of each version are those of the commits up to it that changed data, once each. A Visitor beside it is a
reader that is slow: what it opened a moment ago stays whole under its hands.
"""
import collections
import json
import pathlib
import random
import threading
import time

import delta_log
from delta_log import Names, State, actions_of, checkpoint_path, commit_path, quoted
from duck import Duck

LOOKS = 3               # at a directory that changes meanwhile, before what it shows is believed
CLOCK_S = 2             # between what a tombstone says and what we do
FILES_AT_ONCE = 400
LATE_S = 30             # after that the log may have been cleaned up to beyond what was seen
PAUSE_S = 0.5           # between two looks
STARE_S = 5             # a visitor's pause, at most, between opening and reading

Rows = collections.namedtuple("Rows", "count cells keys")     # sums of hashes, so that order means nothing


def sum_of(rows):
    rows = list(rows)
    return Rows(*(sum(part) for part in zip(*rows))) if rows else Rows(0, 0, 0)


def read_rows(duck, root, columns, names):
    """{name: Rows} of data files. What is null adds nothing, so a column that a file lacks makes no difference."""
    source = "read_parquet([%s], union_by_name=true, filename=true)" % ", ".join(quoted(root / name) for name in names)
    here = duck.lines(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {source})")
    cells = " + ".join(f"CASE WHEN \"{name}\" IS NULL THEN 0 ELSE hash('{name}', \"{name}\")::HUGEINT END"
                       for name in columns if name in here)
    found = {name: Rows(0, 0, 0) for name in names}
    for line in duck.lines(f"SELECT concat_ws('|', filename, count(*), sum(hash({cells})::HUGEINT), "
                           f"sum(hash(_partition, _offset)::HUGEINT)) FROM {source} GROUP BY filename"):
        path, count, whole, keys = line.rsplit("|", 3)
        found[path.removeprefix(f"{root}/")] = Rows(int(count), int(whole), int(keys))
    return found


class Table:
    """One table that is followed. `faults`: (kind, sentence), kinds as the checker's. `ahead_s`: so much later it is
    by the clock of those who clean up."""

    def __init__(self, root, duck, ahead_s=0):
        self.root, self.duck, self.ahead_s = pathlib.Path(root), duck, ahead_s
        self.faults, self.counts = [], collections.Counter()
        self.looked = time.monotonic()
        self.forget()

    def forget(self):
        """What was seen of it."""
        self.state = State()
        self.rows = {}          # data file -> Rows, of those that were read
        self.texts = {}         # version -> its commit's text
        self.added, self.removed = {}, {}           # version -> paths
        self.txns = collections.defaultdict(dict)   # version -> {application: version}
        self.columns_at = {}    # version -> columns
        self.weighed = set()    # versions
        self.changing = set()   # those that change data
        self.first = None       # the oldest version that was followed from
        self.cleaned = 0        # commits below have gone
        self.checked = set()    # checkpoints

    def fault(self, kind, text):
        self.faults.append((kind, f"{self.root.name}: {text}"))

    def look(self, is_still=False):
        """What came since. Unless it stands still, the oldest that is there may go at any time: then a first look
        begins with the newest checkpoint."""
        if not (self.root / "_delta_log").is_dir():
            return
        late, self.looked = time.monotonic() - self.looked > LATE_S, time.monotonic()
        if late and not commit_path(self.root, self.state.version).exists():
            self.counts["begun again"] += 1
            self.forget()
        if self.state.version < 0 and not self.begin(is_still):
            return
        while (path := commit_path(self.root, self.state.version + 1)).exists():
            self.take(self.state.version + 1, path.read_text())
        self.read_new()
        self.check_log()
        self.check_files()
        self.check_checkpoints()

    def begin(self, is_still):
        names = Names(self.root)
        self.first = names.checkpoints[-1] if names.checkpoints and not is_still else delta_log.oldest(names)
        if self.first is None:
            if names.commits:
                self.fault("damaged", f"the log has the commits {names.commits[:3]} … {names.commits[-1]} and the "
                                      f"checkpoints {names.checkpoints[-3:]}: no version can be read")
            return False
        self.cleaned = names.commits[0]
        if self.first > 0:
            try:
                self.state = delta_log.state_at(self.duck, self.root, self.first, newest=self.first)
            except RuntimeError:
                if checkpoint_path(self.root, self.first).exists():
                    raise
                return False    # it has just been cleaned up, and the next look finds a newer one
            self.note(self.first, self.state.files, (), self.state.txns)
        return True

    def note(self, version, added, removed, txns):
        self.added[version], self.removed[version] = set(added), set(removed)
        for app, value in txns.items():
            self.txns[version][app] = value
        self.columns_at[version] = self.state.columns()

    def take(self, version, text):
        actions = actions_of(text)
        before, txns = dict(self.state.files), dict(self.state.txns)
        self.state.apply(version, actions)
        self.texts[version] = text
        self.note(version, self.state.files.keys() - before.keys(), before.keys() - self.state.files.keys(),
                  {app: at for app, at in self.state.txns.items() if txns.get(app) != at})
        info = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        self.counts[info.get("operation", "?")] += 1
        changes = [part for action in actions for name, part in action.items() if name in ("add", "remove")]
        if any(part["dataChange"] for part in changes):
            self.changing.add(version)
        elif changes and self.txns[version]:
            self.fault("altered", f"version {version} changes no data, but progress")

    def read_new(self):
        """Rows of files that are new since the last look; then each new commit that removed some is weighed."""
        new = [name for version in self.added for name in self.added[version] if name not in self.rows]
        for at in range(0, len(new), FILES_AT_ONCE):
            self.read_some(new[at:at + FILES_AT_ONCE])
        for version in sorted(self.removed.keys() - self.weighed):
            self.weigh(version)
            self.weighed.add(version)

    def read_some(self, names):
        """One that has gone is missed in check_files(), if it should be there."""
        there = [name for name in names if (self.root / name).exists()]
        try:
            if there:
                self.rows.update(read_rows(self.duck, self.root, self.state.columns(), there))
        except RuntimeError as error:
            if len(names) > 1:  # one of them has just gone
                for name in names:
                    self.read_some([name])
            elif (self.root / names[0]).exists():
                self.fault("damaged", f"{names[0]} cannot be read: {error}")
        for name in names:
            said = (self.state.files.get(name) or {}).get("stats")
            if said and name in self.rows and json.loads(said)["numRecords"] != self.rows[name].count:
                self.fault("altered", f"{name} has {self.rows[name].count} rows, its statistics are {said[:60]}")

    def weigh(self, version):
        """What a commit removed is what it added."""
        removed, added = self.removed[version], self.added[version]
        unread = [name for name in removed | added if name not in self.rows]
        if not removed or unread:
            self.counts["not weighed"] += bool(removed)
            return
        out, new = sum_of(map(self.rows.get, removed)), sum_of(map(self.rows.get, added))
        self.counts["weighed"] += 1
        if out != new and not (version in self.changing and new.count >= out.count):
            kind = "lost" if new.count < out.count else "doubled" if new.count > out.count else "altered"
            self.fault(kind, f"version {version} takes {len(removed)} files of {out.count} rows for {len(added)} of "
                             f"{new.count}, {'other' if out.keys != new.keys else 'the same'} offsets")

    def check_log(self):
        for _ in range(LOOKS):
            names = Names(self.root)
            commits = [version for version in names.commits if version <= self.state.version]
            fault = self.fault_of_log(commits, names.checkpoints)
            if not fault:
                self.counts["log files cleaned"] += max(0, commits[0] - self.cleaned)
                self.cleaned = max(self.cleaned, commits[0])
                return
        self.fault(*fault)

    def fault_of_log(self, commits, checkpoints):
        if not commits:
            return "lost", f"of the commits up to {self.state.version} none is left"
        if commits[0] < self.cleaned:
            return "lost", f"version {commits[0]} was written, though the log was cleaned up to {self.cleaned}"
        if gaps := set(range(commits[0], self.state.version + 1)) - set(commits):
            return "damaged", f"the log from {commits[0]} on lacks {sorted(gaps)[:3]}"
        if commits[0] > 0 and not any(version >= commits[0] - 1 for version in checkpoints):
            return "lost", f"the log begins with {commits[0]}, and its checkpoints are {checkpoints}"
        return None

    def check_files(self):
        """`gone` is of the last commit that was read: what it names is there, whatever came since."""
        kept_after = (time.time() + self.ahead_s - self.state.retention_s() + CLOCK_S) * 1000
        wanted = [*self.state.files, *(name for name, at in self.state.gone.items() if at > kept_after)]
        there = {path.name for path in self.root.iterdir()}
        missing = [name for name in wanted if name not in there and not (self.root / name).exists()]
        if missing:
            why = "the newest version has" if missing[0] in self.state.files else "was removed a moment ago:"
            self.fault("lost", f"{len(missing)} of {len(wanted)} files are not there; {why} {missing[0]}")
        self.counts["files vacuumed"] = sum(name not in there for name in self.state.gone)

    def files_at(self, version):
        files = set(self.state.files)
        for at in range(self.state.version, version, -1):
            files = files - self.added[at] | self.removed[at]
        return files

    def txns_at(self, version):
        found = {}
        for at in sorted(self.txns):
            if at <= version:
                found.update(self.txns[at])
        return found

    def check_checkpoints(self):
        for version in Names(self.root).checkpoints:
            if version in self.added and version not in self.checked and version > self.first:
                self.check_checkpoint(version)

    def check_checkpoint(self, version):
        path = checkpoint_path(self.root, version)
        try:
            actions = delta_log.checkpoint_actions(self.duck, path)
        except RuntimeError as error:
            if path.exists():
                self.fault("damaged", f"the checkpoint {version} cannot be read: {error}")
            return      # it has been cleaned up meanwhile
        said = State()
        said.apply(version, actions)
        self.checked.add(version)
        for what, here, wanted in (("files", set(said.files), self.files_at(version)),
                                   ("progress", set(said.txns.items()), set(self.txns_at(version).items())),
                                   ("columns", set(said.columns()), set(self.columns_at[version]))):
            if here != wanted:
                self.fault("damaged", f"the checkpoint {version} lacks {list(wanted - here)[:2]} and has "
                                      f"{list(here - wanted)[:2]} of {what}")
        if strangers := [name for name in said.gone if name in self.files_at(version)]:
            self.fault("lost", f"the checkpoint {version} has {strangers[0]} removed")
        self.counts["checkpoints"] += 1

    def finish(self):
        """Of a table that nobody writes any more: once more by what is there, as who comes new reads it."""
        self.look(is_still=True)
        if self.state.version < 0:
            return
        for version, text in self.texts.items():
            path = commit_path(self.root, version)
            if path.exists() and path.read_text() != text:
                self.fault("altered", f"version {version} is another text than it was")
        there = [name for name in self.rows if (self.root / name).exists()]
        for at in range(0, len(there), FILES_AT_ONCE):
            some = there[at:at + FILES_AT_ONCE]
            again = read_rows(self.duck, self.root, self.state.columns(), some)
            for name in some:
                if again[name] != self.rows[name]:
                    self.fault("altered", f"{name} holds other rows than it did")
        self.check_versions()

    def check_versions(self):
        """Each version that the log still tells, from each checkpoint on: its files and their rows."""
        names = Names(self.root)
        first = delta_log.oldest(names)
        if first is None:
            self.fault("lost", "no version can be read any more")
            return
        for start in [version for version in names.checkpoints if version >= first] or [first]:
            state = delta_log.state_at(self.duck, self.root, start, newest=start)
            for version in range(start, names.commits[-1] + 1):
                if version > start:
                    state.apply(version, actions_of(commit_path(self.root, version).read_text()))
                if version in self.added and set(state.files) != self.files_at(version):
                    self.fault("altered", f"version {version} has other files from the checkpoint {start} on")
                    break
        self.counts["versions kept"] += names.commits[-1] - first + 1


class Kept:
    """All tables of a lake, whatever there is of them."""

    def __init__(self, lake):
        self.lake, self.tables, self.duck = pathlib.Path(lake), {}, Duck()
        self.faults, self.counts = [], collections.Counter()

    def all_tables(self):
        for root in sorted(self.lake.glob("tables/*")):
            if root.name not in self.tables:
                self.tables[root.name] = Table(root, self.duck)
        return self.tables.values()

    def look(self):
        for table in self.all_tables():
            table.look()

    def forget(self):
        """What was seen may not have been synced: the power was cut. What was found, and how much, stays."""
        for table in self.tables.values():
            self.faults += table.faults
            self.counts.update(table.counts)
        self.tables = {}

    def finish(self, report):
        """The rest, and what was found goes into the checker's report."""
        for table in self.all_tables():
            table.finish()
        self.forget()
        for kind, text in self.faults:
            report[kind].append(text)
        report.counts.update({f"kept: {name}": count for name, count in self.counts.items()})

    def close(self):
        self.duck.close()


class Watch(threading.Thread):
    """Looks all the time, as who looks now and then would miss what is cleaned up between."""

    def __init__(self, kept):
        super().__init__(daemon=True)
        self.kept, self.stop, self.failure = kept, threading.Event(), None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join(60)
        if self.failure:
            raise self.failure

    def run(self):
        try:
            while not self.stop.wait(PAUSE_S):
                self.kept.look()
        except Exception as failure:  # pylint: disable=broad-except  # it is raised where the watch ends
            self.failure = failure


class Visitor(threading.Thread):
    """A reader that opens a table, stares, and then reads it; it follows the protocol and knows of no retention."""

    def __init__(self, lake, seed, stare_s=STARE_S):
        super().__init__(daemon=True)
        self.lake, self.rng, self.stare_s = pathlib.Path(lake), random.Random(seed), stare_s
        self.stop, self.faults, self.visits = threading.Event(), [], 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join(60)

    def run(self):
        duck = Duck()
        try:
            while not self.stop.wait(self.rng.random() * 0.2):
                tables = [path.parent for path in self.lake.glob("tables/*/_delta_log") if any(path.glob("*.json"))]
                if tables:
                    self.visit(duck, self.rng.choice(tables))
        except Exception as error:  # pylint: disable=broad-except  # a reader that is broken is what is looked for
            self.faults.append(f"{type(error).__name__}: {error}")
        finally:
            duck.close()

    def visit(self, duck, root):
        """Lists; opens what it has listed; reads the rows of that."""
        names = Names(root)
        state, checkpoints = State(), [at for at in names.checkpoints if at <= names.commits[-1]]
        self.stop.wait(self.rng.random() * 0.5)
        try:
            if checkpoints:
                path = checkpoint_path(root, checkpoints[-1])
                state.apply(checkpoints[-1], delta_log.checkpoint_actions(duck, path))
            for version in range(state.version + 1, names.commits[-1] + 1):
                state.apply(version, actions_of(commit_path(root, version).read_text()))
            self.stop.wait(self.rng.random() * self.stare_s)
            files = list(state.files)
            if files:
                places = ", ".join(quoted(root / name) for name in files)
                duck.value(f"SELECT count(*), max(_offset) FROM read_parquet([{places}])")
        except (RuntimeError, FileNotFoundError) as error:
            self.faults.append(f"{root.name}: a reader of version {names.commits[-1]} lost {str(error)[-200:]}")
        self.visits += 1
