"""Starting points: exponents on a grid, coefficients solved exactly for each.

Given exponents a law is linear in its coefficients, so relative residuals have one best set of
non-negative coefficients; it is found by trying every subset that may be nonzero.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from companion.scaling.fitting.design import Design

EXPONENTS = {1: 12, 2: 8, 3: 4, 4: 3}  # grid points an exponent, by number of exponents
FEWEST = 3  # with more exponents than that
RANGE = (0.2, 1.8)  # of the exponents on the grid
SHIFTS = (0.0, 0.5, 0.9)  # of the smallest value that a fitted shift can have
POWERS = (0.05, 0.1, 0.2, 0.5)
RIDGE = 1e-12  # of the trace: two equal features leave no singular system


def starting_points(design: Design, y: np.ndarray, count: int) -> np.ndarray:
    """The best grid points, and others spread through its better half, shape (count, p).

    Parameters
    ----------
    design : Design
        The law on n rows.
    y : ndarray, shape (n,)
        Logs of the losses.
    count : int
        Number of starts; half are the best of the grid, half are spread through its better half.
    """
    theta, misfit = _solve_grid(design, y)
    order = np.argsort(misfit)
    best = min((count + 1) // 2, len(order))
    spread = np.linspace(best, len(order) // 2, count - best).astype(int)
    picks = np.unique(np.concatenate([np.arange(best), spread]))
    return theta[order[picks]]


def _grid(design: Design) -> np.ndarray:
    law = design.law
    steps = EXPONENTS.get(len(law.exponents), FEWEST)
    axes = {name: np.geomspace(*RANGE, steps) for name in law.exponents}
    for v, name in law.shift:
        if isinstance(name, str):
            axes[name] = np.array(SHIFTS) * design.columns[v].min()
    if law.power:
        axes[law.power] = np.array(POWERS)
    rows = np.array(list(product(*axes.values())))
    theta = np.ones((len(rows), len(design.names)))
    for column, name in enumerate(axes):
        theta[:, design.index(name)] = rows[:, column]
    return theta


def _solve_grid(design: Design, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    theta, law = _grid(design), design.law
    power = theta[:, design.index(law.power), None] if law.power else 1.0
    target = np.exp(y / power) * np.ones((len(theta), 1))
    features = design.features(theta)[0] + ([np.ones_like(target)] if law.constant else [])
    X = np.stack(np.broadcast_arrays(*features), axis=1) / target[:, None]
    signed = [t.signed for t in law.terms] + [False] * bool(law.constant)
    a, misfit = _nonnegative(X, np.array(signed))
    for column, name in enumerate(law.coefficients):
        theta[:, design.index(name)] = a[:, column]
    return theta, misfit


def _nonnegative(X: np.ndarray, signed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimise |sum_k a_k X_k - 1| with a >= 0 (unless signed), for each of B problems."""
    B, K, n = X.shape
    G, b = X @ X.transpose(0, 2, 1), X.sum(2)
    ridge = RIDGE * np.trace(G, axis1=1, axis2=2)[:, None, None]
    best, best_a = np.full(B, np.inf), np.zeros((B, K))
    for size in range(1, K + 1):
        for support in map(list, combinations(range(K), size)):
            block = G[:, support][:, :, support] + ridge * np.eye(size)
            a = np.linalg.solve(block, b[:, support, None])[:, :, 0]
            misfit = n - np.einsum("bk,bk->b", a, b[:, support])
            better = ((a >= 0) | signed[support]).all(1) & (misfit < best)
            best[better] = misfit[better]
            full = np.zeros((int(better.sum()), K))
            full[:, support] = a[better]
            best_a[better] = full
    return best_a, best
