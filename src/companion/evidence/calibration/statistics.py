"""Every statistic of one network, from its probe and its disturbed blocks.

The same functions read toy students and language models: a probe's dataset in, or one of `ablate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from companion.errors import InputError
from companion.interventions.blocks import KINDS
from companion.interventions.costs import SHALLOWEST, middle_cost
from companion.probing.summaries import (
    depth,
    middle_estimates,
    middle_layers,
    middle_mean,
    participation,
    profile,
    update_cosine,
)

if TYPE_CHECKING:
    import xarray as xr

Reader = Callable[["xr.Dataset"], float]
LEAST_COST = 1e-3
"""Skipping must cost at least this share of the gain of all blocks to be divided by."""


def _evenness(probe: xr.Dataset) -> float:
    return participation(middle_estimates(probe, "theta")[1]).estimate


def _neighbour(probe: xr.Dataset) -> float:
    return update_cosine(probe).estimate


def _far(probe: xr.Dataset) -> float:
    return update_cosine(probe, len(middle_layers(depth(probe))) // 2).estimate


def _fall(probe: xr.Dataset) -> float:
    if len(middle_layers(depth(probe))) < SHALLOWEST:
        return math.nan
    return _neighbour(probe) - _far(probe)


def _rotation(probe: xr.Dataset) -> float:
    return middle_mean(probe).estimate


def _rotation_by_depth(probe: xr.Dataset) -> float:
    return depth(probe) * _rotation(probe)


def _turn(probe: xr.Dataset) -> float:
    pairs = middle_layers(depth(probe))[:-1]
    return float(profile(probe, "theta_dh")[pairs].mean()) if len(pairs) else math.nan


def _straightness(probe: xr.Dataset) -> float:
    return float(probe["straightness"].sel(group="rest", statistic="mean"))


READINGS: dict[str, Reader] = {
    "evenness of rotation": _evenness,
    "neighbour cosine": _neighbour,
    "far cosine": _far,
    "fall of the cosine": _fall,
    "middle rotation": _rotation,
    "rotation x depth": _rotation_by_depth,
    "turn between updates": _turn,
    "straightness": _straightness,
}
"""What a probe says, each a number: from the middle layers, but for the straightness."""


def doses(ell: int) -> tuple[str, ...]:
    """Windows of blocks, in the middle, that are put in the opposite order or doubled by halves.

    Half the depth, but at least four blocks for a reversal: one of two is a swap.
    """
    return f"reverse-{max(ell // 2, 4)}", f"double-{max(ell // 2, 2)}"


def over_skip(kind: str) -> Reader:
    """The middle cost of `kind` over that of skipping; NaN where skipping costs next to nothing."""

    def read(ablation: xr.Dataset) -> float:
        skip = float(middle_cost(ablation, "skip"))
        empty, clean = (float(ablation[f"loss_{k}"].mean()) for k in ("empty", "clean"))
        if skip < LEAST_COST * abs(empty - clean):
            return math.nan
        return float(middle_cost(ablation, kind)) / skip

    return read


def _share(ablation: xr.Dataset) -> float:
    gain = float(ablation["loss_empty"].mean() - ablation["loss_clean"].mean())
    return ablation.attrs["ell"] * float(middle_cost(ablation, "skip")) / gain


def _reversal(ablation: xr.Dataset) -> float:
    return over_skip(doses(ablation.attrs["ell"])[0])(ablation)


def _doubling(ablation: xr.Dataset) -> float:
    return over_skip(doses(ablation.attrs["ell"])[1])(ablation)


def _dose(ablation: xr.Dataset) -> float:
    kind = doses(ablation.attrs["ell"])[0]
    costs = [float(middle_cost(ablation, one)) for one in ("swap", kind)]
    if min(costs) <= 0:
        return math.nan
    return math.log(costs[1] / costs[0]) / math.log(int(kind.partition("-")[2]) / 2)


DISTURBANCES: dict[str, Reader] = {
    "skip share": _share,
    **{f"{kind} / skip": over_skip(kind) for kind in KINDS if kind != "skip"},
    "reverse half / skip": _reversal,
    "double half / skip": _doubling,
    "exponent of reversal": _dose,
}
"""What disturbed blocks say, each a number: costs in the middle of a network."""

STATISTICS = (*READINGS, *DISTURBANCES)


def read_probe(probe: xr.Dataset) -> dict[str, float]:
    """All `READINGS` of a probe, or of a control; NaN where it lacks what one needs."""
    return {name: _attempt(read, probe, math.nan) for name, read in READINGS.items()}


def read_ablation(ablation: xr.Dataset) -> dict[str, float]:
    """Those of `DISTURBANCES` whose kinds the dataset of `ablate` has."""
    values = {name: _attempt(read, ablation, None) for name, read in DISTURBANCES.items()}
    return {name: value for name, value in values.items() if value is not None}


def _attempt(read: Reader, dataset: xr.Dataset, otherwise: Any) -> Any:
    """What a reader gives, unless the dataset lacks what it reads or has no middle for it."""
    try:
        return read(dataset)
    except (InputError, KeyError):
        return otherwise
