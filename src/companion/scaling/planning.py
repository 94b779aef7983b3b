r"""The best (m, ell, D) that a fitted law promises within a budget, and how sure it is.

Model size is :math:`N = 12 m^2 \ell` (embeddings left out), training takes :math:`6 N D` operations
(Kaplan et al. 2020, section 2.1), and writing one token takes
:math:`\ell\,(t_0 + 24 m^2 / b)` seconds: a fixed time per block, and its weights in 16 bits read
at bandwidth b. The search runs over a fixed grid, for the optimum and for each bootstrap refit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from companion.errors import InputError
from companion.scaling.fitting.result import FitResult
from companion.scaling.uncertainty.resampling import Draws
from companion.settings import settings
from companion.statistics.intervals import Interval, percentile

BEYOND = 4
HEAD = 32  # channels; widths are multiples
PER_BLOCK = 10e-6  # seconds
BANDWIDTH = 2e12  # bytes a second
AT_ONCE = 50  # refits, so that their losses on the grid stay small


Positive = Annotated[float, Field(gt=0)]


@settings("budget")
class Budget:
    """What may be spent.

    Without `flops`, `tokens` says how much data there is; with both, D is what the operations
    allow, at most `tokens`.

    Parameters
    ----------
    flops : float
        Operations of training, 6 N D.
    tokens, parameters : float
        At most.
    latency : float
        Seconds a token at most.
    per_block : float
        Seconds that a block takes whatever its width.
    bandwidth : float
        Bytes of weights read in a second.
    """

    flops: Positive = math.inf
    tokens: Positive = math.inf
    parameters: Positive = math.inf
    latency: Positive = math.inf
    per_block: Positive = PER_BLOCK
    bandwidth: Positive = BANDWIDTH

    @model_validator(mode="after")
    def _check_bounded(self) -> Budget:
        if math.isinf(self.flops) and math.isinf(self.tokens):
            raise InputError("budget: give flops or tokens, else more data is always better")
        if math.isinf(self.flops) and math.isinf(self.parameters) and math.isinf(self.latency):
            raise InputError("budget: give flops, parameters or latency, else larger is better")
        return self


@dataclass(frozen=True)
class Plan:
    """The best shape within a budget; intervals are 95 % bootstrap percentiles.

    `loss` is at the best shape; `choice` says where the refits' own best shapes lie; `deeper` is
    what doubling the depth changes with width and data kept, `deeper_same_flops` with the
    operations kept (so with half the data); negative is a gain. `warnings` name extrapolation.
    """

    m: float
    ell: float
    D: float
    loss: Interval
    choice: dict[str, Interval]
    deeper: Interval
    deeper_same_flops: Interval
    warnings: tuple[str, ...] = ()

    @property
    def N(self) -> float:
        """Parameters without embeddings, 12 m² ell."""
        return 12 * self.m**2 * self.ell

    @property
    def seconds(self) -> float:
        """Time to write one token."""
        return seconds(self.m, self.ell)

    @property
    def flops(self) -> float:
        """Operations of training, 6 N D."""
        return 6 * self.N * self.D

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        spans = {"loss": self.loss, **self.choice, "deeper": self.deeper}
        spans["deeper_same_flops"] = self.deeper_same_flops
        names = ("m", "ell", "D", "N", "flops")
        return {
            **{name: getattr(self, name) for name in names},
            "loss": self.loss.estimate,
            "deeper": self.deeper.estimate,
            "deeper_same_flops": self.deeper_same_flops.estimate,
            "ci95": {name: [span.low, span.high] for name, span in spans.items()},
            "warnings": list(self.warnings),
        }


def plan(result: FitResult, draws: Draws, budget: Budget) -> Plan:
    """The shape and data of the lowest predicted loss within a budget.

    Parameters
    ----------
    result : FitResult
        A fitted law in m, ell, D (and N, taken as 12 m² ell).
    draws : Draws
        Its bootstrap; refits that did not converge are left out and counted in the warnings.
    budget : Budget

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If nothing on the grid fits the budget.
    """
    grid = candidates(budget, result.table)
    loss = result.predict(grid)
    best = int(np.argmin(loss))
    at = {name: float(values[best]) for name, values in grid.items()}
    refits = {name: values[draws.converged] for name, values in draws.params.items()}
    every = {k: v[:, None] for k, v in refits.items()}
    picks = np.concatenate([np.argmin(part, axis=1) for part in _chunks(result, every, grid)])
    choice = {
        name: percentile(grid[name][picks], at[name], method="bootstrap")
        for name in ("m", "ell", "D")
    }
    deeper = at | {"ell": 2 * at["ell"], "N": 2 * at["N"]}
    return Plan(
        at["m"],
        at["ell"],
        at["D"],
        _spread(result, refits, at),
        choice,
        _spread(result, refits, deeper, at),
        _spread(result, refits, deeper | {"D": at["D"] / 2}, at),
        _warnings(result, at, draws),
    )


def shapes(table: Any) -> tuple[np.ndarray, np.ndarray]:
    """Widths and depths of the search: those of the table, and `BEYOND` times further."""

    def spread(column: str, step: int, points: int) -> np.ndarray:
        low, high = float(np.min(table[column])), float(np.max(table[column]))
        values = np.geomspace(max(low / BEYOND, step), BEYOND * high, points)
        return np.unique(np.round(np.append(values, (low, high)) / step) * step)

    return spread("m", HEAD, 60), spread("ell", 1, 50)


def seen(table: Any) -> dict[str, tuple[float, float]]:
    """Least and most of m, ell, D and m/ell among the rows of a table."""
    columns = {name: table[name] for name in ("m", "ell", "D")}
    columns["m/ell"] = table["m"] / table["ell"]
    return {name: (float(np.min(c)), float(np.max(c))) for name, c in columns.items()}


def reach(table: Any) -> tuple[float, float]:
    """Least and most training operations, 6 N D, among the rows of a table."""
    flops = 72 * table["m"] ** 2 * table["ell"] * table["D"]
    return float(np.min(flops)), float(np.max(flops))


def middle_flops(table: Any) -> float:
    """The middle of `reach` on a logarithmic scale, at a twentieth of a decade."""
    return float(10 ** (round(20 * np.mean(np.log10(reach(table)))) / 20))


def budgets_around(flops: float, largest: Plan) -> dict[str, Budget]:
    """A tenth of `flops`, as many and ten times, then the last with a bound on time and on size.

    `largest` is the plan for ten times as many; the bounds are three quarters of its time for a
    token and half of its parameters.
    """
    budgets = {f"{flops * 10**k:.2g} operations": Budget(flops * 10.0**k) for k in (-1, 0, 1)}
    tight = {"latency": 0.75 * largest.seconds, "parameters": largest.N / 2}
    bounds = {f"the largest, {k} bound": Budget(10 * flops, **{k: v}) for k, v in tight.items()}
    return budgets | bounds


def seconds(m: Any, ell: Any, per_block: float = PER_BLOCK, bandwidth: float = BANDWIDTH) -> Any:
    """Time to write one token."""
    return ell * (per_block + 24 * m**2 / bandwidth)


def candidates(budget: Budget, table: Any) -> dict[str, np.ndarray]:
    """Shapes on the table's grid that fit the budget, each with all the data it can afford."""
    widths, depths = shapes(table)
    m, ell = (a.ravel() for a in np.meshgrid(widths, depths, indexing="ij"))
    N = 12 * m**2 * ell
    time = seconds(m, ell, budget.per_block, budget.bandwidth)
    D = np.minimum(budget.flops / (6 * N), budget.tokens)
    fits = (budget.parameters >= N) & (time <= budget.latency) & (D >= 1)
    if not fits.any():
        raise InputError(
            f"no shape from {widths[0]:g} x {depths[0]:g} to {widths[-1]:g} x {depths[-1]:g} fits "
            f"the budget: {budget.parameters:g} parameters, {budget.latency:g} s a token, "
            f"{budget.flops:g} operations"
        )
    return {"m": m[fits], "ell": ell[fits], "D": D[fits], "N": N[fits]}


def by_depth(result: FitResult, draws: Draws, budget: Budget) -> dict[str, np.ndarray]:
    """The lowest loss at each depth, with its best width and data, and the refits' 95 % band.

    Returns
    -------
    dict of str to ndarray
        ell, loss, low, high; the band is of the losses at the best shapes of the fit.
    """
    grid = candidates(budget, result.table)
    loss = result.predict(grid)
    best = [at[np.argmin(loss[at])] for at in _alike(grid["ell"])]
    chosen = {name: values[best] for name, values in grid.items()}
    refits = {k: v[draws.converged][:, None] for k, v in draws.params.items()}
    low, high = np.percentile(result.law.predict(refits, chosen), (2.5, 97.5), axis=0)
    return {"ell": chosen["ell"], "loss": loss[best], "low": low, "high": high}


def _alike(values: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(values == value) for value in np.unique(values)]


def _chunks(result: FitResult, refits, grid):
    """Predicted losses of `AT_ONCE` refits at a time on the whole grid."""
    for start in range(0, len(next(iter(refits.values()))), AT_ONCE):
        yield result.law.predict({k: v[start : start + AT_ONCE] for k, v in refits.items()}, grid)


def _spread(result: FitResult, refits, at, base=None) -> Interval:
    """Loss at one point, or its change from `base`, with the refits' percentiles."""
    change = [
        result.law.predict(params, at) - (result.law.predict(params, base) if base else 0.0)
        for params in (result.params, refits)
    ]
    return percentile(change[1], float(change[0]), method="bootstrap")


def _warnings(result: FitResult, at, draws: Draws) -> tuple[str, ...]:
    table, found = result.table, [] if result.converged else ["the fit did not converge"]
    for name, (low, high) in seen(table).items():
        value = {**at, "m/ell": at["m"] / at["ell"]}[name]
        if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            found.append(
                f"{name} = {value:.3g} is outside the rows of the fit ({low:.3g} to {high:.3g}): "
                "extrapolation"
            )
    for name, grid in zip(("m", "ell"), shapes(table), strict=True):
        if at[name] in (grid[0], grid[-1]):
            found.append(f"{name} = {at[name]:g} is at the end of the search grid")
    failed = int((~draws.converged).sum())
    return (
        (*found, f"{failed} refits did not converge and are left out") if failed else tuple(found)
    )
