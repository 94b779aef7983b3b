"""What tracing many facts shows: where in the model the answer is when it is brought back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from companion.errors import InputError
from companion.evidence.claims import Claim, Measurement
from companion.interventions.encoding import ROLES
from companion.statistics.intervals import around

NEEDLE = "The space needle is in downtown"
PUBLISHED = {
    "pythia-70m": 0.0106,
    "pythia-160m": 0.0124,
    "pythia-1b": 0.0114,
    "pythia-1.4b": 0.0160,
    "pythia-2.8b": 0.0210,
    "pythia-12b": 0.3607,
}
"""Clean probability of " Seattle" after `NEEDLE`, printed by the published code in float16."""

_AGREES = 0.05


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
        mean, sem, dof = (float(part.values[index]) for part in (estimate, stderr, facts - 1))
        one = around(mean, sem, dof, level)
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
    """How many facts the model knows, in words."""
    known = dataset.known.values
    return f"{dataset.attrs['model']} knows {known.sum()} of {len(known)} facts."


def strongest(dataset: xr.Dataset, n: int) -> list[int]:
    """Indices of the `n` facts whose probability drops most under corruption, largest first."""
    drop = dataset.probability_clean - dataset.probability_corrupted.mean("noise")
    return np.argsort(-drop.values, kind="stable")[:n].tolist()


def handover(dataset: xr.Dataset) -> str:
    """From which layer on the last token carries the answer, and up to which the subject, in words.

    Carrying means that restoring the state brings back at least half of the lost probability, in
    the mean over known facts.
    """
    if not dataset.known.any():
        return f"{dataset.attrs['model']} knows none of the facts, so nothing can be brought back."
    found, ell = recovered(dataset), dataset.attrs["ell"]
    subject, last = (
        found.layer[found.estimate.sel(role=role) >= 0.5].values
        for role in ("end of subject", "last")
    )
    until = f"up to layer {subject.max()} of {ell}" if len(subject) else "at no layer"
    since = f"from layer {last.min()} of {ell} on" if len(last) else "at no layer"
    return (
        f"In the mean over {int(dataset.known.sum())} known facts, restoring the end of the "
        f"subject brings back at least half of the lost probability {until}, restoring the last "
        f"token {since}."
    )


def space_needle(dataset: xr.Dataset) -> Claim:
    """Claim: the published clean probability of the paper's own sentence, to 5 %."""
    model = str(dataset.attrs["model"])
    published = PUBLISHED.get(model.rpartition("/")[2])
    found = dataset.probability_clean.sel(prompt=dataset.prompt == NEEDLE).values
    measured, reason = (), ""
    if published is None or not len(found):
        reason = f"needs a Pythia model of the paper and the facts `world`; this run has {model}"
    else:
        clean = float(found[0])
        limits = published * (1 - _AGREES), published * (1 + _AGREES)
        measured = (Measurement(f"p(Seattle), {model}", clean, clean, clean, *limits),)
    statement = (
        "Of the Pythia models from 70m to 12b only the largest knows where the space needle is: "
        f"the clean probability of Seattle is {PUBLISHED['pythia-12b']} there and at most "
        f"{PUBLISHED['pythia-2.8b']} in the others."
    )
    scope = {"model": model, "data": "one sentence", "size": "one run"}
    return Claim("space-needle", statement, "paper, figure 6", scope, measured, reason)
