"""Models of known shapes with random weights: what a product costs does not depend on them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig

from companion.models import Model
from companion.runtime import Runtime

LADDER = LlamaConfig(
    vocab_size=2048,
    hidden_size=128,
    intermediate_size=384,
    num_hidden_layers=8,
    num_attention_heads=4,
    num_key_value_heads=4,
    max_position_embeddings=256,
    tie_word_embeddings=True,
)
SMOLLM2_135M = LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    max_position_embeddings=2048,
    tie_word_embeddings=True,
)
PYTHIA_410M = GPTNeoXConfig(
    vocab_size=50304,
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    max_position_embeddings=2048,
)


def build(config: Any, runtime: Runtime) -> Model:
    """A model of that configuration, its weights from seed 0."""
    torch.manual_seed(0)
    net = AutoModelForCausalLM.from_config(config)
    return Model.of(net.to(runtime.torch_device, runtime.torch_dtype), runtime)
