"""Confidence intervals: straight lines, bootstraps by row or by cluster, proportions.

Floor 0. Every function returns an `Interval`; data are NumPy arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from companion.errors import InputError


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; `stderr` is NaN where the method gives none."""

    estimate: float
    low: float
    high: float
    stderr: float = math.nan
    level: float = 0.95
    method: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __iter__(self):
        return iter((self.estimate, self.low, self.high))

    def __format__(self, spec: str) -> str:
        spec = spec or ".3g"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def slope(x, y, *, sem=None, weights=None, level: float = 0.95) -> Interval:
    r"""Slope of a straight line by least squares, with Student's t interval.

    :math:`y = a + b x`; the interval of b is :math:`\hat b \pm t_{n-2}\,\mathrm{se}(\hat b)`.
    Without `sem` the scatter about the line gives the standard error. With `sem` points are
    weighted by 1/sem²; the standard error is the larger of what `sem` implies and what the
    scatter shows, so that points which miss the line widen the interval.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        At least 3 points, at two or more distinct x.
    sem : array_like, shape (n,), optional
        Standard errors of y.
    weights : array_like, shape (n,), optional
        Relative weights of the points; not together with `sem`.
    level : float
        Confidence level.

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        If points are too few, not finite, or all at one x.

    Notes
    -----
    Scaling by the scatter follows the Particle Data Group's reviews, section on averaging.
    """
    x, y = _points(x, y)
    if sem is not None and weights is not None:
        raise InputError("give sem or weights, not both")
    w = _weights(sem, weights, len(x))
    centre = np.average(x, weights=w)
    spread = np.sum(w * (x - centre) ** 2)
    b = np.sum(w * (x - centre) * y) / spread
    residual = y - np.average(y, weights=w) - b * (x - centre)
    scatter = np.sum(w * residual**2) / (len(x) - 2)
    variance = max(scatter, 1.0) if sem is not None else scatter
    return around(b, math.sqrt(variance / spread), len(x) - 2, level, "least squares")


def log_slope(x, y, *, sem=None, level: float = 0.95) -> Interval:
    r"""Exponent of a power law :math:`y = A x^b`, from the line through (ln x, ln y).

    Parameters are those of `slope`; `sem` is the standard error of y itself and becomes sem/y.

    Raises
    ------
    InputError
        If a value is not positive, or as `slope` does.
    """
    x, y = _points(x, y)
    if np.any(x <= 0) or np.any(y <= 0):
        raise InputError("a power law needs positive x and y: drop or explain the others first")
    relative = None if sem is None else np.asarray(sem, float) / y
    return slope(np.log(x), np.log(y), sem=relative, level=level)


def around(
    estimate: float, stderr: float, dof: float = math.inf, level: float = 0.95, method: str = ""
) -> Interval:
    """Interval estimate ± t·stderr, Student's t with `dof` degrees of freedom (normal if inf)."""
    from scipy.special import ndtri, stdtrit

    tail = (1 + level) / 2
    quantile = float(ndtri(tail) if math.isinf(dof) else stdtrit(dof, tail))
    half = quantile * stderr
    estimate = float(estimate)
    return Interval(estimate, estimate - half, estimate + half, float(stderr), level, method)


def jackknifed(estimate: float, without, *, level: float = 0.95) -> Interval:
    """Interval of `estimate` from its values with each of G groups left out, shape (G,).

    Student's t with G - 1 degrees of freedom (Efron and Tibshirani 1993, chapter 11).
    """
    values = np.asarray(without, float)
    G = len(values)
    stderr = math.sqrt((G - 1) / G * np.sum((values - values.mean()) ** 2))
    return around(estimate, stderr, G - 1, level, "jackknife")


def percentile(draws, estimate: float, *, level: float = 0.95, method: str = "") -> Interval:
    """Percentile interval of bootstrap `draws`, shape (R,), about `estimate`.

    Raises
    ------
    InputError
        If a draw is not finite: failed refits must be counted, not dropped.
    """
    draws = np.asarray(draws, float)
    if draws.ndim != 1 or len(draws) < 2 or not np.all(np.isfinite(draws)):
        raise InputError("a percentile interval needs at least 2 finite draws")
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        float(estimate), float(low), float(high), float(draws.std(ddof=1)), level, method
    )


def resample(n: int, draws: int, generator: np.random.Generator, clusters=None) -> np.ndarray:
    """How often each of `n` rows occurs in each bootstrap resample.

    Parameters
    ----------
    n : int
        Number of rows.
    draws : int
        Number of resamples R.
    generator : numpy.random.Generator
        Source of randomness.
    clusters : array_like, shape (n,), optional
        Labels; whole clusters are drawn, as many as there are. Without: single rows.

    Returns
    -------
    ndarray of float, shape (R, n)
        Counts; each row sums to n, with clusters of unequal size only on average.
    """
    if clusters is None:
        return generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(float)
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    k = int(member.max()) + 1
    return generator.multinomial(k, np.full(k, 1 / k), size=draws).astype(float)[:, member]


def bootstrap(
    statistic: Callable[..., float],
    *data,
    generator: np.random.Generator,
    draws: int = 1000,
    clusters=None,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap of `statistic(*data)` over the rows, or over whole clusters.

    Parameters
    ----------
    statistic : callable
        Takes as many arrays as `data`, returns a number.
    *data : array_like, shape (n, ...)
        Arrays that share their first axis.
    generator : numpy.random.Generator
        Source of randomness.
    draws : int
        Number of resamples.
    clusters : array_like, shape (n,), optional
        Labels of clusters that are drawn whole.
    level : float
        Confidence level.

    Returns
    -------
    Interval

    Notes
    -----
    Efron and Tibshirani 1993, chapter 13.
    """
    arrays = [np.asarray(a) for a in data]
    counts = resample(len(arrays[0]), draws, generator, clusters).astype(int)
    rows = [np.repeat(np.arange(len(c)), c) for c in counts]
    values = [float(statistic(*(a[r] for a in arrays))) for r in rows]
    estimate = float(statistic(*arrays))
    kind = "row bootstrap" if clusters is None else "cluster bootstrap"
    return percentile(values, estimate, level=level, method=kind)


def clustered_mean(values, clusters, *, level: float = 0.95) -> Interval:
    r"""Mean of dependent values, with a standard error that takes clusters as independent.

    With sums S_g and counts n_g of the G clusters,
    :math:`\mathrm{se}^2 = \frac{G}{G-1} \sum_g (S_g - \bar y\, n_g)^2 / n^2`.

    Parameters
    ----------
    values : array_like, shape (n,)
    clusters : array_like, shape (n,)
        Label of each value's cluster, e.g. the document that a token is from.

    Raises
    ------
    InputError
        If there are fewer than two clusters.
    """
    values = np.asarray(values, float)
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    counts = np.bincount(member)
    groups = len(counts)
    if groups < 2:
        raise InputError("a clustered standard error needs at least 2 clusters")
    residual = np.bincount(member, weights=values - values.mean())
    variance = groups / (groups - 1) * np.sum(residual**2) / len(values) ** 2
    return around(values.mean(), math.sqrt(variance), groups - 1, level, "clustered")


def proportion(hits: int, trials: int, level: float = 0.95) -> Interval:
    r"""Wilson's score interval for a proportion, e.g. the coverage found by simulation.

    Notes
    -----
    Wilson 1927, J. Am. Stat. Assoc. 22:209.
    """
    if not 0 <= hits <= trials or trials < 1:
        raise InputError(f"{hits} hits of {trials} trials is not a proportion")
    from scipy.special import ndtri

    z2 = float(ndtri((1 + level) / 2)) ** 2
    share = hits / trials
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    stderr = math.sqrt(share * (1 - share) / trials)
    return Interval(
        share, max(centre - half, 0.0), min(centre + half, 1.0), stderr, level, "Wilson"
    )


def _points(x, y) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 3:
        raise InputError(f"a slope needs at least 3 points (x, y), got {x.shape} and {y.shape}")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise InputError("a slope needs finite points: x or y has NaN or infinity")
    if np.ptp(x) == 0:
        raise InputError(f"a slope needs two distinct x, all points are at {x[0]:g}")
    return x, y


def _weights(sem, weights, n: int) -> np.ndarray:
    if sem is None and weights is None:
        return np.ones(n)
    given = np.asarray(sem if sem is not None else weights, float)
    if given.shape != (n,) or not np.all(np.isfinite(given)) or np.any(given <= 0):
        raise InputError(f"sem or weights must be {n} positive finite numbers")
    return given**-2 if sem is not None else given
