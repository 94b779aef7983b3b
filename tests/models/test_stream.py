"""The residual stream of one run: replayed, called anew for other batches, and left as it was."""

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

from companion.errors import InputError
from companion.models import Model, as_model, calls_for, capture, cost, memory, replay, token_losses
from companion.models.hooks import replaced
from companion.runtime import Runtime

USUAL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
}
KINDS = ["sliding_attention", "full_attention", "sliding_attention"]


def built(family):
    torch.manual_seed(0)
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**USUAL))
    extra = {"head_dim": 8, "sliding_window": 3, "layer_types": KINDS}
    return Gemma3ForCausalLM(Gemma3TextConfig(**USUAL, **extra))


@pytest.fixture(params=["llama", "gemma3"])
def model(request):
    return Model.of(built(request.param), Runtime.choose("cpu", "float32"))


@pytest.fixture
def tokens():
    return torch.randint(0, 60, (2, 9), generator=torch.Generator().manual_seed(1))


def test_every_block_replayed_gives_the_next_state(model, tokens):
    stream = capture(model, tokens)
    with torch.no_grad():
        for layer in range(model.ell):
            found = replay(model, stream, layer, stream.h[layer])
            torch.testing.assert_close(found, stream.h[layer + 1])


def test_calls_for_a_batch_of_copies_give_copies(model, tokens):
    stream = capture(model, tokens)
    calls = calls_for(model, tokens.repeat(3, 1), stream)
    h = stream.h[0].repeat(3, 1, 1)
    with torch.no_grad():
        for block, call in zip(model.blocks, calls, strict=True):
            h = call(block, h)
    torch.testing.assert_close(h, stream.h[-1].repeat(3, 1, 1))


def test_readout_of_the_last_state_is_what_the_model_says(model, tokens):
    stream = capture(model, tokens)
    with torch.no_grad():
        own = model.logits(tokens)
        torch.testing.assert_close(model.readout(stream.h[-1]), own)
        torch.testing.assert_close(model.logits(tokens, last=2), own[:, -2:])


def test_noise_is_added_to_the_embedding(model, tokens):
    clean = capture(model, tokens)
    noise = torch.zeros(*tokens.shape, model.m)
    noise[:, 4] = 1.0
    found = capture(model, tokens, noise=noise)
    torch.testing.assert_close(found.h[0] - clean.h[0], noise)
    torch.testing.assert_close(found.h[:, :, :4], clean.h[:, :, :4])


def test_a_replaced_module_is_itself_again_also_within_another_replacement(model):
    block = model.blocks[0]
    with replaced({block: lambda: "outer"}):
        with replaced({block: lambda: "inner"}):
            assert block.forward() == "inner"
        assert block.forward() == "outer"
    assert "forward" not in vars(block)


def test_losses_in_chunks_equal_those_of_all_logits(model, tokens, monkeypatch):
    stream = capture(model, tokens)
    z, target = stream.h[-1][:, :-1].flatten(0, 1), tokens[:, 1:].flatten()
    with torch.no_grad():
        logits = model.logits(tokens)[:, :-1].flatten(0, 1)
        expected = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        monkeypatch.setitem(memory.LOGIT_BYTES, "cpu", 3 * 4 * model.V)
        assert memory.tokens_read_at_once(model) == 3
        torch.testing.assert_close(token_losses(model, z, target), expected)


def test_cost_adds_up_and_is_positive(model):
    found = cost.measure(model, 8, seconds=0.02)
    assert found.block > 0
    assert found.readout > 0
    assert cost.Cost(2.0, 3.0).seconds(10, 100) == 320


def test_a_readout_is_worth_as_many_blocks_as_it_multiplies():
    wide = LlamaForCausalLM(LlamaConfig(**USUAL | {"vocab_size": 6000}))
    model = as_model(wide)
    inside = sum(w.numel() for w in model.blocks[0].parameters() if w.ndim == 2)
    assert cost.readout_weight(model) == round(6000 * 16 / inside)


def test_a_network_in_memory_becomes_a_model_where_it_is():
    net = built("llama").to(torch.float64)
    model = as_model(net, Runtime.choose("cpu", seed=7))
    assert model.net is net
    assert (model.runtime.dtype, model.runtime.seed) == ("float64", 7)
    assert as_model(model) is model


def test_a_name_is_loaded_and_what_is_no_model_is_refused(tmp_path):
    built("llama").save_pretrained(tmp_path)
    assert as_model(str(tmp_path)).ell == 3
    with pytest.raises(InputError, match="a Linear is no model: give a name"):
        as_model(torch.nn.Linear(2, 2))
