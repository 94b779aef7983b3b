"""Toy experiments: the batched engine against one student after another, at the paper's dimensions.

Both do the same work on the same draws in the same run, in turns: every student of every depth
and temperature takes the same steps. The baseline trains them one by one with torch modules and
recomputes the teacher for each, as the published scripts do.

    python benchmarks/toy.py [--quick] [--json] [--device DEVICE] [--graph]
"""

from __future__ import annotations

import argparse
import json
import statistics

from clock import seconds
from plain_toy import Plain

from companion.runtime import Runtime
from companion.toy import Specification, specification
from companion.toy.training.engine import Engine
from companion.toy.training.graphs import GraphedEngine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within a minute on two cores")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--device", default="auto", help="where the engine runs")
    parser.add_argument("--graph", action="store_true", help="each step as one CUDA graph")
    chosen = parser.parse_args()
    count, rounds = (2, 5) if chosen.quick else (16, 5)
    taus = {"from": 0.01, "to": 1.0, "count": count}
    spec = specification("entropy-independent", temperatures=taus, teachers=1)
    figures = measure(spec, Runtime.choose(chosen.device, "float32"), rounds, chosen.graph)
    print(json.dumps(figures, indent=2) if chosen.json else text(figures))


def measure(spec: Specification, runtime: Runtime, rounds: int, graph: bool = False) -> dict:
    """Median seconds of one step of all students, either way, in `rounds` turns after a warm-up."""
    engine = (GraphedEngine if graph else Engine)(spec, runtime)
    plain = [Plain(spec, stack.ell, one) for stack in engine.stacks for one in stack.members]
    ours, baseline = [], []
    for turn in range(rounds + 1):
        theirs = seconds(lambda: [student.advance() for student in plain])
        with engine.workers():
            own = seconds(engine.advance, runtime.device)
        if turn:
            baseline.append(theirs)
            ours.append(own)
    peak = runtime.matmul_peak(4096)
    flops = spec.flops_per_step()
    return {
        "ratio": statistics.median(b / o for b, o in zip(baseline, ours, strict=True)),
        "baseline": statistics.median(baseline),
        "ours": statistics.median(ours),
        "unit": "seconds a step of all students",
        "students": len(plain),
        "device": runtime.device_name,
        "flops": flops,
        "fraction_of_peak": flops / statistics.median(ours) / peak,
        "peak_flops_per_second": peak,
    }


def text(figures: dict) -> str:
    return (
        f"{figures['students']} students at the paper's dimensions on {figures['device']}: "
        f"{figures['ours']:.3f} s a step, one after another {figures['baseline']:.3f} s, "
        f"{figures['ratio']:.2f} times faster; "
        f"{figures['fraction_of_peak']:.0%} of the {figures['peak_flops_per_second'] / 1e9:.0f} "
        "Gflop/s of a large matrix product"
    )


if __name__ == "__main__":
    main()
