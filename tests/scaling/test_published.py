"""Published numbers, reproduced to their digits or with the reason why not."""

import math

import numpy as np
import pytest

from companion import scaling, tables
from companion.errors import InputError
from companion.scaling import comparison, findings, published, reenact
from companion.scaling.uncertainty import jacobian_covariance


@pytest.fixture
def additive(chinchilla):
    return scaling.fit(chinchilla, drop=40)


def test_the_published_fit_is_not_the_optimum(additive):
    there = published.objective_at(additive, published.paper_params())
    assert additive.converged
    assert additive.n == 203
    assert additive.objective < there < additive.objective * 1.02
    assert there == pytest.approx(published.PAPER_OBJECTIVE, rel=0.005)  # 5 digits of parameters
    assert additive.params["alpha_ell"] == pytest.approx(1.3251, abs=2e-4)
    assert additive.params["alpha_m"] == pytest.approx(0.9455, abs=2e-4)


@pytest.mark.slow
def test_adam_re_enacted_ends_where_the_paper_did(additive):
    """To two or three digits: fixed rates jitter, and theirs mixed float32 and float64."""
    path = reenact.adam(additive.table)
    for name in ("alpha_m", "alpha_ell", "alpha_D", "L_0"):
        assert path.params[name][-1] == pytest.approx(published.PAPER[name], rel=0.006), name
    early = reenact.exponents_at(path, (1_000, 10_000))
    assert abs(early[1_000] - 1) < 0.05
    assert abs(early[10_000] - 1) < 0.05


def test_held_out_runs_see_their_starting_point(additive):
    """Random rows and 1,000 steps: next to no spread of the exponent, and errors like any."""
    with pytest.raises(InputError, match="did not fit law 'kaplan'"):
        reenact.held_out(additive.table, np.random.default_rng(0), "kaplan")
    frame = reenact.held_out(additive.table, np.random.default_rng(0), splits=4)
    assert frame["converged"].all()
    assert frame["alpha_stopped"].std() < 0.1 * frame["alpha_optimum"].std()
    assert (frame["alpha_stopped"] - 1).abs().max() < 0.05
    errors = frame[["error_stopped", "error_optimum"]].mean()
    assert errors["error_stopped"] == pytest.approx(errors["error_optimum"], rel=0.2)
    said = findings.held_out_reach(frame)
    assert "4 random splits" in said
    assert f"from {frame['alpha_stopped'].min():.3f} to" in said


@pytest.mark.slow
def test_shifted_adam_re_enacted_ends_where_the_paper_did(chinchilla):
    """The published code subtracts two blocks before it does the same."""
    path = reenact.adam(tables.drop_highest(chinchilla, 40), "additive-shifted")
    for name, theirs in published.PAPER_SHIFTED.items():
        assert path.params[name][-1] == pytest.approx(theirs, rel=0.01), name


def test_adams_gradient_is_right(additive):
    x = np.log([additive.table["m"], additive.table["ell"] * 100, additive.table["D"] / 1e6])
    theta = np.array([*np.log([300.0, 1000, 9]), 0.95, 1.1, 0.3, 1.7])
    weights = np.full(203, 1 / 203)
    _, gradient = reenact._paper_loss(theta, x, additive.y, weights)
    for i, step in enumerate(1e-6 * np.eye(7)):
        up, down = (
            reenact._paper_loss(theta + s, x, additive.y, weights)[0] for s in (step, -step)
        )
        assert gradient[i] == pytest.approx(100 * (up - down) / 2e-6, rel=1e-4, abs=1e-8)


def test_published_standard_errors_at_the_published_point(additive):
    """Jacobian on raw-loss residuals; the paper's errors of the c are those of ln c."""
    theta = additive.design.to_theta(published.paper_params())
    covariance = jacobian_covariance(additive.design, additive.y, theta, raw=True)
    errors = dict(zip(additive.design.names, np.sqrt(np.diag(covariance)), strict=True))
    for name, theirs in published.PAPER_STDERR.items():
        assert errors[name] == pytest.approx(theirs, rel=0.005), name


def test_shifted_law(chinchilla):
    """The published variant stopped early too: exponents near, objective above."""
    shifted = scaling.fit(chinchilla, "additive-shifted", drop=40)
    assert shifted.converged
    for name, value in published.PAPER_SHIFTED.items():
        assert shifted.params[name] == pytest.approx(value, rel=0.035), name
    assert 0 < published.paper_objective(shifted) / shifted.objective - 1 < 0.01


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
    for name, value in published.EPOCH.items():
        assert abs(result.params[name] - value) < 0.1 * published.EPOCH_STDERR[name], name
    theirs = published.objective_at(result, published.EPOCH)
    assert 0 < theirs / result.objective - 1 < 1e-3


@pytest.mark.parametrize("delta", [1e-3, 1e-4])
def test_gemstones(gemstones, delta):
    """Objective to all digits; c_D and alpha_D in the third, along a flat direction."""
    result = scaling.fit(gemstones, delta=delta)
    assert result.converged
    assert result.params["L_0"] == 0
    assert result.total == pytest.approx(published.GEMSTONES_OBJECTIVE[delta], rel=1e-7)
    theirs = published.GEMSTONES[delta]
    assert result.params["alpha_m"] == pytest.approx(theirs["alpha_m"], abs=1e-5)
    assert result.params["alpha_ell"] == pytest.approx(theirs["alpha_ell"], abs=1e-5)
    assert result.params["alpha_D"] == pytest.approx(theirs["alpha_D"], abs=2e-4)
    if delta == 1e-3:
        assert math.log(result.params["c_m"]) == pytest.approx(2.11446, abs=1e-5)
        assert math.log(result.params["c_ell"]) == pytest.approx(0.73076, abs=1e-5)
        assert math.log(result.params["c_D"]) == pytest.approx(11.28412, abs=2e-3)


def test_checks_agree_with_the_published(data_folder):
    frame = published.checks()
    assert len(frame) == 18
    assert frame["difference %"].abs().max() < 3
    off = frame.loc[~frame["digits"] & frame["fit"].str.startswith("Gem"), "quantity"]
    assert set(off) == {"ln c_D", "alpha_D", "alpha_m"}
    sentence = published.check_sentence(frame)
    assert "Epoch AI: c_N, alpha_N, c_D, alpha_D, L_0 differ by up to 2.8 %" in sentence
    assert "lies 0.047 % above our optimum" in sentence
    assert sentence.count("flat that way") == 2
    worse = frame.assign(**{"difference %": 1.0, "digits": False})
    assert "our fit is the worse one" in published.check_sentence(worse)


def test_epochs_standard_errors_are_a_bootstrap_of_rows(chinchilla):
    """Theirs within 20 %, c_D being heavy-tailed; curvature alone gives about half of them."""
    result = scaling.fit(chinchilla, "chinchilla", drop=5, delta=1e-3)
    result = scaling.quantify(result, np.random.default_rng(0), methods=["bootstrap"], draws=400)
    for name, theirs in published.EPOCH_STDERR.items():
        assert result.stderr["bootstrap"][name] == pytest.approx(theirs, rel=0.2), name
        assert result.stderr["jacobian"][name] < 0.7 * theirs, name


def test_the_exponent_moves_with_the_cut(chinchilla):
    frame = comparison.drop_sweep(chinchilla, "additive", [0, 10, 50, 100], "alpha_ell")
    assert frame["converged"].all()
    assert frame["estimate"].min() < 1
    assert frame["estimate"].max() > 1.8


def test_parameters_and_data_fit_as_well(chinchilla):
    frame = comparison.compare(chinchilla, ["additive", "chinchilla"], drop=40)
    assert frame.loc["chinchilla", "aic"] == 0
    assert frame.loc["additive", "aic"] > 2
