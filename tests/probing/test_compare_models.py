"""The same probe on several models on disk, trained or not, in several number formats."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from companion.errors import InputError
from companion.evidence.probes import geometry
from companion.evidence.probes import probing as layers
from companion.evidence.probes.scope import scope_of_probes
from companion.probing import compare_models, numerics, summaries
from companion.runtime import Runtime

RUNTIME = Runtime.choose("cpu", seed=1)


def save_llama(folder, ell, tokenizer=True):
    """A tiny random Llama of `ell` blocks whose tokens are bytes."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {c: i for i, c in enumerate(["<|end|>", *sorted(alphabet)])}
    settings = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    settings |= {"num_hidden_layers": ell, "vocab_size": len(vocabulary), "eos_token_id": 0}
    torch.manual_seed(ell)
    LlamaForCausalLM(LlamaConfig(max_position_embeddings=64, **settings)).save_pretrained(folder)
    if tokenizer:
        raw = Tokenizer(models.BPE(vocabulary, []))
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        fast = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>")
        fast.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    record = json.dumps({"text": "The space needle is in downtown Seattle. " * 4})
    (folder / "text.jsonl").write_text(f"{record}\n" * 10, encoding="utf-8")
    (folder / "one.jsonl").write_text(record.replace("Seattle", "Seattle" * 99), encoding="utf-8")
    for ell in (6, 2, 4):
        save_llama(folder / f"ell{ell}", ell)
    return folder


@pytest.fixture
def options(home):
    return {"corpus": str(home / "text.jsonl"), "tokens": 512, "block_length": 32, "lens": "none"}


def test_each_once_and_shallow_ones_first(home, options):
    found = compare_models.probe_models(
        f"{home / 'ell6'}, {home / 'ell2'}, {home / 'ell4'}", RUNTIME, **options
    )
    assert list(found) == ["ell2", "ell4", "ell6"]
    assert [d.attrs["ell"] for d in found.values()] == [2, 4, 6]
    assert (
        compare_models.reuse_or_probe(str(home / "ell4"), found, RUNTIME, **options)
        is found["ell4"]
    )
    assert scope_of_probes(found)["size"] == "512 tokens a model"
    assert "models" in geometry.exponents({"models": found}, ("theta",)).index


def test_pick_probes_what_is_not_there(home, options):
    assert (
        compare_models.reuse_or_probe(str(home / "ell2"), {}, RUNTIME, **options).attrs["ell"] == 2
    )


def test_random_weights_are_seeded_and_other(home, options):
    name = str(home / "ell4")
    own = compare_models.probe_one(name, RUNTIME, **options)
    blank, again = (
        compare_models.probe_one(name, RUNTIME, untrained=True, **options) for _ in range(2)
    )
    rotation = [summaries.middle_mean(d).estimate for d in (own, blank, again)]
    assert rotation[1] == rotation[2] != rotation[0]
    assert blank.attrs["model"].endswith("(random weights)")


def test_forgetting_leaves_the_global_generator_alone(home, options):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    compare_models.probe_one(str(home / "ell2"), RUNTIME, untrained=True, **options)
    assert torch.equal(torch.rand(3), expected)


def test_certificate_is_a_table(home, options):
    frame = layers.certificate(compare_models.probe_one(str(home / "ell2"), RUNTIME, **options))
    assert float(frame.loc["lens", "result"]) < 1e-3


def test_no_tokenizer_is_refused(tmp_path, options):
    name = save_llama(tmp_path / "mute", 2, tokenizer=False)
    with pytest.raises(InputError, match="tokenizer"):
        compare_models.probe_one(name, RUNTIME, **options)


def test_number_formats_side_by_side(home, options):
    runs = numerics.compare(str(home / "ell4"), RUNTIME, **options)
    assert [d.attrs["dtype"] for d in runs.values()] == ["float32", "bfloat16", "bfloat16"]
    middle = [summaries.middle_mean(d).estimate for d in runs.values()]
    assert middle[1] == pytest.approx(middle[0], rel=0.02)
    assert "rounding noise" in geometry.rounding_sentence(runs)


@pytest.mark.parametrize("turn", [1e-4, 0.1, 3.1])
def test_the_stable_formula_beats_the_cosine(turn):
    good, bad = numerics.turn_errors(turn, RUNTIME)["largest error (rad)"]
    assert good < 1e-6
    assert good <= bad


def test_text_of_one_document_is_refused(home, options):
    with pytest.raises(InputError, match=r"512 tokens read of corpus .* are of one document"):
        compare_models.probe_one(
            str(home / "ell2"), RUNTIME, **options | {"corpus": str(home / "one.jsonl")}
        )
