"""Variants of the residual block side by side: one factor at a time, each rate tuned alike.

What would help depth? The paper's outlook names gating and attention over depth. Here every
variant is trained on the same teachers and batches, at the same sizes and steps, each at the same
set of learning rates; the best rate is chosen for each variant and depth.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from companion.errors import InputError
from companion.provenance import provenance
from companion.runtime import Runtime
from companion.statistics.intervals import Interval
from companion.toy import analysis
from companion.toy.experiment import Progress, load, run_toy, save
from companion.toy.specification import Specification

BASELINE = "euler"


def compare(
    spec: Specification,
    blocks: Sequence[str],
    rates: Sequence[float],
    runtime: Runtime,
    progress: Callable[[Progress], None] | None = None,
    parts: Path | None = None,
) -> xr.Dataset:
    """Train the plain block and each variant at each multiple of the learning rate.

    Parameters
    ----------
    spec : Specification
        Teacher (one rho, one temperature), sizes, training; its own block and rate are replaced.
    blocks : sequence of str
        Variants, of `specification.BLOCKS`; the plain block is added.
    rates : sequence of float
        Multiples of `spec.lr`, the same for all.
    runtime : Runtime
    progress : callable, optional
        See `run_toy`.
    parts : path, optional
        Folder that keeps finished runs and the checkpoint of the running one; what is there
        already is not trained again.

    Returns
    -------
    xarray.Dataset
        `loss` (block, rate, teacher, seed, depth), the final test loss, and `still_falling`, see
        `analysis.still_falling`.

    Raises
    ------
    InputError
        If the specification has several rhos or temperatures, a block or rate is not possible, or
        `parts` holds runs of another specification.
    """
    if len(spec.rho) > 1 or len(spec.temperatures) > 1:
        raise InputError(
            f"variants are compared at one rho and one temperature, not at {len(spec.rho)} "
            f"and {len(spec.temperatures)}: set rho and temperatures"
        )
    names = list(dict.fromkeys([BASELINE, *blocks]))
    runs = [dataclasses.replace(spec, block=b, lr=rate * spec.lr) for b in names for rate in rates]
    if not runs or len(set(rates)) < len(rates):
        raise InputError(f"rates {list(rates)} must be one or more, each once")
    results = [_final(one, runtime, progress, parts) for one in runs]
    stacked = xr.concat(results, "run", coords="minimal", compat="override")
    index = np.arange(len(runs)).reshape(len(names), len(rates))
    places = {"block": names, "rate": list(rates)}
    compared = stacked.isel(run=xr.DataArray(index, coords=places, dims=("block", "rate")))
    settings = spec.to_dict() | {"variants": names, "rates": list(rates)}
    return compared.assign_attrs(
        name=spec.name,
        specification=json.dumps(spec.to_dict()),
        provenance=json.dumps(provenance(runtime, settings)),
    )


def _final(
    spec: Specification, runtime: Runtime, progress: Callable | None, parts: Path | None
) -> xr.Dataset:
    """Final losses of one run, read from `parts` if it is there."""
    path = parts / f"{spec.block}-{spec.lr:g}.nc" if parts else None
    if path and path.exists():
        result = load(path)
        if json.loads(result.attrs["specification"]) != spec.to_dict():
            raise InputError(f"{str(path)!r} is of another specification: delete its folder")
    else:
        saved = path and path.with_suffix(".checkpoint")
        result = run_toy(spec, runtime, checkpoint=saved, resume=True, progress=progress)
        if path:
            save(result, path)
    last = result["test_loss"].isel(step=-1, drop=True)
    each = xr.Dataset({"loss": last, "still_falling": analysis.still_falling(result)})
    return each.isel(temperature=0, drop=True)


def tuned(comparison: xr.Dataset) -> xr.DataArray:
    """Loss at the best rate of each block and depth, by the mean over teachers and seeds.

    Losses that are not finite count as infinitely bad. Dims (block, teacher, seed, depth).
    """
    return _comparable(comparison).sel(rate=best_rate(comparison))


def best_rate(comparison: xr.Dataset) -> xr.DataArray:
    """Multiple of the learning rate with the lowest mean log loss, (block, depth)."""
    return analysis.log(_comparable(comparison)).mean(["teacher", "seed"]).idxmin("rate")


def _comparable(comparison: xr.Dataset) -> xr.DataArray:
    return comparison["loss"].where(np.isfinite(comparison["loss"]), np.inf)


def exponents(comparison: xr.Dataset) -> xr.DataArray:
    """Depth exponent of each block, (block, teacher, seed), at its best rates."""
    loss = tuned(comparison)
    ell = comparison["depth"].values.astype(float)
    rows = np.apply_along_axis(
        lambda y: analysis.power_law(ell, y), -1, loss.transpose(..., "depth").values
    )
    return loss.isel(depth=0, drop=True).transpose("block", ...).copy(data=rows)


def gains(comparison: xr.Dataset, level: float = 0.95) -> dict[str, Interval]:
    """Exponent of each variant minus that of the plain block, paired by teacher, see `analysis`.

    The intervals are simultaneous: each of n has level 1 - (1 - level) / n (Bonferroni), so that
    many variants do not make one of them look good by chance. Variants whose students diverged
    at every rate are left out.
    """
    difference = exponents(comparison).transpose("block", "teacher", "seed")
    difference = difference - difference.sel(block=BASELINE, drop=True)
    known = difference.notnull().all(["teacher", "seed"])
    names = [name for name in difference["block"].values[known.values] if name != BASELINE]
    return {
        str(name): analysis.over_replicates(
            analysis.replicates(difference.sel(block=name)), 1 - (1 - level) / len(names)
        )
        for name in names
    }
