"""What tells the regimes apart: exponents, slopes and gains by kind of teacher, in numbers.

Results of `run_toy` in, arrays over teachers, temperatures and seeds out; `analysis.replicates`
makes one number a teacher of them. The reference lines are those of the simplest models.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import xarray as xr

from companion.errors import InputError
from companion.toy.analysis import FLOOR_DEPTHS, exponents, local_slopes, log, replicates
from companion.toy.specification import Specification


def need_both_ends(spec: Specification) -> None:
    """Refuse a specification that lacks independent (rho 0) or tied (rho 1) teachers."""
    if missing := {0.0, 1.0} - set(spec.rho):
        lacks = " and ".join(f"{rho:g}" for rho in sorted(missing))
        raise InputError(
            f"{spec.name!r} lacks rho {lacks}: this chapter compares independent and tied teachers"
        )


def both_ends(result: xr.Dataset) -> xr.Dataset:
    """Of a result what belongs to independent and to tied teachers."""
    return result.isel(teacher=np.flatnonzero(np.isin(result["rho"], (0.0, 1.0))))


def final_alpha(result: xr.Dataset, tau: float, kind: str = "alpha") -> xr.DataArray:
    """Exponents at the end of training at the temperature nearest to tau: (teacher, seed, ...)."""
    last = result.sel(temperature=[tau], method="nearest").isel(step=[-1])
    return exponents(last, floor=kind != "alpha")[kind]


def exponent_readings(result: xr.Dataset, tau: float) -> dict[str, xr.DataArray]:
    """The exponent at the end of training in four ways, which agree on a power law and only there.

    "plain", "with a floor" (four depths or more), and over the "lower half" and the "upper half"
    of the depths, which share the middle; each of dims (teacher, seed, ...).
    """
    depths = np.sort(result["depth"].values)
    half = (len(depths) + 1) // 2
    halves = {"lower half": depths[:half], "upper half": depths[-half:]}
    found = {"plain": final_alpha(result, tau)}
    if len(depths) >= FLOOR_DEPTHS:
        found["with a floor"] = final_alpha(result, tau, "alpha_floor")
        found |= {k: final_alpha(result.sel(depth=few), tau) for k, few in halves.items()}
    return found


def doublings(result: xr.Dataset, shorter: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """The shorter trainings that lead up to a result, each at least doubled by the next, it last.

    Each has its own full decay of the learning rate; depths and teachers are those of the result.
    """

    def steps(run: xr.Dataset) -> int:
        return int(run["step"].max())

    chain = [result]
    for run in sorted(shorter, key=steps, reverse=True):
        if 2 * steps(run) <= steps(chain[0]):
            chain.insert(0, run)
    return chain


def exponent_moves(runs: Sequence[xr.Dataset], tau: float, rho: float) -> list[np.ndarray]:
    """What each doubling of the training adds to the plain exponent, one number a teacher."""
    alphas = [replicates(final_alpha(run, tau), rho) for run in runs]
    return [late - early for early, late in pairwise(alphas)]


def over_lengths(runs: Sequence[xr.Dataset], tau: float, rho: float) -> np.ndarray:
    """Exponent g of annealed losses in training length, steps^-g, one number a teacher.

    Mean over depths and seeds of the logarithm; NaN for a single length.
    """
    if len(runs) < 2:
        return np.full(len(replicates(runs[0]["test_loss"].isel(step=-1), rho)), np.nan)
    ends = [run["test_loss"].sel(temperature=[tau], method="nearest").isel(step=-1) for run in runs]
    losses = np.array([replicates(log(one.drop_vars("step")), rho) for one in ends])
    lengths = [float(run["step"].max()) for run in runs]
    return -np.polyfit(np.log(lengths), losses, 1)[0]


def plunge(result: xr.Dataset, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Local exponents where the loss first falls below a threshold, and mean ones elsewhere.

    The depth differs from replicate to replicate. NaN for both where no depth is below it, or the
    shallowest is already.

    Parameters
    ----------
    result : xarray.Dataset
        From `run_toy`; mean over students' seeds of one teacher.
    threshold : float
        In units of the loss, set before the data.

    Returns
    -------
    tuple of ndarray, shape (teacher,)
    """
    slopes = local_slopes(result)
    loss = result["test_loss"].isel(step=-1).where(~result["diverged"]).sortby("depth")
    by_depth = [replicates(loss.sel(depth=d)) for d in loss["depth"]]
    losses = np.array(by_depth).T
    rows = np.array([replicates(slopes.sel(depth=d)) for d in slopes["depth"]]).T
    at, rest = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for i, (row, slope) in enumerate(zip(losses, rows, strict=True)):
        below = np.flatnonzero(row < threshold)
        if np.isfinite(row).all() and len(below) and below[0]:
            at[i] = slope[below[0] - 1]
            rest[i] = np.delete(slope, below[0] - 1).mean()
    return at, rest


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
