"""Simulated quantisation: llama.cpp's own reader and writer as oracles, limits and invariances."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, quants
from transformers import GPT2Config, LlamaConfig
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from companion.errors import InputError
from companion.models import Model
from companion.models.block_formats import FORMATS
from companion.models.quantisation import (
    SCHEMES,
    Shift,
    bands,
    formats,
    quantise,
    rounded,
    shifts,
)
from companion.runtime import Runtime

K_FORMATS = ("Q4_K", "Q6_K")
SHAPE = {"vocab_size": 64, "num_attention_heads": 4, "num_hidden_layers": 8}


def gaussian(rows=64, columns=512, seed=0):
    return 0.05 * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def model(**changes):
    torch.manual_seed(0)
    settings = SHAPE | {"hidden_size": 64, "intermediate_size": 96} | changes
    net = AutoModelForCausalLM.from_config(LlamaConfig(**settings))
    return Model.of(net, Runtime.choose("cpu", "float32"), None, "tiny")


def random_file(kind, blocks=200, seed=0):
    """What a reader makes of random but valid bytes of a K format; (block, 256)."""
    bytes_of = np.random.default_rng(seed).integers(0, 256, (blocks, {"Q4_K": 144}.get(kind, 210)))
    packed = bytes_of.astype(np.uint8)
    scale = np.full((blocks, 1), 1e-3, np.float16).view(np.uint8)
    if kind == "Q4_K":
        packed[:, :2], packed[:, 2:4] = scale, scale
    else:
        packed[:, -2:] = scale
    return torch.from_numpy(quants.dequantize(packed, GGMLQuantizationType[kind]))


@pytest.mark.parametrize("name", ["Q4_1", "Q5_0", "Q8_0"])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 0.0])
def test_simple_formats_are_what_the_library_writes_and_reads(name, scale):
    weight = scale * gaussian()
    kind = GGMLQuantizationType[name]
    expected = quants.dequantize(quants.quantize(weight.numpy(), kind), kind)
    np.testing.assert_array_equal(rounded(weight, FORMATS[name]).numpy(), expected)


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("weight", [gaussian(), gaussian().abs(), gaussian() * 0, 1 - gaussian()])
def test_rounding_what_is_rounded_changes_nothing(name, weight):
    once = rounded(weight, FORMATS[name])
    twice = rounded(once, FORMATS[name])
    moved = (once - weight).square().mean().sqrt()
    assert (twice - once).square().mean().sqrt() <= 0.02 * moved
    assert once.isfinite().all()


@pytest.mark.parametrize("name", K_FORMATS)
def test_any_file_of_a_k_format_is_nearly_a_fixed_point(name):
    """The search for scales may prefer others, never by much of a step."""
    read = random_file(name)
    again = rounded(read, FORMATS[name])
    steps = {"Q4_K": 15, "Q6_K": 63}[name]
    spread = (read.amax(-1) - read.amin(-1)).mean() / steps
    assert (again - read).square().mean().sqrt() < 0.5 * spread / math.sqrt(3)


@pytest.mark.parametrize(("name", "steps"), [("Q4_1", 15), ("Q5_0", 31), ("Q8_0", 254)])
def test_no_weight_moves_by_more_than_half_a_step(name, steps):
    weight = gaussian()
    blocks = weight.reshape(-1, 32)
    reach = 2 * blocks.abs().amax(-1) if steps > 15 else blocks.amax(-1) - blocks.amin(-1)
    moved = (rounded(weight, FORMATS[name]) - weight).reshape(-1, 32).abs().amax(-1)
    stored = 2e-3 * blocks.abs().amax(-1)  # scales have eleven bits
    limit = reach / steps * (1 if name == "Q5_0" else 0.5)  # -16..15 has no +16
    assert (moved <= limit + stored).all()


def test_the_search_for_scales_beats_the_plain_grid_on_its_own_measure():
    weight = gaussian()
    sub = weight.reshape(-1, 32)
    importance = sub.square().mean(-1, keepdim=True).sqrt() + sub.abs()

    def error(name):
        away = rounded(weight, FORMATS[name]).reshape(-1, 32) - sub
        return float((importance * away.square()).sum())

    assert error("Q4_K") < error("Q4_1")


def test_more_bits_move_weights_less():
    weight = gaussian()
    ordered = sorted((f for f in FORMATS.values() if f.size > 1), key=lambda f: f.bits)
    moved = [float((rounded(weight, f) - weight).square().mean()) for f in ordered]
    assert moved[-3:] == sorted(moved[-3:], reverse=True)  # 5.5, 6.6 and 8.5 bits
    assert max(moved[:2]) > min(moved[:2]) > moved[2]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_formats_scale_with_the_weights(name):
    weight = 20 * gaussian()  # so that no scale is below the least normal number of 16 bits
    by_four = rounded(4 * weight, FORMATS[name])
    torch.testing.assert_close(by_four, 4 * rounded(weight, FORMATS[name]), rtol=2e-3, atol=1e-6)


SMOLLM2 = {"blocks": "Q4_1", "embed_tokens": "Q8_0"}
GEMMA3 = {"q_proj": "Q5_0", "k_proj": "Q5_0", "o_proj": "Q4_K", "gate_proj": "Q5_0"}
MORE_BITS = {0, 1, 4, 7, 10, 13, 15, 16, 17}


def test_formats_are_those_of_the_files_smollm2_and_gemma3():
    """As read out of the two files; widths are theirs, up to the number of rows."""
    smol = model(hidden_size=576, intermediate_size=1536, num_hidden_layers=30)
    found = {name.split(".")[-2]: f.name for name, f in formats(smol, "Q4_1").items()}
    assert found.pop("embed_tokens") == found.pop("lm_head") == SMOLLM2["embed_tokens"]
    assert set(found.values()) == {SMOLLM2["blocks"]}
    wide = {"hidden_size": 640, "intermediate_size": 2048, "head_dim": 256}
    gemma = model(**wide, num_hidden_layers=18, tie_word_embeddings=True)
    for name, found in formats(gemma, "Q4_K_M").items():
        *path, module, _ = name.split(".")
        if module == "embed_tokens":
            assert found.name == "Q8_0"
            continue
        more = int(path[2]) in MORE_BITS
        special = {"v_proj": ("Q5_0", "Q8_0"), "down_proj": ("Q4_K", "Q6_K")}
        expected = special[module][more] if module in special else GEMMA3.get(module, "Q5_0")
        assert found.name == expected, name


def test_a_narrow_model_gets_the_formats_of_gemmas_file():
    narrow, wide = model(), model(hidden_size=640, intermediate_size=2048, head_dim=256)
    ours, theirs = formats(narrow, "Q4_K_M-gemma3"), formats(wide, "Q4_K_M")
    assert {n: f.name for n, f in ours.items()} == {n: f.name for n, f in theirs.items()}
    assert {f.name for f in formats(narrow, "Q4_K_M").values()} == {"Q5_0", "Q8_0"}
    odd = model(hidden_size=40, intermediate_size=50)
    assert {f.name for f in formats(odd, "Q4_1").values()} == {"F16"}


def test_only_matrices_change_and_the_model_given_does_not():
    given = model(tie_word_embeddings=True)
    before = {name: weight.clone() for name, weight in given.net.named_parameters()}
    made = quantise(given, "Q4_1")
    for name, weight in made.net.named_parameters():
        assert torch.equal(given.net.get_parameter(name), before[name])
        assert torch.equal(weight, before[name]) == (weight.ndim == 1)
    assert made.unembedding.weight is made.net.get_input_embeddings().weight
    assert made.name == "tiny (Q4_1)"


def test_a_quantised_model_is_a_fixed_point_and_nearly_the_same_model():
    given = model()
    tokens = torch.randint(0, 64, (2, 8), generator=torch.Generator().manual_seed(0))
    for scheme in SCHEMES:
        once, twice = (m := quantise(given, scheme)), quantise(m, scheme)
        with torch.inference_mode():
            a, b, c = (m.logits(tokens) for m in (given, once, twice))
        assert 0 < (b - a).abs().mean() < 0.3 * a.abs().mean()
        torch.testing.assert_close(c, b, rtol=1e-3, atol=1e-3 * float(b.abs().mean()))


def test_shifts_and_bands_of_a_planted_statistic():
    given = model()

    def statistic(model):
        rounds = "(" in model.name
        return {"a": 3.0 if rounds else 2.0, "b.1": -1.0, "b.2": 0.5 if rounds else 1.0}

    found = shifts(given, statistic, ["Q4_1"])
    assert [one.shift for one in found] == [1.0, 0.0, -0.5]
    band = bands(found + [replace(one, model="other") for one in found])["Q4_1"]
    assert band["a"]["largest"] == 1.0
    assert band["a"]["mean_relative"] == 0.5
    assert band["b"] == {
        "mean": 0.25,
        "largest": 0.5,
        "mean_relative": 0.25,
        "largest_relative": 0.5,
        "models": 2,
    }
    nothing = Shift("x", 2, 4, "Q4_1", "c", 0.0, 0.1)
    assert bands([nothing])["Q4_1"]["c"]["largest_relative"] is None


def test_what_files_do_not_hold_is_refused():
    with pytest.raises(InputError, match="scheme 'Q3_K' is unknown: use one of Q4_1"):
        quantise(model(), "Q3_K")
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": None, "eos_token_id": None}
    net = AutoModelForCausalLM.from_config(GPT2Config(vocab_size=64, **shape))
    other = Model.of(net, Runtime.choose("cpu", "float32"), None, "gpt2")
    with pytest.raises(InputError, match=r"'transformer.wte.weight' of 'gpt2' has no counterpart"):
        quantise(other, "Q4_1")
