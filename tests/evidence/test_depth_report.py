"""Summaries, readings and findings on datasets whose answer is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from companion.errors import InputError
from companion.evidence import claims
from companion.evidence.probes import depth_report, geometry
from companion.evidence.probes import probing as layers
from companion.probing import compare_models, summaries
from companion.probing.controls import measure_all, measure_depths
from companion.runtime import Runtime
from companion.statistics.streaming import STATISTICS

RUNTIME = Runtime.choose("cpu", seed=5)
SMALL = {"m": 32, "documents": 8, "length": 16}


def generator():
    return RUNTIME.numpy_generator()


def planted(theta, cosine=0.0, removed=None, sem=1e-3, model="planted"):
    """A dataset with these mean rotations, this cosine between updates, this loss removed."""
    ell = len(theta)
    data = xr.Dataset(
        coords={"group": ["rest", "first"], "layer": range(ell + 1), "statistic": list(STATISTICS)},
        attrs={"model": model, "ell": ell, "tokens": 100, "corpus_name": "none", "V": 7},
    )

    def put(name, values):
        full = np.full((2, ell + 1, len(STATISTICS)), np.nan)
        for statistic, column in (("mean", values), ("sem", np.full(len(values), sem))):
            full[0, : len(values), STATISTICS.index(statistic)] = column
        data[name] = (("group", "layer", "statistic"), full)

    put("theta", theta)
    put("theta_dh", np.full(ell - 1, np.arccos(cosine)))
    middle = np.asarray(theta)[summaries.middle_layers(ell)].mean()
    whole = np.full((2, len(STATISTICS)), np.nan)
    whole[0, [STATISTICS.index("mean"), STATISTICS.index("sem")]] = middle, sem
    data["theta_middle"] = (("group", "statistic"), whole)
    matrix = np.where(np.eye(ell, dtype=bool), 1.0, cosine)
    data["update_correlation"] = (("layer_i", "layer_j"), matrix)
    data["update_correlation_sem"] = (("layer_i", "layer_j"), np.full((ell, ell), sem))
    if removed is not None:
        put("loss_removed", removed)
        put("cross_entropy", 5 - np.concatenate([[0], np.cumsum(removed)]))
    return data


@pytest.mark.parametrize(
    ("ell", "expected"),
    [(2, [0, 1]), (3, [1]), (4, [1, 2]), (8, [2, 3, 4, 5]), (16, list(range(4, 12)))],
)
def test_middle_layers(ell, expected):
    assert summaries.middle_layers(ell).tolist() == expected


def test_one_block_has_no_middle():
    with pytest.raises(InputError, match="1 block"):
        summaries.middle_layers(1)


@given(st.integers(1, 12), st.integers(0, 12), st.floats(1e-3, 1e3))
def test_participation_of_k_among_n(acting, idle, size):
    values = [size] * acting + [0.0] * idle
    expected = acting / (acting + idle)
    assert summaries.participation(values).estimate == pytest.approx(expected)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=9), st.floats(0.1, 10))
def test_participation_ignores_scale_and_order(values, factor):
    own = summaries.participation(values).estimate
    assert 0 < own <= 1 + 1e-12
    assert summaries.participation([factor * v for v in values[::-1]]).estimate == pytest.approx(
        own
    )


@pytest.mark.parametrize("truth", [[1.0, 2.0, 0.5, 1.5], [1.0, 1.0, 1.0, 1.0]])
def test_participation_interval_covers_the_truth(truth):
    truth, sem = np.array(truth), 0.1
    exact = summaries.participation(truth).estimate
    draw = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        seen = truth + sem * draw.normal(size=4)
        hits += exact in summaries.participation(seen, np.full(4, sem), draw)
    assert hits >= 85


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        ([0.5, 0.2], "layers 0 to 1 remove 0.700 nats per token in all; layer 0 removes most"),
        ([-0.1], "layer 0 removes -0.100 nats per token in all; none of them lowers it."),
    ],
)
def test_the_sentence_on_the_loss_fits_its_numbers(removed, words):
    said = depth_report.read(planted([0.1] * (len(removed) + 1), removed=removed), generator()).loss
    assert words in said[0]


def test_intervals_know_how_few_documents_there_are():
    few, many = (planted([0.1] * 8) for _ in range(2))
    few.attrs["clusters"] = 4
    near, far = summaries.middle_mean(many), summaries.middle_mean(few)
    assert far.high - far.estimate == pytest.approx(3.182 * 1e-3, rel=1e-3)
    assert near.high - near.estimate == pytest.approx(1.960 * 1e-3, rel=1e-3)
    assert summaries.half_widths(few) == pytest.approx(3.182, rel=1e-3)


@pytest.mark.parametrize(
    ("theta", "cosine", "regime"),
    [
        ([0.1] * 16, 0.1, "ensemble"),
        ([0.1] * 16, 0.4, "between"),
        ([0.1] * 16, 0.9, "procedural"),
        ([0.1] * 16, -0.4, "opposed"),
        ([0.01] * 8 + [0.9] + [0.01] * 7, 0.0, "compositional"),
        ([0.1] * 4, 0.1, "shallow"),
    ],
)
def test_regime(theta, cosine, regime):
    result = depth_report.read(planted(theta, cosine), generator())
    assert result.regime == regime
    assert depth_report.REGIMES[regime] in result.sentences[-1]


def test_outliers_and_loss_are_named():
    theta = [0.5] + [0.1] * 6 + [0.3]
    removed = [0.1, 0.2, 0.1, 0.1, -0.05, 0.1, 0.1]
    text = " ".join(depth_report.read(planted(theta, 0.1, removed), generator()).sentences)
    assert "0 (5.0 times), 7 (3.0 times)" in text
    assert "layers 0 to 6 remove 0.650 nats" in text
    assert "layer 1 removes most, 0.200 [0.198, 0.202]." in text
    assert "Layers that raise this loss: 4." in text
    noisy = depth_report.read(planted(theta, 0.1, removed, sem=0.1), generator())
    assert "raise this loss" not in " ".join(noisy.sentences)


def test_fading_correlation_is_told_from_a_constant_one():
    fading = planted([0.1] * 16, 0.2)
    i, j = np.indices((16, 16))
    fading["update_correlation"].values[:] = np.exp(-np.abs(i - j) / 2.0)
    constant = depth_report.read(planted([0.1] * 16, 0.2), generator())
    assert "does not fall with distance" in " ".join(constant.sentences)
    assert "it falls with distance" in " ".join(depth_report.read(fading, generator()).sentences)
    assert depth_report.read(planted([0.1] * 5), generator()).far is None


def test_reading_of_two_blocks_and_without_a_lens():
    result = depth_report.read(planted([0.3, 0.2]), generator())
    assert result.regime == "shallow"
    assert result.loss == ()
    assert depth_report.read(planted([0.3, 0.2, 0.1]), generator()).correlation is None


def test_table_of_readings():
    frame = depth_report.table(
        depth_report.read_all(measure_all(RUNTIME, ell=8, **SMALL), generator())
    )
    assert list(frame.index) == ["ensemble", "procedural", "compositional"]
    assert (frame["blocks"] == 8).all()


def test_planted_exponent_is_found():
    ladder = {str(n): planted([2.0 / n] * n) for n in (2, 4, 8, 16)}
    claim = geometry.rotation_falls_inversely(ladder)
    assert claim.verdict == claims.REPRODUCED
    assert [m.estimate for m in claim.measurements] == pytest.approx([-1, -1])
    assert "power -1.00" in geometry.exponent_sentence(ladder)


@pytest.mark.parametrize("exponent", [0.0, -0.5])
def test_other_exponents_are_not_taken_for_inverse(exponent):
    ladder = {str(n): planted([0.5 * n**exponent] * n) for n in (2, 4, 8, 16)}
    assert geometry.rotation_falls_inversely(ladder).verdict == claims.NOT_REPRODUCED


def test_aligning_updates_are_noticed(as_if_calibrated):
    flows = measure_depths("procedural", [4, 8, 16], RUNTIME, **SMALL)
    walks = measure_depths("ensemble", [4, 8, 16], RUNTIME, **SMALL)
    assert geometry.updates_stay_apart(flows).verdict == claims.NOT_REPRODUCED
    assert geometry.updates_stay_apart(walks).verdict == claims.REPRODUCED
    assert geometry.updates_are_weakly_correlated(flows).verdict == claims.NOT_REPRODUCED
    assert geometry.updates_are_weakly_correlated(walks).verdict == claims.REPRODUCED


def test_even_and_staged(as_if_calibrated):
    even, staged = planted([0.1] * 12), planted([0.01] * 5 + [0.9] + [0.01] * 6)
    assert geometry.rotations_are_even({"a": even}, generator()).verdict == claims.REPRODUCED
    assert geometry.rotations_are_even({"a": staged}, generator()).verdict == claims.NOT_REPRODUCED


def test_gradual_and_stepwise_loss():
    gradual = planted([0.1] * 16, removed=[0.1] * 15)
    stepwise = planted([0.1] * 16, removed=[-0.01] * 7 + [1.5] + [-0.01] * 7)
    verdict = layers.loss_falls_gradually({"a": gradual}, generator()).verdict
    assert verdict == claims.REPRODUCED
    assert (
        layers.loss_falls_gradually({"a": stepwise}, generator()).verdict == claims.NOT_REPRODUCED
    )


def test_too_little_to_test_is_said():
    one = {"a": planted([0.1] * 2)}
    for claim in (
        geometry.rotation_falls_inversely(one),
        geometry.updates_stay_apart(one),
        geometry.rotations_are_even(one, generator()),
        geometry.updates_are_weakly_correlated(one),
        layers.loss_falls_gradually(one, generator()),
    ):
        assert claim.verdict == claims.NOT_TESTABLE
        assert claim.untestable
    assert "too few" in geometry.exponent_sentence(one)
    assert geometry.exponents({"x": one}, ("theta",)).loc["x", "theta"] == "too few depths"


def test_falling_share_counts_layers():
    data = planted([0.1] * 5, removed=[0.1, 0.1, 0.001, -0.1], sem=0.01)
    share = summaries.falling_share(data)
    assert (share.low, share.estimate, share.high) == (0.5, 0.75, 0.75)


def test_loss_sentence_goes_by_depth():
    deep, shallow = planted([0.1] * 4, removed=[0.5] * 3), planted([0.1] * 2, removed=[0.5])
    assert layers.loss_sentence({"d": deep, "s": shallow}).endswith(
        "4.500 (2 blocks), 3.500 (4 blocks)."
    )


def test_missing_quantity_is_named():
    with pytest.raises(InputError, match="'entropy'"):
        summaries.profile(planted([0.1] * 4), "entropy")


@pytest.mark.parametrize("models", ["", " , ", "a,a"])
def test_listing_refuses(models):
    with pytest.raises(InputError):
        compare_models.model_names(models)


def test_short_names():
    assert compare_models.short_name("ladder:m128-ell8") == "m128-ell8"
    assert compare_models.short_name("EleutherAI/pythia-70m") == "pythia-70m"
    assert compare_models.model_names("a, b") == ["a", "b"]


def test_reading_is_frozen():
    result = depth_report.read(planted([0.1] * 8), generator())
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.ell = 3
