"""Equal parameters, traded between depth and the width of a block: which of them does the loss see?

A shape ell x k has ell blocks of k m hidden units each. Averaging over estimates asks only for
their number, ell k; a dynamics that is cut finer, and stages, ask for depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from companion.runs import Keep, Progress, computed, silent
from companion.runtime import Runtime
from companion.statistics.intervals import Interval
from companion.toy.analysis import log, over_replicates
from companion.toy.calibration.design import Design, Task, by_regime, tasks
from companion.toy.calibration.training import Answers, seconds, trained

if TYPE_CHECKING:
    import xarray as xr

SHAPES = ((2, 16), (4, 8), (8, 4), (16, 2), (4, 4), (8, 2))
"""Blocks and hidden units a channel: four of 32 m hidden units, two of half as many."""

RATES = (1.0, 2.0, 4.0)
"""Multiples of the learning rate that each shape tries first; see `_losses`."""

MOST_RATES = 10
"""Rates that a shape tries at most."""


def measure(
    chosen: Design,
    runtime: Runtime,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    rates: Sequence[float] = RATES,
    progress: Progress = silent,
    kept: Keep = computed,
) -> xr.Dataset:
    """Train every shape on the same teachers, at rates around its best.

    Parameters
    ----------
    chosen : Design
        Its depths and expansion are replaced.
    runtime : Runtime
    shapes : sequence of (blocks, expansion)
    rates : sequence of float
    progress : callable
    kept : callable
        Keeps what is finished, see `runs.Output.kept`.

    Returns
    -------
    xarray.Dataset
        `loss` (regime, shape, rate, teacher), squared error of the final state, missing where a
        shape did not try a rate; coordinates `ell` and `expansion` of each shape.
    """
    import xarray as xr

    coords = {
        "shape": [f"{ell}x{expansion}" for ell, expansion in shapes],
        "ell": ("shape", [ell for ell, _ in shapes]),
        "expansion": ("shape", [expansion for _, expansion in shapes]),
    }
    parts = []
    for task in tasks(chosen):
        answers: Answers = {}
        each = [
            kept(
                f"{task.name}-{ell}x{k}.nc",
                partial(_losses, task, ell, k, rates, runtime, progress, answers),
            )
            for ell, k in shapes
        ]
        parts.append(xr.concat(each, "shape", join="outer").assign_coords(coords))
    return by_regime(parts, tasks(chosen))


def _losses(
    task: Task,
    ell: int,
    expansion: int,
    rates: Sequence[float],
    runtime: Runtime,
    progress: Progress,
    answers: Answers,
) -> xr.Dataset:
    """Final losses (rate, teacher) of one shape; infinite where they are not finite.

    While the best rate, in the mean log loss, is the lowest or the highest, one beyond it is tried.
    """
    import xarray as xr

    rows: dict[float, np.ndarray] = {}
    ahead = list(rates)
    while ahead:
        rate = ahead.pop()
        one = _shaped(task, ell, expansion, rate)
        loss = trained(one, runtime, progress, answers=answers).test().mean[0]
        rows[rate] = np.where(np.isfinite(loss), loss, np.inf)
        if not ahead and len(rows) < MOST_RATES:
            best = min(rows, key=lambda rate: np.log(rows[rate]).mean())
            ahead = [r for r in (best / 2, 2 * best) if not min(rows) <= r <= max(rows)]
    tried = sorted(rows)
    losses = np.array([rows[rate] for rate in tried])
    return xr.Dataset({"loss": (("rate", "teacher"), losses)}, {"rate": tried})


def _shaped(task: Task, ell: int, expansion: int, rate: float) -> Task:
    spec = replace(task.spec, depths=(ell,), expansion=expansion, lr=rate * task.spec.lr)
    return replace(task, spec=spec)


def estimate(
    chosen: Design,
    runtime: Runtime,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    rates: Sequence[float] = RATES,
) -> float:
    """Seconds that `measure` will take on this machine, if each shape tries one rate more."""
    each = (seconds(_shaped(t, *s, 1.0), runtime) for t in tasks(chosen) for s in shapes)
    return (len(rates) + 1) * sum(each)


def tuned(shapes: xr.Dataset) -> xr.DataArray:
    """Loss (regime, shape, teacher) at the rate whose mean log loss is lowest for that shape."""
    loss = shapes["loss"]
    best = log(loss).mean("teacher").idxmin("rate")
    return loss.sel(rate=best).drop_vars("rate")


def exponents(shapes: xr.Dataset, regime: str) -> dict[str, Interval]:
    r"""Exponents of depth and of hidden units a block, over teachers.

    :math:`\ln L = a - \alpha_\ell \ln \ell - \alpha_k \ln k`, one plane for each teacher: their
    mean with Student's t. Alike if the loss sees only the number of hidden units; `difference` is
    :math:`\alpha_\ell - \alpha_k`.
    """
    loss = tuned(shapes).sel(regime=regime).transpose("shape", "teacher")
    x = np.log([np.full(loss.sizes["shape"], np.e), loss["ell"].values, loss["expansion"].values])
    planes = -np.linalg.lstsq(x.T, np.log(loss.values), rcond=None)[0]
    found = {"depth": planes[1], "hidden units": planes[2], "difference": planes[1] - planes[2]}
    return {name: over_replicates(values) for name, values in found.items()}
