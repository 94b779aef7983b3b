"""Variants are compared at equal training, each at its best rate."""

import numpy as np
import pytest
import xarray as xr

from companion.toy import Specification, comparison


@pytest.fixture(scope="module")
def compared():
    from companion.runtime import Runtime

    spec = Specification(
        "compared", teachers=2, teacher_depth=3, loss="mse", head="none", depths=(1, 2, 3),
        width=6, batch=8, steps=3, test_batches=1, times=3,
    )  # fmt: skip
    return comparison.compare(
        spec, ["gated", "streams"], [0.5, 1.0], Runtime.choose("cpu", "float64")
    )


def test_every_variant_at_every_rate(compared):
    assert dict(compared["loss"].sizes) == {
        "block": 3, "rate": 2, "teacher": 2, "seed": 1, "depth": 3
    }  # fmt: skip
    assert compared["block"].values.tolist() == ["euler", "gated", "streams"]
    assert np.isfinite(compared["loss"]).all()
    claim = comparison.variants_claim(compared)
    assert len(claim.measurements) == 2
    assert claim.scope["learning rates"] == "0.5, 1"


def test_best_rate_is_chosen_for_each_block_and_depth(compared):
    loss = compared["loss"].copy()
    ell = loss["depth"].astype(float)
    scatter = 1 + 0.01 * loss["teacher"]
    good = (ell**-1.0 * scatter).broadcast_like(loss)
    loss = xr.where(loss["rate"] == 0.5, good, 3 * good)
    loss = xr.where((loss["block"] == "gated") & (loss["depth"] == 2), 4 / loss, loss)
    loss = loss.where(~((loss["block"] == "streams") & (loss["rate"] == 1.0)))
    planted = compared.assign(loss=loss)
    best = comparison.tuned(planted)
    np.testing.assert_allclose(best.sel(block="euler", teacher=0).values.ravel(), 1 / ell)
    assert float(best.sel(block="gated", depth=2, teacher=0).item()) == pytest.approx(4 / 1.5)
    alpha = comparison.exponents(planted).sel(block=["euler", "streams"])
    np.testing.assert_allclose(alpha, 1.0)
