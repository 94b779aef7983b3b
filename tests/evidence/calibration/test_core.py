"""Shared errors and traded shapes: against brute force, and with planted errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from companion.errors import InputError
from companion.runs import Output
from companion.toy.calibration import averaging, shapes
from companion.toy.calibration.design import design

from .conftest import TINY


def test_products_are_mean_squares_of_all_pairs():
    e = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = averaging.products(e, e)
    for i in range(3):
        for j in range(3):
            np.testing.assert_allclose(found[:, i, j], (e[:, i] * e[:, j]).mean((-1, -2)))


def test_the_gain_of_an_average_follows_from_common_and_varying_part():
    generator = torch.Generator().manual_seed(1)
    shared = torch.randn(1, 1, 40, 6, generator=generator, dtype=torch.float64)
    e = 0.5 * shared + torch.randn(1, 4, 40, 6, generator=generator, dtype=torch.float64)
    table = averaging.products(e, e)
    loss = np.diagonal(table, axis1=-2, axis2=-1).mean(-1)
    parts = averaging.split(loss, averaging.off_diagonal(table))
    parts = xr.Dataset({k: ("teacher", v) for k, v in parts.items()})
    brute = e.mean(1).square().mean((-1, -2)).numpy() / loss
    np.testing.assert_allclose(averaging.gain(parts, 4), brute)
    np.testing.assert_allclose(parts["common"] + parts["varying"], parts["loss"])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_planted_correlation_of_errors_is_found(share):
    generator = torch.Generator().manual_seed(2)
    common = torch.randn(1, 1, 4000, 8, generator=generator)
    own = torch.randn(1, 3, 4000, 8, generator=generator)
    e = share**0.5 * common + (1 - share) ** 0.5 * own
    table = averaging.products(e, e)
    loss = np.diagonal(table, axis1=-2, axis2=-1).mean(-1)
    found = averaging.split(loss, averaging.off_diagonal(table))["correlation"]
    assert found == pytest.approx(share, abs=0.02)


def test_averaging_measures_all_that_differs(tiny, runtime):
    found = averaging.measure(tiny, runtime, seeds=2)
    assert found.sizes == {"regime": 3, "apart": 3, "ell": 2, "teacher": 2}
    assert (found["correlation"] <= 1 + 1e-6).all()
    np.testing.assert_allclose(found["common"] + found["varying"], found["loss"])
    with pytest.raises(InputError, match="2 or more"):
        averaging.measure(tiny, runtime, seeds=1)


@pytest.fixture
def small():
    regimes = {"ensemble": TINY["regimes"]["ensemble"]}
    return design(TINY | {"regimes": regimes})


def test_shapes_go_on_from_what_is_kept(small, runtime, tmp_path):
    def run(path, resume):
        with Output(path, small.to_dict(), resume=resume) as output:
            return shapes.measure(
                small, runtime, ((2, 2), (4, 1)), (1.0,), kept=output.kept
            ), output.folder

    found, folder = run(tmp_path / "s.nc", False)
    assert len(list(folder.glob("*.nc"))) == 2
    again, _ = run(tmp_path / "s.nc", True)
    xr.testing.assert_equal(found, again)
    assert found["loss"].dims == ("regime", "shape", "rate", "teacher")


def _planted(alpha_ell, alpha_k, rates=(1.0,)):
    ell, k = (np.array(x, float) for x in zip(*shapes.SHAPES, strict=True))
    teachers = np.array([1.0, 1.2, 0.9])
    loss = (ell**-alpha_ell * k**-alpha_k)[:, None, None] * np.ones((1, len(rates), 1)) * teachers
    coords = {"ell": ("shape", ell), "expansion": ("shape", k), "rate": list(rates)}
    coords |= {"regime": ["ensemble"]}
    return xr.Dataset({"loss": (("regime", "shape", "rate", "teacher"), loss[None])}, coords)


@pytest.mark.parametrize(("alpha_ell", "alpha_k"), [(1.0, 1.0), (2.0, 0.3), (0.0, 1.0)])
def test_planted_exponents_are_found(alpha_ell, alpha_k):
    found = shapes.exponents(_planted(alpha_ell, alpha_k), "ensemble")
    assert found["depth"].estimate == pytest.approx(alpha_ell)
    assert found["hidden units"].estimate == pytest.approx(alpha_k)
    assert found["difference"].estimate == pytest.approx(alpha_ell - alpha_k)


def test_every_shape_takes_its_best_rate_and_no_loss_that_is_not_finite():
    planted = _planted(1.0, 1.0, (0.5, 1.0, 2.0))
    factors = np.array([3.0, 1.0, np.inf])
    planted["loss"] = planted["loss"] * xr.DataArray(factors, dims="rate")
    plain = _planted(1.0, 1.0)["loss"].isel(rate=0)
    np.testing.assert_allclose(shapes.tuned(planted).transpose(*plain.dims), plain)
