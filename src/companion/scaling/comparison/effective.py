r"""The effective depth exponent of models that differ in depth alone, at one stage of training.

Within each group (same width, seed and tokens) the loss is :math:`a_g + c_g\,\phi(\ell)`
with the basis :math:`\phi(\ell) = (\ell^{-\alpha} - 1)/\alpha`, which passes through
:math:`-\ln\ell` at :math:`\alpha = 0`; the exponent is common to all groups. Groups of models that
train for ever would give the law's :math:`\alpha_\ell`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from companion.errors import InputError
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

SEARCHED = (-3.0, 8.0)
GRID = 1101


def effective_exponent(table: pd.DataFrame, groups: tuple[str, ...] = ("m", "seed")) -> Interval:
    """Least squares over all groups, with the 95 % profile interval of the F distribution.

    Parameters
    ----------
    table : DataFrame
        Columns ell, loss (nats/token) and `groups`; rows of one stage of training.
    groups : tuple of str
        Columns that tell groups apart; every group needs three depths.

    Returns
    -------
    Interval
        An end beyond the searched range [-3, 8] is infinite. All NaN where deeper models are not
        better: there is nothing to have an exponent.

    Raises
    ------
    InputError
        If a group has fewer than three depths, or nothing is left to judge the fit by.
    """
    parts = [(g["ell"].to_numpy(float), g["loss"].to_numpy(float)) for g in _groups(table, groups)]
    dof = sum(len(loss) for _, loss in parts) - 2 * len(parts) - 1
    if dof < 1:
        raise InputError("an effective exponent needs four depths, or several groups of three")
    alphas = np.linspace(*SEARCHED, GRID)
    left = np.array([sum(_fit(alpha, *part)[0] for part in parts) for alpha in alphas])
    best = float(alphas[left.argmin()])
    if np.mean([_fit(best, *part)[1] for part in parts]) <= 0:
        return Interval(np.nan, np.nan, np.nan, method="profile")
    bound = left.min() * (1 + stats.f.ppf(0.95, 1, dof) / dof)
    inside = alphas[left <= bound]
    low = float(inside[0]) if inside[0] > alphas[0] else -np.inf
    high = float(inside[-1]) if inside[-1] < alphas[-1] else np.inf
    return Interval(best, low, high, method="profile")


def effective_exponents(table: pd.DataFrame) -> pd.DataFrame:
    """`effective_exponent` at each D; index D (tokens), columns estimate, low, high."""
    import pandas as pd

    rows = {tokens: [*effective_exponent(stage)] for tokens, stage in table.groupby("D")}
    columns = ["estimate", "low", "high"]
    return pd.DataFrame.from_dict(rows, "index", columns=columns).rename_axis("D")


def _groups(table: pd.DataFrame, groups: tuple[str, ...]) -> list[pd.DataFrame]:
    found = [rows for _, rows in table.groupby(list(groups))]
    few = [rows for rows in found if len(set(rows["ell"])) < 3]
    if few or not found:
        named = few[0].iloc[0][list(groups)].to_dict() if few else "the table"
        raise InputError(f"{named} has fewer than three depths")
    return found


def _fit(alpha: float, ell: np.ndarray, loss: np.ndarray) -> tuple[float, float]:
    """Sum of squares left, and the gain c (positive if deeper is better), for one exponent."""
    x = -np.log(ell) if abs(alpha) < 1e-9 else np.expm1(-alpha * np.log(ell)) / alpha
    x, y = x - x.mean(), loss - loss.mean()
    c = float(x @ y / (x @ x))
    return float(((y - c * x) ** 2).sum()), c
