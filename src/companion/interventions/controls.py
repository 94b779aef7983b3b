"""Residual systems whose regime is known, disturbed by the same five interventions as the models.

The cost of a disturbance is the squared displacement of the final state, relative to the squared
length of the whole way: what a loss does that is quadratic about the undisturbed state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from companion.errors import InputError
from companion.interventions.blocks import KINDS, places, rules
from companion.interventions.findings import middle
from companion.runtime import Runtime
from companion.statistics.intervals import log_slope

Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Control:
    """A synthetic stack.

    Parameters
    ----------
    regime : str
        One of `REGIMES`.
    ell : int
        Number of blocks.
    width : int
        Dimension of the state.
    noise : float
        Ensemble: length of a layer's own noise in units of the common update.
    turn : float
        Flow: how far the state turns in all, in radians.
    samples : int
        Number of states sent through.
    """

    regime: str
    ell: int = 16
    width: int = 64
    noise: float = 2.0
    turn: float = 2.0
    samples: int = 256

    def __post_init__(self) -> None:
        if self.regime not in REGIMES:
            raise InputError(f"regime {self.regime!r} is unknown: use {', '.join(REGIMES)}")


def cost(control: Control, runtime: Runtime) -> xr.DataArray:
    r"""Relative cost (kind, layer) of every intervention on a synthetic stack.

    :math:`\langle|h'_\ell - h_\ell|^2\rangle / \langle|h_\ell - h_0|^2\rangle`, with h' the
    disturbed run.
    """
    generator = runtime.torch_generator(device="cpu")
    layers = _STACKS[control.regime](control, generator)
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


def _ensemble(control: Control, generator: torch.Generator) -> list[Layer]:
    """Every layer adds the same function of the input half of the state, and noise of its own."""
    half = control.width // 2
    common, *own = (_gaussian(half, generator) for _ in range(control.ell + 1))
    maps = [(common + control.noise * noise) / control.ell for noise in own]
    return [lambda h, w=w: torch.cat([h[:, :half], h[:, half:] + h[:, :half] @ w], 1) for w in maps]


def _flow(control: Control, generator: torch.Generator) -> list[Layer]:
    """Steps of a rotation whose generator drifts, so that distant steps do not commute."""
    first, second = (_skew(control.width, generator) for _ in range(2))
    step = control.turn / control.ell
    times = (torch.arange(control.ell) + 0.5) / control.ell
    turns = [torch.linalg.matrix_exp(step * ((1 - t) * first + t * second)) for t in times]
    return [lambda h, q=q: h @ q for q in turns]


def _stages(control: Control, generator: torch.Generator) -> list[Layer]:
    """Every layer is a change of basis of its own, without which the next cannot read."""
    turns = [torch.linalg.qr(_gaussian(control.width, generator))[0] for _ in range(control.ell)]
    return [lambda h, q=q: h @ q for q in turns]


def _gaussian(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5


def _skew(n: int, generator: torch.Generator) -> Tensor:
    """An antisymmetric matrix that turns a state by about one radian in unit time."""
    gaussian = _gaussian(n, generator)
    return (gaussian - gaussian.T) / 2**0.5


_STACKS = {"ensemble": _ensemble, "procedural": _flow, "compositional": _stages}
REGIMES = tuple(_STACKS)
"""The regimes of the paper, each with its synthetic stack."""


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
