"""kill -9 as in kills.py, of a pipeline whose log looks like the worst service there may be (broker_hostile.c).

Then once more, with topics that seem to have been made anew while the pipeline stood still: their numbers begin again,
and the lake goes on in the next generation.
"""
import pathlib
import threading

import kills
from client import TABLES, Client
from pipeline import QUICK
from places import Hostile

CUT = 700       # records of each partition before: some runs of numbers
AT_ONCE = 50


class Filler(Client):
    """Posts to given partitions, in the thread that asks for it."""

    def fill(self, partitions, count, after_each):
        """Also the topic that is there only to be posted to (kills.provoke)."""
        for table in (*TABLES, "other"):
            for partition in range(partitions):
                for at in range(0, count, AT_ONCE):
                    self.put_some(table, partition, min(AT_ONCE, count - at))
                    after_each()
        self.drop()
        self.entries = [entry for entry in self.entries if entry.table in TABLES]

    def put_some(self, table, partition, count):
        texts, entries = zip(*[self.entry(table) for _ in range(count)])
        status, body = self.request(b"POST", f"/topics/{self.user}.{table}", b"application/vnd.kafka.json.v2+json",
                                    '{"records":[%s]}' % ",".join('{"value":%s,"partition":%d}' % (text, partition)
                                                                  for text in texts))
        assert status == 200, body
        for entry, (its, offset) in zip(entries, self.offsets(status, body)):
            assert its == str(partition) and offset is not None, body
            entry.state, entry.partition, entry.offset = "acked", its, offset


class Again(kills.Session):
    def work(self, steps):
        filler = Filler(99, self.pipeline.port, self.pipeline.user, "batch", self.rng.randrange(1 << 31),
                        threading.Event())
        filler.fill(int(QUICK["PINPIPE_GATEWAY_PARTITIONS"]), CUT, self.checker.log.follow)
        self.pipeline.finish()
        self.pipeline.environment.update(PINPIPE_HOSTILE_CUT=str(CUT), PINPIPE_NEW_HISTORY="continue")
        self.pipeline.start()
        self.pipeline.await_healthy()
        ledger = super().work(steps)
        for entry in ledger:
            if entry.path == "batch" and entry.state == "acked":
                entry.offset = f"g0002-{entry.offset}"
        return [*filler.entries, *ledger]


def add_arguments(parser):
    parser.add_argument("--hostile-binary", type=pathlib.Path, help="built with -Dhostile=true -Dfailpoints=true, too")


def run(arguments, figures):
    if not arguments.hostile_binary:
        raise ValueError("--hostile-binary is not given")
    shards = int(QUICK["PINPIPE_GATEWAY_SHARDS"])
    kills.sessions("hostile", arguments.hostile_binary, arguments, figures, Hostile(shards))
    kills.sessions("made anew", arguments.hostile_binary, arguments, figures, Hostile(shards, CUT), Again)
