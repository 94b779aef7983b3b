"""Error bars: against linear theory, brute force, invariances, and planted coverage."""

import math

import numpy as np
import pytest

from companion import scaling
from companion.errors import InputError
from companion.scaling.uncertainty.coverage import plant
from companion.scaling.uncertainty.resampling import refit
from companion.statistics.intervals import resample

from ..conftest import TRUTH


@pytest.fixture(scope="module")
def full(planted):
    result = scaling.fit(planted)
    return scaling.quantify(result, np.random.default_rng(0), draws=300)


def test_every_method_is_there(full):
    assert set(full.intervals) == set(scaling.METHODS)
    refitted = ("profile", "bootstrap", "bootstrap_shape", "jackknife")
    assert full.failures == dict.fromkeys(refitted, 0)


def test_the_table_shows_every_interval_and_no_empty_column(full):
    frame = full.frame()
    assert {f"95% {method}" for method in full.intervals} < set(frame)
    assert float(frame.loc["alpha_ell", "estimate"]) == pytest.approx(
        full.params["alpha_ell"], rel=1e-3
    )
    assert "se profile" not in frame
    assert not frame.isna().any(axis=None)


def test_methods_agree_on_a_designed_table_with_little_noise(full):
    widths = {m: v["alpha_ell"].high - v["alpha_ell"].low for m, v in full.intervals.items()}
    for method, width in widths.items():
        assert width == pytest.approx(widths["profile"], rel=0.45), method


def test_jacobian_is_linear_theory(full):
    """By finite differences of the prediction in plain units, without our Jacobian."""
    names, table = list(full.params), full.table
    columns = []
    for name in names:
        step = 1e-6 * abs(full.params[name])
        up, down = (full.law.predict(full.params | {name: full.params[name] + s}, table)
                    for s in (step, -step))  # fmt: skip
        columns.append((np.log(up) - np.log(down)) / (2 * step))
    J = np.array(columns).T
    s2 = np.sum(full.residuals**2) / (full.n - 7)
    scale = np.abs(J).max(0)
    covariance = s2 * np.linalg.inv((J / scale).T @ (J / scale)) / np.outer(scale, scale)
    for i, name in enumerate(names):
        assert full.stderr["jacobian"][name] == pytest.approx(math.sqrt(covariance[i, i]), rel=1e-3)


def test_profile_end_is_where_the_deviance_meets_the_threshold(full):
    for name in ("alpha_ell", "c_ell", "L_0"):
        interval = full.intervals["profile"][name]
        curve = scaling.likelihood_profile(
            full, name, [interval.low, full.params[name], interval.high]
        )
        assert curve.deviance == pytest.approx(
            [curve.level95, 0, curve.level95], rel=2e-3, abs=1e-6
        )


def test_profile_equals_a_fit_with_the_value_fixed(full, planted):
    curve = scaling.likelihood_profile(full, "alpha_ell", [0.7])
    held = scaling.fit(planted, fixed={"alpha_ell": 0.7})
    rise = (held.objective - full.objective) * full.n / full.stddev**2
    assert curve.deviance[0] == pytest.approx(rise, rel=1e-5)


def test_two_dimensional_profile_touches_the_one_dimensional_one(full):
    values = np.linspace(0.7, 1.3, 7)
    pair = scaling.joint_profile(full, ("alpha_ell", "alpha_m"), values, np.linspace(0.6, 1.2, 61))
    curve = scaling.likelihood_profile(full, "alpha_ell", values)
    assert np.all(pair.deviance.min(1) >= curve.deviance - 1e-6)
    assert pair.deviance.min(1) == pytest.approx(curve.deviance, abs=0.5)


def test_weights_are_repeated_rows(planted):
    result = scaling.fit(planted)
    counts = resample(result.n, 1, np.random.default_rng(1))
    weighted = refit(result.design, result.y, counts, result.theta)
    repeated = planted.loc[np.repeat(planted.index, counts[0].astype(int))]
    params = result.design.to_params(weighted.theta)
    assert params["alpha_ell"][0] == pytest.approx(
        scaling.fit(repeated).params["alpha_ell"], rel=1e-5
    )


def test_jackknife_leaves_out_whole_shapes(planted):
    result = scaling.fit(planted)
    draws = scaling.jackknife(result)
    assert len(draws.converged) == 16
    without = planted[~((planted["m"] == 1024) & (planted["ell"] == 16))]
    place = list(np.unique(result.clusters)).index("1024x16")
    expected = scaling.fit(without).params["alpha_ell"]
    assert draws.params["alpha_ell"][place] == pytest.approx(expected, rel=1e-5)


def test_resamples_of_too_few_shapes_are_counted_as_failed(planted):
    """Five parameters of size need five shapes: of six, resampled, most draws hold fewer."""
    few = planted[(planted["m"] + 100 * planted["ell"]).isin(
        [256 + 400, 512 + 800, 1024 + 1600, 512 + 400, 1024 + 400, 256 + 1600])]  # fmt: skip
    result = scaling.fit(few)
    draws = scaling.bootstrap(result, np.random.default_rng(0), draws=200, by_shape=True)
    weights = resample(result.n, 200, np.random.default_rng(0), result.clusters)
    distinct = [len(np.unique(result.clusters[w > 0])) for w in weights]
    assert not draws.converged[np.array(distinct) < 5].any()
    assert 0 < draws.converged.sum() < 100


def test_shared_errors_widen_the_methods_by_shape_only(grid):
    table = plant(grid, "additive", TRUTH, 0.004, np.random.default_rng(2), shared=0.9)
    result = scaling.quantify(
        scaling.fit(table), np.random.default_rng(0), methods=["sandwich", "sandwich_shape"]
    )
    by_row, by_shape = (result.stderr[m]["L_0"] for m in ("sandwich", "sandwich_shape"))
    assert by_shape != pytest.approx(by_row, rel=0.05)


def test_unknown_names_are_refused(full):
    with pytest.raises(InputError, match="method 'guess'"):
        scaling.quantify(full, np.random.default_rng(0), methods=["guess"])
    with pytest.raises(InputError, match="no parameter 'beta'"):
        scaling.likelihood_profile(full, "beta", [1.0])
