r"""Which law do the rows prefer? Information criteria, nested tests, held-out shapes.

Log residuals are taken as Gaussian with unknown variance, so
:math:`-2 \ln \mathcal{L} = n \ln(2\pi\, \mathrm{RSS}/n) + n`. Rows of one shape share errors; the
criteria count them as independent, the held-out scores do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from companion.errors import InputError
from companion.scaling.fitting.fit import fit
from companion.scaling.fitting.result import FitResult
from companion.scaling.uncertainty.profile import likelihood_profile
from companion.scaling.uncertainty.resampling import refit
from companion.statistics.intervals import Interval, clustered_mean


class Test(NamedTuple):
    """A test: its statistic, degrees of freedom, p-value, and whether every fit in it converged."""

    statistic: float
    dof: int
    p: float
    converged: bool


def compare_laws(table, laws: Sequence[str], *, drop: int = 0):
    """Fit several laws to the same rows and score them.

    Parameters
    ----------
    table : DataFrame
        Rows with every variable that one of the laws needs.
    laws : sequence of str or ScalingLaw
        The candidates.
    drop : int
        How many of the highest losses are left out.

    Returns
    -------
    DataFrame
        Indexed by law: `parameters`, `rmse` (of log loss), `aic`, `bic` (both relative to the
        best), `cv_shape` and `cv_largest` (root mean squared log error on held-out shapes and
        largest models; NaN where the smaller models cannot identify the law), `failed`
        (held-out refits that did not converge), `converged`.

    Notes
    -----
    Akaike 1974; Schwarz 1978; Burnham and Anderson 2002, chapter 2.
    """
    import pandas as pd

    rows = [_scores(fit(table, law, drop=drop)) for law in laws]
    frame = pd.DataFrame(rows).set_index("law")
    for name in ("aic", "bic"):
        frame[name] -= frame[name].min()
    return frame


def _scores(result: FitResult) -> dict:
    by_shape, failed = shape_errors(result)
    try:
        beyond, converged = largest_errors(result)
    except InputError:
        beyond, converged = np.array([math.nan]), True
    return {
        "law": result.law.name,
        "parameters": len(result.params),
        "rmse": math.sqrt(np.mean(result.residuals**2)),
        "aic": criterion(result, 2.0),
        "bic": criterion(result, math.log(result.n)),
        "cv_shape": float(np.sqrt(np.mean(by_shape**2))),
        "cv_largest": float(np.sqrt(np.mean(beyond**2))),
        "failed": failed + (not converged),
        "converged": result.converged,
    }


def unconverged(frame) -> list[str]:
    """Laws of a comparison whose fit, or one of whose held-out refits, did not converge."""
    return list(frame.index[~frame["converged"] | (frame["failed"] > 0)])


def criterion(result: FitResult, price: float) -> float:
    """-2 ln likelihood plus `price` for each parameter, the variance among them."""
    n = result.n
    deviance = n * math.log(2 * math.pi * float(np.mean(result.residuals**2))) + n
    return deviance + price * (len(result.params) + 1)


def likelihood_ratio(small: FitResult, large: FitResult) -> Test:
    """Likelihood ratio test of nested laws on the same rows.

    Returns
    -------
    Test
        Chi-squared approximation; too eager where rows of a shape share errors.

    Raises
    ------
    InputError
        If the fits do not see the same rows, or the larger law has no more parameters.
    """
    from scipy.special import chdtrc

    dof = len(large.params) - len(small.params)
    if dof < 1 or small.n != large.n or not np.array_equal(small.y, large.y):
        raise InputError("a likelihood ratio needs nested laws on the same rows")
    statistic = max(criterion(small, 0.0) - criterion(large, 0.0), 0.0)
    p = float(chdtrc(dof, statistic))
    return Test(statistic, dof, p, small.converged and large.converged)


def test_value(result: FitResult, name: str, value: float) -> Test:
    """F test of one parameter's value, from its profile; `dof` is that of the residuals.

    Raises
    ------
    InputError
        If there is no such parameter.
    """
    from scipy.special import fdtrc

    curve = likelihood_profile(result, name, [value])
    statistic = max(float(curve.deviance[0]), 0.0)
    p = float(fdtrc(1, result.dof, statistic))
    return Test(statistic, result.dof, p, result.converged and bool(curve.converged[0]))


def shape_errors(result: FitResult) -> tuple[np.ndarray, int]:
    """Log error of each row, its whole shape left out of the fit that predicts it.

    Returns
    -------
    errors : ndarray, shape (n,)
        Log of the observed loss minus log of the predicted one.
    failed : int
        Refits that did not converge; the errors are then those where they stopped.
    """
    groups = result.clusters
    labels = np.unique(groups)
    keep = np.array([groups != label for label in labels])
    refits = refit(result.design, result.y, keep.astype(float), result.theta, delta=result.delta)
    errors = result.y - result.design.evaluate(refits.theta)[0]
    own = errors[np.searchsorted(labels, groups), np.arange(result.n)]
    return own, int((~refits.converged).sum())


def held_out_difference(a: FitResult, b: FitResult) -> Interval:
    """Mean squared held-out log error of `a` minus that of `b`, with shapes as clusters.

    In units of `b`'s own: 0.1 says that a's error is 10 % larger.

    Raises
    ------
    InputError
        If the two do not fit the same rows.
    """
    if not np.array_equal(a.y, b.y):
        raise InputError("held-out errors of two laws need the same rows")
    errors_a, errors_b = (shape_errors(result)[0] ** 2 for result in (a, b))
    return clustered_mean((errors_a - errors_b) / errors_b.mean(), a.clusters)


def held_out_differences(a: FitResult, others: Iterable[FitResult]) -> dict[str, Interval]:
    """`held_out_difference` of `a` from each of the others, by the name of the other's law."""
    return {other.law.name: held_out_difference(a, other) for other in others}


def largest_errors(result: FitResult, share: float = 0.2) -> tuple[np.ndarray, bool]:
    """Log errors on the largest models, predicted from the smaller ones.

    Size is m² ell, whether or not the law uses it; whole shapes are held out.

    Returns
    -------
    errors : ndarray
        One for each row whose size is in the highest `share`.
    converged : bool
        Whether the fit to the others converged.

    Raises
    ------
    InputError
        If the smaller models cannot identify the law.
    """
    size = np.asarray(result.table["m"]) ** 2 * np.asarray(result.table["ell"])
    small = size < np.quantile(size, 1 - share)
    trained = fit(result.table[small], result.law, delta=result.delta)
    rest = result.table[~small]
    errors = np.log(np.asarray(rest["loss"])) - np.log(trained.predict(rest))
    return errors, trained.converged
