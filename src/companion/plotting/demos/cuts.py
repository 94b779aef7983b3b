"""The profile of the depth exponent as the highest losses are left out one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from companion import tables
from companion.errors import InputError
from companion.plotting.demos.page import Page, page
from companion.scaling.fitting.fit import fit
from companion.scaling.uncertainty.profile import likelihood_profile, with_profile

if TYPE_CHECKING:
    import pandas as pd

NAME = "alpha_ell"
POINTS = 41


def profiles(table: pd.DataFrame, drops: Sequence[int], law: str = "additive") -> Page:
    """A slider for how many of the highest losses are left out.

    Everything is computed here and embedded, none of it in the page.

    Parameters
    ----------
    table : DataFrame
        A loss table, see `companion.tables`.
    drops : sequence of int
        Numbers of highest losses that the slider offers.
    law : str
        Of `scaling.LAWS`, with a depth exponent.

    Raises
    ------
    InputError
        If no number of rows can be fitted.
    """
    made = [one for drop in drops if (one := _record(table, drop, law))]
    if not made:
        raise InputError("no part of this table holds a depth exponent, so there is no profile")
    label = "Deviance against the depth exponent, with its 95 percent interval"
    return page("profiles", label, {"cuts": made, "rows": len(table)})


def _record(table: pd.DataFrame, drop: int, law: str) -> dict | None:
    """Estimate, interval and curve of one cut; None where the rows do not settle them."""
    try:
        result = with_profile(fit(tables.drop_highest(table, drop), law), (NAME,))
        span = result.intervals["profile"][NAME]
    except (InputError, KeyError):
        return None
    low, high = (x if np.isfinite(x) else result.params[NAME] for x in (span.low, span.high))
    reach = 1.6 * max(result.params[NAME] - low, high - result.params[NAME], 0.05)
    values = result.params[NAME] + np.linspace(-reach, reach, POINTS)
    curve = likelihood_profile(result, NAME, values[values > 0])
    deviance = np.where(curve.converged, curve.deviance, np.nan)
    return {
        "drop": drop,
        "n": result.n,
        "estimate": float(result.params[NAME]),
        "low": float(span.low),
        "high": float(span.high),
        "level": float(curve.level95),
        "values": curve.values[0].tolist(),
        "deviance": deviance.tolist(),
    }
