r"""Huber's loss of log residuals, its derivatives, and the variance that goes with it.

:math:`\rho_\delta(r) = r^2/2` up to :math:`\delta` and :math:`\delta(|r| - \delta/2)` beyond; an
infinite threshold is least squares. Every fit, error bar and test of this room counts residuals
through this module.
"""

from __future__ import annotations

import math

import numpy as np


def loss(r: np.ndarray, delta: float) -> np.ndarray:
    r"""Huber's loss :math:`\rho_\delta(r)` of each residual; half the square for infinite delta."""
    if math.isinf(delta):
        return 0.5 * r * r
    size = np.abs(r)
    return np.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))


def pull(r: np.ndarray, delta: float) -> np.ndarray:
    r"""First derivative :math:`\rho_\delta'(r)`: residuals clipped at the threshold."""
    return r if math.isinf(delta) else np.clip(r, -delta, delta)


def inside(r: np.ndarray, delta: float) -> np.ndarray:
    r"""Second derivative :math:`\rho_\delta''(r)`: whether a residual is within the threshold."""
    return np.abs(r) <= delta


def variance(r: np.ndarray, dof: int, delta: float) -> float:
    r"""Residual variance of an M-estimator, :math:`\sum \rho'^2 / (\nu\, \overline{\rho''}^2)`.

    `dof` is :math:`\nu`, the degrees of freedom of the residuals.

    Notes
    -----
    Huber 1981, section 7.6; for infinite delta the usual :math:`s^2`.
    """
    return float(np.sum(pull(r, delta) ** 2) / dof / inside(r, delta).mean() ** 2)


def mean_objective(total, n: int, delta: float):
    """Mean squared residual, or mean Huber loss, from a sum of Huber losses over n rows."""
    return total * as_objective(delta) / n


def as_objective(delta: float) -> int:
    """2 for least squares, whose objective is the square rather than its half; else 1."""
    return 2 if math.isinf(delta) else 1
