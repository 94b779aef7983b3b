"""Disturbing every block: `ablate` beside a loop of whole forward passes, in turns on one machine.

The loop changes one block at a time in a `with` and lets the model compute logits and loss of every
token, as one would with transformers alone. Both give the same losses, and that is checked.

python benchmarks/interventions.py [--quick] [--json] [--device cuda] [--model NAME]
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

import numpy as np
import torch
from clock import seconds
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, LlamaConfig

from companion import interventions
from companion.interventions import places
from companion.interventions.losses import Plan, units
from companion.models import Model, as_model, capture
from companion.runtime import Runtime

KINDS = ("skip", "swap", "average")


def smollm2_shape(quick: bool) -> LlamaConfig:
    """SmolLM2-135M's shape, 30 blocks, 576 wide, vocabulary 49,152; quick has 6 of the blocks."""
    return LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=6 if quick else 30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )


def build(quick: bool, runtime: Runtime) -> Model:
    """Random weights: what a product costs does not depend on its numbers."""
    torch.manual_seed(0)
    net = AutoModelForCausalLM.from_config(smollm2_shape(quick))
    return Model.of(net.to(runtime.torch_device, runtime.torch_dtype), runtime)


@torch.inference_mode()
def plain(model: Model, tokens: Tensor, plan: Plan) -> np.ndarray:
    """Mean loss of each item of the plan, by whole forward passes."""
    stream = capture(model, tokens)
    found = []
    for kind, layer in plan:
        with interventions.intervene(model, kind, layer, stream):
            logits = model.net(input_ids=tokens, use_cache=False).logits
        flat = logits[:, :-1].float().flatten(0, 1)
        found.append(float(cross_entropy(flat, tokens[:, 1:].flatten())))
    return np.array(found)


def ours(model: Model, tokens: Tensor, plan: Plan, read_fraction: float) -> np.ndarray:
    """The same by `ablate`, which also runs the model as it is and without any block."""
    found = interventions.ablate(model, tokens, KINDS, read_fraction=read_fraction)
    mean = interventions.loss_change(found) + float(found.loss_clean.mean())
    return np.array([float(mean.sel(kind=kind, layer=layer)) for kind, layer in plan])


def compare(model: Model, rows: int, length: int, repeats: int) -> dict[str, Any]:
    """Both in turns on the same tokens; medians, and the ratio's range over the turns."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(model.V, (rows, length), generator=generator).to(model.device)
    plan = [(kind, layer) for kind in KINDS for layer in places(kind, model.ell)]
    turns = [_turn(model, tokens, plan) for _ in range(repeats)]
    baseline, own, quarter = (statistics.median(times) for times in zip(*turns, strict=True))
    ratios = [whole / ready for whole, ready, _ in turns]
    return {
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
        "ratio_reading_a_quarter": statistics.median(whole / few for whole, _, few in turns),
        "baseline": baseline,
        "ours": own,
        "ours_reading_a_quarter": quarter,
        "unit": "s",
        "model": model.name,
        "disturbances": len(plan),
        "tokens": tokens.numel(),
        "repeats": repeats,
        "device": model.runtime.device_name,
        "dtype": model.runtime.dtype,
    } | against_peak(model, plan, rows, length, own)


def _turn(model: Model, tokens: Tensor, plan: Plan) -> list[float]:
    """Seconds of the loop, of `ablate`, and of `ablate` that reads a quarter; losses must agree."""
    found: dict[str, np.ndarray] = {}
    spent = [
        seconds(lambda: found.update(plain=plain(model, tokens, plan)), model.device),
        seconds(lambda: found.update(ours=ours(model, tokens, plan, 1.0)), model.device),
        seconds(lambda: ours(model, tokens, plan, 0.25), model.device),
    ]
    np.testing.assert_allclose(found["ours"], found["plain"], rtol=1e-3)
    return spent


def against_peak(
    model: Model, plan: Plan, rows: int, length: int, spent: float
) -> dict[str, float]:
    """Time of the products that `ablate` cannot avoid at the measured matmul peak, over its own."""
    peak = model.runtime.matmul_peak(8192 if model.device.type == "cuda" else 1024)
    blocks, readouts = units(model, plan, rows, length, length - 1)
    inside = sum(p.numel() for p in model.blocks.parameters() if p.ndim == 2) / model.ell
    flops = 2 * blocks * (inside + model.m * length) + 2 * readouts * model.m * model.V
    return {"fraction_of_peak": flops / peak / spent, "peak_flops": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within a minute on two cores")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", help="a model by name, in place of random weights")
    arguments = parser.parse_args()
    runtime = Runtime.choose(arguments.device)
    model = as_model(arguments.model or build(arguments.quick, runtime), runtime)
    rows, length, repeats = (4, 64, 2) if arguments.quick else (8, 128, 3)
    result = compare(model, rows, length, repeats)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    for name, value in result.items():
        print(f"{name:>24}  {value:,.4g}" if isinstance(value, float) else f"{name:>24}  {value}")


if __name__ == "__main__":
    main()
