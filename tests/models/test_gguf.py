"""GGUF files: a whole one loads as its own weights, anything else ends in one sentence."""

import contextlib

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion import models
from companion.errors import InputError
from companion.models.sources.gguf import dequantised, read_header
from companion.runtime import Runtime

CPU = Runtime.choose("cpu")
M, V, ELL, HIDDEN = 64, 40, 2, 96


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))


def _shapes():
    yield "token_embd.weight", (V, M)
    yield "output_norm.weight", (M,)
    for layer in range(ELL):
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", (M,)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{name}.weight", (M, M)
        for name in ("ffn_gate", "ffn_up"):
            yield f"blk.{layer}.{name}.weight", (HIDDEN, M)
        yield f"blk.{layer}.ffn_down.weight", (M, HIDDEN)


def _write(path, architecture="llama", quantise=False, merge="A B"):
    """A llama of two blocks with a tokenizer of single characters; its weights by name."""
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(64)
    writer.add_embedding_length(M)
    writer.add_block_count(ELL)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(V)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<|endoftext|>", *(chr(65 + i) for i in range(V - 2)), "AB"])
    writer.add_token_types([1] * V)
    writer.add_token_merges([merge])
    writer.add_eos_token_id(0)
    generator = np.random.default_rng(0)
    weights = {}
    for name, shape in _shapes():
        values = (0.1 * generator.standard_normal(shape)).astype(np.float32) + (len(shape) == 1)
        if quantise and len(shape) == 2:
            packed = quants.quantize(values, GGMLQuantizationType.Q4_1)
            weights[name] = quants.dequantize(packed, GGMLQuantizationType.Q4_1)
            writer.add_tensor(name, packed, raw_dtype=GGMLQuantizationType.Q4_1)
        else:
            weights[name] = values
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


@pytest.fixture
def whole(tmp_path):
    _write(tmp_path / "small.gguf")
    return tmp_path / "small.gguf"


def test_a_quantised_file_loads_as_its_dequantised_weights(tmp_path, capfd):
    weights = _write(tmp_path / "q.gguf", quantise=True)
    model = models.load_model(str(tmp_path / "q.gguf"), CPU)
    assert (model.m, model.ell, model.V, model.family) == (M, ELL, V, "llama")
    assert model.origin["file"] == "q.gguf"
    state = model.net.state_dict()
    down = state["model.layers.1.mlp.down_proj.weight"].numpy()
    np.testing.assert_array_equal(down, weights["blk.1.ffn_down.weight"])
    embedding = state["model.embed_tokens.weight"].numpy()
    np.testing.assert_array_equal(embedding, weights["token_embd.weight"])
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("note: dequantising q.gguf, once")
    assert err.count("\n") == 1


def test_the_copy_is_made_once_and_gives_the_same_logits(whole, capfd):
    ids = torch.arange(12).reshape(1, 12)
    first = models.load_model(str(whole), CPU).logits(ids)
    capfd.readouterr()
    second = models.load_model(str(whole), CPU).logits(ids)
    assert torch.equal(first, second)
    assert capfd.readouterr() == ("", "")


def test_a_changed_file_is_converted_again(whole, tmp_path):
    first = dequantised(whole, lambda told: None)
    _write(whole, quantise=True)
    assert dequantised(whole, lambda told: None) != first


def test_the_header_agrees_with_the_format_s_own_reader(whole):
    header, reader = read_header(whole), GGUFReader(whole)
    assert header.architecture == "llama"
    shapes = {tensor.name: tuple(tensor.shape) for tensor in reader.tensors}
    assert {name: shape for name, (shape, _) in header.tensors.items()} == shapes
    assert header.metadata["tokenizer.ggml.tokens"] == V
    assert header.parameters == sum(tensor.n_elements for tensor in reader.tensors)


def test_a_file_cut_short_names_what_is_missing(whole):
    whole.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"'small.gguf' is no usable GGUF file: tensor '.*' ends"):
        models.load_model(str(whole), CPU)


def test_other_files_are_refused_by_what_they_are(whole, tmp_path):
    (tmp_path / "no.gguf").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(InputError, match="does not begin with the letters GGUF"):
        models.load_model(str(tmp_path / "no.gguf"), CPU)
    (tmp_path / "empty.gguf").write_bytes(b"")
    with pytest.raises(InputError, match="does not begin with the letters GGUF"):
        models.load_model(str(tmp_path / "empty.gguf"), CPU)
    (tmp_path / "weights.bin").write_bytes(whole.read_bytes())
    with pytest.raises(InputError, match=r"give a \.gguf file"):
        models.load_model(str(tmp_path / "weights.bin"), CPU)
    with pytest.raises(InputError, match="without a revision"):
        models.load_model(f"{whole}@step1", CPU)


def test_an_architecture_that_cannot_be_read_is_named(tmp_path):
    _write(tmp_path / "other.gguf", architecture="rwkv7")
    with pytest.raises(InputError, match=r"architecture 'rwkv7', which .* it reads bloom, .*llama"):
        models.load_model(str(tmp_path / "other.gguf"), CPU)


def test_a_file_whose_parts_do_not_fit_is_refused_in_one_sentence(whole):
    # The header is sound, but the model has fewer tensors than its metadata says.
    data = whole.read_bytes().replace(b"blk.1.ffn_down", b"blk.1.ffn_dawn")
    whole.write_bytes(data)
    with pytest.raises(InputError) as refused:
        models.load_model(str(whole), CPU)
    assert "\n" not in str(refused.value)


def test_a_panic_in_the_tokenizer_is_one_sentence(tmp_path, capfd):
    _write(tmp_path / "bad.gguf", merge="A ZZ")
    with pytest.raises(InputError, match=r"'bad\.gguf' could not be dequantised: \w") as refused:
        models.load_model(str(tmp_path / "bad.gguf"), CPU)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err.count("\n") == 1  # the note on what is begun


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(4, 3000), patch=st.binary(min_size=1, max_size=9), cut=st.booleans())
def test_no_header_however_broken_costs_more_than_a_sentence(whole, tmp_path, place, patch, cut):
    data = bytearray(whole.read_bytes())
    data[place : place + len(patch)] = patch
    hostile = tmp_path / "hostile.gguf"
    hostile.write_bytes(data[: place + 9] if cut else data)
    with contextlib.suppress(InputError):  # and nothing else may come out of it
        read_header(hostile)


def test_too_little_memory_is_said_before_it_is_used(whole, monkeypatch):
    monkeypatch.setattr("companion.runtime.free_memory", lambda device: 1000)
    with pytest.raises(InputError, match=r"dequantising 'small.gguf' needs 0.0 GB .* are free"):
        models.load_model(str(whole), CPU)
