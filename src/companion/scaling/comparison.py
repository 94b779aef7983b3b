r"""Which law do the rows prefer? Information criteria, nested tests, held-out shapes.

Log residuals are taken as Gaussian with unknown variance, so
:math:`-2 \ln \mathcal{L} = n \ln(2\pi\, \mathrm{RSS}/n) + n`. Rows of one shape share errors; the
criteria count them as independent, the held-out scores do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from companion.runtime import InputError
from companion.scaling.fitting import fit
from companion.scaling.profile import profile, with_profile
from companion.scaling.resampling import refit
from companion.scaling.result import FitResult
from companion.statistics.intervals import Interval, clustered_mean


def compare(table, laws: Sequence[str], *, drop: int = 0, largest: float = 0.2):
    """Fit several laws to the same rows and score them.

    Parameters
    ----------
    table : DataFrame
        Rows with every variable that one of the laws needs.
    laws : sequence of str or ScalingLaw
        The candidates.
    drop : int
        How many of the highest losses are left out.
    largest : float
        Share of the rows, those of the largest models, held out for extrapolation.

    Returns
    -------
    DataFrame
        Indexed by law: `parameters`, `rmse` (of log loss), `aic`, `bic` (both relative to the
        best), `cv_shape` and `cv_largest` (root mean squared log error on held-out shapes and
        largest models), `converged`.

    Notes
    -----
    Akaike 1974; Schwarz 1978; Burnham and Anderson 2002, chapter 2.
    """
    import pandas as pd

    results = [fit(table, law, drop=drop) for law in laws]
    rows = [
        {
            "law": r.law.name,
            "parameters": len(r.params),
            "rmse": math.sqrt(r.objective),
            "aic": criterion(r, 2.0),
            "bic": criterion(r, math.log(r.n)),
            "cv_shape": held_out_shapes(r),
            "cv_largest": held_out_largest(r, largest),
            "converged": r.converged,
        }
        for r in results
    ]
    frame = pd.DataFrame(rows).set_index("law")
    for name in ("aic", "bic"):
        frame[name] -= frame[name].min()
    return frame


def criterion(result: FitResult, price: float) -> float:
    """-2 ln likelihood plus `price` for each parameter, the variance among them."""
    n = result.n
    deviance = n * math.log(2 * math.pi * float(np.mean(result.residuals**2))) + n
    return deviance + price * (len(result.params) + 1)


def likelihood_ratio(small: FitResult, large: FitResult) -> tuple[float, int, float]:
    """Likelihood ratio test of nested laws on the same rows.

    Returns
    -------
    statistic, degrees of freedom, p : float, int, float
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
    return statistic, dof, float(chdtrc(dof, statistic))


def test_value(result: FitResult, name: str, value: float) -> tuple[float, float]:
    """F test of one parameter's value, from its profile: the statistic and p."""
    from scipy.special import fdtrc

    curve = profile(result, name, [value])
    dof = result.n - int(result.free.sum())
    statistic = max(float(curve.deviance[0]), 0.0)
    return statistic, float(fdtrc(1, dof, statistic))


def held_out_shapes(result: FitResult) -> float:
    """Root mean squared log error on each shape, predicted from all the others."""
    return float(np.sqrt(np.mean(shape_errors(result) ** 2)))


def shape_errors(result: FitResult) -> np.ndarray:
    """Log error of each row, its whole shape left out of the fit that predicts it, shape (n,)."""
    groups = result.clusters
    labels = np.unique(groups)
    keep = np.array([groups != label for label in labels])
    found = refit(result.design, result.y, keep.astype(float), result.theta, delta=result.delta)
    errors = result.y - result.design.evaluate(found.theta)[0]
    return errors[np.searchsorted(labels, groups), np.arange(result.n)]


def held_out_difference(a: FitResult, b: FitResult) -> Interval:
    """Mean squared held-out log error of `a` minus that of `b`, with shapes as clusters.

    In units of `b`'s own: 0.1 says that a's error is 10 % larger. Both must fit the same rows.
    """
    if not np.array_equal(a.y, b.y):
        raise InputError("held-out errors of two laws need the same rows")
    errors_a, errors_b = shape_errors(a) ** 2, shape_errors(b) ** 2
    return clustered_mean((errors_a - errors_b) / errors_b.mean(), a.clusters)


def held_out_largest(result: FitResult, share: float = 0.2) -> float:
    """Root mean squared log error on the largest models, predicted from the smaller ones.

    Size is m² ell, whether or not the law uses it; whole shapes are held out.
    """
    size = np.asarray(result.table["m"]) ** 2 * np.asarray(result.table["ell"])
    small = size < np.quantile(size, 1 - share)
    trained = fit(result.table[small], result.law, delta=result.delta)
    rest = result.table[~small]
    errors = np.log(np.asarray(rest["loss"])) - np.log(trained.predict(rest))
    return float(np.sqrt(np.mean(errors**2)))


def drop_sweep(table, law, drops: Sequence[int], name: str):
    """One exponent, refitted while more of the highest losses are left out.

    Returns
    -------
    DataFrame
        `dropped` asked for, `n` rows kept, `estimate`, profile interval `low`, `high`,
        `converged`, and why a cut was `refused`, if it left too little.
    """
    import pandas as pd

    return pd.DataFrame([_after_cut(table, law, int(k), name) for k in drops])


def _after_cut(table, law, k: int, name: str) -> dict:
    try:
        result = with_profile(fit(table, law, drop=k), (name,))
    except InputError as refused:
        blank = dict.fromkeys(("estimate", "low", "high"), math.nan)
        return {"dropped": k, "n": 0, **blank, "converged": False, "refused": str(refused)}
    _, low, high = result.intervals["profile"][name]
    found = {"estimate": result.params[name], "low": low, "high": high}
    return {"dropped": k, "n": result.n, **found, "converged": result.converged, "refused": ""}
