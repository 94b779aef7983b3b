"""How rotation depends on depth at each step of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from companion.probing.training.track import BOUNDS
from companion.statistics.intervals import log_slope

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def rotation_exponents(tracked: xr.Dataset) -> pd.DataFrame:
    """Exponent of the mean middle rotation against depth, with its interval, at each step.

    Returns
    -------
    DataFrame
        Index step; columns estimate, low, high. Needs models of three depths.
    """
    import pandas as pd

    ell = tracked["ell"].isel(step=0).values
    rows = {}
    for step in tracked["step"].values:
        slope = log_slope(ell, tracked["rotation"].sel(step=step, bound="estimate").values)
        rows[int(step)] = dict(zip(BOUNDS, (slope.estimate, slope.low, slope.high), strict=True))
    return pd.DataFrame.from_dict(rows, "index").rename_axis("step")


def by_width(tracked: xr.Dataset) -> dict[str, xr.Dataset]:
    """The models of each width m, narrow ones first, e.g. under "m = 64"."""
    m = tracked["m"].isel(step=0).values
    return {f"m = {width}": tracked.isel(model=m == width) for width in np.unique(m)}


def steady_from(frame: pd.DataFrame, low: float, high: float) -> int | None:
    """First step from which on the estimate lies in [low, high] to the end, None if never."""
    inside = frame["estimate"].between(low, high)
    if not inside.iloc[-1]:
        return None
    outside = np.flatnonzero(~inside)
    return int(frame.index[outside[-1] + 1 if len(outside) else 0])
