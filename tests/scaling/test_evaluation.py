"""One evaluation of every table: the same as by hand, and refusals are lines, not raised."""

import numpy as np
import pytest

from companion import scaling
from companion.errors import InputError
from companion.scaling import evaluate, evaluate_tables
from companion.scaling.comparison import criteria
from companion.scaling.comparison.cuts import CLUSTERED
from companion.scaling.comparison.evaluation import INTERACTIONS


def test_an_evaluation_is_what_its_parts_say(planted):
    evaluation = evaluate(planted, np.random.default_rng(0), draws=40)
    result = scaling.fit(planted)
    assert evaluation.result.params == pytest.approx(result.params)
    assert set(CLUSTERED) <= set(evaluation.result.intervals)
    assert evaluation.one == pytest.approx(criteria.test_value(result, "alpha_ell", 1.0))
    assert set(evaluation.interactions) == set(INTERACTIONS)
    assert set(evaluation.held_out) == set(INTERACTIONS)
    assert evaluation.laws["aic"].idxmin() == "additive"


def test_tables_beside_each_other(planted, monkeypatch, tmp_path):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", _no_network)
    cases = {"planted": (planted, 0), "cut": (planted, 46), "elsewhere": ("chinchilla", 0)}
    frame = evaluate_tables(cases, np.random.default_rng(0), draws=40).set_index("rows")
    assert frame.loc["planted", "low"] < 1 < frame.loc["planted", "high"]
    assert frame.loc["planted", "converged"]
    assert "rows cannot fit" in frame.loc["cut", "refused"]
    assert frame.loc["elsewhere", "refused"].startswith("not here")
    assert np.isnan(frame.loc["elsewhere", "estimate"])


def test_the_ladder_is_asked_by_name():
    evaluation = evaluate("ladder", np.random.default_rng(0), draws=20)
    assert evaluation.result.table.attrs["name"] == "ladder"
    assert evaluation.one.converged


def test_without_interactions_nothing_is_held_against_additivity(planted):
    evaluation = evaluate(planted, np.random.default_rng(0), draws=20, laws=["additive"])
    assert evaluation.held_out == {}
    assert evaluation.interactions == {}
    with pytest.raises(InputError, match="distinct value"):
        evaluate(planted.assign(ell=8.0), np.random.default_rng(0))


def _no_network(*args, **kwargs):
    raise ConnectionError("no network")
