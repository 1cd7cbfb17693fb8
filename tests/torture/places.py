"""Where a record stands in the log, out of the partition and the position that the program names.

Our own log numbers records one by one. The hostile one (tests/backends/broker_hostile.c) says other numbers, and from
some record on another shard, of which this is the way back.
"""
from journal import sequence_ordinal

BASE, RUN, STRIDE, SPLIT = 1 << 61, 256, (1 << 20) + 7, 500  # as tests/backends/hostile.h


class Dense:
    """Our own."""

    def partition(self, path, name):
        return int(name.rpartition("-")[2])

    def ordinal(self, path, position):
        return sequence_ordinal(position) if path == "stream" else int(position)

    def late(self, path):
        """Whether what nobody got an answer for may come after what the same client sent later."""
        return False

    def place(self, path, partition, position):
        return self.partition(path, partition), self.ordinal(path, position)

    def range(self, path, first, last):
        """The first and the last of the records between the two."""
        return self.ordinal(path, first), self.ordinal(path, last)


class Cluster(Dense):
    """Topics are in a Kafka cluster, which takes what a gateway had sent before it died when it comes to it."""

    def late(self, path):
        return path == "batch"


class Hostile(Dense):
    """`shards`: how many a stream was made with; `cut`: after so many records of each partition a topic seems to have
    been made anew, its numbers begin again, and the lake goes on in the second generation."""

    def __init__(self, shards, cut=0):
        self.shards, self.cut = shards, cut

    def number(self, position):
        """The number, and how many records were before its generation."""
        generation, _, number = str(position).rpartition("-")
        return int(number), (int(generation[1:]) - 1) * self.cut if generation else 0

    def partition(self, path, name):
        number = super().partition(path, name)
        return number % self.shards if path == "stream" else number

    def from_number(self, number):
        """The first record at or after it."""
        if number <= BASE:
            return 0
        run, place = divmod(number - BASE, STRIDE)
        return run * RUN + place if place < RUN else (run + 1) * RUN

    def ordinal(self, path, position):
        if path == "stream":
            return sequence_ordinal(position)
        number, before = self.number(position)
        ordinal = self.from_number(number)
        assert BASE + ordinal // RUN * STRIDE + ordinal % RUN == number, f"{position} is no record's number"
        return before + ordinal

    def range(self, path, first, last):
        if path == "stream":
            return super().range(path, first, last)
        (first, before), (last, _) = self.number(first), self.number(last)
        return before + self.from_number(first), before + self.from_number(last + 1) - 1
