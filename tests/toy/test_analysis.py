"""Exponents: recovery of planted ones, limits, and what the checks say."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import InputError
from companion.toy import analysis, load, regimes, run_toy, save, target_entropy
from companion.toy.experiment import DIMS, times

ELL = np.array([6, 12, 16, 24, 32, 48.0])


@settings(deadline=None, max_examples=40)
@given(st.floats(0.3, 4), st.floats(0, 0.9), st.floats(1e-5, 10))
def test_planted_law_with_floor_is_recovered(alpha, share, c):
    floor = share * c * 48**-alpha
    found, level = analysis.power_law_with_floor(ELL, c * ELL**-alpha + floor)
    assert found == pytest.approx(alpha, rel=2e-3)
    assert level == pytest.approx(floor, rel=2e-2, abs=2e-3 * c * 48**-alpha)


def test_plain_power_law_and_missing_losses():
    assert analysis.power_law(ELL, 3 * ELL**-1.5) == pytest.approx(1.5)
    assert np.isnan(analysis.power_law(ELL, ELL * np.nan))
    assert np.isnan(analysis.power_law(ELL[:1], ELL[:1]))
    assert np.isnan(analysis.power_law_with_floor(ELL, -ELL)[0])
    with pytest.raises(InputError, match="at least 4"):
        analysis.power_law_with_floor(ELL[:3], ELL[:3])


@pytest.fixture
def planted() -> xr.Dataset:
    """Two rhos x three teachers: exponents 1 and 2 with known scatter; loss falls as t^-1/3."""
    steps = np.array([0, 1, 10, 100, 1000, 2000])
    alphas = np.array([0.9, 1.0, 1.1, 1.8, 2.0, 2.2])
    decay = np.maximum(steps, 0.5) ** (-1 / 3)
    loss = ELL[:, None] ** -alphas[:, None, None] * decay
    coords = {"teacher": range(6), "rho": ("teacher", np.repeat([0.0, 1.0], 3))}
    coords |= {"temperature": [1.0], "seed": [0], "depth": ELL.astype(int), "step": steps}
    data = xr.Dataset({"test_loss": (DIMS, loss[:, None, None])}, coords=coords)
    data["entropy"] = (("teacher", "temperature"), np.ones((6, 1)))
    data["diverged"] = xr.zeros_like(data["test_loss"].isel(step=-1, drop=True), dtype=bool)
    return data


def test_summary_gives_intervals_over_teachers(planted):
    table = analysis.summary(planted)
    np.testing.assert_allclose(table["alpha"].values.ravel(), [1, 2], rtol=1e-6)
    half = 4.302653 * 0.1 / np.sqrt(3)
    assert float(table["alpha_low"].sel(rho=0).item()) == pytest.approx(1 - half, rel=1e-5)
    assert float(table["alpha_high"].sel(rho=1).item()) == pytest.approx(2 + 2 * half, rel=1e-5)
    np.testing.assert_allclose(table["alpha_floor"].values.ravel(), [1, 2], rtol=1e-3)


def test_local_slopes_time_exponent_and_convergence(planted):
    slopes = analysis.local_slopes(planted)
    np.testing.assert_allclose(slopes.isel(teacher=4).values, 2)
    assert slopes["depth"].values[0] == pytest.approx(np.sqrt(72))
    np.testing.assert_allclose(analysis.time_exponent(planted, 0.001), 1 / 3)
    np.testing.assert_allclose(analysis.still_falling(planted), 1 / 3)
    with pytest.raises(InputError, match="only 2 tests"):
        analysis.time_exponent(planted, 0.4)


def test_diverged_students_make_their_exponent_unknown(planted):
    planted["diverged"][0, 0, 0, 2] = True
    table = analysis.summary(planted)
    for name in ("alpha", "alpha_low", "alpha_floor"):
        assert np.isnan(table[name].sel(rho=0)).all()
        assert np.isfinite(table[name].sel(rho=1)).all()


def test_one_replicate_has_an_exponent_but_no_interval(planted):
    table = analysis.summary(planted.isel(teacher=[0]))
    assert float(table["alpha"].item()) == pytest.approx(0.9)
    assert np.isnan(table["alpha_low"]).all()
    with pytest.raises(InputError, match="at least 2 teachers or seeds"):
        analysis.over_replicates([1.0])


def test_floor_is_left_out_where_not_asked_for(planted):
    both, plain = analysis.exponents(planted), analysis.exponents(planted, floor=False)
    assert plain["alpha"].equals(both["alpha"])
    assert np.isnan(plain["alpha_floor"]).all()


def test_reference_lines():
    rng = np.random.default_rng(0)
    means = [rng.normal(size=(4000, n)).mean(1).var() for n in (1, 4, 16)]
    np.testing.assert_allclose(means, regimes.average_of([1, 4, 16]), rtol=0.1)
    for order, step in ((1, lambda y, d: y * (1 + d)), (2, lambda y, d: y * (1 + d + d * d / 2))):
        ends = []
        for ell in ELL.astype(int):
            y = 1.0
            for _ in range(ell):
                y = step(y, 1 / ell)
            ends.append((y - np.e) ** 2)
        slope = analysis.power_law(ELL, np.array(ends))
        predicted = analysis.power_law(ELL, regimes.global_error_squared(ELL, order))
        assert slope == pytest.approx(predicted, rel=0.07)


def test_absent_and_broken_results_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none.nc")
    (tmp_path / "broken.nc").write_bytes(b"not NetCDF")
    with pytest.raises(InputError, match="no readable NetCDF file"):
        load(tmp_path / "broken.nc")


def test_result_is_labelled_and_survives_the_disk(spec, exact, tmp_path):
    result = run_toy(spec, exact)
    assert result["test_loss"].dims == DIMS
    assert result["step"].values.tolist() == times(spec).tolist()
    assert result["depth"].values.tolist() == [2, 1, 4]
    assert result["rho"].values.tolist() == [0.0, 1.0]
    assert np.isfinite(result["test_loss"]).all()
    assert (result["test_sem"] >= 0).all()
    assert np.isnan(result["theta"].sel(depth=1)).all()
    assert np.isfinite(result["theta"].sel(depth=4, layer=slice(0, 3))).all()
    save(result, tmp_path / "r.nc")
    assert load(tmp_path / "r.nc").identical(result)


def test_target_entropy_is_that_of_the_run(spec, exact):
    alone = target_entropy(spec, exact, spec.temperatures)
    np.testing.assert_array_equal(alone, run_toy(spec, exact)["entropy"])
    assert alone["rho"].values.tolist() == [0.0, 1.0]
