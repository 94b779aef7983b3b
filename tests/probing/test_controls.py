"""The controls keep what they promise, and the instrument tells their regimes apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from companion.errors import InputError
from companion.evidence.probes import depth_report
from companion.probing import controls, summaries
from companion.runtime import Runtime

RUNTIME = Runtime.choose("cpu", seed=3)
SMALL = {"m": 48, "documents": 12, "length": 16}


@pytest.fixture(scope="module")
def known():
    return controls.measure_all(RUNTIME, ell=16, **SMALL)


def states(control):
    return torch.cat([h for h, _ in controls.trajectories(control, RUNTIME)], 1).double()


def updates(h):
    dh = h[1:] - h[:-1]
    return dh / dh.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("regime", controls.REGIMES)
def test_reads_as_what_it_is(known, regime):
    assert depth_report.read(known[regime], RUNTIME.numpy_generator()).regime == regime


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_ensemble_correlation_is_the_same_at_every_distance(noise):
    control = controls.Control("ensemble", noise=noise, m=512, documents=4, length=64)
    dh = updates(states(control))
    cosine = torch.einsum("itm,jtm->ijt", dh, dh).mean(-1)
    off = cosine[~torch.eye(len(cosine), dtype=torch.bool)]
    assert torch.allclose(off, torch.full_like(off, 1 / (1 + noise**2)), atol=0.02)


def test_flow_approaches_its_differential_equation():
    ends = {}
    for ell in (4, 8, 16, 512):
        ends[ell] = states(controls.Control("procedural", ell=ell, **SMALL))[-1]
    errors = [float((ends[ell] - ends[512]).norm()) for ell in (4, 8, 16)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(np.abs(orders - 1) < 0.25), "Euler's scheme has order one"


def test_stages_turn_by_the_planted_angle():
    control = controls.Control("compositional", ell=12, stages=3, turn=0.7, **SMALL)
    h = states(control)
    cosine = torch.cosine_similarity(h[:-1], h[1:], dim=-1)
    acting = controls.stage_layers(control)
    assert acting == (2, 6, 10)
    for layer in range(12):
        theta = torch.arccos(cosine[layer]).mean()
        assert theta == pytest.approx(0.7, abs=1e-3) if layer in acting else theta < 0.05


def test_exponents_against_depth():
    """Rotation falls as 1/ell in all regimes; only the flow's updates align."""
    expected = {"ensemble": (-1, 0), "procedural": (-1, -1), "compositional": (-1, 0)}
    ladders = controls.measure_ladders([8, 16, 32], RUNTIME, **SMALL)
    for regime, (rotation, turn) in expected.items():
        assert summaries.rotation_slope(ladders[regime]).estimate == pytest.approx(
            rotation, abs=0.25
        )
        measured = summaries.rotation_slope(ladders[regime], "theta_dh").estimate
        assert measured == pytest.approx(turn, abs=0.15)


def test_stages_that_grow_with_depth_keep_their_rotation():
    grown = controls.measure_depths("compositional", [4, 8, 16], RUNTIME, grow=True, **SMALL)
    assert summaries.rotation_slope(grown).estimate == pytest.approx(0, abs=0.02)


def test_equal_seeds_equal_numbers_and_documents_are_whole():
    control = controls.Control("procedural", ell=4, m=8, documents=19, length=5)
    first, again = (list(controls.trajectories(control, RUNTIME)) for _ in range(2))
    for (h, documents), (other, same) in zip(first, again, strict=True):
        assert torch.equal(h, other)
        assert torch.equal(documents, same)
    counts = torch.cat([documents for _, documents in first]).bincount()
    assert counts.tolist() == [5] * 19


def test_one_flow_for_all_batches():
    """The world is shared: the same h_0 moves alike in the first and in the last batch."""
    control = controls.Control("procedural", ell=3, m=8, documents=16, length=2)
    (a, _), (b, _) = controls.trajectories(control, RUNTIME)
    step = torch.linalg.lstsq(a[0], a[1] - a[0]).solution
    assert torch.allclose(b[0] @ step, b[1] - b[0], atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [{"regime": "magic"}, {"ell": 1}, {"m": 7}, {"stages": 17}, {"documents": 0}],
)
def test_refuses(wrong):
    with pytest.raises(InputError):
        controls.Control(**{"regime": "ensemble", **wrong})


def test_turn_is_the_length_of_the_way():
    h = states(controls.Control("ensemble", noise=0.0, turn=0.5, m=512, documents=2, length=32))
    way = (h[-1] - h[0]).norm(dim=-1).square().mean().sqrt() / math.sqrt(512)
    assert way == pytest.approx(0.5, rel=0.05)
