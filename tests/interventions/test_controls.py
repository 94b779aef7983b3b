"""Synthetic regimes: their costs follow formulas, and separate."""

import numpy as np
import pytest

from companion.errors import InputError
from companion.interventions import controls
from companion.interventions.costs import middle
from companion.runtime import Runtime


@pytest.fixture(scope="module")
def runtime():
    return Runtime.choose("cpu", "float64", seed=1)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_average_over_skip_in_an_ensemble_follows_the_formula(runtime, noise):
    """1.5 (1 - c) with cosine c = 1 / (1 + noise^2), to the scatter of 16 random matrices."""
    costs = controls.cost(controls.Control("ensemble", ell=32, width=128, noise=noise), runtime)
    ratio = middle(costs, "average").mean() / middle(costs, "skip").mean()
    assert float(ratio) == pytest.approx(1.5 * (1 - 1 / (1 + noise**2)), rel=0.05)


def test_an_ensemble_has_no_order(runtime):
    costs = controls.cost(controls.Control("ensemble", ell=8), runtime)
    assert float(costs.sel(kind=["swap", "parallel"]).max()) < 1e-20
    np.testing.assert_allclose(costs.sel(kind="skip"), costs.sel(kind="repeat"))


def test_skipping_a_step_of_a_short_flow_costs_its_share_of_the_path(runtime):
    """The velocity goes straight from A to an orthogonal B: mean square 2/3, squared mean 1/2."""
    control = controls.Control("procedural", ell=64, turn=0.05)
    skip = float(controls.cost(control, runtime).sel(kind="skip").sum()) * control.ell
    assert skip == pytest.approx((2 / 3) / (1 / 2), rel=0.03)


def test_exponents_separate_stages_from_the_rest(runtime):
    table = controls.table(runtime, (4, 8, 16))
    assert table.loc["compositional", "exponent of skip"] == pytest.approx(0, abs=0.2)
    for regime in ("ensemble", "procedural"):
        assert table.loc[regime, "exponent of skip"] == pytest.approx(-2, abs=0.4)


def test_an_unknown_regime_is_refused():
    with pytest.raises(InputError, match="ensemble, procedural, compositional"):
        controls.Control("chaos")
