"""Variants of the residual block side by side: one factor at a time, each rate tuned alike.

What would help depth? The paper's outlook names gating and attention over depth. Here every
variant is trained on the same teachers and batches, at the same sizes and steps, each at the same
set of learning rates; the best rate is chosen for each variant and depth.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from companion.errors import InputError
from companion.provenance import provenance
from companion.runs import Output, Progress, silent
from companion.runtime import Runtime
from companion.statistics.intervals import Interval
from companion.toy import analysis
from companion.toy.experiment import numbers_of, run_toy
from companion.toy.specification import Specification

BASELINE = "euler"
LEVEL = 0.95


def compare(
    spec: Specification,
    blocks: Sequence[str],
    rates: Sequence[float],
    runtime: Runtime,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
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
    out : path, optional
        NetCDF file of the result; until it is there, finished runs are kept beside it.
    resume, overwrite, progress
        As for `run_toy`; the task is the block with its rate.

    Returns
    -------
    xarray.Dataset
        `loss` (block, rate, teacher, seed, depth), the final test loss, and `still_falling`, see
        `analysis.still_falling`.

    Raises
    ------
    InputError
        If the specification has several rhos or temperatures, or a block or rate is not possible.
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
    settings = spec.to_dict() | {"variants": names, "rates": list(rates)}
    numbers = {"numbers": numbers_of(runtime)}
    with Output(out, settings | numbers, resume=resume, overwrite=overwrite) as output:
        if output.finished is not None:
            return output.finished
        stacked = xr.concat(
            [_final(one, runtime, output, progress) for one in runs],
            "run",
            coords="minimal",
            compat="override",
        )
        index = np.arange(len(runs)).reshape(len(names), len(rates))
        places = {"block": names, "rate": list(rates)}
        compared = stacked.isel(run=xr.DataArray(index, coords=places, dims=("block", "rate")))
        compared = compared.assign_attrs(
            name=spec.name,
            specification=json.dumps(spec.to_dict()),
            provenance=json.dumps(provenance(runtime, settings)),
        )
        output.finish(compared)
    return compared


def _final(spec: Specification, runtime: Runtime, output: Output, progress: Progress) -> xr.Dataset:
    """Final losses of one run, which is a part of the output."""
    name = f"{spec.block}-{spec.lr:g}"
    part, report = output.part(f"{name}.nc"), partial(progress, task=name)
    result = run_toy(spec, runtime, out=part, resume=part is not None, progress=report)
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


def gains(comparison: xr.Dataset) -> dict[str, Interval]:
    """Exponent of each variant minus that of the plain block, paired by teacher, see `analysis`.

    The intervals are simultaneous: each of n has level 1 - 0.05 / n (Bonferroni), so that
    many variants do not make one of them look good by chance. Variants whose students diverged
    at every rate are left out.
    """
    difference = exponents(comparison).transpose("block", "teacher", "seed")
    difference = difference - difference.sel(block=BASELINE, drop=True)
    known = difference.notnull().all(["teacher", "seed"])
    names = [name for name in difference["block"].values[known.values] if name != BASELINE]
    return {
        str(name): analysis.over_replicates(
            analysis.replicates(difference.sel(block=name)), 1 - (1 - LEVEL) / len(names)
        )
        for name in names
    }
