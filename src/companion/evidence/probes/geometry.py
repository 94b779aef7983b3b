"""The paper's claims on how layers turn the state, as predictions with ranges; tables, sentences.

The ranges are fixed here, before any model is looked at; each function says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.calibration import why_no_test
from companion.evidence.claims import Claim, Measurement
from companion.evidence.probes.depth_report import EVEN, WEAK
from companion.evidence.probes.scope import (
    FEWEST_MIDDLE,
    claim_on_probes,
    measurement,
    with_a_middle,
)
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

PLACE = "paper, figure 2 and appendix A"
INVERSE = (-1.25, -0.75)
FEWEST_DEPTHS = 3


def rotation_falls_inversely(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Mean middle rotation ~ ell^-1: exponent in [-1.25, -0.75].

    The upper end lies midway between -1 and -1/2, the exponent of a random walk whose whole
    displacement does not depend on depth; the lower end mirrors it. Measured over all depths, and
    without those below four blocks, which have no middle of their own.
    """
    return claim_on_probes(
        "rotation-inverse-depth",
        "The mean rotation by a middle layer falls as one over the depth.",
        PLACE,
        datasets,
        [
            measurement("exponent, all depths", rotation_slope(datasets), INVERSE),
            *_own_middle(datasets),
        ]
        if depths(datasets) >= FEWEST_DEPTHS
        else [],
        f"a slope needs models of {FEWEST_DEPTHS} depths, this run has {depths(datasets)}",
    )


def _own_middle(datasets: Mapping[str, xr.Dataset]) -> list[Measurement]:
    deep = {name: d for name, d in datasets.items() if depth(d) >= 4}
    if not FEWEST_DEPTHS <= depths(deep) < depths(datasets):
        return []
    return [measurement("exponent, four blocks and more", rotation_slope(deep), INVERSE)]


def updates_stay_apart(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Turn between consecutive updates ~ ell^0, not ell^-1: exponent in [-0.5, 0.5].

    A smooth flow cut finer brings consecutive updates together as 1/ell; independent estimates of
    one update stay at their angle. The range ends midway.
    """
    deep = {n: d for n, d in datasets.items() if len(middle_layers(depth(d))) > 1}
    deep = {n: d for n, d in deep.items() if depth(d) >= 4}
    enough = depths(deep) >= FEWEST_DEPTHS
    slope = [rotation_slope(deep, "theta_dh")] if enough else []
    return claim_on_probes(
        "updates-do-not-align",
        "Consecutive updates of middle layers do not align as the network gets deeper.",
        "follows from the paper's regimes; our test",
        deep,
        [measurement("exponent of the turn between updates", s, (-0.5, 0.5)) for s in slope],
        f"a slope needs models of {FEWEST_DEPTHS} depths of four blocks or more",
    )


def rotations_are_even(datasets: Mapping[str, xr.Dataset], generator: np.random.Generator) -> Claim:
    """Participation of the middle rotations at least 1/2, in every model with enough layers.

    k stages among n middle layers give k/n; equal rotations give 1.
    """
    idle = why_no_test("evenness of rotation", "ensemble")
    return claim_on_probes(
        "rotations-evenly-spread",
        "Middle layers share the rotation of the residual stream evenly; there are no stages.",
        PLACE,
        with_a_middle(datasets),
        [
            measurement(f"participation, {name}", evenness(d, generator), (EVEN, 1.0))
            for name, d in with_a_middle({} if idle else datasets).items()
        ],
        idle or f"no model has {FEWEST_MIDDLE} middle layers",
    )


def updates_are_weakly_correlated(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Mean cosine of consecutive middle updates within 1/4 of zero (angles of 76 to 104 degrees).

    Ensemble averaging with noise z times the signal predicts 1/(1 + z^2); a smooth flow predicts
    nearly 1.
    """
    idle = why_no_test("neighbour cosine", "ensemble")
    return claim_on_probes(
        "updates-weakly-correlated",
        "Consecutive updates of middle layers are only weakly correlated.",
        PLACE,
        with_a_middle(datasets),
        [
            measurement(f"mean cosine, {name}", update_cosine(d), (-WEAK, WEAK))
            for name, d in with_a_middle({} if idle else datasets).items()
        ],
        idle or f"no model has {FEWEST_MIDDLE} middle layers",
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
