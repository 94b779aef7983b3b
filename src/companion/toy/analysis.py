"""What a toy result says: depth exponents, local slopes, whether training had converged.

Arrays in, `Interval` or labelled arrays out. Replicates are the teachers of one rho, each averaged
over its students' seeds: students of one teacher are alike, and counted apart they would make the
intervals too narrow. Intervals are Student's t over replicates, because a depth fit's own error
says nothing about another teacher. Unknown values (NaN) stay unknown in every mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from companion.errors import InputError
from companion.statistics.intervals import Interval, around

FLOOR_DEPTHS = 4
"""Depths that a fit with a floor needs: one more than it has parameters."""


def log(values: xr.DataArray) -> xr.DataArray:
    """Natural logarithm, as an array of the same labels."""
    return xr.apply_ufunc(np.log, values)


def geometric_mean(
    values: xr.DataArray, dims: str | Sequence[str], skipna: bool = False
) -> xr.DataArray:
    """Geometric mean over some dimensions of positive values; NaN where one is NaN."""
    return xr.apply_ufunc(np.exp, log(values).mean(dims, skipna=skipna))


def power_law(ell: np.ndarray, loss: np.ndarray) -> float:
    r"""Exponent of :math:`L = c\,\ell^{-\alpha}`, least squares in logarithms; NaN without loss.

    NaN for a single depth, too.
    """
    if len(ell) < 2 or not (np.all(np.isfinite(loss)) and np.all(loss > 0)):
        return math.nan
    return float(-np.polyfit(np.log(ell), np.log(loss), 1)[0])


def power_law_with_floor(ell: np.ndarray, loss: np.ndarray) -> tuple[float, float]:
    r"""Exponent and floor of :math:`L = c\,\ell^{-\alpha} + L_0` with :math:`0 \le L_0 < \min L`.

    Least squares in the logarithm of the loss, from three starts of the floor.

    Parameters
    ----------
    ell, loss : ndarray, shape (n,)
        Depths in blocks, and losses; n >= `FLOOR_DEPTHS`.

    Returns
    -------
    tuple of float
        alpha, L_0; NaN where a loss is missing or not positive.
    """
    if len(ell) < FLOOR_DEPTHS:
        raise InputError(f"a fit with floor needs at least {FLOOR_DEPTHS} depths, got {len(ell)}")
    if not (np.all(np.isfinite(loss)) and np.all(loss > 0)):
        return math.nan, math.nan
    from scipy.optimize import least_squares

    scale, start = loss.min(), max(power_law(ell, loss), 0.1)
    x = np.log(ell / ell[0])

    def residual(p: np.ndarray) -> np.ndarray:
        return np.log(np.exp(p[0] - p[1] * x) + p[2] * scale) - np.log(loss)

    bounds = ([-np.inf, -5, 0], [np.inf, 20, 1])
    fits = [
        least_squares(
            residual, [math.log(loss[0] - f * scale), min(start / (1 - f), 10), f], bounds=bounds
        )
        for f in (0.0, 0.5, 0.9)
    ]
    best = min(fits, key=lambda fit: fit.cost)
    return float(best.x[1]), float(best.x[2] * scale)


def local_slopes(result: xr.Dataset, step: int = -1) -> xr.DataArray:
    """-d ln L / d ln ell between neighbouring depths; dims (teacher, temperature, seed, depth).

    The coordinate depth is the geometric mean of the two.
    """
    loss = result["test_loss"].isel(step=step).where(~result["diverged"]).sortby("depth")
    log_ell = np.log(loss["depth"].values)
    between = np.exp((log_ell[1:] + log_ell[:-1]) / 2)
    slopes = -np.diff(np.log(loss.values), axis=-1) / np.diff(log_ell)
    return loss.isel(depth=slice(1, None)).assign_coords(depth=between).copy(data=slopes)


def exponents(result: xr.Dataset, floor: bool = True) -> xr.Dataset:
    """Depth exponents of every teacher, temperature, seed and step.

    Parameters
    ----------
    result : xarray.Dataset
        From `run_toy`.
    floor : bool
        Whether to fit the law with a floor too, which takes most of the time.

    Returns
    -------
    xarray.Dataset
        `alpha` of the plain power law, `alpha_floor` and `floor` of the law with a floor (NaN
        for fewer than `FLOOR_DEPTHS` depths); dims (teacher, temperature, seed, step).
        Diverged students give NaN.
    """
    loss = result["test_loss"].where(~result["diverged"]).transpose(..., "step", "depth")
    ell = result["depth"].values.astype(float)
    flat = loss.values.reshape(-1, len(ell))
    with_floor = floor and len(ell) >= FLOOR_DEPTHS
    rows = [
        (power_law(ell, row), *(power_law_with_floor(ell, row) if with_floor else (np.nan,) * 2))
        for row in flat
    ]
    shape, dims = loss.shape[:-1], loss.dims[:-1]
    columns = np.array(rows).T.reshape(3, *shape)
    names = ("alpha", "alpha_floor", "floor")
    coords = {k: v for k, v in loss.coords.items() if "depth" not in v.dims}
    return xr.Dataset({k: (dims, c) for k, c in zip(names, columns, strict=True)}, coords=coords)


def replicates(values: xr.DataArray, rho: float | None = None) -> np.ndarray:
    """One number for each teacher (of that `rho`), its mean over all other dimensions.

    Of a single teacher, one for each seed of its students. NaN where one is NaN.

    Raises
    ------
    InputError
        If no teacher has that rho.
    """
    if rho is not None:
        alike = np.flatnonzero(np.isclose(values["rho"], rho))
        if not len(alike):
            raise InputError(f"no teacher of rho {rho:g}: there are {np.unique(values['rho'])}")
        values = values.isel(teacher=alike)
    kept = "teacher" if values.sizes["teacher"] > 1 else "seed"
    rest = [dim for dim in values.dims if dim != kept]
    return values.mean(rest, skipna=False).values


def over_replicates(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean of an array over all its entries, at least 2, with Student's t interval.

    Unknown (NaN) where an entry is, such as the exponent of a series with a diverged student.

    Raises
    ------
    InputError
        If there are fewer than 2 entries.
    """
    flat = np.asarray(values, float).ravel()
    if len(flat) < 2:
        raise InputError("an interval over replicates needs at least 2 teachers or seeds")
    if not np.all(np.isfinite(flat)):
        return Interval(math.nan, math.nan, math.nan, level=level, method="t over replicates")
    stderr = flat.std(ddof=1) / math.sqrt(len(flat))
    return around(flat.mean(), stderr, len(flat) - 1, level, "t over replicates")


def summary(result: xr.Dataset) -> xr.Dataset:
    """Final exponents with 95 % intervals over replicates; dims (rho, temperature).

    Variables `alpha`, `alpha_low`, `alpha_high`, the same for `alpha_floor`, `entropy` in nats,
    and `still_falling`, see `still_falling`.
    """
    rhos, taus = np.unique(result["rho"]), result["temperature"].values
    final = exponents(result.isel(step=[-1]))
    falling = still_falling(result)
    table: dict[str, np.ndarray] = {}
    for i, rho in enumerate(rhos):
        for j in range(len(taus)):
            cell = {"teacher": np.flatnonzero(result["rho"] == rho), "temperature": j}
            facts = _facts(final.isel(cell))
            facts["entropy"] = float(result["entropy"].isel(cell).mean())
            facts["still_falling"] = float(falling.isel(cell).mean(skipna=False))
            for name, value in facts.items():
                table.setdefault(name, np.full((len(rhos), len(taus)), np.nan))[i, j] = value
    coords = {"rho": rhos, "temperature": taus}
    return xr.Dataset({k: (("rho", "temperature"), v) for k, v in table.items()}, coords=coords)


def records(result: xr.Dataset) -> list[dict[str, float | None]]:
    """The summary as plain JSON types, one record for each rho and temperature; null is unknown."""
    frame = summary(result).to_dataframe().reset_index()
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _facts(final: xr.Dataset) -> dict[str, float]:
    facts = {}
    for name in ("alpha", "alpha_floor"):
        values = replicates(final[name])
        alone = len(values) == 1
        interval = (values[0], math.nan, math.nan) if alone else over_replicates(values)
        for suffix, value in zip(("", "_low", "_high"), interval, strict=True):
            facts[name + suffix] = value
    return facts


def still_falling(result: xr.Dataset) -> xr.DataArray:
    r"""Convergence check: -d ln L / d ln t over the last half of the training steps.

    0 where training has converged; the depth exponent may still be one of under-training where
    this is not small. A decay of the learning rate within that time adds to it.
    Dims (teacher, temperature, seed, depth).
    """
    steps = result["step"].values
    start = int(np.argmin(np.abs(np.log(np.maximum(steps, 1) * 2.0 / steps[-1]))))
    first, last = result["test_loss"].isel(step=start), result["test_loss"].isel(step=-1)
    passed = math.log(steps[-1] / steps[start])
    return log(first.drop_vars("step") / last.drop_vars("step")) / passed


def time_exponent(result: xr.Dataset, start: float = 0.03, stop: float = 1.0) -> xr.DataArray:
    r"""Exponent of loss against training time, :math:`L \propto t^{-\gamma}`.

    Straight line through (ln t, ln L) for t between the fractions `start` and `stop` of the steps;
    leave out the part with a falling learning rate. Dims (teacher, temperature, seed, depth).
    """
    steps = result["step"].values
    inside = (steps >= max(start * steps[-1], 1)) & (steps <= stop * steps[-1])
    if inside.sum() < 3:
        raise InputError(f"only {inside.sum()} tests between {start:g} and {stop:g} of the steps")
    loss = result["test_loss"].isel(step=inside).transpose(..., "step")
    x = np.log(steps[inside])
    x = x - x.mean()
    slope = (np.log(loss.values) * x).sum(-1) / (x * x).sum()
    known = ~result["diverged"]
    return loss.isel(step=0, drop=True).copy(data=-slope).where(known)
