"""Two classes told apart by one number: AUC by counting, cuts by trying all."""

from __future__ import annotations

import numpy as np
import pytest

from companion.errors import InputError
from companion.statistics.separation import auc, auc_interval, best_cut

GENERATOR = np.random.default_rng(0)


def _counted(a, b) -> float:
    wins = [1.0 if x > y else 0.5 if x == y else 0.0 for x in a for y in b]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_the_share_of_pairs_won(ties):
    a, b = GENERATOR.normal(0.5, size=13), GENERATOR.normal(size=7)
    if ties:
        a, b = a.round(), b.round()
    assert auc(a, b) == pytest.approx(_counted(a, b))
    assert auc(b, a) == pytest.approx(1 - auc(a, b))
    assert auc(np.exp(a), np.exp(b)) == pytest.approx(auc(a, b))


def test_auc_of_classes_that_do_not_meet_and_of_one_and_the_same():
    assert auc([3, 4], [1, 2]) == 1
    assert auc([1, 2], [3, 4]) == 0
    assert auc([1, 2, 3], [1, 2, 3]) == 0.5


def test_an_interval_over_clusters_is_wider_than_one_over_cases():
    shift = np.repeat(GENERATOR.normal(size=8), 10)
    a = shift + 0.05 * GENERATOR.normal(size=80) + 0.5
    b = np.repeat(GENERATOR.normal(size=8), 10)
    clusters = np.repeat(np.arange(8), 10)
    each = np.arange(80)
    wide = auc_interval(a, b, clusters, clusters, np.random.default_rng(1))
    narrow = auc_interval(a, b, each, each, np.random.default_rng(1))
    assert wide.estimate == narrow.estimate == pytest.approx(_counted(a, b))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    truth, hits = 0.7602, 0  # of N(1, 1) above N(0, 1): the normal integral at 1 / sqrt(2)
    for trial in range(150):
        generator = np.random.default_rng(trial)
        a, b = generator.normal(1, size=30), generator.normal(size=30)
        each = np.arange(30)
        hits += truth in auc_interval(a, b, each, each, generator, draws=200)
    assert hits / 150 == pytest.approx(0.95, abs=0.06)


@pytest.mark.parametrize("above", [True, False])
def test_the_best_cut_is_the_best_of_all(above):
    a, b = GENERATOR.normal(0.7, size=15), GENERATOR.normal(size=11)
    if not above:
        a, b = -a, -b

    def right(cut):
        on_a, on_b = (a > cut, b <= cut) if above else (a < cut, b >= cut)
        return (on_a.mean() + on_b.mean()) / 2

    tried = [right(cut) for cut in np.linspace(-4, 4, 4001)]
    assert right(best_cut(a, b, above)) == pytest.approx(max(tried))


def test_a_cut_lies_midway_in_the_gap():
    assert best_cut([4, 5], [1, 2]) == 3
    assert best_cut([1, 2], [4, 5], above=False) == 3


@pytest.mark.parametrize("a", [[], [np.nan, 1.0]])
def test_classes_without_finite_values_are_refused(a):
    with pytest.raises(InputError, match="finite"):
        auc(a, [1.0])
