"""The effective exponent: recovered where planted, covered as often as it claims, else refused."""

import numpy as np
import pandas as pd
import pytest

from companion.errors import InputError
from companion.scaling.comparison.effective import effective_exponent, effective_exponents

DEPTHS = np.array([2, 4, 8, 16])


def table(alpha, noise, generator, groups=4, D=1e6):
    phi = -np.log(DEPTHS) if alpha == 0 else DEPTHS ** (-float(alpha)) / alpha
    rows = [
        {"m": 64, "seed": seed, "D": D, "ell": ell, "loss": 4 + 0.1 * seed + 0.5 * p}
        for seed in range(groups)
        for ell, p in zip(DEPTHS, phi, strict=True)
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(loss=frame["loss"] + noise * generator.standard_normal(len(frame)))


@pytest.mark.parametrize("alpha", [-0.5, 0, 0.5, 1, 2.5])
def test_a_planted_exponent_is_recovered(alpha):
    found = effective_exponent(table(alpha, 0.0, np.random.default_rng(0)))
    assert found.estimate == pytest.approx(alpha, abs=0.006)


def test_the_interval_covers_as_often_as_it_claims():
    generator = np.random.default_rng(1)
    hits = [
        found.low <= 1 <= found.high
        for found in (effective_exponent(table(1, 0.02, generator)) for _ in range(200))
    ]
    assert 0.90 <= np.mean(hits) <= 0.99


def test_noise_alone_decides_nothing():
    found = effective_exponent(table(1, 5.0, np.random.default_rng(2)))
    assert np.isnan(found.estimate) or not np.isfinite([found.low, found.high]).all()


def test_deeper_is_worse_has_no_exponent():
    upside = table(1, 0.0, np.random.default_rng(0))
    found = effective_exponent(upside.assign(loss=10 - upside["loss"]))
    assert np.isnan([found.estimate, found.low, found.high]).all()


def test_stages_are_taken_one_by_one():
    generator = np.random.default_rng(0)
    both = pd.concat([table(a, 0.0, generator, D=d) for a, d in [(0.5, 1e6), (1, 2e6)]])
    assert effective_exponents(both)["estimate"].tolist() == pytest.approx([0.5, 1], abs=0.006)


def test_too_few_depths_are_refused():
    few = table(1, 0.0, np.random.default_rng(0), groups=1)
    with pytest.raises(InputError, match="fewer than three"):
        effective_exponent(few[few["ell"] < 8])
    with pytest.raises(InputError, match="four depths"):
        effective_exponent(few[few["ell"] < 16])
