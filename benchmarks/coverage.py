"""Simulation study: which 95 % intervals hold what they promise on Chinchilla's design?

    python benchmarks/coverage.py --repeats 1000 --out book/results/scaling_coverage.json

A law with alpha_ell = 1 is planted on the 203 rows of the paper's fit, once with independent
errors and once with half their variance shared by each (m, ell) shape. About a second a table on
one core. Each outcome is kept beside the result as it comes: `--resume` goes on with a study that
was stopped.
"""

from __future__ import annotations

import argparse
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from companion import scaling, tables
from companion.cli.progress import shown
from companion.files import write_json
from companion.provenance import provenance
from companion.runs import Progress
from companion.runtime import Runtime
from companion.scaling.uncertainty.coverage import coverage

CASES = {"independent rows": 0.0, "half shared by shape": 0.5}
NAMES = ("alpha_m", "alpha_ell", "alpha_D", "L_0")


def study(
    repeats: int, draws: int, runtime: Runtime, folder: Path, resume: bool, progress: Progress
) -> dict[str, Any]:
    """Coverage of every method in both cases, with the stamp of the run."""
    table = tables.load_table("chinchilla")
    sigma = scaling.fit(table, drop=40).stddev
    planted = scaling.fit(table, drop=40, fixed={"alpha_ell": 1.0})
    rows = []
    for stream, (case, shared) in enumerate(CASES.items()):
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
            folder=folder / case.replace(" ", "-"),
            resume=resume,
            progress=partial(progress, task=case),
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
    parser.add_argument("--resume", action="store_true", help="go on with a stopped study")
    options = parser.parse_args()
    runtime = Runtime.choose("cpu", seed=options.seed)
    folder = options.out.with_name(f"{options.out.name}.partial")
    with shown("tables") as progress:
        given = (options.repeats, options.draws, runtime, folder, options.resume, progress)
        write_json(options.out, study(*given))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
