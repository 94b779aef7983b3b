"""Simulation study: which 95 % intervals hold what they promise on Chinchilla's design?

    python benchmarks/coverage.py --repeats 1000 --out book/results/scaling_coverage.json

A law with alpha_ell = 1 is planted on the 203 rows of the paper's fit, once with independent
errors and once with half their variance shared by each (m, ell) shape. About a second a table on
one core. Each outcome is kept beside the result as it comes: a study that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from companion import scaling, tables
from companion.files import atomic
from companion.provenance import provenance
from companion.runtime import Runtime
from companion.scaling.uncertainty.coverage import coverage

CASES = {"independent rows": 0.0, "half shared by shape": 0.5}
NAMES = ("alpha_m", "alpha_ell", "alpha_D", "L_0")


def study(repeats: int, draws: int, runtime: Runtime, journals: list[Path]) -> dict:
    """Coverage of every method in both cases, with the stamp of the run."""
    table = tables.load_table("chinchilla")
    sigma = scaling.fit(table, drop=40).stddev
    planted = scaling.fit(table, drop=40, fixed={"alpha_ell": 1.0})
    rows = []
    for stream, ((case, shared), journal) in enumerate(zip(CASES.items(), journals, strict=True)):
        frame = coverage(
            planted.table,
            "additive",
            planted.params,
            sigma,
            runtime.numpy_generator(stream),
            names=NAMES,
            repeats=repeats,
            draws=draws,
            shared=shared,
            journal=journal,
            progress=lambda done, case=case: print(f"\r{case} {done}", end="", file=sys.stderr),
        )
        rows += frame.assign(case=case).to_dict("records")
    parameters = {"repeats": repeats, "draws": draws, "sigma": sigma, "drop": 40}
    stamp = provenance(runtime, parameters, table="chinchilla", rows=planted.n)
    return {"provenance": dict(stamp), "planted": planted.params, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    runtime = Runtime.choose("cpu", seed=options.seed)
    journals = [options.out.with_suffix(f".{k}.jsonl") for k in range(len(CASES))]
    found = study(options.repeats, options.draws, runtime, journals)
    with atomic(options.out) as path:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for journal in journals:
        journal.unlink()


if __name__ == "__main__":
    main()
