"""Disturbing every block: `ablate` beside a loop of whole forward passes, in turns on one machine.

The loop changes one block at a time in a `with` and lets the model run, as one would with
transformers alone: it gives the logits of every token, of which the loss is read at a quarter.
`ratio` is for that; `ratio_reading_all` for a loss that is read everywhere. Both ways give the same
losses, and that is checked. On a CPU processor seconds are counted, since others may be at work.

python benchmarks/interventions.py [--quick] [--json] [--device cuda] [--model NAME]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from clock import seconds
from shapes import SMOLLM2_135M, build
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion import interventions
from companion.interventions import places
from companion.interventions.ablation import positions_read
from companion.interventions.losses import Plan, units
from companion.models import Model, as_model, capture
from companion.runtime import Runtime

READ = 0.25


@torch.inference_mode()
def plain(model: Model, tokens: Tensor, plan: Plan, read_fraction: float) -> np.ndarray:
    """Mean loss of each item of the plan, by whole forward passes."""
    rows, length = tokens.shape
    read = torch.from_numpy(positions_read((rows, length), read_fraction, model.runtime.seed))
    row, read = torch.arange(rows, device=tokens.device)[:, None], read.to(tokens.device)
    stream = capture(model, tokens)
    found = []
    for kind, layer in plan:
        with interventions.intervene(model, kind, layer, stream):
            logits = model.net(input_ids=tokens, use_cache=False).logits
        chosen = logits[row, read].float().flatten(0, 1)
        found.append(float(cross_entropy(chosen, tokens[row, read + 1].flatten())))
    return np.array(found)


def ours(model: Model, tokens: Tensor, plan: Plan, read_fraction: float) -> np.ndarray:
    """The same by `ablate`, which also runs the model as it is and without any block."""
    kinds = list(dict.fromkeys(kind for kind, _ in plan))
    found = interventions.ablate(model, tokens, kinds, read_fraction=read_fraction)
    mean = interventions.loss_change(found) + float(found.loss_clean.mean())
    return np.array([float(mean.sel(kind=kind, layer=layer)) for kind, layer in plan])


def compare(
    model: Model, shape: tuple[int, int], kinds: Sequence[str], repeats: int
) -> dict[str, Any]:
    """Both in turns on the same tokens; medians, and the ratio's range over the turns."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(model.V, shape, generator=generator).to(model.device)
    plan = [(kind, layer) for kind in kinds for layer in places(kind, model.ell)]
    plain(model, tokens, plan[:2], READ)
    few = [_turn(model, tokens, plan, READ) for _ in range(repeats)]
    every = [_turn(model, tokens, plan, 1.0) for _ in range(repeats)]
    baseline, own = (statistics.median(times) for times in zip(*few, strict=True))
    ratios = [theirs / mine for theirs, mine in few]
    result = {
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
        "ratio_reading_all": statistics.median(theirs / mine for theirs, mine in every),
        "baseline": baseline,
        "ours": own,
        "unit": "processor s" if model.device.type == "cpu" else "s",
        "model": model.name,
        "disturbances": len(plan),
        "tokens": tokens.numel(),
        "repeats": repeats,
        "device": model.runtime.device_name,
        "dtype": model.runtime.dtype,
    }
    return result | against_peak(model, plan, shape, own)


def _turn(model: Model, tokens: Tensor, plan: Plan, read_fraction: float) -> tuple[float, float]:
    """Seconds of the loop and of `ablate`, whose losses must agree."""
    found, spent = {}, []
    for way in (plain, ours):
        keep = partial(_keep, found, way, model, tokens, plan, read_fraction)
        spent.append(_spent(keep, model))
    np.testing.assert_allclose(found[ours], found[plain], rtol=1e-3)
    return spent[0], spent[1]


def _keep(found: dict, way: Callable[..., np.ndarray], *arguments: Any) -> None:
    found[way] = way(*arguments)


def _spent(work: Callable[[], object], model: Model) -> float:
    if model.device.type != "cpu":
        return seconds(work, model.device)
    began = time.process_time()
    work()
    return time.process_time() - began


def against_peak(
    model: Model, plan: Plan, shape: tuple[int, int], spent: float
) -> dict[str, float]:
    """Time of the products that `ablate` cannot avoid, at the measured peak, over its own."""
    on_cpu = model.device.type == "cpu"
    peak = processor_peak() if on_cpu else model.runtime.matmul_peak(8192)
    read = positions_read(shape, READ, 0).shape[1]
    blocks, readouts = units(model, plan, *shape, read)
    inside = sum(p.numel() for p in model.blocks.parameters() if p.ndim == 2) / model.ell
    flops = 2 * blocks * (inside + model.m * shape[1]) + 2 * readouts * model.m * model.V
    return {"fraction_of_peak": flops / peak / spent, "peak_flops": peak}


def processor_peak(n: int = 1024) -> float:
    """Best rate of products of n x n float32 matrices, operations a processor second."""
    a = torch.randn(n, n)
    spent = []
    for _ in range(6):
        began = time.process_time()
        torch.mm(a, a)
        spent.append(time.process_time() - began)
    return 2 * n**3 / min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within a minute on two cores")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", help="a model by name, in place of random weights")
    arguments = parser.parse_args()
    runtime = Runtime.choose(arguments.device)
    model = as_model(arguments.model or build(SMOLLM2_135M, runtime), runtime)
    if arguments.quick:
        result = compare(model, (2, 48), ("skip", "swap"), 1)
    else:
        result = compare(model, (8, 128), ("skip", "swap", "average"), 3)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    for name, value in result.items():
        print(f"{name:>20}  {value:,.4g}" if isinstance(value, float) else f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
