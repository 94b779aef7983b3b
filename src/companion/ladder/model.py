"""The ladder's models: transformers' Llama, initialised and given rates by a stated rule."""

from __future__ import annotations

import math
from typing import Any

from companion.ladder.grid import HEAD_WIDTH, Grid, Run

EMBEDDING_STD = 1.0


def hidden_width(m: int) -> int:
    """Width of the gated MLP: 8 m / 3, rounded up to a multiple of 32."""
    return math.ceil(8 * m / 3 / 32) * 32


def build(grid: Grid, run: Run) -> Any:
    """A freshly initialised LlamaForCausalLM, float32, fixed by the run's seed.

    Matrices have standard deviation fan_in^(-1/2), the two that write into the residual stream
    (2 ell)^(-1/2) of that (`branch_scale` "inverse-sqrt-depth"), embeddings 1, the unembedding 1/m:
    the width rule of muP for Adam (Yang et al. 2022), the depth rule of GPT-2. Embeddings as large
    as what all blocks together write matter: with 0.02, deeper models started more slowly.

    With `run.parallel` p the ell blocks stand in ell/p rows of p that read the same state, and a
    row adds what all of its blocks write; parameters and their initial values are the same.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = run.m // HEAD_WIDTH
    config = LlamaConfig(
        vocab_size=grid.vocabulary,
        hidden_size=run.m,
        intermediate_size=hidden_width(run.m),
        num_hidden_layers=run.ell,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=grid.context,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        net = LlamaForCausalLM(config)
        for name, weight in net.named_parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=initial_std(name, weight.shape[1], grid, run))
    if run.parallel > 1:
        net.model.layers = rows_of(net.model.layers, run.parallel)
    return net


def rows_of(blocks: Any, parallel: int) -> Any:
    """The blocks in rows of `parallel`, each row a module that adds what its blocks write."""
    from torch import nn

    class Row(nn.ModuleList):
        def forward(self, h: Any, **context: Any) -> Any:
            return h + sum(block(h, **context) - h for block in self)

    every = list(blocks)
    return nn.ModuleList(Row(every[i : i + parallel]) for i in range(0, len(every), parallel))


def logits(net: Any, ids: Any) -> Any:
    """Logits (batch, position, vocabulary) of whole causal blocks `ids` (batch, position).

    What the model's own forward computes, without its search for masks, packed texts and caches:
    that asks the device at each step, and a CUDA graph cannot hold it.
    """
    import torch

    h = net.model.embed_tokens(ids)
    positions = torch.arange(ids.shape[1], device=ids.device)[None]
    turns = net.model.rotary_emb(h, position_ids=positions)
    for block in net.model.layers:
        h = block(h, position_embeddings=turns)
    return net.lm_head(net.model.norm(h))


def initial_std(name: str, fan_in: int, grid: Grid, run: Run) -> float:
    """Standard deviation of the initial entries of matrix `name`, see `build`."""
    if "embed_tokens" in name:
        return EMBEDDING_STD
    if "lm_head" in name:
        return 1 / run.m
    writes = "o_proj" in name or "down_proj" in name
    scaled = writes and grid.branch_scale == "inverse-sqrt-depth"
    return fan_in**-0.5 * ((2 * run.ell) ** -0.5 if scaled else 1.0)


def parameter_groups(net: Any, grid: Grid, run: Run) -> list[dict[str, Any]]:
    """Parameters with their peak learning rates.

    Matrices: rate * base_width / m, with weight decay; embeddings and norms: rate, without.
    """
    matrices = [p for n, p in net.named_parameters() if p.ndim == 2 and "embed_tokens" not in n]
    others = [p for n, p in net.named_parameters() if p.ndim != 2 or "embed_tokens" in n]
    peak = run.learning_rate * grid.base_width / run.m
    return [
        {"params": matrices, "peak": peak, "weight_decay": grid.weight_decay},
        {"params": others, "peak": run.learning_rate, "weight_decay": 0.0},
    ]


def flops_per_token(net: Any) -> float:
    """Training flops per token by count: 6 a matrix entry, embeddings free, attention 6 m T ell.

    T/2 keys are seen on average, two products of m each, forward and twice that backward.
    """
    entries = sum(
        p.numel() for n, p in net.named_parameters() if p.ndim == 2 and "embed_tokens" not in n
    )
    c = net.config
    attention = 6 * c.hidden_size * c.max_position_embeddings * c.num_hidden_layers
    return 6.0 * entries + attention
