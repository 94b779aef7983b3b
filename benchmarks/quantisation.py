"""How far does quantisation move each statistic? The ladder's models, rounded as the two files are.

    python benchmarks/quantisation.py --out book/results/quantisation.json

Every model is measured on the same text as it is and rounded by each scheme of
`companion.models.quantisation`, so that the shift is that of the weights alone. `bands` holds the
mean and the largest size of the shifts over the models: a systematic error of whatever is measured
on quantised files. `--quick` takes two small models and little text.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np

from companion.corpus import blocks
from companion.files import write_json
from companion.interventions import ablate, gain_of_depth, middle_cost
from companion.models import Model, ladder_models, load_model
from companion.models.quantisation import SCHEMES, Shift, bands, formats, shifts
from companion.probing import probe
from companion.probing.summaries import (
    middle_layers,
    middle_mean,
    participation,
    profile,
    update_cosine,
)
from companion.provenance import provenance
from companion.runtime import Runtime

CORPUS, LENGTH, EVERY = "python-source", 128, 8
NARROW = tuple(f"ladder:m32-ell{ell}@step400" for ell in (2, 4, 8, 16))  # their last checkpoints


def statistics(model: Model, text: list) -> dict[str, float]:
    """All statistics of one model by name, those of one layer or lag as "NAME.INDEX"."""
    return geometry(model, text) | costs(model, text)


def geometry(model: Model, text: list) -> dict[str, float]:
    """Rotations, cosines by lag, own loss, and the share of its fall that each layer makes."""
    found = probe(model, np.stack([block.tokens for block in text]))
    middle = middle_layers(model.ell)
    theta, removed = profile(found, "theta")[middle], profile(found, "loss_removed")
    known = np.flatnonzero(np.isfinite(removed))
    shares = removed[known] / removed[known].sum() if len(known) > 1 else []
    lags = range(1, len(middle))
    return {
        "middle_rotation": middle_mean(found).estimate,
        "rotation_spread": float(theta.std() / theta.mean()),
        "rotation_evenness": participation(theta).estimate,
        **{f"cosine.{lag}": update_cosine(found, lag).estimate for lag in lags},
        "own_loss": float(profile(found, "cross_entropy")[model.ell - 1]),
        **{f"loss_share.{at}": float(share) for at, share in zip(known, shares, strict=False)},
    }


def costs(model: Model, text: list) -> dict[str, float]:
    """Middle costs of skipping, swapping and running side by side; none below four blocks."""
    if model.ell < 4:
        return {}
    found = ablate(model, text, ("skip", "swap", "parallel"))
    skip, swap, parallel = (
        float(middle_cost(found, kind)) for kind in ("skip", "swap", "parallel")
    )
    return {
        "skip": skip,
        "skip_over_equal_share": skip * model.ell / float(gain_of_depth(found)),
        "swap_over_skip": swap / skip,
        "parallel_over_skip": parallel / skip,
    }


def study(names: list[str], tokens: int, runtime: Runtime) -> dict:
    """Shifts of all models by all schemes, their bands, and the stamp of the run."""
    found: list[Shift] = []
    for name in names:
        model = load_model(name, runtime)
        source = blocks(CORPUS, model.tokenizer, LENGTH, tokens * EVERY)
        text = list(islice(source, 0, None, EVERY))
        found += shifts(model, lambda each, text=text: statistics(each, text))
        print(f"{name} done", file=sys.stderr)
    parameters = {"models": names, "tokens": tokens, "corpus": CORPUS, "block_length": LENGTH}
    return {
        "schemes": {name: _about(name, model) for name in SCHEMES},
        "rows": [asdict(one) | {"shift": one.shift} for one in found],
        "bands": bands(found),
        "provenance": dict(provenance(runtime, parameters | {"every": EVERY})),
    }


def _about(name: str, model: Model) -> dict:
    """Which real model a scheme stands for, and the formats that the last model's parts had."""
    types: dict[str, set[str]] = {}
    for weight, format in formats(model, name).items():
        types.setdefault(weight.split(".")[-2], set()).add(format.name)
    listed = {part: sorted(kinds) for part, kinds in types.items()}
    return {"model": SCHEMES[name].model or None, "types": listed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the bands as JSON")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runtime = Runtime.choose("cpu", "float32", options.seed)
    names = list(NARROW[:3:2] if options.quick else (*ladder_models(), *NARROW))
    found = study(names, 1024 if options.quick else options.tokens, runtime)
    if options.out:
        write_json(options.out, found)
    if options.json:
        print(json.dumps(found["bands"], indent=1))
        return
    for scheme, band in found["bands"].items():
        for name, row in band.items():
            print(f"{scheme:14} {name:22} mean {row['mean']:.4f}, largest {row['largest']:.4f}")


if __name__ == "__main__":
    main()
