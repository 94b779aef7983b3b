"""Our fits of the published tables, stored: estimates, intervals, objectives, certificates.

    COMPANION_DATA=folder python benchmarks/published.py --out book/results/scaling-published.json

Every entry of `companion.scaling.publications.numbers.PUBLICATIONS` is fitted to its own rows and
quantified by every method. The tables themselves are not stored: they are others'.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from companion.files import atomic
from companion.provenance import provenance
from companion.runtime import Runtime
from companion.scaling.publications.numbers import PUBLICATIONS
from companion.scaling.publications.refits import refit_published
from companion.tables import SOURCES


def record(draws: int, runtime: Runtime) -> dict:
    """All fits by key, with the stamp of the run and the checksums of the tables."""
    fits = {}
    for stream, key in enumerate(PUBLICATIONS):
        refit = refit_published(key, runtime.numpy_generator(stream), draws)
        fits[key] = refit.to_dict()
        print(f"{key}: {refit.summary.n} rows, objective {refit.summary.objective:.6e}")
    sums = {p.table: SOURCES[p.table].sha256 for p in PUBLICATIONS.values()}
    return {"provenance": dict(provenance(runtime, {"draws": draws}, tables=sums)), "fits": fits}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000, help="bootstrap resamples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = record(options.draws, Runtime.choose("cpu", seed=options.seed))
    with atomic(options.out) as path:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
