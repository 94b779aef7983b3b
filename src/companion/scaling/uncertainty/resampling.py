"""Refits on resampled rows: bootstrap by row or by shape, jackknife over shapes.

All refits are one batch of the solver, each with its own weights and its own convergence test;
those that fail from the optimum are tried again from the grid, and what still fails is counted,
as is a resample with too few distinct shapes to identify the law.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from companion.scaling.fitting.checks import resolved
from companion.scaling.fitting.curvature import add
from companion.scaling.fitting.design import Design
from companion.scaling.fitting.result import FitResult
from companion.scaling.fitting.solver import Solution, solve
from companion.scaling.fitting.starts import starting_points
from companion.statistics.intervals import jackknifed, percentile, resample

RETRIES = 4


@dataclass(frozen=True)
class Draws:
    """Refitted parameters: `params` name to (R,) in plain units.

    `converged` (R,) says which refits converged on rows that can identify the law.
    """

    params: dict[str, np.ndarray]
    converged: np.ndarray
    method: str


def refit(
    design: Design, y: np.ndarray, weights: np.ndarray, start: np.ndarray, *, delta=np.inf, held=()
) -> Solution:
    """Refit with each row of `weights`, shape (R, n), from one start, then from the grid.

    Parameters
    ----------
    design : Design
        The law on n rows.
    y : ndarray, shape (n,) or (R, n)
        Logs of the losses.
    weights : ndarray, shape (R, n)
        Weights of the rows in each refit.
    start : ndarray, shape (p,) or (R, p)
        The full optimum, usually.
    delta : float
        Huber's threshold.
    held : sequence of str
        Parameters kept at their value in `start`.
    """
    R = len(weights)
    start = np.broadcast_to(start, (R, len(design.names)))
    y = np.broadcast_to(y, (R, design.n))
    low, high = (np.tile(b, (R, 1)) for b in design.bounds())
    for name in held:
        low[:, design.index(name)] = high[:, design.index(name)] = start[:, design.index(name)]
    refits = solve(design, y, start, weights=weights, low=low, high=high, delta=delta)
    for i in np.flatnonzero(~refits.converged):
        again = starting_points(design, y[i], RETRIES)
        retry = solve(
            design, y[i], again, weights=weights[i], low=low[i], high=high[i], delta=delta
        )
        best = int(np.argmin(np.where(retry.converged, retry.objective, np.inf)))
        if retry.converged[best]:
            for field in ("theta", "objective", "gradient", "converged", "iterations"):
                getattr(refits, field)[i] = getattr(retry, field)[best]
    return refits


def bootstrap(
    result: FitResult, generator: np.random.Generator, *, draws: int = 1000, by_shape: bool = False
) -> Draws:
    """Refit resamples of the rows, or of whole shapes (clusters), drawn with replacement.

    Parameters
    ----------
    result : FitResult
        The fit on the full table; its optimum is the start.
    generator : numpy.random.Generator
        Source of randomness.
    draws : int
        Number of resamples R.
    by_shape : bool
        Draw clusters, for rows that are not independent.

    Notes
    -----
    Resampling pairs: Efron and Tibshirani 1993, section 9.5; clusters: Davison and Hinkley 1997,
    section 3.8.
    """
    groups = result.clusters if by_shape else None
    weights = resample(result.n, draws, generator, groups)
    method = "bootstrap_shape" if by_shape else "bootstrap"
    return _refitted(result, weights, method)


def jackknife(result: FitResult) -> Draws:
    """Refit with each cluster left out in turn."""
    labels = np.unique(result.clusters)
    weights = np.array([result.clusters != label for label in labels], float)
    return _refitted(result, weights, "jackknife")


def _refitted(result: FitResult, weights: np.ndarray, method: str) -> Draws:
    held = result.certificate.fixed
    refits = refit(result.design, result.y, weights, result.theta, delta=result.delta, held=held)
    ok = refits.converged & resolved(result.table, result.law, weights)
    return Draws(result.design.to_params(refits.theta), ok, method)


def with_draws(result: FitResult, draws: Draws) -> FitResult:
    """Add percentile intervals (bootstrap) or jackknife t intervals; failures are counted."""
    ok = draws.converged
    values = {name: v[ok] for name, v in draws.params.items()}
    if draws.method == "jackknife":
        intervals = {name: jackknifed(result.params[name], v) for name, v in values.items()}
    else:
        intervals = {
            name: percentile(v, result.params[name], method=draws.method)
            for name, v in values.items()
        }
    errors = {name: interval.stderr for name, interval in intervals.items()}
    failures = {**result.failures, draws.method: int((~ok).sum())}
    note = f"{int((~ok).sum())} of {len(ok)} refits of {draws.method} failed"
    warnings = result.warnings if ok.all() else (*result.warnings, note)
    return replace(
        add(result, draws.method, errors, intervals), failures=failures, warnings=warnings
    )
