"""Old against new, in pairs: the ratios of rounds that were run side by side, and what they prove.

Nothing is assumed of how the figures scatter. Were m the true median of the ratios, each would be below m with the
probability 1/2, so the k-th smallest of n is above m with the probability that fewer than k of n tosses show heads.
The largest k for which that is at most 5 % gives the lower bound, and from the other end the upper one: each holds
with 95 %.
"""
import math
import statistics

CONFIDENCE = 0.95
ROUNDS_MIN = 5  # of fewer, not even the smallest ratio is a bound: 1/2^4 is more than 5 %


def rank(count):
    """Which of `count` ratios, in order, is the bound; 0: there are too few."""
    below, k = 0.0, 0
    while k < count and (below := below + math.comb(count, k) / 2**count) <= 1 - CONFIDENCE:
        k += 1
    return k


class Ratios:
    """Costs, new / old, of each round: above 1, the new one is worse."""

    def __init__(self, ratios):
        self.ratios = sorted(ratios)
        self.median = statistics.median(self.ratios)
        k = rank(len(self.ratios))
        self.lower = self.ratios[k - 1] if k else None
        self.upper = self.ratios[-k] if k else None

    def verdict(self, limit):
        """WORSE: proved to pass the limit. ok: proved to keep it. Else the rounds do not tell, which fails nobody."""
        if self.lower is None:
            return "too few rounds"
        if self.lower > limit:
            return "WORSE"
        return "ok" if self.upper <= limit else "not told"


def pairs(old, new, higher):
    """Of figures of the same rounds; `higher`: more is better, as records a second."""
    return Ratios([a / b if higher else b / a for a, b in zip(old, new)])
