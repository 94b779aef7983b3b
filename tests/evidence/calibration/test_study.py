"""A whole calibration of tiny students, and the commands that make one."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from companion.cli import app
from companion.errors import InputError
from companion.evidence import calibration
from companion.evidence.calibration import statistics, study
from companion.evidence.calibration.separation import CLASSES
from companion.files import read_netcdf
from companion.toy.calibration.training import estimate

from .conftest import TINY


@pytest.fixture(scope="module")
def found(tiny, runtime):
    return study.study(study.anew(tiny, runtime), tiny, runtime)


def test_every_network_is_read_by_every_statistic(found):
    assert found.sizes["network"] == 3 * 2 * 2 + 2 * 2
    assert list(found["statistic"].values) == list(statistics.STATISTICS)
    values = found["value"].where(found["regime"] == "ensemble", drop=True)
    deep = values.isel(network=values["ell"].values == 8)
    known = deep.notnull().any("network")
    assert known.sel(statistic=["evenness of rotation", "swap / skip", "skip share"]).all()


def test_evenness_and_rotation_are_those_of_a_direct_count(tiny, runtime):
    student = next(s for s in study.anew(tiny, runtime) if s.model.ell == 8)
    probe = study.probe_of(student)
    told = statistics.read_probe(probe)
    theta = probe["theta"].sel(group="rest", statistic="mean").values[2:6]
    assert told["middle rotation"] == pytest.approx(theta.mean())
    assert told["evenness of rotation"] == pytest.approx(theta.sum() ** 2 / (4 * (theta**2).sum()))
    assert told["rotation x depth"] == pytest.approx(8 * theta.mean())


def test_ratios_are_those_of_a_direct_count(tiny, runtime):
    student = next(s for s in study.anew(tiny, runtime) if s.model.ell == 8)
    ablation = study.ablation_of(student)
    told = statistics.read_ablation(ablation)
    rise = (ablation["loss"] - ablation["loss_clean"]).mean("document")
    skip = float(rise.sel(kind="skip", layer=slice(2, 5)).mean())
    if np.isfinite(told["swap / skip"]):
        swap = float(rise.sel(kind="swap", layer=slice(1, 5)).mean())
        assert told["swap / skip"] == pytest.approx(swap / skip)


def test_a_dataset_without_a_kind_lacks_its_statistics(tiny, runtime):
    student = next(iter(study.anew(tiny, runtime)))
    some = study.ablation_of(student).sel(kind=["skip", "swap"])
    assert set(statistics.read_ablation(some)) == {"skip share", "swap / skip"}


def test_commands_train_measure_and_refuse(tmp_path, found):
    spec, out = tmp_path / "tiny.yaml", tmp_path / "set"
    spec.write_text(yaml.safe_dump(TINY, sort_keys=False))
    run = CliRunner().invoke
    said = run(app, ["calibrate", "train", str(spec), "--out", str(out), "--estimate"])
    assert said.exit_code == 0
    assert said.output.startswith("about ")
    assert not out.exists()
    assert run(app, ["calibrate", "train", str(spec), "--out", str(out)]).exit_code == 0
    result = tmp_path / "c.nc"
    told = run(app, ["calibrate", "measure", str(out), "--out", str(result)])
    assert told.exit_code == 0, told.output
    np.testing.assert_allclose(read_netcdf(result)["value"], found["value"], rtol=1e-4)
    with pytest.raises(InputError, match="no students"):
        study.in_folder(tmp_path / "nowhere", None)
    next(out.glob("ensemble*")).unlink()
    with pytest.raises(InputError, match="lacks ensemble"):
        study.in_folder(out, None)


def test_the_cost_is_said_beforehand(tiny, runtime):
    assert 0 < estimate(tiny, runtime) < 600


def test_a_calibration_has_all_classes(found):
    assert list(found["truth"].values) == list(CLASSES)
    assert calibration.confusion(found, list(statistics.STATISTICS)).to_numpy().sum() <= 16
