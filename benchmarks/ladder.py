"""Ladder training: our step against a plain float32 step of the same model, in turns.

Both take the same optimiser steps on the same batches of random tokens. The baseline is float32
without compilation; ours is what `companion ladder train` runs, bfloat16 with float32 masters, and
without --quick also compiled.

    python benchmarks/ladder.py [--quick] [--json] [--device DEVICE]
"""

from __future__ import annotations

import argparse
import json
import statistics

import numpy as np
from clock import seconds

from companion.ladder.grid import Grid, Run
from companion.ladder.model import flops_per_token
from companion.ladder.trainer import Trainer
from companion.runtime import Runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within a minute on two cores")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--device", default="auto", help="where to train")
    chosen = parser.parse_args()
    grid = Grid(widths=(128,), depths=(8,), tokens=(2**22,))
    figures = measure(grid, chosen.device, not chosen.quick, 4 if chosen.quick else 15)
    print(json.dumps(figures, indent=2) if chosen.json else text(figures))


def measure(grid: Grid, device: str, compiled: bool, rounds: int) -> dict:
    """Median tokens a second of both ways to take a step, over `rounds` turns after a warm-up."""
    run = Run(grid.widths[0], grid.depths[0], 0, grid.learning_rates[0])
    blocks = (rounds + 2) * grid.batch
    tokens = np.random.default_rng(0).integers(0, grid.vocabulary, (blocks, grid.context))
    kinds = {kind: Runtime.choose(device, kind) for kind in ("float32", "bfloat16")}
    plain, ours = (Trainer(grid, run, tokens.astype(np.uint16), r) for r in kinds.values())
    if compiled:
        ours.net.compile()
    where = kinds["bfloat16"].torch_device
    pairs = [
        tuple(seconds(lambda t=trainer: t.update(1.0), where) for trainer in (plain, ours))
        for _ in range(rounds + 2)
    ][2:]
    baseline, own = (
        grid.step_tokens / statistics.median(times) for times in zip(*pairs, strict=True)
    )
    peak = kinds["bfloat16"].matmul_peak(4096)
    return {
        "ratio": statistics.median(theirs / mine for theirs, mine in pairs),
        "baseline": baseline,
        "ours": own,
        "unit": "tokens a second",
        "compiled": compiled,
        "device": kinds["bfloat16"].device_name,
        "fraction_of_peak": own * flops_per_token(ours.net) / peak,
        "peak_flops_per_second": peak,
    }


def text(figures: dict) -> str:
    return (
        f"m128-ell8 on {figures['device']}: {figures['ours']:.0f} tokens/s, plain "
        f"{figures['baseline']:.0f} tokens/s, {figures['ratio']:.2f} times faster; "
        f"{figures['fraction_of_peak']:.0%} of the {figures['peak_flops_per_second'] / 1e9:.0f} "
        "Gflop/s of a large bfloat16 matrix product"
    )


if __name__ == "__main__":
    main()
