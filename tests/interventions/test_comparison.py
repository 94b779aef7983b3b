"""Several models on one text, and a pretrained one that may not be there."""

import json

import pytest

from companion.errors import InputError
from companion.files import write_netcdf
from companion.interventions import Text, ablate_models, ablate_or_stored, ablate_text, comparison
from companion.models import ModelUnavailable
from companion.runtime import Runtime

LADDER = ("ladder:m128-ell4", "ladder:m128-ell2")


@pytest.fixture
def runtime():
    return Runtime.choose("cpu", "float32")


@pytest.fixture
def text():
    return Text("python-source", 64, 16, every=3)


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    return tmp_path


def test_models_come_shallowest_first_with_what_they_read(runtime, text):
    done = ablate_models(LADDER, runtime, text, ("skip",))
    assert list(done) == list(reversed(LADDER))
    manifest = json.loads(done[LADDER[0]].attrs["manifest"])
    assert (manifest["every"], manifest["tokens"]) == (3, 192)
    assert int(done[LADDER[0]].tokens.sum()) == 4 * 15


def test_a_model_without_a_tokenizer_is_refused(llama, text):
    from dataclasses import replace

    with pytest.raises(InputError, match="no tokenizer"):
        ablate_text(replace(llama, tokenizer=None), text)


def test_a_pretrained_model_is_run_and_its_stored_run_read(runtime, text, results):
    name = LADDER[1]
    earlier = ablate_text(name, text, ("skip",), runtime=runtime)
    write_netcdf(earlier, results / "interventions-gemma3-270m.nc")
    found = ablate_or_stored(name, runtime, text, ("skip",))
    assert list(found.runs) == ["gemma3-270m, stored", f"{name}, live"]
    assert found.live[name].equals(earlier)
    assert not found.refused


def test_a_model_that_cannot_be_had_leaves_its_reason(runtime, text, monkeypatch):
    def offline(name, runtime):
        raise ModelUnavailable("model 'x' is not here: say companion fetch x")

    monkeypatch.setattr(comparison, "as_model", offline)
    found = ablate_or_stored("x", runtime, text)
    assert found.runs == {}
    assert "companion fetch" in found.refused


def test_a_wrong_name_is_an_error_and_none_is_none(runtime, text):
    with pytest.raises(InputError, match="not embedded; there are"):
        ablate_or_stored("ladder:none", runtime, text)
    assert ablate_or_stored("", runtime, text).runs == {}
