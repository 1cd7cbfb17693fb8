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

    def place(self, path, partition, position):
        return self.partition(path, partition), self.ordinal(path, position)

    def range(self, path, first, last):
        """The first and the last of the records between the two."""
        return self.ordinal(path, first), self.ordinal(path, last)


class Hostile(Dense):
    """`shards`: how many a stream was made with."""

    def __init__(self, shards):
        self.shards = shards

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
        ordinal = self.from_number(int(position))
        assert BASE + ordinal // RUN * STRIDE + ordinal % RUN == int(position), f"{position} is no record's number"
        return ordinal

    def range(self, path, first, last):
        if path == "stream":
            return super().range(path, first, last)
        return self.from_number(int(first)), self.from_number(int(last) + 1) - 1
