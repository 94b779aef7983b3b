"""The fit: planted laws recovered, an independent optimiser, certificates, and refusals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from companion import scaling
from companion.errors import InputError
from companion.scaling.fitting.design import Design
from companion.scaling.fitting.solver import solve

from ..conftest import TRUTH

PLANTED = {
    "additive": TRUTH,
    "additive-shifted": TRUTH,
    "additive-shift-fitted": TRUTH | {"ell_0": 1.5},
    "chinchilla": {"c_N": 400.0, "alpha_N": 0.34, "c_D": 1000.0, "alpha_D": 0.33, "L_0": 1.8},
    "kaplan": {"c_N": 1e10, "beta": 0.8, "c_D": 1e11, "alpha_D": 0.1},
    "multiplicative": {"c_m_ell": 150.0, "alpha_m": 0.6, "alpha_ell": 0.4, "L_0": 1.7}
    | {"c_D": 400.0, "alpha_D": 0.3},
    "width-depth": TRUTH | {"c_m_ell": -60.0},
    "depth-data": TRUTH | {"c_ell_D": 300.0},
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_an_exact_law_is_recovered(name, grid):
    truth = PLANTED[name]
    table = grid.assign(loss=scaling.LAWS[name].predict(truth, grid))
    result = scaling.fit(table, name)
    assert result.converged, result.certificate.reasons
    for key, value in truth.items():
        assert result.params[key] == pytest.approx(value, rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.3, 2.5), st.floats(0.3, 2.0), st.floats(0.2, 0.6))
def test_any_exponents_are_recovered(grid, alpha_ell, alpha_m, alpha_D):
    truth = {"alpha_m": alpha_m, "alpha_ell": alpha_ell, "alpha_D": alpha_D, "L_0": 1.7}
    truth |= {"c_m": 0.4 * 700**alpha_m, "c_ell": 0.3 * 11**alpha_ell, "c_D": 0.5 * 4e9**alpha_D}
    table = grid.assign(loss=scaling.LAWS["additive"].predict(truth, grid))
    result = scaling.fit(table)
    assert result.params["alpha_ell"] == pytest.approx(alpha_ell, rel=1e-3)


def test_scipy_finds_the_same_optimum(planted):
    result = scaling.fit(planted)
    y = np.log(planted["loss"])

    def residuals(q):
        c, a = np.exp(q[:3]), q[3:6]
        terms = sum(c[i] * planted[v] ** -a[i] for i, v in enumerate(("m", "ell", "D")))
        return y - np.log(terms + q[6])

    start = [*np.log([250, 3, 400]), 0.9, 1.0, 0.3, 1.7]
    oracle = least_squares(residuals, start, xtol=1e-14, ftol=1e-14, gtol=1e-14, x_scale="jac")
    assert result.objective == pytest.approx(2 * oracle.cost / len(planted), rel=1e-9)
    assert result.params["alpha_ell"] == pytest.approx(oracle.x[4], rel=1e-4)


def test_units_change_coefficients_only(planted):
    here, there = scaling.fit(planted), scaling.fit(planted.assign(D=planted["D"] / 1e3))
    for name in ("alpha_m", "alpha_ell", "alpha_D", "L_0", "c_m"):
        assert there.params[name] == pytest.approx(here.params[name], rel=1e-5)
    assert there.params["c_D"] == pytest.approx(
        here.params["c_D"] * 1e3 ** -here.params["alpha_D"], rel=1e-4
    )


def test_any_sensible_start_reaches_the_optimum(planted):
    design = Design(scaling.LAWS["additive"], planted)
    start = np.random.default_rng(0).uniform(0.1, 1.5, (40, 7))
    found = solve(design, np.log(planted["loss"].to_numpy()), start)
    best = found.objective.min()
    assert np.mean(found.objective < best * (1 + 1e-8)) > 0.9


def test_equal_bounds_hold_a_parameter(planted):
    held = scaling.fit(planted, fixed={"alpha_ell": 2.0})
    assert held.params["alpha_ell"] == 2.0
    assert held.objective > scaling.fit(planted).objective
    assert held.converged
    assert [(b.name, b.side, b.value) for b in held.certificate.at_bound] == [
        ("alpha_ell", "fixed", 2.0)
    ]


def test_a_fit_survives_its_way_to_disk_and_back(planted):
    result = scaling.quantify(
        scaling.fit(planted, fixed={"L_0": 1.7}),
        np.random.default_rng(0),
        methods=["profile", "bootstrap"],
        draws=20,
    )
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    back = scaling.FitSummary.from_dict(record, "planted")
    assert back.to_dict() == result.to_dict()
    assert back.certificate == result.certificate
    assert back.frame().equals(result.frame())


def test_huber_with_a_wide_threshold_is_least_squares(planted):
    squared, huber = scaling.fit(planted), scaling.fit(planted, delta=10.0)
    assert huber.params == pytest.approx(squared.params, rel=1e-5)
    assert huber.objective == pytest.approx(squared.objective / 2)


def test_huber_resists_an_outlier(planted):
    spoiled = planted.copy()
    spoiled.loc[0, "loss"] *= 1.5
    far = abs(scaling.fit(spoiled).params["alpha_ell"] - 1)
    near = abs(scaling.fit(spoiled, delta=1e-3).params["alpha_ell"] - 1)
    assert near < far / 3
    assert scaling.outliers(scaling.fit(spoiled, delta=1e-3)).index[0] == 0


def test_a_term_without_effect_is_reported(grid):
    truth = TRUTH | {"c_ell": 0.0}
    harmed = scaling.LAWS["additive"].predict(truth, grid) * grid["ell"] ** 0.01
    result = scaling.fit(grid.assign(loss=harmed))
    assert result.params["c_ell"] == 0
    assert result.converged
    assert any("alpha_ell is not identified" in w for w in result.warnings)
    assert "alpha_ell" not in result.intervals["jacobian"]


def test_columns_that_are_equal_at_a_bound_are_no_crash(chinchilla):
    """With alpha_m = 0 the width term is a constant: c_m and L_0 have the same column."""
    size = chinchilla["m"] ** 2 * chinchilla["ell"]
    result = scaling.fit(chinchilla[size < size.quantile(0.8)], "additive-size")
    assert np.isfinite(result.objective)


def test_not_converging_is_a_status(planted):
    design = Design(scaling.LAWS["additive"], planted)
    start = np.full((1, 7), 0.5)
    assert not solve(design, np.log(planted["loss"].to_numpy()), start, limit=2).converged[0]


@pytest.mark.parametrize(
    ("change", "law", "word"),
    [
        (lambda t: t.assign(ell=8.0), "additive", "ell takes 1 distinct value"),
        (lambda t: t[t["m"] < 600], "additive", "m takes 2 distinct values"),
        (lambda t: t.head(7), "additive", "7 rows cannot fit the 7 parameters"),
        (lambda t: t[t["m"] == 64 * t["ell"]], "additive", "4 distinct shapes .* 5 parameters"),
        (lambda t: t.drop(columns="N"), "chinchilla", "needs column N"),
        (lambda t: t.assign(ell=t["ell"] - 3), "additive-shifted", "needs ell above 2"),
        (lambda t: t.assign(loss=-t["loss"]), "additive", "positive and finite"),
    ],
)
def test_unidentifiable_tables_are_refused(planted, change, law, word):
    with pytest.raises(InputError, match=word):
        scaling.fit(change(planted), law)


def test_other_bad_input_is_refused(planted):
    with pytest.raises(InputError, match="delta"):
        scaling.fit(planted, delta=-1)
    with pytest.raises(InputError, match="cannot fix 'c_m'"):
        scaling.fit(planted, fixed={"c_m": 1.0})
    with pytest.raises(InputError, match="cannot fix alpha_ell at 99"):
        scaling.fit(planted, fixed={"alpha_ell": 99})


def test_a_wrong_unit_is_warned_of_in_the_result(planted):
    result = scaling.fit(planted.assign(D=planted["D"] / 1e9))
    assert any("column D" in w and "check its unit" in w for w in result.warnings)


def test_outliers_are_reported_and_kept(planted):
    spoiled = planted.copy()
    spoiled.loc[5, "loss"] *= 1.5
    result = scaling.fit(spoiled)
    assert result.n == len(planted)
    assert any("1 row lies beyond 4 robust standard deviations" in w for w in result.warnings)
    assert not any("robust" in w for w in scaling.fit(planted).warnings)


def test_proportional_width_and_depth_are_warned_of(grid):
    tied = grid.assign(m=grid["m"] + 8 * grid["ell"])
    tied["ell"] = tied["m"] / 64
    table = tied.assign(loss=scaling.LAWS["additive"].predict(TRUTH, tied))
    assert any("hard to tell apart" in w for w in scaling.fit(table).warnings)
