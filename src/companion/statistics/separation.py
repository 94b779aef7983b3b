"""How well one number tells two classes apart: AUC, the best cut, intervals over clusters.

Floor 0. Values are NumPy arrays, one number a case; clusters are what is drawn anew in a bootstrap.
"""

from __future__ import annotations

import numpy as np

from companion.errors import InputError
from companion.statistics.intervals import Interval, percentile, resample


def auc(a, b) -> float:
    r"""Chance that a case of class a lies above one of class b, ties counted half.

    :math:`\mathrm{AUC} = \frac{1}{n_a n_b} \sum_{ij} [a_i > b_j] + \frac12 [a_i = b_j]`: 1 or 0
    where the classes do not overlap, 1/2 where the number says nothing.

    Parameters
    ----------
    a, b : array_like, shapes (n_a,) and (n_b,)

    Raises
    ------
    InputError
        If a class is empty or a value is not finite.
    """
    return float(_wins(*_checked(a, b)).mean())


def auc_interval(
    a,
    b,
    clusters_a,
    clusters_b,
    generator: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """`auc` with a percentile interval; whole clusters of either class are drawn anew.

    Parameters
    ----------
    a, b : array_like, shapes (n_a,) and (n_b,)
    clusters_a, clusters_b : array_like, same shapes
        Labels of what is independent, e.g. teachers.
    generator : numpy.random.Generator
    draws : int
    level : float
    """
    wins = _wins(*_checked(a, b))
    of_a = resample(len(wins), draws, generator, clusters_a)
    of_b = resample(wins.shape[1], draws, generator, clusters_b)
    drawn = np.einsum("ri,ij,rj->r", of_a, wins, of_b) / (of_a.sum(1) * of_b.sum(1))
    name = "cluster bootstrap"
    return percentile(drawn, float(wins.mean()), level=level, method=name)


def best_cut(a, b, above: bool = True) -> float:
    """The cut with the highest mean of the two shares that it gets right.

    Parameters
    ----------
    a, b : array_like
    above : bool
        Whether class a is to lie above it.

    Returns
    -------
    float
        Midway between two neighbouring values; of equally good cuts the middle one. Below or above
        all values where no cut between them does better.
    """
    a, b = _checked(a, b)
    values = np.unique(np.concatenate([a, b]))
    cuts = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    over_a, over_b = ((x > cuts[:, None]).mean(1) for x in (a, b))
    score = over_a - over_b if above else over_b - over_a
    best = np.flatnonzero(score >= score.max() - 1e-12)
    return float(cuts[best[len(best) // 2]])


def _wins(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """For each pair of cases 1 where a is above, 1/2 where they are equal; (n_a, n_b)."""
    return (a[:, None] > b) + (a[:, None] == b) / 2


def _checked(a, b) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, float), np.asarray(b, float)
    if not len(a) or not len(b) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError(f"two classes of finite values are needed, got {a.shape} and {b.shape}")
    return a, b
