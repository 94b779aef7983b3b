"""Claims of the paper about the toy experiments, their verdicts computed from results."""

from __future__ import annotations

import json
import math

import numpy as np
import xarray as xr

from companion.claims import Claim, Measurement
from companion.statistics.intervals import Interval
from companion.toy import analysis

NEAR_ONE = (0.75, 1.25)
NEAR_THIRD = (0.25, 0.42)
NO_GAIN = 0.1


def scope(result: xr.Dataset) -> dict[str, str]:
    """What a verdict holds for: sizes of students and teachers, and of training."""
    spec = json.loads(result.attrs["specification"])
    return {
        "specification": spec["name"],
        "students": f"width {spec['width']}, depths {', '.join(map(str, spec['depths']))}",
        "teachers": f"{spec['teachers']} of {spec['teacher_depth']} blocks for each rho",
        "training": f"{spec['steps']} steps of {spec['batch']} samples, {spec['head']} head",
    }


def replicates(values: xr.DataArray, rho: float) -> np.ndarray:
    """Entries of the teachers with that rho, averaged over temperature, one for each replicate."""
    rows = values.isel(teacher=np.flatnonzero(np.isclose(values["rho"], rho)))
    rest = [dim for dim in rows.dims if dim not in ("teacher", "seed")]
    return rows.mean(rest).transpose("teacher", "seed").values.ravel()


def measured(
    name: str, interval: Interval, low: float = -math.inf, high: float = math.inf
) -> Measurement:
    """An interval as a measurement, expected between `low` and `high`."""
    return Measurement(
        name, interval.estimate, interval.low, interval.high, low, high, level=interval.level
    )


def final_alpha(result: xr.Dataset, tau: float, kind: str = "alpha") -> xr.DataArray:
    """Exponents at the end of training at the temperature nearest to tau: (teacher, seed, ...)."""
    chosen = result.sel(temperature=[tau], method="nearest").isel(step=[-1])
    return analysis.exponents(chosen)[kind]


def independent_claim(result: xr.Dataset, kind: str = "alpha") -> Claim:
    """Independent teacher: depth exponent about 1, at every temperature."""
    parts = []
    for tau in result["temperature"].values:
        alpha = replicates(final_alpha(result, tau, kind), 0.0)
        parts.append(
            measured(_at("exponent", result, tau), analysis.over_replicates(alpha), *NEAR_ONE)
        )
    return Claim(
        f"toy-{_loss(result)}-independent-exponent",
        "With an independent teacher the loss falls with depth with an exponent of about 1.",
        "paper, figures 3 and 4",
        scope(result),
        tuple(parts),
    )


def tied_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: a higher exponent than the independent one, at least a first-order one."""
    tau = float(result["temperature"].max())
    alpha = final_alpha(result, tau)
    tied, independent = replicates(alpha, 1.0), replicates(alpha, 0.0)
    difference = analysis.over_replicates(tied - independent)
    parts = (
        measured(_at("tied minus independent exponent", result, tau), difference, 0.0),
        measured(_at("tied exponent", result, tau), analysis.over_replicates(tied), 2.0),
    )
    return Claim(
        f"toy-{_loss(result)}-tied-exponent",
        "With a tied teacher, a smooth dynamics, the depth exponent is higher: at least the 2 of a "
        "first-order scheme, and up to about 4.",
        "paper, figures 3 and 4",
        scope(result),
        parts,
    )


def temperature_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: the exponent grows with temperature."""
    low, high = float(result["temperature"].min()), float(result["temperature"].max())
    difference = [replicates(final_alpha(result, tau), 1.0) for tau in (low, high)]
    interval = analysis.over_replicates(difference[1] - difference[0])
    name = rf"tied exponent at tau {high:g} minus that at tau {low:g}"
    return Claim(
        "toy-exponent-grows-with-temperature",
        "With a tied teacher the depth exponent grows with the temperature of the target.",
        "paper, figure 4",
        scope(result),
        (measured(name, interval, 0.0),),
    )


def slow_claim(result: xr.Dataset) -> Claim:
    """Peaked targets train more slowly, with a loss that falls as time to the power -1/3."""
    spec = json.loads(result.attrs["specification"])
    stop = spec["decay_from"]
    gamma = analysis.time_exponent(result, start=0.1 * stop, stop=stop).mean("depth")
    low = gamma.sel(temperature=[float(gamma["temperature"].min())])
    low = low.isel(teacher=np.flatnonzero(np.isclose(low["rho"], low["rho"].min())))
    name = "loss-time exponent at the lowest temperature, constant learning rate"
    return Claim(
        "toy-peaked-targets-slow",
        "Peaked targets are learned slowly: the loss falls as training time to the power -1/3.",
        "arXiv 2602.03685, used in the paper's appendix C",
        scope(result),
        (measured(name, analysis.over_replicates(low), *NEAR_THIRD),),
    )


def _at(name: str, result: xr.Dataset, tau: float) -> str:
    return name if result.sizes["temperature"] == 1 else f"{name} at tau {tau:g}"


def midpoint_claim(euler: xr.Dataset, midpoint: xr.Dataset) -> Claim:
    """Second-order students help only where there is a dynamics to discretise."""
    gain = midpoint_gain(euler, midpoint)
    tied, independent = (replicates(gain, rho) for rho in (1.0, 0.0))
    over = analysis.over_replicates
    parts = (
        measured("log ratio of losses, Euler over midpoint, tied teacher", over(tied), 0.0),
        measured("the same, independent teacher", over(independent), high=NO_GAIN),
        measured("the same, tied minus independent", over(tied - independent), 0.0),
    )
    return Claim(
        "toy-midpoint-helps-only-tied",
        "Second-order students are better than plain ones of equal size only for a tied teacher.",
        "paper, figure 5",
        scope(midpoint),
        parts,
    )


def midpoint_gain(euler: xr.Dataset, midpoint: xr.Dataset) -> xr.DataArray:
    """ln(L_euler / L_midpoint) at equal size, a midpoint block counting as two; final losses.

    Mean over the depths that both have; dims (teacher, temperature, seed).
    """
    plain, second = (r["test_loss"].isel(step=-1, drop=True) for r in (euler, midpoint))
    second = second.assign_coords(depth=2 * second["depth"])
    plain, second = xr.align(plain, second, join="inner")
    return (analysis.log(plain) - analysis.log(second)).mean("depth")


def geometry_claim(result: xr.Dataset) -> Claim:
    """Students of an independent teacher: rotations of size 1/ell, weakly correlated updates."""
    exponent = replicates(rotation_exponent(result), 0.0)
    neighbour = neighbour_cosine(result)
    independent, tied = (replicates(neighbour, rho) for rho in (0.0, 1.0))
    over = analysis.over_replicates
    parts = (
        measured("exponent of the mean rotation in depth, independent", over(exponent), *NEAR_ONE),
        measured("cosine of neighbouring updates, independent", over(independent), high=0.5),
        measured("the same, tied minus independent", over(tied - independent), 0.0),
    )
    return Claim(
        "toy-geometry-like-language-models",
        "Students of an independent teacher look like language models: rotations fall as 1/depth "
        "and updates are weakly correlated, unlike those of a tied teacher.",
        "paper, figures 2 and 5",
        scope(result),
        parts,
    )


def rotation_exponent(result: xr.Dataset) -> xr.DataArray:
    """Exponent a of mean rotation ~ ell^-a over the depths; dims (teacher, temperature, seed)."""
    mean = result["theta"].mean("layer").dropna("depth", how="all")
    ell = np.log(mean["depth"].astype(float))
    ell = ell - ell.mean()
    return -(np.log(mean) * ell).sum("depth") / (ell * ell).sum()


def neighbour_cosine(result: xr.Dataset) -> xr.DataArray:
    """Mean cosine of successive updates in the deepest students; (teacher, temperature, seed)."""
    deepest = result["depth"].values.max()
    return result["update_correlation"].sel(depth=deepest, lag=1, drop=True)


def stages_claim(result: xr.Dataset) -> Claim:
    """A compositional target: the loss falls in steps where a stage more fits in."""
    slopes = analysis.local_slopes(result).max("depth")
    steepest = analysis.over_replicates(slopes.mean("temperature"))
    lowest = analysis.over_replicates(analysis.local_slopes(result).min("depth"))
    parts = (
        measured("steepest local depth exponent", steepest, 2.0),
        measured("flattest local depth exponent", lowest, high=1.0),
    )
    return Claim(
        "toy-compositional-steps",
        "Where a target needs its layers in sequence, the loss falls in steps, not as one power.",
        "paper, section on the three regimes",
        scope(result),
        parts,
    )


def _loss(result: xr.Dataset) -> str:
    return json.loads(result.attrs["specification"])["loss"]
