"""Standard errors that allow for unequal and clustered errors: the sandwich."""

from __future__ import annotations

import numpy as np

from companion.scaling.fitting import huber
from companion.scaling.fitting.curvature import from_covariance, to_plain
from companion.scaling.fitting.result import FitResult
from companion.scaling.fitting.solver import objective_derivatives


def sandwich_covariance(result: FitResult, groups: np.ndarray | None = None) -> np.ndarray:
    r"""Covariance :math:`H^{-1} \left(\sum_g s_g s_g^T\right) H^{-1}`, shape (p, p).

    Scores are summed within each of the `groups` (rows by default); H is the exact Hessian. With
    G groups it carries the factor G/(G-1) times (n-1)/(n-p).

    Notes
    -----
    White 1980; Liang and Zeger 1986; the factor is Stata's.
    """
    design, theta, free = result.design, result.theta, result.free
    _, H = objective_derivatives(design, result.y, theta, result.delta)
    J = design.evaluate(theta[None])[1][0]
    score = (J * huber.pull(result.residuals, result.delta))[free]
    member = np.arange(result.n) if groups is None else np.unique(groups, return_inverse=True)[1]
    k = int(member.max()) + 1
    summed = np.zeros((k, len(score)))
    np.add.at(summed, member, score.T)
    bread = np.linalg.inv(H[np.ix_(free, free)])
    factor = k / (k - 1) * (result.n - 1) / (result.n - len(score))
    return to_plain(design, theta, free, factor * bread @ (summed.T @ summed) @ bread)


def with_sandwich(result: FitResult, by_cluster: bool = True) -> FitResult:
    """Add `sandwich_shape` (by cluster) or `sandwich` (by row)."""
    groups = result.clusters if by_cluster else None
    dof = max(result.shapes - 1, 1) if by_cluster else result.dof
    method = "sandwich_shape" if by_cluster else "sandwich"
    return from_covariance(result, sandwich_covariance(result, groups), dof, method)
