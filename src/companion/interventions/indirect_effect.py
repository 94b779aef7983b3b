r"""Where the answer is when it is brought back: the indirect effect of restored states, over facts.

The total effect of corrupting a subject is the lost probability, the indirect effect of a state
what its clean value brings back of it; their ratio is the `shares` here. Facts of one relation have
one prompt in common, so that intervals over facts take relations, not facts, as independent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from companion.errors import InputError
from companion.interventions.encoding import ROLES
from companion.statistics.intervals import Interval, around, clustered_mean

SUBJECT, LAST = "end of subject", "last"


def shares(dataset: xr.Dataset) -> xr.DataArray:
    r"""Share of the lost probability that a restored state brings back (prompt, layer, role).

    Indirect over total effect, :math:`(\bar p_\text{restored} - \bar p_\text{corrupted}) /
    (p_\text{clean} - \bar p_\text{corrupted})`, bars being means over draws of noise; of the tokens
    of one role the best. Known facts only; NaN where a fact has no token of a role.

    Raises
    ------
    InputError
        If the model knows none of the facts.

    Notes
    -----
    Effects as in Meng et al. 2022, section 2.1.
    """
    known = dataset.isel(prompt=np.flatnonzero(dataset.known.values))
    if not known.sizes["prompt"]:
        raise InputError(f"{dataset.attrs['model']} knows none of the facts: nothing to recover")
    corrupted = known.probability_corrupted.mean("noise")
    gained = known.probability.mean("noise") - corrupted
    share = gained / (known.probability_clean - corrupted)
    best = [share.where(known.role == role).max("token") for role in ROLES]
    whole = xr.concat(best, pd.Index(ROLES, name="role")).transpose("prompt", "layer", "role")
    return whole.assign_coords(relation=("prompt", relations(known)))


def relations(dataset: xr.Dataset) -> np.ndarray:
    """The relation of each fact, "" where the file of facts names none."""
    if "relation" not in dataset:
        return np.full(dataset.sizes["prompt"], "", object)
    return dataset.relation.values.astype(object)


def over_facts(values: xr.DataArray, level: float = 0.95) -> Interval:
    """Mean of one number a fact (prompt), with an interval over relations.

    A fact without a relation counts as a relation of its own; where all facts are of one, the
    facts are taken as independent. Without two of either there is an estimate but no interval.
    """
    values = values.dropna("prompt")
    n = values.sizes["prompt"]
    alone = np.array([f"fact {number}" for number in range(n)], object)
    labels = np.where(values.relation.values == "", alone, values.relation.values)
    labels = alone if len(set(labels)) < 2 else labels
    if n < 2:
        return around(float(values.mean()) if n else np.nan, np.nan, 1, level)
    return clustered_mean(values.values, labels.astype(str), level=level)


def average(dataset: xr.Dataset, level: float = 0.95) -> xr.Dataset:
    """Average share over known facts: `estimate`, `low`, `high`, `facts`, all (layer, role).

    Intervals as in `over_facts`; NaN where fewer than two facts have the role.
    """
    share = shares(dataset)
    found = [
        [list(over_facts(share.sel(layer=layer, role=role), level)) for role in ROLES]
        for layer in share.layer.values
    ]
    parts = zip(("estimate", "low", "high"), np.moveaxis(np.array(found), -1, 0), strict=True)
    variables = {name: (("layer", "role"), part) for name, part in parts}
    return xr.Dataset(
        variables | {"facts": share.notnull().sum("prompt")},
        coords={"layer": share.layer, "role": list(ROLES)},
    )


def exchange(dataset: xr.Dataset) -> xr.Dataset:
    r"""When and how suddenly the last token takes over from the subject; one value a known fact.

    Returns
    -------
    xarray.Dataset
        `handover` (prompt): share of the layers 0..ell at which the end of the subject brings back
        more than the last token does. `largest_step` (prompt): largest rise of the last token's
        share from one layer to the next, 1 if one layer moves the whole answer. `step_to` (prompt):
        the layer that this rise leads to. NaN where a fact has no end of subject of its own.
    """
    share = shares(dataset)
    subject, last = share.sel(role=SUBJECT, drop=True), share.sel(role=LAST, drop=True)
    both = subject.notnull().all("layer") & last.notnull().all("layer")
    rise = last.diff("layer").where(both, -np.inf)
    return xr.Dataset(
        {
            "handover": (subject > last).mean("layer").where(both),
            "largest_step": rise.max("layer").where(both),
            "step_to": (rise.argmax("layer") + 1).where(both),
        }
    )


def by_relation(dataset: xr.Dataset) -> Mapping[str, xr.Dataset]:
    """The facts of each relation that has a known one, in the order of the file."""
    named = relations(dataset)
    parts = {name: dataset.isel(prompt=named == name) for name in dict.fromkeys(named)}
    return {name: part for name, part in parts.items() if part.known.any()}


def strongest(dataset: xr.Dataset, n: int) -> list[int]:
    """Indices of the `n` facts whose probability drops most under corruption, largest first."""
    drop = dataset.probability_clean - dataset.probability_corrupted.mean("noise")
    return np.argsort(-drop.values, kind="stable")[:n].tolist()
