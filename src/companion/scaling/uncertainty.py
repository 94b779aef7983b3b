r"""Standard errors and intervals from local curvature: Jacobian and sandwich.

The Jacobian form is the paper's, on log residuals (consistent with the objective) or on raw-loss
residuals (as published). The sandwich allows for unequal and clustered errors.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from companion.scaling.design import Design
from companion.scaling.result import FitResult
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
        Huber's threshold; s² is then that of an M-estimator (Huber 1981, section 7.6).
    """
    f, J = design.evaluate(theta[None])
    r, J = y - f[0], J[0]
    if raw:
        loss = np.exp(f[0])
        r, J = np.exp(y) - loss, J * loss
    free = np.ones(len(theta), bool) if free is None else free
    s2 = _scale(r, int(free.sum()), delta)
    inside = np.linalg.pinv(J[free] @ J[free].T, hermitian=True, rcond=1e-15)
    return _to_plain(design, theta, free, s2 * inside)


def _scale(r: np.ndarray, p: int, delta: float) -> float:
    pull, inside = np.clip(r, -delta, delta), np.abs(r) <= delta
    return float(np.sum(pull**2) / (len(r) - p) / inside.mean() ** 2)


def _to_plain(design: Design, theta, free, covariance) -> np.ndarray:
    full = np.zeros((len(theta), len(theta)))
    full[np.ix_(free, free)] = covariance
    G = design.plain_jacobian(theta)
    plain = G @ full @ G.T
    plain[~free] = np.nan
    plain[:, ~free] = np.nan
    return plain


def sandwich_covariance(result: FitResult, groups: np.ndarray | None = None) -> np.ndarray:
    r"""Covariance :math:`H^{-1} \left(\sum_g s_g s_g^T\right) H^{-1}`, shape (p, p).

    Scores are summed within each of the `groups` (rows by default); H is the exact Hessian. With
    G groups it carries the factor G/(G-1) times (n-1)/(n-p).

    Notes
    -----
    White 1980; Liang and Zeger 1986; the factor is Stata's.
    """
    from companion.scaling.fitting import objective_derivatives

    design, theta, free = result.design, result.theta, result.free
    _, H = objective_derivatives(design, result.y, theta, result.delta)
    J = design.evaluate(theta[None])[1][0]
    score = (J * np.clip(result.residuals, -result.delta, result.delta))[free]
    member = np.arange(result.n) if groups is None else np.unique(groups, return_inverse=True)[1]
    k = int(member.max()) + 1
    summed = np.zeros((k, len(score)))
    np.add.at(summed, member, score.T)
    bread = np.linalg.inv(H[np.ix_(free, free)])
    factor = k / (k - 1) * (result.n - 1) / (result.n - len(score))
    return _to_plain(design, theta, free, factor * bread @ (summed.T @ summed) @ bread)


def from_covariance(
    result: FitResult, covariance: np.ndarray, dof: float, method: str
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Standard errors and symmetric t intervals, by parameter; free parameters only."""
    errors = {n: float(np.sqrt(v)) for n, v in zip(result.params, np.diag(covariance), strict=True)}
    found = {
        name: around(result.params[name], error, dof, method=method)
        for name, error in errors.items()
        if math.isfinite(error)
    }
    return errors, found


def add(result: FitResult, method: str, errors, intervals) -> FitResult:
    """The result with one more method of uncertainty."""
    return replace(
        result,
        stderr={**result.stderr, method: errors},
        intervals={**result.intervals, method: intervals},
    )


def with_jacobian(result: FitResult, raw: bool = False) -> FitResult:
    """Add `jacobian` (log residuals) or `jacobian_raw` (raw-loss residuals)."""
    method = "jacobian_raw" if raw else "jacobian"
    covariance = jacobian_covariance(
        result.design,
        result.y,
        result.theta,
        free=result.free,
        raw=raw,
        delta=math.inf if raw else result.delta,
    )
    dof = result.n - int(result.free.sum())
    return add(result, method, *from_covariance(result, covariance, dof, method))


def with_sandwich(result: FitResult, by_cluster: bool = True) -> FitResult:
    """Add `sandwich_shape` (by cluster) or `sandwich` (by row)."""
    groups = result.clusters if by_cluster else None
    method = "sandwich_shape" if by_cluster else "sandwich"
    p = int(result.free.sum())
    dof = len(np.unique(np.asarray(groups))) - 1 if by_cluster else result.n - p
    covariance = sandwich_covariance(result, groups)
    return add(result, method, *from_covariance(result, covariance, max(dof, 1), method))
