"""Tiny random models of several families, built in code."""

import numpy as np
import pytest
import torch
from transformers import (
    BloomConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MptConfig,
    OPTConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from companion.models import Model
from companion.runtime import Runtime

V, M, ELL = 300, 32, 4
USUAL = {
    "vocab_size": V,
    "hidden_size": M,
    "num_hidden_layers": ELL,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
CONFIGS = {
    "llama": LlamaConfig(**USUAL),
    "gpt_neox": GPTNeoXConfig(**USUAL),
    "gpt2": GPT2Config(
        vocab_size=V,
        n_embd=M,
        n_layer=ELL,
        n_head=4,
        n_positions=64,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "opt": OPTConfig(**USUAL, ffn_dim=64, word_embed_proj_dim=16, do_layer_norm_before=False),
    "gemma2": Gemma2Config(**USUAL, head_dim=8, num_key_value_heads=2, sliding_window=4),
    "gemma3": Gemma3TextConfig(
        **USUAL,
        head_dim=8,
        num_key_value_heads=2,
        sliding_window=4,
        layer_types=["sliding_attention", "full_attention"] * 2,
    ),
    "bloom": BloomConfig(vocab_size=V, hidden_size=M, n_layer=ELL, n_head=4),
    "mpt": MptConfig(vocab_size=V, d_model=M, n_layers=ELL, n_heads=4, max_seq_len=64),
}


def built(family):
    """A loaded model as `companion.models` gives it: random, with weights large enough to act."""
    torch.manual_seed(0)
    net = AutoModelForCausalLM.from_config(CONFIGS[family]).eval()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim == 2:
                weight.mul_(4)
    runtime = Runtime.choose("cpu", "float32", seed=3)
    return Model.of(net, runtime, letters(), f"tiny-{family}")


def letters():
    """A byte-level tokenizer whose only merges make " np" and "py" tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("n", "p"), ("Ġ", "np"), ("p", "y")]
    words = [*alphabet, *("".join(pair) for pair in merges)]
    inner = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner)


@pytest.fixture(params=sorted(CONFIGS))
def model(request):
    return built(request.param)


@pytest.fixture
def llama():
    return built("llama")


@pytest.fixture
def tokens():
    return torch.randint(0, V, (3, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def build():
    return built


@pytest.fixture
def generator():
    return np.random.default_rng(0)
