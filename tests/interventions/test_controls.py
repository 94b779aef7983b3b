"""Synthetic regimes, and what the findings read from known costs."""

import numpy as np
import pytest
import xarray as xr

from companion.errors import InputError
from companion.interventions import KINDS, ablate, controls, findings, loss_change
from companion.interventions.ablation import profiles
from companion.runtime import Runtime


@pytest.fixture(scope="module")
def runtime():
    return Runtime.choose("cpu", "float64", seed=1)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_average_over_skip_in_an_ensemble_follows_the_formula(runtime, noise):
    """1.5 (1 - c) with cosine c = 1 / (1 + noise^2), to the scatter of 16 random matrices."""
    costs = controls.cost(controls.Control("ensemble", ell=32, width=128, noise=noise), runtime)
    ratio = findings.middle(costs, "average").mean() / findings.middle(costs, "skip").mean()
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


def planted(ell, costs, documents=40, empty=2.0):
    """An ablation with given cost of every kind at every layer, plus noise between documents."""
    generator = np.random.default_rng(ell)
    clean = 3 + generator.normal(0, 0.1, documents)
    noise = generator.normal(1, 0.1, (1, ell, documents))
    rise = np.array([costs[kind] for kind in costs])[:, None, None] * noise
    return xr.Dataset(
        {
            "loss": (("kind", "layer", "document"), clean + rise),
            "loss_clean": ("document", clean),
            "loss_empty": ("document", clean + empty),
            "tokens": ("document", generator.integers(5, 50, documents)),
        },
        coords={"kind": list(costs), "layer": np.arange(ell), "document": np.arange(documents)},
        attrs={"model": f"ell{ell}", "ell": ell, "corpus": "planted"},
    )


@pytest.fixture
def ladder():
    """Costs that fall as depth to the -2, swap a tenth of skip, average 1.2 of it."""
    return {
        f"ell{ell}": planted(ell, {k: f * ell**-2.0 for k, f in FACTORS.items()})
        for ell in (2, 4, 8, 16)
    }


FACTORS = {"skip": 1.0, "swap": 0.1, "average": 1.2}


def test_planted_ratios_shares_and_exponents_are_recovered(ladder, generator):
    deep = ladder["ell8"]
    assert findings.ratio(deep, "swap", generator).estimate == pytest.approx(0.1, rel=0.1)
    assert findings.ratio(deep, "average", generator).estimate == pytest.approx(1.2, rel=0.1)
    assert findings.share(deep, generator).estimate == pytest.approx(8 / 64 / 2, rel=0.1)
    assert -2.0 in findings.exponent(ladder, generator)


def test_planted_claims_are_reproduced(ladder, generator):
    claims = [
        findings.skipping_costs_little(ladder, generator),
        findings.swapping_costs_less(ladder, generator),
        findings.neighbours_cannot_replace(ladder, generator),
        findings.skip_cost_falls(ladder, generator),
    ]
    assert [claim.verdict for claim in claims] == ["reproduced"] * 4
    assert len(claims[0].measurements) == 3


def test_a_planted_hierarchy_is_not_reproduced(generator):
    costs = {"skip": 1.0, "swap": 2.0, "average": 0.5}
    stages = {f"ell{ell}": planted(ell, costs) for ell in (4, 8, 16)}
    for finding in (
        findings.skipping_costs_little,
        findings.swapping_costs_less,
        findings.neighbours_cannot_replace,
        findings.skip_cost_falls,
    ):
        assert finding(stages, generator).verdict == "not reproduced"


def test_too_few_depths_or_no_rise_say_why(ladder, generator):
    few = {name: ladder[name] for name in ("ell4", "ell8")}
    claim = findings.skip_cost_falls(few, generator)
    assert claim.verdict == "not testable here"
    assert "at least 3 depths, there are 2" in claim.untestable
    flat = ladder | {"ell8": planted(8, dict.fromkeys(FACTORS, -0.1))}
    assert "does not raise the loss of ell8" in findings.exponent_sentence(flat, generator)
    shallow = {"ell2": ladder["ell2"]}
    assert findings.swapping_costs_less(shallow, generator).verdict == "not testable here"


def test_the_middle_is_the_middle_half():
    values = xr.DataArray(np.zeros((2, 8)), {"kind": ["skip", "swap"], "layer": range(8)})
    assert findings.middle(values, "skip").layer.values.tolist() == [2, 3, 4, 5]
    assert findings.middle(values, "swap").layer.values.tolist() == [1, 2, 3, 4, 5]
    two = values.isel(layer=[0, 1])
    assert findings.middle(two, "skip").layer.values.tolist() == [0, 1]
    assert findings.middle(two, "swap").layer.values.tolist() == [0]


def test_bands_hold_the_estimate_and_are_nan_where_there_is_no_place(llama, tokens, generator):
    dataset = ablate(llama, tokens)
    found = profiles(dataset, generator, draws=50)
    there = found.estimate.notnull()
    assert ((found.low <= found.high) == there).all()
    assert int((~there).sum()) == 2
    xr.testing.assert_allclose(found.estimate, loss_change(dataset))


def test_the_table_and_the_sentence_speak_of_every_model(ladder, generator):
    table = findings.table(ladder, generator, ("swap", "average"))
    assert list(table.index) == list(ladder)
    assert {"swap / skip", "average / skip", "share"} <= set(table.columns)
    assert "In the middle of ell8" in findings.sentence("ell8", ladder["ell8"], generator)
    assert set(FACTORS) < set(KINDS)
