"""Figures of the scaling fits: what is drawn is what was given."""

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from companion import scaling
from companion.plotting import scaling as figures
from companion.plotting import theme
from companion.scaling import planning
from companion.scaling.comparison import criteria, cuts
from companion.scaling.publications.adam import adam


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result(planted):
    return scaling.fit(planted)


def test_parts_leave_the_term_and_its_residual(result):
    axes = figures.parts(result)
    drawn = axes[1].collections[0].get_offsets()
    p = result.params
    rest = (
        p["c_m"] * result.table["m"] ** -p["alpha_m"]
        + p["c_D"] * result.table["D"] ** -p["alpha_D"]
    )
    left = result.table["loss"] - rest - p["L_0"]
    assert np.asarray(drawn[:, 1]) == pytest.approx(left[left > 0].to_numpy(), rel=1e-9)
    assert [ax.get_xscale() for ax in axes] == ["log"] * 3


@pytest.mark.parametrize("law", ["chinchilla", "multiplicative", "depth-data", "kaplan"])
def test_parts_of_every_kind_of_law(result, law):
    fitted = scaling.fit(result.table, law)
    axes = figures.parts(fitted)
    assert len(axes) == len(fitted.law.variables)
    offsets = np.asarray(axes[-1].collections[0].get_offsets())
    drawn = dict(zip(*axes[-1].lines[0].get_data(), strict=True))
    power = 1 / fitted.params[fitted.law.power] if fitted.law.power else 1.0
    whole = {
        x: loss**power
        for x, loss in zip(fitted.table["D"], fitted.predict(fitted.table), strict=True)
    }
    assert all(0 < drawn[x] < whole[x] for x in offsets[:, 0])


def test_profiles_mark_what_did_not_converge(result):
    curve = scaling.likelihood_profile(result, "alpha_ell", scaling.span(result, "alpha_ell", 7))
    curve.converged[2] = False
    assert figures.curve(curve).lines[1].get_xdata() == pytest.approx([curve.values[0][2]])


def test_intervals_have_a_line_for_each_method(result):
    result = scaling.quantify(result, np.random.default_rng(0), draws=30)
    ax = figures.intervals(result, "alpha_ell", expected=(0.8, 1.25))
    assert len(ax.get_yticklabels()) == len(scaling.METHODS)


def test_profiles(result):
    ax = figures.curve(
        scaling.likelihood_profile(result, "alpha_ell", scaling.span(result, "alpha_ell", 11))
    )
    assert ax.get_ylim()[0] == 0
    sides = [scaling.span(result, name, 6) for name in ("alpha_m", "alpha_ell")]
    pair = scaling.joint_profile(result, ("alpha_m", "alpha_ell"), *sides)
    ax = figures.contours(pair, plt.figure().gca(), result.params)
    assert ax.get_xlabel() == r"$\alpha_m$"


def test_paths_spreads_and_sweeps(result):
    axes = figures.path(adam(result.table, steps=1000), result)
    assert len(axes) == 2
    draws = {"a": np.arange(10.0), "b": np.arange(5.0)}
    ax = figures.spreads(draws, "alpha_ell", plt.figure().gca())
    assert len(theme.names_of(ax)) == 2
    assert [line.get_xdata()[-1] for line in ax.lines] == [9, 4]
    frame = cuts.drop_sweep(result.table, "additive", [0, 42], "alpha_ell")
    assert "distinct" in frame["refused"][1] or "rows cannot" in frame["refused"][1]
    figures.sweep(frame, "alpha_ell", plt.figure().gca())


def test_comparisons_and_plans(result):
    frame = criteria.compare_laws(result.table, ["additive", "chinchilla"])
    assert len(figures.criteria(frame).patches) == 4
    assert len(figures.held_out(frame, plt.figure().gca()).lines) == 3
    refits = scaling.bootstrap(result, np.random.default_rng(0), draws=10)
    plans = {"one": planning.plan(result, refits, planning.Budget(1e20))}
    assert figures.doublings(plans, plt.figure().gca()).get_yticklabels()[0].get_text() == "one"


def test_a_missing_study_says_so():
    empty = pd.DataFrame(columns=["method", "parameter", "coverage", "low", "high", "case"])
    assert figures.coverage(empty, "alpha_ell").texts[0].get_text() == "not yet run"


def test_a_study_reads_downwards_even_where_axes_are_shared():
    rows = [("one", "a", m, 0.9, 0.8, 0.95) for m in ("jacobian", "profile")]
    frame = pd.DataFrame(rows, columns=["case", "parameter", "method", "coverage", "low", "high"])
    _, axes = plt.subplots(1, 2, sharey=True)
    for ax in axes:
        figures.coverage(frame, "a", ax)
    assert axes[0].get_ylim() == (1.5, -0.5)
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["jacobian", "profile"]


def test_designs_and_subsets(result):
    sizes = figures.design(result.table).collections[0].get_sizes()
    assert np.all(sizes == sizes[0])
    frame = pd.DataFrame({"rows": ["all"], "estimate": [1.0], "low": [0.5], "high": [1.5]})
    assert figures.subsets(frame, plt.figure().gca()).get_yticklabels()[0].get_text() == "all"
