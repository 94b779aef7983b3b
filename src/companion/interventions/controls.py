"""Residual systems whose regime is known, disturbed by the same five interventions as the models.

The cost of a disturbance is the squared displacement of the final state, relative to the squared
length of the whole way: what a loss does that is quadratic about the undisturbed state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from companion.interventions.blocks import KINDS, places, rules
from companion.interventions.costs import middle
from companion.regimes import REGIMES, Layer, check_regime, stack
from companion.runtime import Runtime
from companion.statistics.intervals import log_slope


@dataclass(frozen=True)
class Control:
    """A synthetic stack, see `companion.regimes.stack`; `samples` states are sent through."""

    regime: str
    ell: int = 16
    width: int = 64
    noise: float = 2.0
    turn: float = 2.0
    samples: int = 256

    def __post_init__(self) -> None:
        check_regime(self.regime)


def cost(control: Control, runtime: Runtime) -> xr.DataArray:
    r"""Relative cost (kind, layer) of every intervention on a synthetic stack.

    :math:`\langle|h'_\ell - h_\ell|^2\rangle / \langle|h_\ell - h_0|^2\rangle`, with h' the
    disturbed run.
    """
    generator = runtime.torch_generator(device="cpu")
    shape = control.regime, control.ell, control.width, control.noise, control.turn
    layers = stack(*shape, generator)
    h_0 = torch.randn(control.samples, control.width, generator=generator, dtype=torch.float64)
    clean = _run(layers, h_0, {})
    way = (clean - h_0).square().sum()
    grid = np.full((len(KINDS), control.ell), np.nan)
    for row, kind in enumerate(KINDS):
        for layer in places(kind, control.ell):
            changed = _run(layers, h_0, rules(kind, layer, control.ell))
            grid[row, layer] = (changed - clean).square().sum() / way
    coords = {"kind": list(KINDS), "layer": np.arange(control.ell)}
    return xr.DataArray(grid, coords, ("kind", "layer"), attrs={"units": "share of the way"})


def _run(layers: Sequence[Layer], h: Tensor, changed: dict) -> Tensor:
    for place in range(len(layers)):
        rule = changed.get(place, lambda h, run, place=place: run(place, h))
        h = rule(h, lambda index, h: layers[index](h))
    return h


def table(runtime: Runtime, depths: Sequence[int] = (8, 16, 32)) -> pd.DataFrame:
    """Per regime: middle costs relative to skipping, at the last depth, and the skip exponent.

    Returns
    -------
    DataFrame
        One row a regime; columns `swap / skip`, `average / skip`, ..., and `exponent of skip`,
        the slope of the middle skip cost against depth on logarithmic axes.
    """
    rows = {}
    for regime in REGIMES:
        costs = [cost(Control(regime, ell), runtime) for ell in depths]
        skips = [float(middle(one, "skip").mean()) for one in costs]
        others = [kind for kind in KINDS if kind != "skip"]
        row = {f"{k} / skip": float(middle(costs[-1], k).mean()) / skips[-1] for k in others}
        rows[regime] = row | {"exponent of skip": log_slope(depths, skips).estimate}
    return pd.DataFrame(rows).T
