"""Intervals: oracles, invariances, coverage, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from companion.errors import InputError
from companion.statistics import intervals


def line(seed, n=12, noise=0.1):
    generator = np.random.default_rng(seed)
    x = np.linspace(0, 3, n)
    return x, 2 - 0.7 * x + noise * generator.standard_normal(n)


def test_slope_equals_scipy():
    x, y = line(0)
    ours, oracle = intervals.slope(x, y), stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * oracle.stderr
    assert ours.estimate == pytest.approx(oracle.slope)
    assert (ours.low, ours.high) == pytest.approx((oracle.slope - half, oracle.slope + half))


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_slope_is_equivariant(scale, shift):
    x, y = line(1)
    moved, base = intervals.slope(x, scale * y + shift), intervals.slope(x, y)
    assert moved.low == pytest.approx(scale * base.low, abs=1e-6)
    assert moved.high == pytest.approx(scale * base.high, abs=1e-6)


def test_equal_sem_changes_the_width_only_where_it_exceeds_the_scatter():
    x, y = line(2)
    free = intervals.slope(x, y)
    small, large = (intervals.slope(x, y, sem=np.full(12, s)) for s in (1e-3, 10.0))
    assert small.stderr == pytest.approx(free.stderr)
    assert large.stderr == pytest.approx(10 / math.sqrt(np.sum((x - x.mean()) ** 2)))
    assert large.estimate == pytest.approx(free.estimate)


def test_slope_covers_its_truth_nominally():
    hits = sum(-0.7 in intervals.slope(*line(seed, n=5), level=0.9) for seed in range(1000))
    assert 0.9 in intervals.proportion(hits, 1000, level=0.999)


def test_log_slope_is_exact_on_a_power_law():
    x = np.array([2.0, 4, 8, 16])
    assert intervals.log_slope(x, 3 / x).estimate == pytest.approx(-1)


def test_bootstrap_of_the_mean_matches_its_standard_error():
    data = np.random.default_rng(3).standard_normal(200)
    found = intervals.bootstrap(np.mean, data, generator=np.random.default_rng(4))
    assert found.stderr == pytest.approx(data.std() / math.sqrt(200), rel=0.1)


def test_clusters_are_drawn_whole():
    counts = intervals.resample(6, 50, np.random.default_rng(5), clusters=list("aabbcc"))
    assert np.array_equal(counts[:, ::2], counts[:, 1::2])
    assert np.all(counts.sum(axis=1) == 6)


def test_cluster_bootstrap_is_wider_for_repeated_rows():
    data, labels = np.repeat(np.random.default_rng(6).standard_normal(30), 10), np.arange(300) // 10
    kwargs = {"generator": np.random.default_rng(7)}
    rows = intervals.bootstrap(np.mean, data, **kwargs)
    whole = intervals.bootstrap(np.mean, data, clusters=labels, **kwargs)
    assert whole.stderr / rows.stderr == pytest.approx(math.sqrt(10), rel=0.2)


def test_wilson_matches_scipy():
    oracle = stats.binomtest(17, 40).proportion_ci(method="wilson")
    ours = intervals.proportion(17, 40)
    assert (ours.low, ours.high) == pytest.approx((oracle.low, oracle.high))


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        ([1, 2], [1, 2], "3 points"),
        ([1, 1, 1], [1, 2, 3], "distinct"),
        ([1, 2, 3], [1, math.nan, 3], "finite"),
    ],
)
def test_bad_points_are_refused(x, y, word):
    with pytest.raises(InputError, match=word):
        intervals.slope(x, y)


def test_other_bad_input_is_refused():
    with pytest.raises(InputError, match="positive"):
        intervals.log_slope([1, 2, 3], [1, -1, 1])
    with pytest.raises(InputError, match="not both"):
        intervals.slope([1, 2, 3], [1, 2, 3], sem=[1, 1, 1], weights=[1, 1, 1])
    with pytest.raises(InputError, match="positive finite"):
        intervals.slope([1, 2, 3], [1, 2, 3], sem=[1, 0, 1])
    with pytest.raises(InputError, match="finite draws"):
        intervals.percentile([1.0, math.nan], 1.0)
    with pytest.raises(InputError, match="proportion"):
        intervals.proportion(3, 2)


def test_clusters_of_one_give_the_ordinary_standard_error():
    values = np.random.default_rng(0).normal(size=50)
    found = intervals.clustered_mean(values, np.arange(50))
    assert found.estimate == pytest.approx(values.mean())
    assert found.stderr == pytest.approx(values.std(ddof=1) / math.sqrt(50))


def test_clustered_standard_error_covers_a_planted_mean():
    generator = np.random.default_rng(1)
    documents = np.repeat(np.arange(40), generator.integers(1, 30, 40))
    hits = 0
    for _ in range(400):
        values = generator.normal(size=40)[documents] + generator.normal(size=len(documents))
        hits += 0.0 in intervals.clustered_mean(values, documents)
    assert 0.90 < hits / 400 < 0.98


def test_one_cluster_has_no_standard_error():
    with pytest.raises(InputError, match="at least 2 clusters"):
        intervals.clustered_mean([1.0, 2.0], [0, 0])
