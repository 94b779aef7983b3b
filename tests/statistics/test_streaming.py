"""The accumulators are monoids, agree with one pass over everything, and state their error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.statistics import streaming
from companion.statistics.streaming import (
    QUANTILES,
    STATISTICS,
    Bins,
    ClusterSums,
    Distribution,
    cluster_of,
)

BINS = Bins(np.array([-3.0, 1e-3]), np.array([3.0, 1e3]), np.array([False, True]), 512)
SHAPE = (2, 8)


def stream(seed, tokens, missing=0.1):
    draw = np.random.default_rng(seed)
    values = np.stack([draw.normal(size=tokens), draw.lognormal(size=tokens)])
    values[draw.random(values.shape) < missing] = np.nan
    return values, draw.integers(0, 2, tokens), draw.integers(0, 8, tokens)


def seen(values, group, cluster):
    tensors = torch.from_numpy(values), torch.from_numpy(group), torch.from_numpy(cluster)
    return Distribution.of(BINS, *tensors, SHAPE)


def empty():
    return Distribution.empty(BINS, *SHAPE)


def assert_same(a, b, **tolerance):
    np.testing.assert_allclose(a.statistics(), b.statistics(), **tolerance)
    assert torch.equal(a.histogram, b.histogram)
    assert torch.equal(a.clusters.counts, b.clusters.counts)


sizes = st.integers(0, 60)
seeds = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(seeds, st.tuples(sizes, sizes, sizes))
def test_merge_is_associative_and_equals_one_pass(seed, counts):
    parts = [stream(seed + k, n) for k, n in enumerate(counts)]
    a, b, c = (seen(*part) for part in parts)
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    assert_same(left, right, rtol=1e-9, atol=1e-12)
    whole = seen(*(np.concatenate(x, -1) for x in zip(*parts, strict=True)))
    assert_same(left, whole, rtol=1e-9, atol=1e-12)
    assert_same(b.merge(a), a.merge(b), rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds, sizes)
def test_the_empty_one_is_neutral(seed, tokens):
    a = seen(*stream(seed, tokens))
    for merged in (a.merge(empty()), empty().merge(a)):
        np.testing.assert_array_equal(merged.statistics(), a.statistics())


@pytest.mark.parametrize("at_once", [1, 5000, 1 << 17])
def test_statistics_agree_with_numpy(at_once, monkeypatch):
    monkeypatch.setitem(streaming.VALUES_AT_ONCE, "cpu", at_once)
    values, group, cluster = stream(3, 5000)
    table = seen(values, group, cluster).statistics()
    for row, g in np.ndindex(2, 2):
        x = values[row, group == g]
        x = x[~np.isnan(x)]
        got = dict(zip(STATISTICS, table[row, g], strict=True))
        assert got["count"] == len(x)
        assert got["mean"] == pytest.approx(x.mean(), rel=1e-12)
        assert got["variance"] == pytest.approx(x.var(ddof=1), rel=1e-10)
        assert (got["min"], got["max"]) == (x.min(), x.max())


def test_squares_keep_their_digits_far_from_zero():
    values = 1e6 + stream(1, 3000, 0)[0][:1].repeat(2, 0)
    group = cluster = np.zeros(3000, np.int64)
    halves = [seen(values[:, s], group[s], cluster[s]) for s in (slice(1000), slice(1000, 3000))]
    variance = halves[0].merge(halves[1]).variance[0, 0]
    assert float(variance) == pytest.approx(values[0].var(ddof=1), rel=1e-8)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 400), st.floats(0.1, 30))
def test_quantiles_are_within_one_bin_of_the_order_statistics(seed, tokens, spread):
    values, group, cluster = stream(seed, tokens, 0)
    values *= spread
    quantiles = seen(values, group * 0, cluster).quantiles()[:, 0]
    for row in range(2):
        x = np.sort(values[row])
        edges = BINS.edges(row)
        for level, got in zip(QUANTILES, quantiles[row], strict=True):
            place = level * len(x)
            low = x[max(int(np.ceil(place)) - 1, 0)]
            high = x[min(int(np.floor(place)), len(x) - 1)]
            below, above = np.searchsorted(edges, [low, high], "right")
            floor = max(np.append(-np.inf, edges)[below], x[0])
            ceiling = min(np.append(edges, np.inf)[above], x[-1])
            assert floor - 1e-9 <= got <= ceiling + 1e-9


def test_clustered_standard_error_sees_dependence_within_documents():
    draw = np.random.default_rng(0)
    clusters, each = 256, 40
    cluster = np.repeat(np.arange(clusters), each)
    shared = np.repeat(draw.normal(size=clusters), each)
    bins = Bins(np.array([-9.0]), np.array([9.0]), np.array([False]))
    tensors = torch.from_numpy(shared)[None], torch.zeros(len(cluster), dtype=torch.int64)
    sums = ClusterSums.of(*tensors, torch.from_numpy(cluster), (1, clusters))
    assert float(sums.sem) == pytest.approx(shared.std() / np.sqrt(clusters), rel=0.01)
    alone = ClusterSums.of(*tensors, torch.zeros(len(cluster), dtype=torch.int64), (1, clusters))
    assert alone.sem.isnan().all()
    assert len(bins) == 1


def test_clusters_depend_on_the_document_alone_and_fill_evenly():
    documents = np.arange(100_000)
    clusters = cluster_of(documents, 256)
    assert np.array_equal(clusters[500:700], cluster_of(documents[500:700], 256))
    counts = np.bincount(clusters, minlength=256)
    assert counts.min() > 300
    assert counts.max() < 490


def test_values_outside_the_bins_are_kept_in_the_open_ones():
    values = np.array([[-100.0, 0.0, 100.0], [0.0, 1.0, 1e9]])
    d = seen(values, np.zeros(3, np.int64), np.arange(3))
    assert d.histogram.sum() == 6
    assert d.quantiles((1.0,))[:, 0, 0].tolist() == [100.0, 1e9]
