"""Figures of the toy experiments draw what they say, on the axes they are given."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from companion.evidence.toys import tables as toy_tables
from companion.plotting import theme
from companion.plotting.toys import students
from companion.plotting.toys import toy as figures
from companion.runtime import Runtime
from companion.toy import Specification, analysis, run_toy, save


@pytest.fixture(scope="module")
def result():
    spec = Specification(
        "drawn",
        rho=(0.0, 1.0),
        teachers=2,
        teacher_depth=4,
        temperatures=(0.2, 1.0),
        depths=(1, 2, 3, 4),
        width=6,
        vocabulary=5,
        batch=16,
        steps=40,
        test_batches=2,
        times=6,
        lr=3e-3,
    )
    return run_toy(spec, Runtime.choose("cpu", "float64"))


@pytest.fixture
def ax():
    theme.use()
    figure, ax = plt.subplots()
    yield ax
    figure.canvas.draw()
    plt.close(figure)


DRAW = {
    "loss_by_depth": lambda r, ax: figures.loss_by_depth(r, ax, tau=0.2),
    "entropy_by_temperature": lambda r, ax: figures.entropy_by_temperature(r["entropy"], ax),
    "loss_by_time": lambda r, ax: figures.loss_by_time(r, ax, rho=1.0),
    "exponent_by_time": lambda r, ax: figures.exponent_by_time(r, ax, tau=1.0),
    "local_slopes": lambda r, ax: figures.local_slopes({"": r}, ax),
    "rotation_by_depth": students.rotation_by_depth,
    "update_correlation": students.update_correlation,
    "by_tau": lambda r, ax: figures.exponent_by_temperature(analysis.summary(r), ax),
    "by_entropy": lambda r, ax: figures.exponent_by_temperature(
        analysis.summary(r), ax, kind="alpha_floor", against="entropy"
    ),
}


@pytest.mark.parametrize("name", DRAW)
def test_figure_is_drawn_with_labels(result, ax, name):
    assert DRAW[name](result, ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert ax.get_lines()
    names = theme.names_of(ax)
    assert len(names) == (4 if name == "loss_by_time" else 2)


def test_entropy_curve_is_the_data(result, ax):
    figures.entropy_by_temperature(result["entropy"], ax)
    tied = result["entropy"].isel(teacher=[2, 3]).mean("teacher")
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), tied)


def test_teacher_names():
    assert figures.teacher_name(0) == "independent teacher"
    assert figures.teacher_name(0.5) == r"$\rho$ = 0.5"


def test_midpoint_gain_is_the_ratio_of_losses(result, ax):
    second = result.sel(depth=[1, 2]).copy(deep=True)
    second["test_loss"] = result["test_loss"].sel(depth=[2, 4]).assign_coords(depth=[1, 2]) / 3
    students.midpoint_gain(result.sel(temperature=[1.0]), second.sel(temperature=[1.0]), ax)
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), 3)
    assert ax.get_lines()[0].get_xdata().tolist() == [2, 4]


@pytest.fixture
def compared():
    ell = np.array([1.0, 2.0, 4.0])
    loss = np.stack([ell**-1.0, ell**-1.5])[:, None, None, None] * np.ones((1, 1, 2, 1, 1))
    dims = ("block", "rate", "teacher", "seed", "depth")
    coords = {"block": ["euler", "depth_attention"], "rate": [1.0], "depth": ell.astype(int)}
    coords |= {"rho": ("teacher", [0.0, 0.0])}
    attrs = {"specification": json.dumps(Specification("drawn").to_dict())}
    return xr.Dataset({"loss": (dims, loss)}, coords=coords, attrs=attrs)


def test_variants_show_their_exponents(compared, ax):
    students.variants(compared, ax)
    names = theme.names_of(ax)
    assert names == [r"euler: $\alpha$ = 1.00", r"depth attention: $\alpha$ = 1.50"]


def test_predictions_have_their_slopes_and_leave_the_view(result, ax):
    figures.loss_by_depth(result, ax)
    view, ticks = ax.get_ylim(), [label.get_text() for label in ax.get_xticklabels()]
    figures.predictions(result, ax)
    lines = {str(line.get_label()): line for line in ax.get_lines()}
    for name, slope in {"average": 1, "first order": 2, "second order": 4}.items():
        x, y = lines[name].get_data()
        assert analysis.power_law(np.asarray(x), np.asarray(y)) == pytest.approx(slope)
    assert ax.get_ylim() == view
    assert [label.get_text() for label in ax.get_xticklabels()] == ticks == ["1", "2", "3", "4"]


def test_live_beside_stored_or_beside_its_command(result, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    absent = toy_tables.Stored("large.nc", "companion toy large")
    left, right = figures.beside(figures.loss_by_depth, [result], [absent])
    assert left.get_lines()
    assert "companion toy" in right.texts[0].get_text()
    save(result, tmp_path / "large.nc")
    there = toy_tables.Stored("large.nc", "companion toy large")
    left, right = figures.beside(figures.loss_by_depth, [result], [there])
    assert len(right.get_lines()) == len(left.get_lines())
    assert [axes.get_title() for axes in (left, right)] == ["this run", "stored larger run"]
    plt.close("all")


def test_gains_of_variants_are_drawn_for_each_target(compared, ax):
    parity = compared.assign_attrs(specification=json.dumps({"teacher": "parity", "rho": [0.0]}))
    students.variant_gains(compared, parity, ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["depth attention"]
    names = theme.names_of(ax)
    assert names == ["independent teacher", "running products"]
    assert ax.get_lines()[0].get_xdata()[0] == pytest.approx(0.5)
