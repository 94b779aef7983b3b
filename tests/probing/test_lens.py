"""The lens where it is read only: exactness, share, chunks of a large vocabulary, memory."""

import json

import numpy as np
import pytest
import torch

from companion import probing
from companion.corpus import open_source
from companion.models import capture
from companion.probing.lens import readout
from companion.probing.lens.last_block import replayed_at, separable
from companion.probing.lens.share import lens_share, lenses_read
from companion.probing.sweep import memory


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gemma3", "mixtral"])
def test_a_replay_at_some_tokens_is_the_replay_at_all_of_them(family, build_model, tokens):
    model = build_model(family, "float64")
    positions = torch.tensor([1, 5, 14, 30])
    with torch.no_grad():
        stream = capture(model, tokens)
        mlp = separable(model, stream, 1e-8)
        assert mlp in ("mlp", "block_sparse_moe")
        for h in stream.h[:-1]:
            some, whole = (replayed_at(model, stream, positions, part)(h) for part in (mlp, None))
            torch.testing.assert_close(some, whole, rtol=1e-9, atol=1e-9)


def test_a_part_that_mixes_tokens_is_left_whole(build_model, tokens):
    model = build_model("llama")
    mlp, own = model.blocks[-1].mlp, model.blocks[-1].mlp.forward
    mlp.forward = lambda x: own(x) + x.cumsum(-2)
    with torch.no_grad():
        assert separable(model, capture(model, tokens), 1e-3) is None
    certificate = probing.certify(model)
    assert certificate["by_token"] is None


def test_pieces_of_logits_reduce_to_the_same(llama, draw, monkeypatch):
    tokens = draw(4, 16)
    whole = probing.probe(llama, tokens, lens="both")
    monkeypatch.setattr(readout, "chunk_size", lambda device, bytes_each: 1)
    pieces = probing.probe(llama, tokens, lens="both")
    for name in ("cross_entropy", "kl_logit", "entropy", "top1_logit"):
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-4, atol=1e-5)


def test_the_share_costs_about_a_forward_pass(build_model):
    small, wide = build_model("llama"), build_model("llama", vocab_size=50_000)
    assert lens_share(small, "none", 12) == 1.0
    assert lens_share(wide, "both", 12) < lens_share(wide, "logit", 12) < 0.1
    assert lens_share(wide, "last_block", 12) < lens_share(small, "last_block", 12) <= 1
    assert [lenses_read(3, lens) for lens in ("none", "last_block", "logit", "both")] == [
        0,
        3,
        4,
        6,
    ]


def test_the_share_by_cost_is_the_same_run_as_that_number(build_model, draw, tmp_path):
    model, tokens = build_model("llama", vocab_size=2000), draw(6, 16)
    asked = probing.probe(model, tokens, lens_fraction="auto", out=tmp_path / "a.nc")
    share = asked.attrs["lens_fraction"]
    assert share == lens_share(model, "last_block", 16) < 1
    with pytest.warns(UserWarning, match="complete"):
        probing.probe(model, tokens, lens_fraction=share, out=tmp_path / "a.nc", resume=True)
    assert json.loads(asked.attrs["provenance"])[0]["parameters"]["lens_fraction"] == "auto"


def test_a_large_vocabulary_never_has_all_its_logits_at_once(build_model, draw, monkeypatch):
    model = build_model("gemma3", vocab_size=262_144)
    tokens, largest, real = draw(2, 24), [0], type(model).readout

    def watched(self, z):
        logits = real(self, z)
        largest[0] = max(largest[0], logits.nbytes)
        return logits

    with torch.no_grad():
        certificate = probing.certify(model)
    assert certificate["lens"] <= certificate["tolerance"]
    monkeypatch.setattr(type(model), "readout", watched)
    monkeypatch.setattr("companion.probing.sweep.run.certify", lambda *_: {"by_token": None})
    result = probing.probe(model, tokens, lens="both")
    settings = probing.settings.Settings(lens="both")
    assert np.isfinite(result.cross_entropy_logit.sel(statistic="mean").values[0]).all()
    assert largest[0] <= memory.logit_bytes(model, settings) < 46 * 6 * model.V * 4


def test_a_transformers_model_in_memory_is_probed_as_it_is(llama, tokens):
    ours, theirs = (probing.probe(net, tokens) for net in (llama, llama.net))
    for name in ("theta", "cross_entropy"):
        np.testing.assert_array_equal(theirs[name], ours[name])
    assert theirs.attrs["model"] == "llama in memory"


def test_an_estimate_knows_shards_and_runs_no_whole_probe(llama, draw):
    whole = probing.estimate_probe(llama, draw(40, 16))
    part = probing.estimate_probe(llama, draw(40, 16), shard="1/4", lens_fraction="auto")
    assert (whole.tokens, part.tokens) == (640, 160)
    assert whole.memory > sum(p.nbytes for p in llama.net.parameters())
    assert whole.seconds > 0


def test_a_text_is_known_by_what_is_in_it(tmp_path):
    text = tmp_path / "text.txt"
    facts = []
    for words in ("one two three", "one two thrEe"):
        text.write_text(words)
        facts.append(open_source(str(text)).facts)
    assert facts[0].keys() == facts[1].keys()
    assert facts[0] != facts[1]
