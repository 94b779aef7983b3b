"""Comparison of laws: closed forms, planted winners, held-out rows by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from companion import scaling
from companion.errors import InputError
from companion.scaling import comparison, findings, witness

from .conftest import TRUTH


def test_criterion_is_gaussian_likelihood(planted):
    result = scaling.fit(planted)
    sigma = math.sqrt(np.mean(result.residuals**2))
    likelihood = stats.norm(scale=sigma).logpdf(result.residuals).sum()
    assert comparison.criterion(result, 2.0) == pytest.approx(-2 * likelihood + 2 * 8)


def test_the_planted_law_wins(planted):
    frame = comparison.compare(planted, ["additive", "chinchilla", "multiplicative"])
    assert (
        frame["aic"].idxmin() == frame["bic"].idxmin() == frame["cv_shape"].idxmin() == "additive"
    )
    assert "AIC favours additive" in findings.preference(frame)


def test_held_out_shapes_by_hand(planted):
    result = scaling.fit(planted)
    errors, failed = comparison.shape_errors(result)
    assert failed == 0
    out = (planted["m"] == 512) & (planted["ell"] == 8)
    trained = scaling.fit(planted[~out])
    by_hand = np.log(planted["loss"][out]) - np.log(trained.predict(planted[out]))
    assert errors[out] == pytest.approx(by_hand.to_numpy(), rel=1e-4)


def test_likelihood_ratio_of_a_true_null(planted):
    small, large = scaling.fit(planted), scaling.fit(planted, "depth-data")
    statistic, dof, p, converged = comparison.likelihood_ratio(small, large)
    assert converged
    assert dof == 1
    assert p == pytest.approx(stats.chi2.sf(statistic, 1))
    assert p > 1e-3
    with pytest.raises(InputError, match="nested"):
        comparison.likelihood_ratio(large, small)


def test_value_test_agrees_with_the_profile_interval(planted):
    result = scaling.quantify(scaling.fit(planted), np.random.default_rng(0), methods=["profile"])
    high = result.intervals["profile"]["alpha_ell"].high
    test = comparison.test_value(result, "alpha_ell", high)
    assert test.converged
    assert test.p == pytest.approx(0.05, rel=1e-2)


def test_claims_follow_from_the_rows(planted):
    result = scaling.quantify(
        scaling.fit(planted), np.random.default_rng(0), methods=["bootstrap_shape"], draws=100
    )
    assert findings.inverse_depth(result).verdict == "reproduced"
    assert "certified" in findings.convergence(result)
    others = [scaling.fit(planted, "depth-data")]
    assert findings.additivity(result, others).verdict in ("reproduced", "undecided")
    steep = scaling.LAWS["additive"].predict(TRUTH | {"alpha_ell": 2.0, "c_ell": 20.0}, planted)
    wrong = scaling.quantify(
        scaling.fit(planted.assign(loss=steep * np.exp(result.residuals))),
        np.random.default_rng(0), methods=["bootstrap_shape"], draws=100,
    )  # fmt: skip
    assert findings.inverse_depth(wrong).verdict == "not reproduced"


def test_promises_are_judged_by_the_simulations_own_interval():
    columns = ["case", "parameter", "method", "coverage", "low", "high"]
    rows = [("one", "a", "jacobian", 0.9, 0.87, 0.93), ("one", "a", "profile", 0.94, 0.91, 0.96),
            ("two", "a", "profile", 0.99, 0.97, 1.0)]  # fmt: skip
    said = findings.kept_promises(pd.DataFrame(rows, columns=columns), "a")
    assert "With one, too few contain the truth: jacobian (90.0%); as many as promised: p" in said
    assert "With two, too many: profile (99.0%)." in said


def test_witness_cuts_are_as_stated(planted):
    kept = witness.ordinary(planted, 1.0)
    assert (kept["m"] / kept["ell"]).between(40, 110).all()
    with pytest.raises(InputError, match="at least 1"):
        witness.ordinary(planted, 0.5)


def test_witness_says_what_is_contradicted(gemstones):
    frame = witness.vary(gemstones, "additive", np.random.default_rng(0), factors=(3.0,), draws=40)
    assert frame["converged"].all()
    assert "contradicted with factor 3, all shapes" in witness.verdict(frame)


def test_the_same_rows_give_the_same_interval_under_every_cut(planted):
    """Factors that keep the same rows, and the claim, rest on the same resamples."""
    generators = [np.random.default_rng(3) for _ in range(2)]
    frame = witness.vary(planted, "additive", generators[0], factors=(50.0,), draws=30)
    assert frame["low"][0] == frame["low"][1]
    result = witness.ask(planted, "additive", generators[1], draws=30)
    assert result.intervals[witness.METHOD]["alpha_ell"].low == frame["low"][1]


def test_resamples_that_cannot_identify_the_law_are_refused(planted):
    six = planted[planted["m"].isin([256, 512, 1024]) & planted["ell"].isin([4, 8, 16])]
    six = six[(six["m"] / six["ell"]).isin([64, 32, 128]) & (six["ell"] <= 16)]
    with pytest.raises(InputError, match="resamples of 7 shapes cannot identify"):
        witness.ask(six, "additive", np.random.default_rng(0), draws=40)


def test_too_few_ordinary_shapes_are_not_testable(planted):
    few = planted[planted["m"] / planted["ell"] > 100]
    claim, said = witness.ask_ordinary(few, 1.0, np.random.default_rng(0), draws=20)
    assert claim.verdict == "not testable here"
    assert "Too few ordinary shapes" in said
    frame = witness.vary(planted, "additive", np.random.default_rng(0), factors=(1.0,), draws=20)
    assert "all shapes" in witness.verdict(frame)
    kept, sentence = scaling.identifiable(planted.assign(ell=planted["ell"] / 2), scaling.LAWS)
    assert "additive-shifted" not in kept
    assert "needs ell above 2" in sentence
