"""Laws and their design: against finite differences, exact changes of variables, and formulas."""

import numpy as np
import pytest

from companion.errors import InputError
from companion.scaling import LAWS, ScalingLaw, Term, get_law
from companion.scaling.fitting.design import Design

NAMES = list(LAWS)


def theta_of(design, seed=0):
    """A point inside the bounds with every parameter alive."""
    generator = np.random.default_rng(seed)
    theta = 0.3 + 0.5 * generator.random(len(design.names))
    if design.law.constant:
        theta[design.index(design.law.constant)] = 1.5
    return theta


@pytest.mark.parametrize("name", NAMES)
def test_jacobian_equals_finite_differences(name, grid):
    design = Design(LAWS[name], grid)
    theta = theta_of(design)
    _, J = design.evaluate(theta[None])
    for i in range(len(theta)):
        step = 1e-6 * np.eye(len(theta))[i]
        upper, lower = (design.evaluate((theta + s)[None])[0][0] for s in (step, -step))
        assert J[0, i] == pytest.approx((upper - lower) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_curvature_equals_finite_differences_of_the_jacobian(name, grid):
    design = Design(LAWS[name], grid)
    theta, pull = theta_of(design), np.random.default_rng(1).standard_normal(len(grid))
    _, J = design.evaluate(theta[None])
    found = design.curvature(theta[None], J, pull[None])[0]
    for i in range(len(theta)):
        step = 1e-5 * np.eye(len(theta))[i]
        upper, lower = (design.evaluate((theta + s)[None])[1][0] @ pull for s in (step, -step))
        assert found[i] == pytest.approx((upper - lower) / 2e-5, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("centred", [True, False])
def test_centring_is_an_exact_change_of_variables(name, centred, grid):
    design = Design(LAWS[name], grid, centred=centred)
    theta = theta_of(design)
    params = {k: float(v[0]) for k, v in design.to_params(theta[None]).items()}
    assert design.to_theta(params) == pytest.approx(theta)
    predicted = np.exp(design.evaluate(theta[None])[0][0])
    assert LAWS[name].predict(params, grid) == pytest.approx(predicted)


def test_the_additive_law_is_the_formula(grid):
    p = dict(zip(LAWS["additive"].parameters, (250, 0.9, 3, 1.0, 400, 0.3, 1.7), strict=True))
    by_hand = 250 * grid.m**-0.9 + 3 / grid.ell + 400 * grid.D**-0.3 + 1.7
    assert LAWS["additive"].predict(p, grid) == pytest.approx(by_hand.to_numpy())
    assert LAWS["additive"].parameters == (
        "c_m", "alpha_m", "c_ell", "alpha_ell", "c_D", "alpha_D", "L_0",
    )  # fmt: skip


def test_kaplan_is_the_published_form(grid):
    p = {"c_N": 1e10, "beta": 0.8, "c_D": 1e11, "alpha_D": 0.1}
    by_hand = (1e10 * grid.N**-0.8 + 1e11 / grid.D) ** 0.1
    assert LAWS["kaplan"].predict(p, grid) == pytest.approx(by_hand.to_numpy())


def test_a_law_of_ones_own_is_a_few_lines(grid):
    law = ScalingLaw(
        "depth-only", "", "", "", (Term("c_ell", (("ell", "alpha_ell"),)),), constant="L_0"
    )
    assert law.parameters == ("c_ell", "alpha_ell", "L_0")
    params = {"c_ell": 2, "alpha_ell": 1, "L_0": 1}
    assert law.predict(params, {"ell": [2.0, 4.0]}) == pytest.approx([2, 1.5])


def test_an_unknown_law_lists_the_known_ones():
    with pytest.raises(InputError, match="additive, additive-shifted"):
        get_law("adition")
