"""The theory's core as claims: planted data whose verdict is known come out either way."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from companion.evidence.calibration import core
from companion.toy.calibration import shapes

from ...ladder.test_averaging import planted
from .conftest import TINY

STAMP = json.dumps({"parameters": TINY})
REGIMES = ["ensemble", "procedural", "compositional"]


def students(shared, power):
    """Errors of which a share is common, whose varying part falls as ell^-power."""
    ell = np.array([2.0, 4, 8, 16])
    noise = 1 + np.random.default_rng(0).normal(0, 0.02, (3, 4, 4, 5))
    varying = (1 - shared) * ell[:, None] ** -power * noise
    common = shared / (1 - shared) * varying * noise[..., ::-1]
    parts = {"varying": varying, "common": common, "loss": varying + common}
    parts["correlation"] = common / parts["loss"]
    dims = ("regime", "apart", "ell", "teacher")
    coords = {"regime": REGIMES, "apart": ["other seed", "other data", "both", "x"][:4], "ell": ell}
    return xr.Dataset({k: (dims, v) for k, v in parts.items()}, coords, {"provenance": STAMP})


def traded(depth, hidden):
    """Losses of all shapes from one plane, but for noise between teachers."""
    ell, k = (np.array(x, float) for x in zip(*shapes.SHAPES, strict=True))
    noise = np.exp(np.random.default_rng(1).normal(0, 0.01, (3, len(ell), 1, 5)))
    loss = (ell**-depth * k**-hidden)[None, :, None, None] * noise
    coords = {"ell": ("shape", ell), "expansion": ("shape", k), "rate": [1.0], "regime": REGIMES}
    dims = ("regime", "shape", "rate", "teacher")
    return xr.Dataset({"loss": (dims, loss)}, coords, {"provenance": STAMP})


def rows(lost):
    """Rows of 16 blocks in line, of 4, and of 16 in rows of 4 that lose a share of the gain."""
    losses = {(16, 1): 3.0, (4, 1): 4.0, (8, 1): 3.5, (16, 4): 3.0 + lost, (16, 2): 3.0 + lost / 2}
    made = [
        (32, *shape, seed, 1e-3, 1_048_576, loss + 0.01 * np.sin(seed + 7 * loss))
        for shape, loss in losses.items()
        for seed in range(3)
    ]
    return pd.DataFrame(
        made, columns=["m", "ell", "parallel", "seed", "learning_rate", "D", "loss"]
    )


def language(power, gain):
    """Losses of sets of seeds, with noise between them."""
    losses = planted(power, gain=gain).expand_dims(D=[1_048_576])
    noise = np.random.default_rng(2).normal(0, 1e-4, losses.shape)
    return xr.Dataset({"loss": losses + noise})


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (core.errors_are_own(students(0.1, 1.0)), "reproduced"),
        (core.errors_are_own(students(0.8, 1.0)), "not reproduced"),
        (core.variance_falls_inversely(students(0.1, 0.5)), "not reproduced"),
        (core.hidden_units_are_what_counts(traded(1.0, 1.0)), "reproduced"),
        (core.hidden_units_are_what_counts(traded(1.0, 0.3)), "not reproduced"),
        (core.dynamics_and_stages_need_depth(traded(2.0, 0.3)), "reproduced"),
        (core.dynamics_and_stages_need_depth(traded(1.0, 1.0)), "not reproduced"),
    ],
)
def test_claims_about_students_come_out_either_way(claim, verdict):
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("power", "gain", "lost", "verdicts"),
    [
        (1.0, 0.0, 0.1, ["reproduced"] * 3),
        (0.3, 0.5, 0.9, ["not reproduced"] * 3),
    ],
)
def test_claims_about_language_models_come_out_either_way(power, gain, lost, verdicts):
    claims = core.of_language_models(language(power, gain), rows(lost))
    assert [claim.verdict for claim in claims] == verdicts


def test_few_seeds_or_depths_do_not_test_it():
    losses = language(1.0, 0.0).isel(ell=[0, 1])
    first = core.of_language_models(losses, rows(0.1))[0]
    assert first.verdict == "not testable here"
    assert "4 depths" in first.untestable


def test_sentences_hold_the_numbers():
    told = core.words(students(0.8, 1.0), traded(1.0, 0.5), language(0.3, 0.5), rows(0.9))
    assert "80%" in told["answer"]
    assert "exponent of 0.30" in told["answer"]
    assert "highest" in told["sided"]
    assert "0.90" in told["sided"]
    assert "rate of the blocks in line: 0.90" in told["sided"]
    assert "do worse than in line, by 0.90" in told["answer"]
    turned = core.words(students(0.8, 1.0), traded(1.0, 0.5), language(0.3, 0.5), rows(-0.3))
    assert "do better than in line, by 0.30" in turned["answer"]
    assert "averaging" in told["traded"]


def test_rows_are_compared_at_their_best_rate_and_at_that_of_the_blocks_in_line():
    own = rows(0.3)
    better = own.loc[own["parallel"] == 4].assign(learning_rate=2e-3, loss=3.1)
    both = pd.concat([own, better])
    assert core.side_by_side(both, 4).estimate == pytest.approx(0.1, abs=0.03)
    assert core.side_by_side(both, 4, tuned=False).estimate == pytest.approx(0.3, abs=0.03)
