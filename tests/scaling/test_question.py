"""One question to every table: the same answers as by hand, and refusals told, not raised."""

import numpy as np
import pytest

from companion import scaling
from companion.errors import InputError
from companion.scaling import comparison, question


def test_an_answer_is_what_its_parts_say(planted):
    answer = question.ask(planted, np.random.default_rng(0), draws=40)
    result = scaling.fit(planted)
    assert answer.result.params == pytest.approx(result.params)
    assert set(question.METHODS) <= set(answer.result.intervals)
    assert answer.one == pytest.approx(comparison.test_value(result, "alpha_ell", 1.0))
    assert set(answer.interactions) == set(question.INTERACTIONS)
    assert answer.additivity.verdict in ("reproduced", "undecided")
    assert answer.laws["aic"].idxmin() == "additive"


def test_tables_beside_each_other(planted, monkeypatch, tmp_path):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", _no_network)
    cases = {"planted": (planted, 0), "cut": (planted, 46), "elsewhere": ("chinchilla", 0)}
    frame = question.beside(cases, np.random.default_rng(0), draws=40).set_index("rows")
    assert frame.loc["planted", "low"] < 1 < frame.loc["planted", "high"]
    assert frame.loc["planted", "converged"]
    assert "rows cannot fit" in frame.loc["cut", "refused"]
    assert frame.loc["elsewhere", "refused"].startswith("not here")
    assert np.isnan(frame.loc["elsewhere", "estimate"])


def test_the_ladder_is_asked_by_name():
    answer = question.ask("ladder", np.random.default_rng(0), draws=20)
    assert answer.result.table.attrs["name"] == "ladder"
    assert answer.one.converged


def test_without_interactions_additivity_is_not_testable(planted):
    answer = question.ask(planted, np.random.default_rng(0), draws=20, laws=["additive"])
    assert answer.additivity.verdict == "not testable here"
    assert answer.interactions == {}
    with pytest.raises(InputError, match="distinct value"):
        question.ask(planted.assign(ell=8.0), np.random.default_rng(0))


def _no_network(*args, **kwargs):
    raise ConnectionError("no network")
