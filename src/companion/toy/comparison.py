"""Variants of the residual block side by side: one factor at a time, each rate tuned alike.

What would help depth? The paper's outlook names gating and attention over depth. Here every
variant is trained on the same teachers and batches, at the same sizes and steps, each at the same
set of learning rates; the best rate is chosen for each variant and depth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from companion.claims import Claim
from companion.runtime import Runtime
from companion.toy import analysis
from companion.toy.experiment import Progress, run_toy
from companion.toy.findings import measured, replicates, scope
from companion.toy.specification import Specification

BASELINE = "euler"


def compare(
    spec: Specification,
    blocks: Sequence[str],
    rates: Sequence[float],
    runtime: Runtime,
    progress: Callable[[Progress], None] | None = None,
) -> xr.Dataset:
    """Train the plain block and each variant at each multiple of the learning rate.

    Parameters
    ----------
    spec : Specification
        Teacher, sizes, training; its own block and rate are replaced.
    blocks : sequence of str
        Variants, of `specification.BLOCKS`; the plain block is added.
    rates : sequence of float
        Multiples of `spec.lr`, the same for all.
    runtime : Runtime
    progress : callable, optional
        See `run_toy`.

    Returns
    -------
    xarray.Dataset
        `loss` (block, rate, teacher, seed, depth): the final test loss.
    """
    names = [BASELINE, *(block for block in blocks if block != BASELINE)]
    rows = []
    for name in names:
        for rate in rates:
            one = dataclasses.replace(spec, block=name, lr=rate * spec.lr)
            result = run_toy(one, runtime, progress=progress)
            rows.append(result["test_loss"].isel(step=-1, temperature=0, drop=True))
    stacked = xr.concat(rows, "run", coords="minimal", compat="override")
    places = {"block": names, "rate": list(rates)}
    index = np.arange(len(rows)).reshape(len(names), len(rates))
    loss = stacked.isel(run=xr.DataArray(index, coords=places, dims=("block", "rate")))
    return loss.to_dataset(name="loss").assign_attrs(result.attrs)


def tuned(comparison: xr.Dataset) -> xr.DataArray:
    """Loss at the best rate of each block and depth, by the mean over teachers and seeds.

    Losses that are not finite count as infinitely bad. Dims (block, teacher, seed, depth).
    """
    loss = comparison["loss"].where(np.isfinite(comparison["loss"]), np.inf)
    best = np.log(loss).mean(["teacher", "seed"]).argmin("rate")
    return loss.isel(rate=best)


def exponents(comparison: xr.Dataset) -> xr.DataArray:
    """Depth exponent of each block, (block, teacher, seed), at its best rates."""
    loss = tuned(comparison)
    ell = comparison["depth"].values.astype(float)
    rows = np.apply_along_axis(
        lambda y: analysis.power_law(ell, y), -1, loss.transpose(..., "depth").values
    )
    return loss.isel(depth=0, drop=True).transpose("block", ...).copy(data=rows)


def variants_claim(comparison: xr.Dataset) -> Claim:
    """Do the variants raise the depth exponent above that of the plain block?"""
    alpha = exponents(comparison)
    plain = replicates(alpha.sel(block=BASELINE, drop=True), float(alpha["rho"][0]))
    parts = []
    for name in alpha["block"].values[1:]:
        own = replicates(alpha.sel(block=name, drop=True), float(alpha["rho"][0]))
        difference = analysis.over_replicates(own - plain)
        parts.append(measured(f"exponent of {name} minus that of the plain block", difference, 0.0))
    return Claim(
        "toy-variants-raise-the-exponent",
        "Other residual connections, such as gating or attention over depth, make better use of "
        "depth than the plain one.",
        "paper, discussion (an outlook, not a result)",
        scope(comparison)
        | {"learning rates": ", ".join(f"{r:g}" for r in comparison["rate"].values)},
        tuple(parts),
    )
