"""What `make bench OLD=…` concludes from figures, and in which order it takes them."""

import random
import sys

import pytest

import conftest

sys.path.insert(0, str(conftest.TOP / "bench"))

import compare  # noqa: E402  pylint: disable=wrong-import-position
import paired  # noqa: E402  pylint: disable=wrong-import-position
import works  # noqa: E402  pylint: disable=wrong-import-position


@pytest.mark.parametrize("count, rank", [(1, 0), (4, 0), (5, 1), (7, 1), (8, 2), (10, 2), (11, 3), (20, 6), (100, 42)])
def test_rank_of_the_bound(count, rank):
    """As tables of the sign test have it, one-sided, 5 %."""
    assert paired.rank(count) == rank


def test_bounds_hold_the_median_as_often_as_they_say():
    chance, below = random.Random(1), 0
    for _ in range(4000):
        ratios = paired.Ratios([chance.lognormvariate(0, 0.3) for _ in range(9)])
        below += ratios.lower > 1
    assert below / 4000 <= 0.05


@pytest.mark.parametrize("ratios, verdict", [
    ([1.2] * 4, "too few rounds"),
    ([1.2] * 5, "WORSE"),
    ([1.0] * 5, "ok"),
    ([1.0, 1.0, 1.0, 1.0, 1.2], "not told"),
    ([0.9, 1.2, 1.2, 1.2, 1.2], "not told"),
    ([0.9] + [1.2] * 7, "WORSE"),
    ([1.2] + [1.0] * 7, "ok"),
    ([1.0499] * 8, "ok"),
    ([1.0501] * 8, "WORSE"),
])
def test_verdict(ratios, verdict):
    assert paired.Ratios(ratios).verdict(1.05) == verdict


def test_more_records_a_second_are_no_cost():
    assert paired.pairs([100.0] * 5, [200.0] * 5, higher=True).median == 0.5
    assert paired.pairs([100.0] * 5, [200.0] * 5, higher=False).median == 2.0


def test_rounds_alternate_and_the_first_does_not_count():
    order = []

    def side(name, values):
        def measure():
            order.append(name)
            return [works.Figure("work", next(values), "s")]
        return measure

    found = compare.rounds((side("old", iter([99, 1, 2, 3])), side("new", iter([99, 4, 5, 6]))), 3)
    assert order == ["new", "old", "old", "new", "new", "old", "old", "new"]
    old, new = found["work"]
    assert [figure.value for figure in old] == [1, 2, 3] and [figure.value for figure in new] == [4, 5, 6]


def test_report_names_what_is_worse(capsys):
    report = compare.Report()
    figures = {value: [works.Figure("work", value, "s", cpu=value, rss=8)] * 8 for value in (1.0, 1.07)}
    report.add(figures[1.0], figures[1.07], hot=False)
    assert report.named("WORSE") == []
    report.add(figures[1.0], figures[1.07], hot=True)
    assert report.named("WORSE") == ["work"]
    assert "1.07 to 1.07" in capsys.readouterr().out
