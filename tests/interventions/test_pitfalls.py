"""What real models hold in store: local layers, scaled embeddings, tied heads, vocabularies."""

import copy

import pytest
import torch
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from companion.interventions import ablate, gain_of_depth, loss_change
from companion.models import Model, memory


@pytest.fixture
def gemma(build):
    return build("gemma3")


def loss(net, tokens):
    """Mean cross-entropy as transformers itself computes it."""
    with torch.inference_mode():
        return float(net(input_ids=tokens, labels=tokens, use_cache=False).loss)


def rebuilt(model, order):
    """Another network whose blocks are those of `model` in this order, each of its own kind."""
    config = copy.deepcopy(model.net.config)
    config.layer_types = [model.net.config.layer_types[at] for at in order]
    config.num_hidden_layers = len(order)
    net = AutoModelForCausalLM.from_config(config).eval()
    weights = model.net.state_dict()
    net.load_state_dict({key: weights[_source(key, order)] for key in net.state_dict()})
    return net


def _source(key, order):
    head, mark, rest = key.partition("layers.")
    number, _, name = rest.partition(".")
    return f"{head}{mark}{order[int(number)]}.{name}" if mark else key


def test_the_family_is_what_it_is_tested_for(gemma):
    assert gemma.net.config.layer_types[:2] == ["sliding_attention", "full_attention"]
    assert gemma.unembedding.weight is gemma.net.get_input_embeddings().weight
    assert hasattr(gemma.blocks[0], "post_feedforward_layernorm")
    rotary = gemma.net.model.rotary_emb
    local, whole = (rotary.sliding_attention_inv_freq, rotary.full_attention_inv_freq)
    assert not torch.equal(local, whole)


@pytest.mark.parametrize(
    ("kind", "layer", "order"),
    [
        ("skip", 0, [1, 2, 3]),
        ("skip", 3, [0, 1, 2]),
        ("swap", 0, [1, 0, 2, 3]),
        ("swap", 1, [0, 2, 1, 3]),
        ("swap", 2, [0, 1, 3, 2]),
        ("repeat", 1, [0, 1, 1, 2, 3]),
    ],
)
def test_a_moved_block_keeps_its_rotary_base_and_mask(gemma, tokens, kind, layer, order):
    """The oracle is another model, whose configuration has the layer kinds in the new order."""
    found = ablate(gemma, tokens, kind)
    expected = loss(rebuilt(gemma, order), tokens) - loss(gemma.net, tokens)
    change = float(loss_change(found).sel(kind=kind, layer=layer))
    assert change == pytest.approx(expected, abs=2e-5)


def test_the_order_of_kinds_matters_here(gemma, tokens):
    """Or else the test above would pass for blocks that take the arguments of their new place."""
    right = rebuilt(gemma, [1, 0, 2, 3])
    wrong = rebuilt(gemma, [1, 0, 2, 3])
    wrong.load_state_dict(right.state_dict())
    for at, kind in enumerate(gemma.net.config.layer_types):
        wrong.model.config.layer_types[at] = kind
    assert loss(wrong, tokens) != pytest.approx(loss(right, tokens), abs=1e-4)


def test_without_blocks_the_scaled_embedding_is_read(gemma, tokens):
    found = ablate(gemma, tokens, "skip")
    weight = gemma.net.get_input_embeddings().weight
    with torch.inference_mode():
        h = weight[tokens] * gemma.m**0.5
        logits = gemma.net.model.norm(h) @ weight.T
    flat = logits[:, :-1].flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(flat, tokens[:, 1:].flatten())
    gain = float(expected) - loss(gemma.net, tokens)
    assert float(gain_of_depth(found)) == pytest.approx(gain, abs=1e-5)


def test_a_tied_head_stays_tied_and_unchanged(gemma, tokens):
    before = gemma.unembedding.weight.clone()
    ablate(gemma, tokens, ("skip", "swap"))
    assert gemma.unembedding.weight is gemma.net.get_input_embeddings().weight
    assert torch.equal(gemma.unembedding.weight, before)


def test_logits_of_a_huge_vocabulary_never_exist_at_once(gemma, tokens, monkeypatch):
    whole = ablate(gemma, tokens, "skip")
    monkeypatch.setitem(memory.LOGIT_BYTES, "cpu", 5 * 4 * gemma.V)
    read, own = [], Model.readout
    monkeypatch.setattr(Model, "readout", lambda model, z: read.append(len(z)) or own(model, z))
    chunked = ablate(gemma, tokens, "skip")
    assert max(read) == 5
    assert float(abs(chunked.loss - whole.loss).max()) < 1e-5
