"""Ladder training: our step against a plain float32 step of the same model, in turns.

Both take the same optimiser steps on the same batches of random tokens. The baseline is the model's
own forward in float32, without compilation and without a recorded step; ours is what
`companion ladder train` runs, in its number format unless `--dtype` names one.

    python benchmarks/ladder.py [--quick] [--json] [--device DEVICE] [--compile] [--graph]
                                [--dtype DTYPE] [--width M] [--depth ELL] [--batch BLOCKS]
"""

from __future__ import annotations

import argparse
import json
import statistics

import numpy as np
from clock import seconds

from companion.ladder.graphs import GraphedTrainer
from companion.ladder.grid import Grid, Run
from companion.ladder.model import flops_per_token
from companion.ladder.trainer import Trainer
from companion.runtime import Runtime

WARM_UP = 4  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within a minute on two cores")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--device", default="auto", help="where to train")
    parser.add_argument("--dtype", default="auto", help="of our step; the baseline is float32")
    parser.add_argument("--compile", action="store_true", help="compile our blocks")
    parser.add_argument("--graph", action="store_true", help="replay our step as one CUDA graph")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16, help="blocks of 256 tokens a step")
    chosen = parser.parse_args()
    grid = Grid(widths=(chosen.width,), depths=(chosen.depth,), tokens=(2**24,), batch=chosen.batch)
    kind = GraphedTrainer if chosen.graph else Trainer
    runtime = Runtime.choose(chosen.device, chosen.dtype)
    figures = measure(grid, kind, runtime, chosen.compile, 4 if chosen.quick else 15)
    print(json.dumps(figures, indent=2) if chosen.json else text(figures))


class Plain(Trainer):
    """The baseline: the model's own forward."""

    def loss(self, ids):
        return self.net(ids, labels=ids).loss


def measure(grid: Grid, kind: type[Trainer], runtime: Runtime, compiled: bool, rounds: int) -> dict:
    """Median tokens a second of both ways to take a step, over `rounds` turns after a warm-up."""
    run = Run(grid.widths[0], grid.depths[0], 0, grid.learning_rates[0])
    blocks = (rounds + WARM_UP) * grid.batch
    tokens = np.random.default_rng(0).integers(0, grid.vocabulary, (blocks, grid.context))
    tokens = tokens.astype(np.uint16)
    plain = Plain(grid, run, tokens, Runtime.choose(runtime.device, "float32"))
    ours = kind(grid, run, tokens, runtime)
    if compiled:
        ours.compile()
    pairs = [
        tuple(seconds(lambda t=t: t.update(1.0), runtime.torch_device) for t in (plain, ours))
        for _ in range(rounds + WARM_UP)
    ][WARM_UP:]
    baseline, own = (
        grid.step_tokens / statistics.median(times) for times in zip(*pairs, strict=True)
    )
    peak = runtime.matmul_peak(4096)
    return {
        "ratio": statistics.median(theirs / mine for theirs, mine in pairs),
        "baseline": baseline,
        "ours": own,
        "unit": "tokens a second",
        "model": run.name,
        "step_tokens": grid.step_tokens,
        "compiled": compiled,
        "trainer": kind.__name__,
        "device": runtime.device_name,
        "dtype": runtime.dtype,
        "fraction_of_peak": own * flops_per_token(ours.net) / peak,
        "peak_flops_per_second": peak,
    }


def text(figures: dict) -> str:
    return (
        f"{figures['model']} on {figures['device']}: {figures['ours']:.0f} tokens/s, plain "
        f"{figures['baseline']:.0f} tokens/s, {figures['ratio']:.2f} times faster; "
        f"{figures['fraction_of_peak']:.0%} of the {figures['peak_flops_per_second'] / 1e9:.0f} "
        f"Gflop/s of a large {figures['dtype']} matrix product"
    )


if __name__ == "__main__":
    main()
