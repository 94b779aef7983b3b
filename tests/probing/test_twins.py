"""Untrained twins stand beside the models; what cannot be had is named, and nothing stops."""

from __future__ import annotations

import pytest

from companion.errors import InputError
from companion.probing import save
from companion.probing.beside.twins import probe_twins, store_untrained, stored_twins
from companion.runtime import Runtime

RUNTIME = Runtime.choose("cpu", seed=1)
OPTIONS = {"corpus": "python-source", "tokens": 512, "block_length": 64, "lens": "logit"}


@pytest.fixture(scope="module")
def pair():
    return probe_twins("ladder:m128-ell2, no/such-model", RUNTIME, **OPTIONS)


def test_a_model_and_its_twin_have_one_architecture_and_one_text(pair):
    trained, blank = pair.trained["m128-ell2"], pair.untrained["m128-ell2"]
    for key in ("ell", "m", "V", "tokens", "corpus"):
        assert trained.attrs[key] == blank.attrs[key]
    assert "random weights" in blank.attrs["model"]
    assert float(trained.theta_middle[0, 1]) != float(blank.theta_middle[0, 1])


def test_a_model_that_cannot_be_had_is_named_with_the_reason(pair):
    assert list(pair.missing) == ["such-model"]
    assert "no/such-model" in pair.missing["such-model"]


def test_no_names_give_no_probes():
    assert probe_twins("", RUNTIME, **OPTIONS).trained == {}


def test_stored_runs_are_read_with_their_twins(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    save(pair.trained["m128-ell2"], tmp_path / "probe-a.nc")
    save(pair.untrained["m128-ell2"], tmp_path / "probe-a-untrained.nc")
    save(pair.trained["m128-ell2"], tmp_path / "probe-b.nc")
    found = stored_twins("a, b, c")
    assert (list(found.trained), list(found.untrained)) == (["a", "b"], ["a"])
    assert list(found.missing) == ["c"]


def test_an_untrained_twin_is_stored_where_it_is_looked_for(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    path = store_untrained("ladder:m128-ell2", RUNTIME, tmp_path, **OPTIONS)
    save(pair.trained["m128-ell2"], path.with_name("probe-m128-ell2.nc"))
    twin = stored_twins("m128-ell2").untrained["m128-ell2"]
    live = pair.untrained["m128-ell2"]
    assert twin.theta_middle.values == pytest.approx(live.theta_middle.values, nan_ok=True)


def test_a_typing_error_in_the_settings_is_not_taken_for_a_missing_model():
    with pytest.raises(InputError, match="lens"):
        probe_twins("ladder:m128-ell2", RUNTIME, **OPTIONS | {"lens": "lgoit"})
