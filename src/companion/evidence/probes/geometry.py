"""The paper's claims on how layers turn the state; tables, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import of
from companion.evidence.probes.scope import FEWEST_MIDDLE, judge_probes, with_a_middle
from companion.evidence.registry import ranges
from companion.probing.beside.resampling import FEWEST_KEPT, cosine_kept
from companion.probing.numerics import COARSE, EXACT, PUBLISHED
from companion.probing.summaries import (
    depth,
    depths,
    evenness,
    middle_layers,
    middle_mean,
    profile,
    rotation_slope,
    update_cosine,
)
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

INVERSE = (ranges()["about minus one"].low, ranges()["about minus one"].high)
FEWEST_DEPTHS = 3


def rotation_falls_inversely(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Mean middle rotation ~ ell^-1, over all depths, and without those below four blocks.

    Below four blocks a model has no middle of its own.
    """
    enough = depths(datasets) >= FEWEST_DEPTHS
    return judge_probes(
        "rotation-inverse-depth",
        datasets,
        [of(rotation_slope(datasets), "exponent, all depths"), *_own_middle(datasets)]
        if enough
        else [],
        met={"depths": depths(datasets)},
    )


def _own_middle(datasets: Mapping[str, xr.Dataset]) -> list[Measurement]:
    deep = {name: d for name, d in datasets.items() if depth(d) >= 4}
    if not FEWEST_DEPTHS <= depths(deep) < depths(datasets):
        return []
    return [of(rotation_slope(deep), "exponent, four blocks and more")]


def updates_stay_apart(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Turn between consecutive updates ~ ell^0, not ell^-1, over models of four blocks or more.

    A smooth flow cut finer brings consecutive updates together as 1/ell; independent estimates of
    one update stay at their angle.
    """
    deep = {n: d for n, d in datasets.items() if len(middle_layers(depth(d))) > 1}
    deep = {n: d for n, d in deep.items() if depth(d) >= 4}
    enough = depths(deep) >= FEWEST_DEPTHS
    slope = [rotation_slope(deep, "theta_dh")] if enough else []
    measured = [of(s, "exponent of the turn between updates") for s in slope]
    met = {"depths": depths(deep)}
    return judge_probes("updates-do-not-align", deep or datasets, measured, met=met)


def rotations_are_even(datasets: Mapping[str, xr.Dataset], generator: np.random.Generator) -> Claim:
    """Participation of the middle rotations, in every model with enough layers.

    k stages among n middle layers give k/n; equal rotations give 1.
    """
    deep = with_a_middle(datasets)
    shares = {name: evenness(d, generator) for name, d in deep.items()}
    return judge_probes(
        "rotations-evenly-spread",
        deep or datasets,
        [of(share, f"participation, {name}", "evenness") for name, share in shares.items()],
        f"no model has {FEWEST_MIDDLE} middle layers",
    )


def updates_are_weakly_correlated(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Mean cosine of consecutive middle updates.

    Ensemble averaging with noise z times the signal predicts 1/(1 + z^2); a smooth flow predicts
    nearly 1.
    """
    deep = with_a_middle(datasets)
    return judge_probes(
        "updates-weakly-correlated",
        deep or datasets,
        [of(update_cosine(d), f"mean cosine, {name}") for name, d in deep.items()],
        f"no model has {FEWEST_MIDDLE} middle layers",
    )


def updates_share_a_direction(
    datasets: Mapping[str, xr.Dataset], generator: np.random.Generator
) -> Claim:
    """The cosine of middle updates is positive, and does not fade with their distance."""
    deep = {n: d for n, d in datasets.items() if len(middle_layers(depth(d))) >= FEWEST_KEPT}
    near = [of(update_cosine(d), f"neighbours, {n}", "neighbours") for n, d in deep.items()]
    far = [of(cosine_kept(d, generator), f"kept, {n}", "kept") for n, d in deep.items()]
    return judge_probes(
        "update-cosine-flat",
        deep or datasets,
        near + far,
        f"no model has {FEWEST_KEPT} middle layers",
    )


def exponents(
    families: Mapping[str, Mapping[str, xr.Dataset]], quantities: Sequence[str]
) -> pd.DataFrame:
    """`rotation_slope` of every family and quantity, "estimate [low, high]" in each cell.

    Depths below four blocks have no two middle updates of their own and are left out of
    "theta_dh"; a family of fewer than three depths has no exponent.
    """
    import pandas as pd

    cells = {q: {name: _exponent(f, q) for name, f in families.items()} for q in quantities}
    return pd.DataFrame(cells)


def _exponent(datasets: Mapping[str, xr.Dataset], quantity: str) -> str:
    shallowest = 4 if quantity == "theta_dh" else 2
    deep = {n: d for n, d in datasets.items() if depth(d) >= shallowest}
    if depths(deep) < FEWEST_DEPTHS:
        return "too few depths"
    return f"{rotation_slope(deep, quantity):.2f}"


def exponent_sentence(datasets: Mapping[str, xr.Dataset]) -> str:
    """The measured exponent of the mean middle rotation, in words."""
    if depths(datasets) < FEWEST_DEPTHS:
        return (
            f"The models of this run have {depths(datasets)} different depths: too few for an "
            f"exponent, which takes {FEWEST_DEPTHS}."
        )
    slope = rotation_slope(datasets)
    return (
        f"Over {len(datasets)} models the mean middle rotation goes as depth to the power "
        f"{slope.estimate:.2f} (95 % interval {slope.low:.2f} to {slope.high:.2f}); an inverse law "
        f"(-1) is {_where(-1.0, slope)} this interval, a random walk of fixed reach (-0.5) "
        f"{_where(-0.5, slope)} it."
    )


def _where(value: float, interval: Interval) -> str:
    return "inside" if value in interval else "outside"


def rounding_sentence(runs: Mapping[str, xr.Dataset]) -> str:
    """What `numerics.compare` found, in words."""
    turn = {name: middle_mean(d).estimate for name, d in runs.items()}
    coarse = runs[COARSE]
    noise = float(coarse["theta_noise"].values[middle_layers(depth(coarse))].mean())
    last = {name: profile(d, "theta")[depth(d) - 1] for name, d in runs.items()}
    return (
        f"Mean middle rotation: {turn[EXACT]:.4f} rad in float32, {turn[COARSE]:.4f} rad in "
        f"bfloat16 with a rounding noise of {noise:.4f} rad a token, and {turn[PUBLISHED]:.4f} "
        f"rad with the published choices; rotation by the last block: {last[EXACT]:.3f} rad in "
        f"float32 and {last[PUBLISHED]:.3f} rad with the published choices, which compare it with "
        "the normed state."
    )
