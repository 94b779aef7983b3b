"""What tells the regimes apart: exponents, slopes and gains by kind of teacher, in numbers.

Results of `run_toy` in, arrays over teachers, temperatures and seeds out; `analysis.replicates`
makes one number a teacher of them. The reference lines are those of the simplest models.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from companion.errors import InputError
from companion.toy.analysis import exponents, log, replicates
from companion.toy.specification import Specification


def need_both_ends(spec: Specification) -> None:
    """Refuse a specification that lacks independent (rho 0) or tied (rho 1) teachers."""
    if missing := {0.0, 1.0} - set(spec.rho):
        lacks = " and ".join(f"{rho:g}" for rho in sorted(missing))
        raise InputError(
            f"{spec.name!r} lacks rho {lacks}: this chapter compares independent and tied teachers"
        )


def final_alpha(result: xr.Dataset, tau: float, kind: str = "alpha") -> xr.DataArray:
    """Exponents at the end of training at the temperature nearest to tau: (teacher, seed, ...)."""
    last = result.sel(temperature=[tau], method="nearest").isel(step=[-1])
    return exponents(last, floor=kind != "alpha")[kind]


def left_out_slope(slopes: xr.DataArray, sign: int) -> np.ndarray:
    """Each replicate's slope at the depth where that of the others is steepest (1), flattest (-1).

    Chosen and measured in one replicate, the extremes of mere noise would pass for steps.
    """
    rows = np.array([replicates(slopes.sel(depth=ell)) for ell in slopes["depth"]]).T
    others = rows.sum(0) - rows
    if np.isnan(rows).any():
        return np.full(len(rows), np.nan)
    return np.take_along_axis(rows, (sign * others).argmax(1)[:, None], 1)[:, 0]


def midpoint_gain(euler: xr.Dataset, midpoint: xr.Dataset) -> xr.DataArray:
    """ln(L_euler / L_midpoint) at equal size, a midpoint block counting as two; final losses.

    Mean over the depths that both have; dims (teacher, temperature, seed).

    Raises
    ------
    InputError
        If the two are not of the same teachers.
    """
    if not np.array_equal(euler["rho"], midpoint["rho"]):
        raise InputError("plain and midpoint students must have the same teachers: set rho alike")
    plain, second = (
        r["test_loss"].isel(step=-1, drop=True).where(~r["diverged"]) for r in (euler, midpoint)
    )
    second = second.assign_coords(depth=2 * second["depth"])
    plain, second = xr.align(plain, second, join="inner")
    return log(plain / second).mean("depth", skipna=False)


def rotation_exponent(result: xr.Dataset) -> xr.DataArray:
    """Exponent a of mean rotation ~ ell^-a over the depths; dims (teacher, temperature, seed)."""
    mean = result["theta"].mean("layer")
    mean = mean.where(~result["diverged"]).isel(depth=np.flatnonzero(result["depth"] > 1))
    ell = np.log(mean["depth"].astype(float))
    ell = ell - ell.mean()
    return -(np.log(mean) * ell).sum("depth", skipna=False) / (ell * ell).sum()


def neighbour_cosine(result: xr.Dataset) -> xr.DataArray:
    """Mean cosine of successive updates in the deepest students; (teacher, temperature, seed)."""
    deepest = result["depth"].values.max()
    return result["update_correlation"].sel(depth=deepest, lag=1, drop=True)


def average_of(n: np.ndarray, variance: float = 1.0) -> np.ndarray:
    """Reference line of regime 3: variance of the mean of n independent estimators, 1/n."""
    return variance / np.asarray(n, float)


def global_error_squared(ell: np.ndarray, order: int, c: float = 1.0) -> np.ndarray:
    """Reference line of regime 2: squared global error of a scheme of that order, ell^(-2 order).

    Order 1 (Euler): exponent 2; order 2 (midpoint): exponent 4 of the squared error.
    """
    return c * np.asarray(ell, float) ** (-2.0 * order)
