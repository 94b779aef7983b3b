"""The lens where it is read only: exactness, share, chunks of a large vocabulary, memory."""

import json

import numpy as np
import pytest
import torch
from scipy import stats

from companion import probing
from companion.corpus import open_source
from companion.models import capture
from companion.probing.lens import readout
from companion.probing.lens.last_block import replayed_at, separable
from companion.probing.lens.share import lens_share, lenses_read
from companion.probing.sweep import memory

SPLIT = ["mlp", "self_attn.q_proj", "self_attn.o_proj"]
SEPARABLE = {
    "llama": SPLIT,
    "gemma3": SPLIT,
    "mixtral": SPLIT,
    "gpt_neox": ["mlp", "attention.dense"],
}


@pytest.mark.parametrize("family", SEPARABLE)
def test_a_replay_at_some_tokens_is_the_replay_at_all_of_them(family, build_model, tokens):
    model = build_model(family, "float64")
    positions = torch.tensor([1, 5, 14, 30])
    with torch.no_grad():
        stream = capture(model, tokens)
        parts = separable(model, stream, 1e-8)
        assert parts == SEPARABLE[family]
        for h in stream.h[:-1]:
            some, whole = (replayed_at(model, stream, positions, part)(h) for part in (parts, []))
            torch.testing.assert_close(some, whole, rtol=1e-9, atol=1e-9)


def test_a_part_that_mixes_tokens_is_left_whole(build_model, tokens):
    model = build_model("llama")
    mlp, own = model.blocks[-1].mlp, model.blocks[-1].mlp.forward
    mlp.forward = lambda x: own(x) + x.cumsum(-2)
    with torch.no_grad():
        assert separable(model, capture(model, tokens), 1e-3) == []
    certificate = probing.certify(model)
    assert certificate["by_token"] == []


@pytest.mark.parametrize("family", ["llama", "gemma2", "cohere"])  # plain, soft cap, scale
def test_pieces_of_logits_reduce_to_the_same(family, build_model, draw, monkeypatch):
    model, tokens = build_model(family), draw(4, 16)
    assert probing.certify(model)["by_column"]
    whole = probing.probe(model, tokens, lens="both")
    monkeypatch.setattr(readout, "chunk_size", lambda device, bytes_each: 1)
    monkeypatch.setattr(readout, "COLUMNS", 7)
    pieces = probing.probe(model, tokens, lens="both")
    for name in ("cross_entropy", "kl", "kl_logit", "entropy", "top1_logit"):
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-4, atol=1e-5)


def test_sums_of_pieces_are_those_of_float64_softmax():
    generator = torch.Generator().manual_seed(0)
    logits = 20 * torch.randn(3, 10, 200, generator=generator, dtype=torch.float64) + 1000
    target = torch.randint(0, 200, (10,), generator=generator)
    sums = readout.reduce_logits(logits[..., :3], target)
    for at in range(3, 200, 50):
        sums = sums.merge(readout.reduce_logits(logits[..., at : at + 50], target - at))
    p, final = logits.softmax(-1).numpy(), logits[-1].softmax(-1).numpy()
    likely = np.take_along_axis(p, np.broadcast_to(target.numpy(), (3, 10))[..., None], -1)
    expected = (
        -np.log(likely[..., 0]),
        stats.entropy(p, axis=-1),
        stats.entropy(np.broadcast_to(final, p.shape), p, axis=-1),
        p.argmax(-1) == final.argmax(-1),
    )
    for ours, theirs in zip(sums.quantities(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_pieces_that_are_cut_off_add_nothing():
    logits = torch.randn(3, 10, 200, generator=torch.Generator().manual_seed(0))
    logits[..., :50] = torch.finfo(logits.dtype).min
    target = torch.arange(100, 110)
    whole = readout.reduce_logits(logits, target).quantities()
    sums = readout.reduce_logits(logits[..., :50], target)
    sums = sums.merge(readout.reduce_logits(logits[..., 50:], target - 50))
    for ours, theirs in zip(sums.quantities(), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_head_that_weighs_tokens_against_each_other_is_read_whole(build_model, draw):
    model = build_model("llama")
    own = model.net.forward

    def normed(*args, **kwargs):
        answer = own(*args, **kwargs)
        answer.logits = answer.logits.log_softmax(-1)
        return answer

    model.net.forward = normed
    certificate = probing.certify(model)
    assert not certificate["by_column"]
    assert readout.Readout.of(model, certificate).columns == model.V
    result = probing.probe(model, draw(2, 16))
    assert np.isfinite(result.cross_entropy.sel(group="rest", statistic="mean")[:-1]).all()


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
    tokens, largest, real = draw(2, 24), [0], type(model).head

    def watched(self, z, columns=None):
        logits = real(self, z, columns)
        largest[0] = max(largest[0], logits.nbytes)
        return logits

    with torch.no_grad():
        certificate = probing.certify(model)
    assert certificate["lens"] <= certificate["tolerance"]
    monkeypatch.setattr(type(model), "head", watched)
    settings = probing.settings.Settings(lens="both")
    for by_column, columns in ((False, model.V), (True, readout.COLUMNS)):
        certificate = {"by_token": [], "by_column": by_column}
        monkeypatch.setattr("companion.probing.sweep.run.certify", lambda *_, c=certificate: c)
        largest[0] = 0
        result = probing.probe(model, tokens, lens="both")
        assert np.isfinite(result.cross_entropy_logit.sel(statistic="mean").values[0]).all()
        most = memory.logit_bytes(model, settings, columns)
        assert 0 < largest[0] <= most < 46 * 6 * model.V * 4


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
