"""A pretrained model beside the ladder: live, stored, or neither, each said in a sentence."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from companion import probing
from companion.evidence import claims
from companion.evidence.probes import probing as layers
from companion.evidence.probes import real_model as beside
from companion.evidence.probes.real_model import real_model
from companion.models import ModelUnavailable
from companion.runtime import Runtime

CPU = Runtime.choose("cpu", "float32")


@pytest.fixture(scope="module")
def probe():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 8}
    net = LlamaForCausalLM(LlamaConfig(vocab_size=96, num_attention_heads=2, **sizes))
    tokens = torch.randint(3, 96, (12, 16), generator=torch.Generator().manual_seed(0))
    return probing.probe(net, tokens, lens="both")


@pytest.fixture
def results(probe, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path))
    probing.save(probing.compact(probe), tmp_path / "probe-some-model.nc")


def absent(*_, **__):
    raise ModelUnavailable("model 'some-model' is not on this machine")


def test_without_a_name_nothing_is_run():
    assert real_model("", CPU).runs == {}
    assert real_model("", CPU).sentence == "No pretrained model was asked for."


def test_what_cannot_be_had_is_said_and_the_stored_run_is_shown(results, monkeypatch):
    monkeypatch.setattr(beside, "probe_one", absent)
    model = real_model("some-model", CPU)
    assert list(model.largest) == ["some-model, stored"]
    assert "There is no live run: model 'some-model' is not on this machine." in model.sentence
    assert "Stored run: llama in memory (8 blocks), 192 tokens of tensor" in model.sentence
    assert "A uniform guess costs ln V = 4.56." in model.lenses
    assert "middle layers turns the residual stream" in model.reading(np.random.default_rng(0))


def test_the_stored_run_comes_first_and_the_live_one_beside_it(results, probe, monkeypatch):
    monkeypatch.setattr(beside, "probe_one", lambda *_, **__: probe)
    model = real_model("some-model", CPU)
    assert list(model.runs) == ["some-model, stored", "some-model, live"]
    assert list(model.largest) == ["some-model, stored"]


def test_a_lens_that_is_sure_and_wrong_contradicts_the_claims(probe):
    worse = probe.copy(deep=True)
    for name in ("cross_entropy", "cross_entropy_logit"):
        worse[name].loc[{"statistic": "mean"}] = 20.0
    guess = layers.lens_beats_a_guess({"worse": worse})
    assert guess.verdict == claims.NOT_REPRODUCED
    assert len(guess.measurements) == 2
    assert "worse than a uniform guess" in layers.lens_sentence(worse)


def test_claims_about_pretrained_models_and_about_a_ladder_are_apart(probe):
    both = {"some-model": probe, "m16-ell8": probe.assign_attrs(model="ladder:m16-ell8")}
    judged = layers.loss_claims(both, np.random.default_rng(0))
    keys = ["loss-falls-gradually", "loss-falls-gradually-logit", "lens-beats-a-guess"]
    assert [claim.key for claim in judged] == keys + [f"{key}-ladder" for key in keys]
    assert [claim.scope["models"] for claim in judged] == ["some-model"] * 3 + ["m16-ell8"] * 3
    assert layers.loss_claims({}, np.random.default_rng(0)) == []
