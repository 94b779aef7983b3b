"""Speed of the fit, beside the published procedure in the same run, objective against objective.

    COMPANION_DATA=folder python benchmarks/fit.py [--quick] [--json]

Baseline: the paper's Adam loop from its one start, written in NumPy
(`companion.scaling.publications.adam`). Ours: a fit with certificate. `ratio` is Adam's time over
ours; with --quick Adam runs a fifth of its 50,000 steps, and its time (not its objective) is scaled
up. Without the published table a planted one is used.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time

import numpy as np

from companion import scaling, tables
from companion.scaling.publications.adam import adam

STEPS = 50_000


def runs():
    """The 203 rows of the paper's fit, or as many planted ones."""
    try:
        return tables.drop_highest(tables.load_table("chinchilla"), 40), "chinchilla"
    except tables.TableUnavailable:
        return planted(), "planted"


def planted(rows: int = 203):
    """Rows of the additive law with the spans of the published table, and 0.5 % noise."""
    import pandas as pd

    generator = np.random.default_rng(0)
    size = generator.uniform(0, 1, rows)
    table = pd.DataFrame(
        {
            "m": np.round(640 * 8**size),
            "ell": np.round(12 * 4 ** np.clip(size + generator.normal(0, 0.1, rows), 0, 1)),
            "D": 10 ** generator.uniform(9.5, 11.5, rows),
        }
    )
    params = {"c_m": 275.0, "alpha_m": 0.95, "c_ell": 6.7, "alpha_ell": 1.3}
    params |= {"c_D": 530.0, "alpha_D": 0.3, "L_0": 1.75}
    clean = scaling.LAWS["additive"].predict(params, table)
    return table.assign(loss=clean * np.exp(0.005 * generator.standard_normal(rows)))


def timed(work, repeats: int = 1) -> tuple[float, float]:
    """Seconds of the fastest of several runs: on the wall, and of processor time.

    On a machine with other work the two differ; the second hardly changes.
    """
    seconds = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(s[0] for s in seconds), min(s[1] for s in seconds)


def measure(quick: bool) -> dict:
    """Times and objectives of both procedures."""
    table, name = runs()
    result = scaling.fit(table)
    one, cpu_one = timed(lambda: scaling.fit(table), 20)
    draws, found = 1000, []
    many, cpu_many = timed(
        lambda: found.append(scaling.bootstrap(result, np.random.default_rng(0), draws=draws))
    )
    steps = STEPS // 5 if quick else STEPS
    baseline, cpu_baseline = (
        seconds * STEPS / steps
        for seconds in timed(lambda: found.append(adam(table, steps=steps, every=steps)))
    )
    refits, path = found
    return {
        "ratio": baseline / one,
        "cpu_ratio": cpu_baseline / cpu_one,
        "baseline": {
            "seconds": baseline,
            "cpu_seconds": cpu_baseline,
            "steps": steps,
            "objective": float(path.objective[-1]),
        },
        "ours": {
            "seconds": one,
            "cpu_seconds": cpu_one,
            "objective": result.objective,
            "converged": result.converged,
            "bootstrap_seconds": many,
            "bootstrap_cpu_seconds": cpu_many,
            "bootstrap_draws": draws,
            "bootstrap_converged": int(refits.converged.sum()),
        },
        "rows": len(table),
        "table": name,
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of Adam's steps")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(options.quick)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    ours, baseline = found["ours"], found["baseline"]
    print(f"{found['rows']} rows of {found['table']} on {found['device']}")
    print(f"fit with certificate    {1e3 * ours['seconds']:8.1f} ms  {ours['objective']:.6e}")
    print(
        f"Adam, {baseline['steps']} steps      {1e3 * baseline['seconds']:8.0f} ms  "
        f"{baseline['objective']:.6e}"
    )
    print(
        f"ratio                   {found['ratio']:8.0f}  (processor time {found['cpu_ratio']:.0f})"
    )
    print(
        f"{ours['bootstrap_draws']} bootstrap refits    {ours['bootstrap_seconds']:8.2f} s, "
        f"{ours['bootstrap_converged']} converged"
    )


if __name__ == "__main__":
    main()
