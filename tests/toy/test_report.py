"""Claims take their verdict from the numbers; stored runs say when they are absent."""

import json

import numpy as np
import pytest
import xarray as xr

from companion.toy import Specification, report, save
from companion.toy.experiment import DIMS

ELL = np.array([2, 4, 8, 16.0])
STEPS = np.array([0, 1, 4, 16, 64, 128, 256, 512, 1024])


def planted(independent, tied, gamma=1 / 3):
    """Three teachers each; exponents at (low, high) temperature as given, scatter 0.02."""
    base = np.array([independent] * 3 + [tied] * 3) + np.tile([-0.02, 0, 0.02], 2)[:, None]
    time = np.maximum(STEPS, 0.5) ** -gamma
    loss = ELL[:, None] ** -base[:, :, None, None, None] * time
    coords = {"teacher": range(6), "rho": ("teacher", np.repeat([0.0, 1.0], 3))}
    coords |= {"temperature": [0.1, 1.0], "seed": [0], "depth": ELL.astype(int), "step": STEPS}
    data = xr.Dataset({"test_loss": (DIMS, loss)}, coords=coords)
    data["entropy"] = (("teacher", "temperature"), np.ones((6, 2)))
    data["diverged"] = xr.zeros_like(data["test_loss"].isel(step=-1, drop=True), dtype=bool)
    spec = Specification("planted", rho=(0.0, 1.0), temperatures=(0.1, 1.0), steps=1024)
    data.attrs["specification"] = json.dumps(spec.to_dict())
    data.attrs["provenance"] = json.dumps({"time": "2026-01-01", "device": "a machine"})
    return data


def test_paper_like_result_reproduces_everything():
    result = planted((1.0, 1.0), (2.2, 3.5))
    makers = ("independent_claim", "tied_claim", "temperature_claim", "slow_claim")
    assert {getattr(report, make)(result).verdict for make in makers} == {"reproduced"}


def test_contrary_result_is_not_reproduced():
    result = planted((1.6, 1.6), (1.0, 0.8), gamma=0.8)
    makers = ("independent_claim", "tied_claim", "temperature_claim", "slow_claim")
    assert {getattr(report, make)(result).verdict for make in makers} == {"not reproduced"}


def test_half_way_is_partly():
    assert report.tied_claim(planted((1.0, 1.0), (1.2, 1.5))).verdict == "partly"


def test_scope_names_the_sizes():
    assert report.scope(planted((1, 1), (2, 2)))["students"].startswith("width 32")


def test_table_and_convergence():
    result = planted((1.0, 1.0), (2.0, 3.0))
    shown = report.table(result)
    assert shown.loc[(1.0, 1.0), "exponent"].startswith("3.00")
    assert set(shown["converged"]) == {"no"}
    assert "still falling at temperature 0.1, 1" in report.convergence_sentence(result)
    still = planted((1.0, 1.0), (2.0, 3.0), gamma=0.0)
    assert "every series had converged" in report.convergence_sentence(still)


def test_stored_run_or_its_command(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    absent = report.Stored("toy.nc", "companion toy x")
    assert "Not yet run" in absent._repr_html_()
    assert "companion toy x" in absent._repr_html_()
    save(planted((1.0, 1.0), (2.0, 3.0)), tmp_path / "toy.nc")
    there = report.Stored("toy.nc", "companion toy x")
    assert "a machine" in there._repr_html_()
    assert "3.00" in there._repr_html_()


@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_replicates_are_one_number_each(rho):
    values = report.final_alpha(planted((1.0, 1.0), (2.0, 2.0)), 1.0)
    expected = (1 + rho) + np.array([-0.02, 0, 0.02])
    np.testing.assert_allclose(report.replicates(values, rho), expected, rtol=1e-6)
