"""Published numbers, reproduced to their digits or with the reason why not."""

import math

import numpy as np
import pytest

from companion import scaling, tables
from companion.errors import InputError
from companion.scaling.comparison import criteria, cuts
from companion.scaling.fitting.curvature import jacobian_covariance
from companion.scaling.publications import adam, numbers, refits, stand_in


@pytest.fixture
def additive(chinchilla):
    return scaling.fit(chinchilla, drop=40)


def test_the_published_fit_is_not_the_optimum(additive):
    there = numbers.objective_at(additive, numbers.paper_params())
    assert additive.converged
    assert additive.n == 203
    assert additive.objective < there < additive.objective * 1.02
    assert there == pytest.approx(numbers.PAPER_OBJECTIVE, rel=0.005)  # 5 digits of parameters
    assert additive.params["alpha_ell"] == pytest.approx(1.3251, abs=2e-4)
    assert additive.params["alpha_m"] == pytest.approx(0.9455, abs=2e-4)


@pytest.mark.slow
def test_adam_re_enacted_ends_where_the_paper_did(additive):
    """To two or three digits: fixed rates jitter, and theirs mixed float32 and float64."""
    path = adam.adam(additive.table)
    for name in ("alpha_m", "alpha_ell", "alpha_D", "L_0"):
        assert path.params[name][-1] == pytest.approx(numbers.PAPER[name], rel=0.006), name
    early = adam.estimates_at(path, (1_000, 10_000))
    assert abs(early[1_000] - 1) < 0.05
    assert abs(early[10_000] - 1) < 0.05


def test_held_out_runs_see_their_starting_point(additive):
    """Random rows and 1,000 steps: next to no spread of the exponent, and errors like any."""
    with pytest.raises(InputError, match="did not fit law 'kaplan'"):
        adam.adam_held_out(additive.table, np.random.default_rng(0), "kaplan")
    frame = adam.adam_held_out(additive.table, np.random.default_rng(0), splits=4)
    assert frame["converged"].all()
    assert frame["alpha_stopped"].std() < 0.1 * frame["alpha_optimum"].std()
    assert (frame["alpha_stopped"] - 1).abs().max() < 0.05
    errors = frame[["error_stopped", "error_optimum"]].mean()
    assert errors["error_stopped"] == pytest.approx(errors["error_optimum"], rel=0.2)


@pytest.mark.slow
def test_shifted_adam_re_enacted_ends_where_the_paper_did(chinchilla):
    """The published code subtracts two blocks before it does the same."""
    path = adam.adam(tables.drop_highest(chinchilla, 40), "additive-shifted")
    for name, theirs in numbers.PAPER_SHIFTED.items():
        assert path.params[name][-1] == pytest.approx(theirs, rel=0.01), name


def test_adams_gradient_is_right(additive):
    x = np.log([additive.table["m"], additive.table["ell"] * 100, additive.table["D"] / 1e6])
    theta = np.array([*np.log([300.0, 1000, 9]), 0.95, 1.1, 0.3, 1.7])
    weights = np.full(203, 1 / 203)
    _, gradient = adam._objective(theta, x, additive.y, weights)
    for i, step in enumerate(1e-6 * np.eye(7)):
        up, down = (adam._objective(theta + s, x, additive.y, weights)[0] for s in (step, -step))
        assert gradient[i] == pytest.approx(100 * (up - down) / 2e-6, rel=1e-4, abs=1e-8)


def test_published_standard_errors_at_the_published_point(additive):
    """Jacobian on raw-loss residuals; the paper's errors of the c are those of ln c."""
    theta = additive.design.to_theta(numbers.paper_params())
    covariance = jacobian_covariance(additive.design, additive.y, theta, raw=True)
    errors = dict(zip(additive.design.names, np.sqrt(np.diag(covariance)), strict=True))
    for name, theirs in numbers.PAPER_STDERR.items():
        assert errors[name] == pytest.approx(theirs, rel=0.005), name


def test_shifted_law(chinchilla):
    """The published variant stopped early too: exponents near, objective above."""
    shifted = scaling.fit(chinchilla, "additive-shifted", drop=40)
    assert shifted.converged
    for name, value in numbers.PAPER_SHIFTED.items():
        assert shifted.params[name] == pytest.approx(value, rel=0.035), name
    assert 0 < refits.refit_published("additive-shifted").excess < 0.01


def test_a_fitted_shift_is_none(chinchilla):
    """Asked how many blocks do not count, the rows answer none, with the same optimum."""
    fitted, plain = (
        scaling.fit(chinchilla, law, drop=40) for law in ("additive-shift-fitted", "additive")
    )
    assert fitted.converged
    assert fitted.params["ell_0"] == 0
    assert any("ell_0 at its lower bound" in w for w in fitted.warnings)
    assert fitted.objective == pytest.approx(plain.objective, rel=1e-9)


def test_epoch_ai(chinchilla):
    """Within 0.1 of their standard errors; their point is 0.05 % above our optimum."""
    result = scaling.fit(chinchilla, "chinchilla", drop=5, delta=1e-3)
    assert result.n == 240
    assert result.converged
    for name, value in numbers.EPOCH.items():
        assert abs(result.params[name] - value) < 0.1 * numbers.EPOCH_STDERR[name], name
    theirs = numbers.objective_at(result, numbers.EPOCH)
    assert 0 < theirs / result.objective - 1 < 1e-3


@pytest.mark.parametrize("delta", [1e-3, 1e-4])
def test_gemstones(gemstones, delta):
    """Objective to all digits; c_D and alpha_D in the third, along a flat direction."""
    result = scaling.fit(gemstones, delta=delta)
    assert result.converged
    assert result.params["L_0"] == 0
    assert result.total == pytest.approx(numbers.GEMSTONES_OBJECTIVE[delta], rel=1e-7)
    theirs = numbers.GEMSTONES[delta]
    assert result.params["alpha_m"] == pytest.approx(theirs["alpha_m"], abs=1e-5)
    assert result.params["alpha_ell"] == pytest.approx(theirs["alpha_ell"], abs=1e-5)
    assert result.params["alpha_D"] == pytest.approx(theirs["alpha_D"], abs=2e-4)
    if delta == 1e-3:
        assert math.log(result.params["c_m"]) == pytest.approx(2.11446, abs=1e-5)
        assert math.log(result.params["c_ell"]) == pytest.approx(0.73076, abs=1e-5)
        assert math.log(result.params["c_D"]) == pytest.approx(11.28412, abs=2e-3)


def test_reproductions_agree_with_the_published(data_folder):
    frame = refits.reproductions()
    assert frame.attrs["stored"] == {}
    assert len(frame) == 18
    assert frame["difference %"].abs().max() < 3
    off = frame.loc[~frame["digits"] & frame["fit"].str.startswith("Gem"), "quantity"]
    assert set(off) == {"ln c_D", "alpha_D", "alpha_m"}


@pytest.mark.parametrize("key", numbers.PUBLICATIONS)
def test_what_is_stored_is_what_is_found(data_folder, key):
    here, there = refits.refit_published(key), refits.stored_refit(key)
    assert there.summary.params == pytest.approx(here.summary.params, rel=1e-4)
    assert there.summary.objective == pytest.approx(here.summary.objective, rel=1e-9)
    assert there.summary.n == here.summary.n
    assert there.summary.converged
    assert set(there.summary.intervals) == set(scaling.METHODS)
    if here.publication.params:
        assert there.excess == pytest.approx(here.excess, rel=1e-4, abs=1e-8)


def test_without_the_tables_the_stored_fits_are_used(monkeypatch, tmp_path):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", _no_network)
    assert refits.refit_or_stored("additive").stored.startswith("20")
    frame = refits.reproductions()
    assert len(frame) == 18
    assert "Epoch AI" in frame.attrs["stored"]
    shown = refits.stored_frame()
    assert shown.loc["the paper", "rows"] == 203
    table, drop = stand_in.rows_for("chinchilla", "additive-shifted", 40)
    assert table.attrs["stands_in_for"] == "chinchilla"
    assert drop == 0
    assert table["ell"].min() > 2
    assert table.attrs["left_out"] > 0
    assert scaling.fit(table, "additive-shifted").converged


def _no_network(*args, **kwargs):
    raise ConnectionError("no network")


def test_epochs_standard_errors_are_a_bootstrap_of_rows(chinchilla):
    """Theirs within 20 %, c_D being heavy-tailed; curvature alone gives about half of them."""
    result = scaling.fit(chinchilla, "chinchilla", drop=5, delta=1e-3)
    result = scaling.quantify(result, np.random.default_rng(0), methods=["bootstrap"], draws=400)
    for name, theirs in numbers.EPOCH_STDERR.items():
        assert result.stderr["bootstrap"][name] == pytest.approx(theirs, rel=0.2), name
        assert result.stderr["jacobian"][name] < 0.7 * theirs, name


def test_the_exponent_moves_with_the_cut(chinchilla):
    frame = cuts.drop_sweep(chinchilla, "additive", [0, 10, 50, 100], "alpha_ell")
    assert frame["converged"].all()
    assert frame["estimate"].min() < 1
    assert frame["estimate"].max() > 1.8


def test_parameters_and_data_fit_as_well(chinchilla):
    frame = criteria.compare_laws(chinchilla, ["additive", "chinchilla"], drop=40)
    assert frame.loc["chinchilla", "aic"] == 0
    assert frame.loc["additive", "aic"] > 2
