"""What tracing many facts shows: where in the model the answer is when it is brought back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from companion.interventions.encoding import ROLES
from companion.runtime import InputError
from companion.statistics.intervals import around


def shares(dataset: xr.Dataset) -> xr.DataArray:
    r"""Share of the lost probability that a restored state brings back (prompt, layer, role).

    :math:`(\bar p_\text{restored} - \bar p_\text{corrupted}) / (p_\text{clean} -
    \bar p_\text{corrupted})`, bars being means over draws of noise; of the tokens of one role the
    best. Known facts only; NaN where a fact has no token of a role.

    Raises
    ------
    InputError
        If the model knows none of the facts.
    """
    known = dataset.isel(prompt=np.flatnonzero(dataset.known.values))
    if not known.sizes["prompt"]:
        raise InputError(f"{dataset.attrs['model']} knows none of the facts: nothing to recover")
    corrupted = known.probability_corrupted.mean("noise")
    gained = known.probability.mean("noise") - corrupted
    share = gained / (known.probability_clean - corrupted)
    best = [share.where(known.role == role).max("token") for role in ROLES]
    return xr.concat(best, pd.Index(ROLES, name="role")).transpose("prompt", "layer", "role")


def recovered(dataset: xr.Dataset, level: float = 0.95) -> xr.Dataset:
    """Mean of `shares` over facts with Student's t interval: `estimate`, `low`, `high`, `facts`.

    All (layer, role); the interval is NaN where fewer than two facts have the role.
    """
    share = shares(dataset)
    facts = share.notnull().sum("prompt")
    estimate = share.mean("prompt")
    stderr = share.std("prompt", ddof=1) / np.sqrt(facts)
    low, high = xr.full_like(estimate, np.nan), xr.full_like(estimate, np.nan)
    for index in zip(*np.nonzero(facts.values > 1), strict=True):
        one = around(estimate.values[index], stderr.values[index], facts.values[index] - 1, level)
        low.values[index], high.values[index] = one.low, one.high
    return xr.Dataset({"estimate": estimate, "low": low, "high": high, "facts": facts})


def overview(dataset: xr.Dataset) -> pd.DataFrame:
    """One row a fact: target, probability clean and corrupted, rank, and whether it is known."""
    corrupted = dataset.probability_corrupted.mean("noise")
    columns = {
        "target": [repr(str(target)) for target in dataset.target.values],
        "clean": dataset.probability_clean.values.round(4),
        "corrupted": corrupted.values.round(4),
        "rank": dataset["rank"].values,
        "known": ["yes" if not why else f"no: {why}" for why in dataset.reason.values],
    }
    return pd.DataFrame(columns, index=pd.Index(dataset.prompt.values, name="prompt"))


def sentence(dataset: xr.Dataset) -> str:
    """How many facts the model knows, and which not, in words."""
    known = dataset.known.values
    unknown = [f"“{prompt}”" for prompt in dataset.prompt.values[~known]]
    start = f"{dataset.attrs['model']} knows {known.sum()} of {len(known)} facts"
    return f"{start}; not {', '.join(unknown)}." if unknown else f"{start}."
