"""How often is the ledger right? Its rules on planted truths, by kind of claim and noise.

    python benchmarks/ledger.py --out book/results/ledger-errors.json

Half a minute on one core for 1,000 planted claims a case; `--quick` takes 100.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from companion.evidence.calibration.error_rates import error_rates
from companion.files import write_json
from companion.provenance import provenance
from companion.runtime import Runtime

NOISES = (0.2, 0.6, 1.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 planted claims a case")
    parser.add_argument("--replicates", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write; standard output without")
    options = parser.parse_args()
    runtime = Runtime.choose("cpu", seed=options.seed)
    given = {"repeats": 100 if options.quick else 1000, "noises": NOISES}
    given["replicates"] = options.replicates
    rows = error_rates(**given, generator=runtime.numpy_generator()).to_dict("records")
    record = {"provenance": dict(provenance(runtime, given)), "rows": rows}
    if options.out:
        write_json(options.out, record)
    else:
        print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
