"""Claims take their verdict from the numbers; stored runs say when they are absent."""

import json

import numpy as np
import pytest
import xarray as xr

from companion.errors import InputError
from companion.evidence import stored
from companion.evidence.toys import tables as toy_tables
from companion.evidence.toys import toy
from companion.toy import Specification, analysis, regimes, save
from companion.toy.experiment import DIMS

ELL = np.array([2, 4, 8, 16.0])
STEPS = np.array([0, 1, 4, 16, 64, 128, 256, 512, 1024])


def planted(independent, tied, gamma=1 / 3, faster=0.5):
    """Three teachers each; exponents at (low, high) temperature as given, scatter 0.02.

    The loss falls as time^-gamma, at the high temperature with `faster` more.
    """
    base = np.array([independent] * 3 + [tied] * 3) + np.tile([-0.02, 0, 0.02], 2)[:, None]
    time = np.maximum(STEPS, 0.5) ** -np.array([gamma, gamma + faster])[:, None, None, None]
    loss = ELL[:, None] ** -base[:, :, None, None, None] * time
    coords = {"teacher": range(6), "rho": ("teacher", np.repeat([0.0, 1.0], 3))}
    coords |= {"temperature": [0.1, 1.0], "seed": [0], "depth": ELL.astype(int), "step": STEPS}
    data = xr.Dataset({"test_loss": (DIMS, loss)}, coords=coords)
    data["entropy"] = (("teacher", "temperature"), np.ones((6, 2)))
    data["diverged"] = xr.zeros_like(data["test_loss"].isel(step=-1, drop=True), dtype=bool)
    spec = Specification("planted", rho=(0.0, 1.0), temperatures=(0.1, 1.0), steps=1024)
    data.attrs["specification"] = json.dumps(spec.to_dict())
    stamp = {
        "time": "2026-01-01",
        "device": "a machine",
        "commit": "abc",
        "versions": {"torch": "2"},
    }
    data.attrs["provenance"] = json.dumps(stamp)
    return data


def halved(result):
    """Trainings of a half and of a quarter as many steps; what is planted holds at each."""
    return [result.isel(step=slice(0, -k)) for k in (1, 2)]


def judged(result):
    return {claim.verdict for claim in toy.entropy_claims(result, halved(result))}


def test_paper_like_result_reproduces_everything():
    assert judged(planted((1.0, 1.0), (2.2, 3.5))) == {"reproduced"}


def test_contrary_result_is_not_reproduced():
    assert judged(planted((1.6, 1.6), (1.0, 0.8), gamma=0.8, faster=-0.5)) == {"not reproduced"}


def test_half_way_is_partly():
    result = planted((1.0, 1.0), (1.2, 1.5))
    assert toy.tied_claim(result, halved(result)).verdict == "partly"


def test_exponents_are_judged_where_three_lengths_of_training_agree():
    result = planted((1.0, 1.0), (2.2, 3.5))
    alone = toy.independent_claim(result)
    assert alone.untestable == "it takes 3 annealed lengths, this run has 1"
    moving = [planted((0.5, 0.5), (2.2, 3.5)).isel(step=slice(0, -1)), halved(result)[1]]
    claim = toy.independent_claim(result, moving)
    assert claim.untestable.startswith("not converged: longer training, to 512 steps, moves the")
    assert toy.independent_claim(result, halved(result)[1:]).verdict == "not testable here"


def test_a_bend_is_no_power_law():
    result = planted((1.0, 1.0), (2.2, 3.5))
    bent = result.assign(
        test_loss=result["test_loss"] * xr.DataArray([1, 0.7, 0.7, 1], dims="depth")
    )
    claim = toy.independent_claim(bent, halved(bent))
    assert claim.verdict == "not reproduced"
    assert {m.name.split(", ")[1].split(" at")[0] for m in claim.measurements} == {
        "plain",
        "with a floor",
        "lower half",
        "upper half",
    }
    assert "no single power law" in toy.law_sentence(bent, 0.0)
    assert "one power law fits" in toy.law_sentence(result, 0.0)


def test_scope_names_the_sizes():
    assert toy.scope(planted((1, 1), (2, 2)))["students"].startswith("width 32")


def test_table_and_convergence():
    result = planted((1.0, 1.0), (2.0, 3.0))
    shown = toy_tables.table(result)
    assert shown.loc[(1.0, 1.0), "exponent"].startswith("3.00")
    assert set(shown["converged"]) == {"no"}
    assert "rho = 0 (temperature 0.1, 1), 1 (temp" in toy_tables.convergence_sentence(result)
    still = planted((1.0, 1.0), (2.0, 3.0), gamma=0.0, faster=0.0)
    assert "every series had converged" in toy_tables.convergence_sentence(still)


def test_convergence_is_told_as_the_table_has_it():
    """A series that settled does not hide one that did not, nor does one whose loss rose."""
    for gamma in (0.18, -0.18, np.nan):
        result = planted((1.0, 1.0), (2.0, 3.0), gamma=0.0, faster=0.0).isel(temperature=[0])
        time = np.maximum(STEPS, 0.5) ** -gamma
        result["test_loss"][3:] = result["test_loss"][3:] * time
        assert toy_tables.table(result)["converged"].tolist() == ["yes", "no"]
        assert "for rho = 1, so" in toy_tables.convergence_sentence(result)


def test_stored_run_or_its_command(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    absent = toy_tables.Stored("toy.nc", "companion toy x")
    assert "Not yet run" in absent._repr_html_()
    assert "companion toy x" in absent._repr_html_()
    save(planted((1.0, 1.0), (2.0, 3.0)), tmp_path / "toy.nc")
    there = toy_tables.Stored("toy.nc", "companion toy x")
    for word in ("a machine", "2026-01-01", "commit abc", "torch 2", "companion toy x", "3.00"):
        assert word in there._repr_html_()
    assert "3.00" in repr(there)
    assert repr(absent) == absent.origin()
    (claim,) = stored([toy.tied_claim(there.result, halved(there.result))])
    assert (claim.anchor, claim.verdict) == ("claim-toy-tied-exponent-stored", "reproduced")
    assert toy.entropy_claims(absent.result) == []
    assert toy.regime_claims(None, absent.result, None, None) == []


def test_what_a_page_cites_is_at_the_ends():
    cited = toy_tables.ends(planted((1.0, 1.1), (2.0, 3.0)))
    assert (cited.independent, cited.tied) == (pytest.approx(1.1), pytest.approx(3.0))
    assert cited.top == 1.0
    assert cited.convergence == toy_tables.convergence_sentence(planted((1.0, 1.1), (2.0, 3.0)))


def test_all_claims_whose_results_are_there():
    result = planted((1.0, 1.0), (2.2, 3.5))
    keys = [claim.key for claim in toy.entropy_claims(result)]
    assert keys[:2] == ["toy-independent-exponent", "toy-tied-exponent"]
    assert len(keys) == 4
    assert toy.entropy_claims(result.isel(teacher=slice(0, 3))) == []
    assert [claim.key for claim in toy.regime_claims(None, None, result)] == [
        "toy-compositional-steps"
    ]


def test_a_stored_run_names_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    assert toy_tables.stored_variants("independent").command == (
        "companion toy variants-independent "
        "--variants gated,depth_attention,post_norm,scaled_norm,streams --rates 0.5,1,2,4 "
        "--out book/results/toy-variants-independent.nc"
    )


def test_claims_of_diverged_students_are_not_testable():
    result = planted((1.0, 1.0), (2.0, 3.0))
    result["diverged"][4, 1, 0, 2] = True
    claim = toy.tied_claim(result, halved(result))
    assert claim.verdict == "not testable here"
    assert "tied exponent, plain at tau 1" in claim.untestable
    assert toy.independent_claim(result, halved(result)).verdict == "reproduced"


def test_absent_teachers_and_unlike_pairs_are_refused():
    result = planted((1.0, 1.0), (2.0, 3.0))
    with pytest.raises(InputError, match=r"no teacher of rho 0\.3"):
        analysis.replicates(regimes.final_alpha(result, 1.0), 0.3)
    with pytest.raises(InputError, match="same teachers"):
        regimes.midpoint_gain(result, result.isel(teacher=slice(1, 6)))


@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_replicates_are_one_number_each(rho):
    values = regimes.final_alpha(planted((1.0, 1.0), (2.0, 2.0)), 1.0)
    expected = (1 + rho) + np.array([-0.02, 0, 0.02])
    np.testing.assert_allclose(analysis.replicates(values, rho), expected, rtol=1e-6)


def test_midpoint_counts_twice_and_its_gain_decides():
    plain = planted((1.0, 1.0), (2.0, 2.0))
    second = planted((1.0, 1.0), (4.0, 4.0)).assign_coords(depth=[1, 2, 4, 8])
    gain = regimes.midpoint_gain(plain, second)
    expected = 2 * np.log(ELL).mean()
    np.testing.assert_allclose(gain.isel(teacher=4), expected)
    np.testing.assert_allclose(gain.isel(teacher=1), 0, atol=1e-12)
    assert toy.midpoint_claim(plain, second).verdict == "reproduced"
    assert toy.midpoint_claim(second.assign_coords(depth=ELL), plain).verdict != "reproduced"


def test_geometry_of_ensemble_and_flow():
    result = planted((1.0, 1.0), (2.0, 2.0))
    shape = ("teacher", "temperature", "seed", "depth")
    theta = np.ones((6, 2, 1, 1)) / ELL * np.linspace(1, 1.05, 6)[:, None, None, None]
    cosine = np.repeat([0.1, 0.9], 3)[:, None, None, None] * np.ones((1, 2, 1, 4))
    cosine += 0.01 * np.tile([-1, 0, 1], 2)[:, None, None, None]
    result["theta"] = ((*shape, "layer"), theta[..., None])
    result["update_correlation"] = ((*shape, "lag"), cosine[..., None])
    result = result.assign_coords(lag=[1])
    assert toy.geometry_claim(result).verdict == "reproduced"


def test_noise_about_a_power_is_no_staircase():
    verdicts = []
    for seed in range(20):
        whole = planted((1.5, 1.5), (1.5, 1.5), gamma=0.0, faster=0.0)
        loss = whole.isel(teacher=slice(0, 3), temperature=[0])
        noise = np.random.default_rng(seed).normal(0, 0.4, loss["test_loss"].isel(step=0).shape)
        loss["test_loss"] = loss["test_loss"] * np.exp(noise)[..., None]
        verdicts.append(toy.stages_claim(loss).verdict)
    assert "reproduced" not in verdicts


def test_a_lost_depth_makes_what_needs_it_unknown():
    result = planted((1.0, 1.0), (2.0, 2.0))
    result["diverged"][4, :, :, 2] = True
    second = planted((1.0, 1.0), (4.0, 4.0)).assign_coords(depth=[1, 2, 4, 8])
    assert np.isnan(regimes.midpoint_gain(result, second).isel(teacher=4)).all()
    theta = 1 / result["depth"] * xr.ones_like(result["test_loss"].isel(step=0))
    result["theta"] = theta.expand_dims(layer=[0], axis=-1)
    exponent = regimes.rotation_exponent(result)
    assert np.isnan(exponent.isel(teacher=4)).all()
    np.testing.assert_allclose(exponent.isel(teacher=0), 1.0)
    assert toy.stages_claim(result).verdict == "not testable here"


def test_students_of_one_teacher_are_one_replicate():
    """Interval of correlated pairs: 3 teachers, 2 students each, coverage as promised."""
    generator, inside = np.random.default_rng(0), []
    for _ in range(400):
        common, own = generator.normal(size=(3, 1)), generator.normal(size=(3, 2))
        values = xr.DataArray(common + own, dims=("teacher", "seed"))
        inside.append(0.0 in analysis.over_replicates(analysis.replicates(values)))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.025)


def test_stages_are_steps_not_a_power():
    whole = planted((1.5, 1.5), (1.5, 1.5), gamma=0.0, faster=0.0)
    loss = whole.isel(teacher=slice(0, 3), temperature=[0])
    assert toy.stages_claim(loss).verdict == "not reproduced"
    steps = xr.DataArray([1.0, 0.9, 0.01, 0.009], dims="depth")
    scatter = xr.DataArray([1, 1.001, 0.999], dims="teacher")
    loss["test_loss"] = (loss["test_loss"] * 0 + 1) * steps * scatter
    assert toy.stages_claim(loss).verdict == "reproduced"


def test_a_specification_without_tied_teachers_is_refused_where_both_are_compared():
    regimes.need_both_ends(Specification("both", rho=(0.0, 0.5, 1.0)))
    with pytest.raises(InputError, match="'lone' lacks rho 1: this chapter compares"):
        regimes.need_both_ends(Specification("lone", rho=(0.0, 0.9)))
