r"""Standard errors and intervals from the curvature at the optimum.

The Jacobian form is the paper's, on log residuals (consistent with the objective) or on raw-loss
residuals (as published).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from companion.scaling.fitting import huber
from companion.scaling.fitting.design import Design
from companion.scaling.fitting.result import FitResult
from companion.statistics.intervals import Interval, around


def jacobian_covariance(
    design: Design, y, theta, *, free=None, raw: bool = False, delta: float = math.inf
) -> np.ndarray:
    r"""Covariance :math:`s^2 (J^T J)^{-1}` in plain units, shape (p, p); NaN if not free.

    Parameters
    ----------
    design : Design
        The law on n rows.
    y : ndarray, shape (n,)
        Logs of the losses.
    theta : ndarray, shape (p,)
        Where to take it: any point, not only an optimum.
    free : ndarray of bool, shape (p,), optional
        Parameters that were estimated.
    raw : bool
        Residuals of the loss itself, in nats, as the paper's published code has it.
    delta : float
        Huber's threshold; s² is then that of an M-estimator.
    """
    f, J = design.evaluate(theta[None])
    r, J = y - f[0], J[0]
    if raw:
        loss = np.exp(f[0])
        r, J = np.exp(y) - loss, J * loss
    free = np.ones(len(theta), bool) if free is None else free
    s2 = huber.variance(r, len(r) - int(free.sum()), delta)
    inverse = np.linalg.pinv(J[free] @ J[free].T, hermitian=True, rcond=1e-15)
    return to_plain(design, theta, free, s2 * inverse)


def to_plain(design: Design, theta, free, covariance) -> np.ndarray:
    """A covariance of the free parameters of theta in plain units, shape (p, p); else NaN."""
    full = np.zeros((len(theta), len(theta)))
    full[np.ix_(free, free)] = covariance
    G = design.plain_jacobian(theta)
    plain = G @ full @ G.T
    plain[~free] = np.nan
    plain[:, ~free] = np.nan
    return plain


def from_covariance(
    result: FitResult, covariance: np.ndarray, dof: float, method: str
) -> FitResult:
    """The result with standard errors and symmetric t intervals of its free parameters added."""
    errors = {n: float(np.sqrt(v)) for n, v in zip(result.params, np.diag(covariance), strict=True)}
    intervals = {
        name: around(result.params[name], error, dof, method=method)
        for name, error in errors.items()
        if math.isfinite(error)
    }
    return add(result, method, errors, intervals)


def add(
    result: FitResult, method: str, errors: dict[str, float], intervals: dict[str, Interval]
) -> FitResult:
    """The result with one more method of uncertainty."""
    return replace(
        result,
        stderr={**result.stderr, method: errors},
        intervals={**result.intervals, method: intervals},
    )


def with_jacobian(result: FitResult, raw: bool = False) -> FitResult:
    """Add `jacobian` (log residuals) or `jacobian_raw` (raw-loss residuals)."""
    covariance = jacobian_covariance(
        result.design,
        result.y,
        result.theta,
        free=result.free,
        raw=raw,
        delta=math.inf if raw else result.delta,
    )
    return from_covariance(result, covariance, result.dof, "jacobian_raw" if raw else "jacobian")
