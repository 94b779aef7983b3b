"""Comparison of laws and cuts: closed forms, planted winners, held-out rows by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from companion import scaling
from companion.errors import InputError
from companion.scaling.comparison import criteria, cuts


def test_criterion_is_gaussian_likelihood(planted):
    result = scaling.fit(planted)
    sigma = math.sqrt(np.mean(result.residuals**2))
    likelihood = stats.norm(scale=sigma).logpdf(result.residuals).sum()
    assert criteria.criterion(result, 2.0) == pytest.approx(-2 * likelihood + 2 * 8)


def test_the_planted_law_wins(planted):
    frame = criteria.compare_laws(planted, ["additive", "chinchilla", "multiplicative"])
    assert (
        frame["aic"].idxmin() == frame["bic"].idxmin() == frame["cv_shape"].idxmin() == "additive"
    )


def test_held_out_shapes_by_hand(planted):
    result = scaling.fit(planted)
    errors, failed = criteria.shape_errors(result)
    assert failed == 0
    out = (planted["m"] == 512) & (planted["ell"] == 8)
    trained = scaling.fit(planted[~out])
    by_hand = np.log(planted["loss"][out]) - np.log(trained.predict(planted[out]))
    assert errors[out] == pytest.approx(by_hand.to_numpy(), rel=1e-4)


def test_likelihood_ratio_of_a_true_null(planted):
    small, large = scaling.fit(planted), scaling.fit(planted, "depth-data")
    statistic, dof, p, converged = criteria.likelihood_ratio(small, large)
    assert converged
    assert dof == 1
    assert p == pytest.approx(stats.chi2.sf(statistic, 1))
    assert p > 1e-3
    with pytest.raises(InputError, match="nested"):
        criteria.likelihood_ratio(large, small)


def test_value_test_agrees_with_the_profile_interval(planted):
    result = scaling.quantify(scaling.fit(planted), np.random.default_rng(0), methods=["profile"])
    high = result.intervals["profile"]["alpha_ell"].high
    test = criteria.test_value(result, "alpha_ell", high)
    assert test.converged
    assert test.p == pytest.approx(0.05, rel=1e-2)


def test_aspect_cuts_are_as_stated(planted):
    kept = cuts.within_aspect(planted, 1.0)
    assert (kept["m"] / kept["ell"]).between(40, 110).all()
    with pytest.raises(InputError, match="at least 1"):
        cuts.within_aspect(planted, 0.5)


def test_the_same_rows_give_the_same_interval_under_every_cut(planted):
    """Factors that keep the same rows, and the claim, rest on the same resamples."""
    generators = [np.random.default_rng(3) for _ in range(2)]
    frame = cuts.aspect_sweep(planted, "additive", generators[0], factors=(50.0,), draws=30)
    assert frame["low"][0] == frame["low"][1]
    result = cuts.fit_clustered(planted, "additive", generators[1], draws=30)
    assert result.intervals[cuts.RESAMPLED]["alpha_ell"].low == frame["low"][1]


def test_resamples_that_cannot_identify_the_law_are_refused(planted):
    six = planted[planted["m"].isin([256, 512, 1024]) & planted["ell"].isin([4, 8, 16])]
    six = six[(six["m"] / six["ell"]).isin([64, 32, 128]) & (six["ell"] <= 16)]
    with pytest.raises(InputError, match="resamples of 7 shapes cannot identify"):
        cuts.fit_clustered(six, "additive", np.random.default_rng(0), draws=40)


def test_a_cut_that_leaves_too_little_is_a_line_that_says_so(planted):
    few = planted[planted["m"] / planted["ell"] > 100]
    frame = cuts.aspect_sweep(few, "additive", np.random.default_rng(0), factors=(1.0,), draws=20)
    assert "no row" in frame["refused"][0] or "identif" in frame["refused"][0]
    assert np.isnan(frame["estimate"][0])


def test_laws_that_the_rows_cannot_identify_are_named(planted):
    kept, refused = scaling.identifiable(planted.assign(ell=planted["ell"] / 2), scaling.LAWS)
    assert "additive-shifted" not in kept
    assert "needs ell above 2" in refused[0]
