"""What is read from known costs: ratios, shares, exponents, the middle, bands."""

import numpy as np
import pytest
import xarray as xr

from companion.interventions import ablate, costs, loss_change


def test_planted_ratios_shares_and_exponents_are_recovered(planted_ladder, generator):
    deep = planted_ladder["ell8"]
    assert costs.ratio(deep, "swap", generator).estimate == pytest.approx(0.1, rel=0.1)
    assert costs.ratio(deep, "average", generator).estimate == pytest.approx(1.2, rel=0.1)
    assert costs.share(deep, generator).estimate == pytest.approx(8 / 64 / 2, rel=0.1)
    assert -2.0 in costs.exponent(planted_ladder, generator)


def test_the_middle_is_the_middle_half():
    values = xr.DataArray(np.zeros((2, 8)), {"kind": ["skip", "swap"], "layer": range(8)})
    assert costs.middle(values, "skip").layer.values.tolist() == [2, 3, 4, 5]
    assert costs.middle(values, "swap").layer.values.tolist() == [1, 2, 3, 4, 5]
    two = values.isel(layer=[0, 1])
    assert costs.middle(two, "skip").layer.values.tolist() == [0, 1]
    assert costs.middle(two, "swap").layer.values.tolist() == [0]


def test_bands_hold_the_estimate_and_are_nan_where_there_is_no_place(llama, tokens, generator):
    dataset = ablate(llama, tokens)
    found = costs.profiles(dataset, generator, draws=50)
    there = found.estimate.notnull()
    assert ((found.low <= found.high) == there).all()
    assert int((~there).sum()) == 2
    xr.testing.assert_allclose(found.estimate, loss_change(dataset))
