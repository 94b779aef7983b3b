"""The paper's claims on how pretrained models use their depth, as predictions with ranges.

Floor 2. The ranges are fixed here, before any model is looked at; each function says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.claims import Claim, Measurement
from companion.probing.reading import EVEN, FEWEST_MIDDLE, WEAK
from companion.probing.report import FEWEST_DEPTHS
from companion.probing.several import scope
from companion.probing.summaries import (
    depths,
    evenness,
    falling_share,
    middle_layers,
    middle_loss,
    participation,
    rotation_slope,
    update_cosine,
)
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import xarray as xr

PLACE = "paper, figure 2 and appendix A"
INVERSE = (-1.25, -0.75)
MOSTLY = 0.9


def rotation_falls_inversely(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Mean middle rotation ~ ell^-1: exponent in [-1.25, -0.75].

    The upper end lies midway between -1 and -1/2, the exponent of a random walk whose whole
    displacement does not depend on depth; the lower end mirrors it. Measured over all depths, and
    without those below four blocks, which have no middle of their own.
    """
    return _claim(
        "rotation-inverse-depth",
        "The mean rotation by a middle layer falls as one over the depth.",
        PLACE,
        datasets,
        [
            _measured("exponent, all depths", rotation_slope(datasets), INVERSE),
            *_own_middle(datasets),
        ]
        if depths(datasets) >= FEWEST_DEPTHS
        else [],
        f"a slope needs models of {FEWEST_DEPTHS} depths, this run has {depths(datasets)}",
    )


def _own_middle(datasets: Mapping[str, xr.Dataset]) -> list[Measurement]:
    deep = {name: d for name, d in datasets.items() if int(d.attrs["ell"]) >= 4}
    if not FEWEST_DEPTHS <= depths(deep) < depths(datasets):
        return []
    return [_measured("exponent, four blocks and more", rotation_slope(deep), INVERSE)]


def updates_stay_apart(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Turn between consecutive updates ~ ell^0, not ell^-1: exponent in [-0.5, 0.5].

    A smooth flow cut finer brings consecutive updates together as 1/ell; independent estimates of
    one update stay at their angle. The range ends midway.
    """
    deep = {n: d for n, d in datasets.items() if len(middle_layers(int(d.attrs["ell"]))) > 1}
    deep = {n: d for n, d in deep.items() if int(d.attrs["ell"]) >= 4}
    enough = depths(deep) >= FEWEST_DEPTHS
    slope = [rotation_slope(deep, "theta_dh")] if enough else []
    return _claim(
        "updates-do-not-align",
        "Consecutive updates of middle layers do not align as the network gets deeper.",
        "follows from the paper's regimes; our test",
        deep,
        [_measured("exponent of the turn between updates", s, (-0.5, 0.5)) for s in slope],
        f"a slope needs models of {FEWEST_DEPTHS} depths of four blocks or more",
    )


def rotations_are_even(datasets: Mapping[str, xr.Dataset], generator: np.random.Generator) -> Claim:
    """Participation of the middle rotations at least 1/2, in every model with enough layers.

    k stages among n middle layers give k/n; equal rotations give 1.
    """
    return _claim(
        "rotations-evenly-spread",
        "Middle layers share the rotation of the residual stream evenly; there are no stages.",
        PLACE,
        _long(datasets),
        [
            _measured(f"participation, {name}", evenness(d, generator), (EVEN, 1.0))
            for name, d in _long(datasets).items()
        ],
        f"no model has {FEWEST_MIDDLE} middle layers",
    )


def updates_are_weakly_correlated(datasets: Mapping[str, xr.Dataset]) -> Claim:
    """Mean cosine of consecutive middle updates within 1/4 of zero (angles of 76 to 104 degrees).

    Ensemble averaging with noise z times the signal predicts 1/(1 + z^2); a smooth flow predicts
    nearly 1.
    """
    return _claim(
        "updates-weakly-correlated",
        "Consecutive updates of middle layers are only weakly correlated.",
        PLACE,
        _long(datasets),
        [
            _measured(f"mean cosine, {name}", update_cosine(d), (-WEAK, WEAK))
            for name, d in _long(datasets).items()
        ],
        f"no model has {FEWEST_MIDDLE} middle layers",
    )


def loss_falls_gradually(
    datasets: Mapping[str, xr.Dataset], generator: np.random.Generator
) -> Claim:
    """Loss through the last-block lens falls in most layers, and middle layers share its fall.

    At least nine tenths of the layers lower it; and its participation among the middle layers is
    at least 1/2, where k steps among n layers would give k/n.
    """
    lens = {n: d for n, d in _long(datasets).items() if "loss_removed" in d}
    lens = {n: d for n, d in lens.items() if len(middle_loss(d)[0]) >= FEWEST_MIDDLE}
    falling = [
        _measured(f"share of layers that lower the loss, {name}", falling_share(d), (MOSTLY, 1.0))
        for name, d in lens.items()
    ]
    shared = [
        _measured(
            f"participation in the fall, {name}",
            participation(*middle_loss(d)[1:], generator),
            (EVEN, 1.0),
        )
        for name, d in lens.items()
    ]
    return _claim(
        "loss-falls-gradually",
        "Read through the last block, the loss falls gradually over the middle layers, "
        "not in steps.",
        PLACE,
        lens,
        falling + shared,
        f"no model has {FEWEST_MIDDLE} middle layers that the last-block lens can read",
    )


def _claim(key, statement, source, datasets, measurements, otherwise) -> Claim:
    reason = "" if measurements else otherwise
    return Claim(key, statement, source, scope(datasets), tuple(measurements), reason)


def _measured(name: str, interval: Interval, expected: tuple[float, float]) -> Measurement:
    return Measurement(name, interval.estimate, interval.low, interval.high, *expected)


def _long(datasets: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    return {
        name: d
        for name, d in datasets.items()
        if len(middle_layers(int(d.attrs["ell"]))) >= FEWEST_MIDDLE
    }
