r"""Numbers that others published, and the optimiser behind the paper's, re-enacted.

The paper's fit is one run of Adam from exponents (1, 1, 0.33) on :math:`\ln c`, exponents and
L_0, with depth in hundredths of a block and data in millions of tokens. Facts from its public
code; the code here is ours, in NumPy and float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

PAPER = {
    "c_m": 333.38, "alpha_m": 0.9769, "c_ell": 1284.4, "alpha_ell": 1.2014,
    "c_D": 8.4867, "alpha_D": 0.2991, "L_0": 1.7503,
}  # fmt: skip
PAPER_STDERR = {"alpha_m": 0.083, "alpha_ell": 0.269, "alpha_D": 0.0139, "L_0": 0.0256}
PAPER_OBJECTIVE = 3.0681e-5
PAPER_SHIFTED = {"alpha_m": 0.9599, "alpha_ell": 1.0661, "alpha_D": 0.2989, "L_0": 1.7442}
PAPER_UNITS = {"m": 1.0, "ell": 100.0, "D": 1e-6}
EPOCH = {
    "c_N": 482.01, "alpha_N": 0.34781, "c_D": 2085.43, "alpha_D": 0.36585, "L_0": 1.81686,
}  # fmt: skip
EPOCH_STDERR = {
    "c_N": 124.52, "alpha_N": 0.01540, "c_D": 1293.28, "alpha_D": 0.02060, "L_0": 0.02566,
}  # fmt: skip
GEMSTONES = {
    1e-3: {"alpha_m": 0.26065, "alpha_ell": 0.14165, "alpha_D": 0.53096, "L_0": 0.0}
    | {"c_m": math.exp(2.11446), "c_ell": math.exp(0.73076), "c_D": math.exp(11.28412)},
    1e-4: {"alpha_m": 0.26077, "alpha_ell": 0.14180, "alpha_D": 0.54206},
}
GEMSTONES_OBJECTIVE = {1e-3: 0.0038782174, 1e-4: 0.0004199462}


def paper_params() -> dict[str, float]:
    """The paper's published parameters in channels, blocks and tokens."""
    return to_plain(PAPER)


def to_plain(params: dict[str, float]) -> dict[str, float]:
    """From the paper's units (ell x 100, D / 10^6) to plain ones: only coefficients change."""
    plain = dict(params)
    for v, unit in PAPER_UNITS.items():
        plain[f"c_{v}"] = params[f"c_{v}"] * unit ** -params[f"alpha_{v}"]
    return plain


@dataclass(frozen=True)
class AdamPath:
    """An Adam run: `steps` (K,) at which `params` (name to (K,)) and `objective` were taken."""

    steps: np.ndarray
    params: dict[str, np.ndarray]
    objective: np.ndarray


def adam(table, *, steps: int = 50_000, every: int = 100, weights=None) -> AdamPath:
    """The paper's procedure: start, rates, units and number of steps as published.

    Parameters
    ----------
    table : DataFrame
        Columns m, ell, D, loss.
    steps : int
        50,000 for the published fit, 10,000 for its bootstrap, 1,000 for held-out runs.
    every : int
        Distance of the points that are kept.
    weights : ndarray, shape (n,), optional
        How often a bootstrap resample holds each row.

    Returns
    -------
    AdamPath
        Parameters in channels, blocks, tokens; objective the mean squared log residual.

    Notes
    -----
    Kingma and Ba 2015, with beta 0.9, 0.999 and epsilon 1e-8. The published loss carries a factor
    100, which matters only through epsilon; it is kept.
    """
    x = np.stack([np.log(np.asarray(table[v]) * unit) for v, unit in PAPER_UNITS.items()])
    y = np.log(np.asarray(table["loss"], float))
    w = np.full(len(y), 1 / len(y)) if weights is None else weights / np.sum(weights)
    theta = np.array([*np.log([200.0, 200.0, 10.0]), 1.0, 1.0, 0.33, 1.69])
    rate = np.array([5e-3] * 3 + [5e-4] * 3 + [5e-3])
    first, second = np.zeros(7), np.zeros(7)
    kept = []
    for step in range(steps + 1):
        value, gradient = _paper_loss(theta, x, y, w)
        if step % every == 0 or step == steps:
            kept.append((step, value, *theta))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        scale = np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
        theta = theta - rate * first / (1 - 0.9 ** (step + 1)) / scale
    return _path(np.array(kept))


def _paper_loss(theta, x, y, w):
    terms = np.exp(theta[:3, None] - theta[3:6, None] * x)
    total = terms.sum(0) + theta[6]
    r = y - np.log(total)
    pull = (-200.0 * w * r) / total
    by_term = terms * pull
    gradient = np.concatenate([by_term.sum(1), -(by_term * x).sum(1), [pull.sum()]])
    return float(w @ (r * r)), gradient


def _path(kept: np.ndarray) -> AdamPath:
    names = ["c_m", "c_ell", "c_D", "alpha_m", "alpha_ell", "alpha_D", "L_0"]
    params = dict(zip(names, kept[:, 2:].T, strict=True))
    params |= {name: np.exp(params[name]) for name in names[:3]}
    return AdamPath(kept[:, 0].astype(int), to_plain(params), kept[:, 1])
