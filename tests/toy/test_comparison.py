"""Variants are compared at equal training, each at its best rate."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from companion.errors import InputError
from companion.evidence.toys import tables as toy_tables
from companion.evidence.toys import toy
from companion.runtime import Runtime
from companion.toy import Specification, comparison, run_toy

SPEC = Specification(
    "compared", teachers=2, teacher_depth=3, loss="mse", head="none", depths=(1, 2, 3),
    width=6, batch=8, steps=3, test_batches=1, times=3,
)  # fmt: skip
EXACT = Runtime("cpu", "float64", "tests")


@pytest.fixture(scope="module")
def compared():
    return comparison.compare(SPEC, ["gated", "streams"], [0.5, 1.0], EXACT)


def planted(compared, exponents):
    """Losses ell^-exponent for each block at every rate, equal for all teachers and seeds."""
    ell = compared["depth"].astype(float)
    alpha = xr.DataArray(exponents, dims="block", coords={"block": compared["block"]})
    return compared.assign(loss=(ell**-alpha).broadcast_like(compared["loss"]).copy())


def test_runs_are_those_of_their_specification(compared):
    one = dataclasses.replace(SPEC, block="gated", lr=0.5 * SPEC.lr)
    alone = run_toy(one, EXACT)["test_loss"].isel(step=-1, temperature=0, drop=True)
    np.testing.assert_array_equal(compared["loss"].sel(block="gated", rate=0.5), alone)


def test_interrupted_comparison_goes_on_from_its_parts(compared, tmp_path):
    out, done = tmp_path / "c.nc", []

    def told(step, steps, note="", task=""):
        if step == steps:
            done.append(task.partition("-")[0])
        if len(done) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        comparison.compare(SPEC, ["gated", "streams"], [0.5, 1.0], EXACT, out=out, progress=told)
    assert done == ["euler", "euler", "gated", "gated"]
    done.clear()
    again = comparison.compare(
        SPEC, ["gated", "streams"], [0.5, 1.0], EXACT, out=out, resume=True, progress=told
    )
    assert done == ["gated", "streams", "streams"]
    assert again.identical(compared.assign_attrs(again.attrs))
    assert list(tmp_path.iterdir()) == [out]
    longer = dataclasses.replace(SPEC, steps=4)
    with pytest.raises(InputError, match="steps was 3, now 4"):
        comparison.compare(longer, ["gated"], [1.0], EXACT, out=out, resume=True)


def test_several_teachers_kinds_or_no_rate_are_refused():
    two = dataclasses.replace(SPEC, rho=(0.0, 1.0))
    with pytest.raises(InputError, match="one rho and one temperature, not at 2 and 1"):
        comparison.compare(two, ["gated"], [1.0], EXACT)
    with pytest.raises(InputError, match="must be one or more, each once"):
        comparison.compare(SPEC, ["gated"], [], EXACT)
    with pytest.raises(InputError, match="each once"):
        comparison.compare(SPEC, ["gated"], [1.0, 1.0], EXACT)
    with pytest.raises(InputError, match="block 'odd' must be one of"):
        comparison.compare(SPEC, ["odd"], [1.0], EXACT)


def test_gains_are_paired_and_simultaneous(compared):
    result = planted(compared, [1.0, 1.5, 0.8])
    result["loss"] = result["loss"] * xr.DataArray([1.0, 3.0], dims="teacher")
    gains = comparison.gains(result)
    assert gains["gated"].estimate == pytest.approx(0.5)
    assert gains["streams"].estimate == pytest.approx(-0.2)
    assert gains["gated"].level == pytest.approx(0.975)
    assert toy.variants_claim(result).verdict == "reproduced"  # one that holds suffices


def test_diverged_variant_is_named_and_left_out(compared):
    result = planted(compared, [1.0, 1.5, 0.8])
    result["loss"].loc[{"block": "streams", "depth": 2}] = np.nan
    claim = toy.variants_claim(result)
    assert claim.scope["diverged"] == "streams"
    assert claim.verdict == "reproduced"
    table = toy_tables.variants_table(result)
    assert table.loc["streams", "minus plain"] == ""
    assert table.loc["gated", "minus plain"] == "0.50 [0.50, 0.50]"
    assert table.loc["gated", "loss ratio"] == pytest.approx(3**-0.5, abs=0.01)


def test_every_variant_at_every_rate(compared):
    assert dict(compared["loss"].sizes) == {
        "block": 3, "rate": 2, "teacher": 2, "seed": 1, "depth": 3
    }  # fmt: skip
    assert compared["block"].values.tolist() == ["euler", "gated", "streams"]
    assert np.isfinite(compared["loss"]).all()
    claim = toy.variants_claim(compared)
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
    made = compared.assign(loss=loss)
    best = comparison.tuned(made)
    np.testing.assert_allclose(best.sel(block="euler", teacher=0).values.ravel(), 1 / ell)
    assert float(best.sel(block="gated", depth=2, teacher=0).item()) == pytest.approx(4 / 1.5)
    alpha = comparison.exponents(made).sel(block=["euler", "streams"])
    np.testing.assert_allclose(alpha, 1.0)
