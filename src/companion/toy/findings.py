"""Claims of the paper about the toy experiments, their verdicts computed from results."""

from __future__ import annotations

import json
import math

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from companion.errors import InputError
from companion.evidence.claims import Claim, Measurement
from companion.statistics.intervals import Interval
from companion.toy import analysis

NEAR_ONE = (0.75, 1.25)
NEAR_THIRD = (0.25, 0.42)
NO_GAIN = 0.1
Part = tuple[str, Interval, float, float]


def scope(result: xr.Dataset) -> dict[str, str]:
    """What a verdict holds for: sizes of students and teachers, and of training."""
    spec = json.loads(result.attrs["specification"])
    kind = "blocks for each rho" if spec["teacher"] == "residual" else "links in each chain"
    head = "no head" if spec["head"] == "none" else f"{spec['head']} head"
    seeds = f", {spec['seeds']} students of each" if spec["seeds"] > 1 else ""
    return {
        "specification": spec["name"],
        "students": f"width {spec['width']}, depths {', '.join(map(str, spec['depths']))}",
        "teachers": f"{spec['teachers']} of {spec['teacher_depth']} {kind}{seeds}",
        "training": f"{spec['steps']} steps of {spec['batch']} samples, {head}",
    }


def replicates(values: xr.DataArray, rho: float) -> np.ndarray:
    """`analysis.replicates` of the teachers with that rho.

    Raises
    ------
    InputError
        If no teacher has that rho.
    """
    alike = np.flatnonzero(np.isclose(values["rho"], rho))
    if not len(alike):
        raise InputError(f"no teacher of rho {rho:g}: there are {np.unique(values['rho'])}")
    return analysis.replicates(values.isel(teacher=alike))


def part(name: str, values: ArrayLike, low: float = -math.inf, high: float = math.inf) -> Part:
    """A measurement to be: its name, its interval over replicates, what the claim expects."""
    return name, analysis.over_replicates(values), low, high


def judged(key: str, statement: str, source: str, where: dict[str, str], *parts: Part) -> Claim:
    """The claim with its parts measured; not testable where one of them is unknown."""
    unknown = [name for name, interval, *_ in parts if math.isnan(interval.estimate)]
    if unknown or not parts:
        why = f"students diverged, so this is unknown: {', '.join(unknown) or 'all of it'}"
        return Claim(key, statement, source, where, untestable=why)
    measurements = (
        Measurement(name, i.estimate, i.low, i.high, low, high, level=i.level)
        for name, i, low, high in parts
    )
    return Claim(key, statement, source, where, tuple(measurements))


def final_alpha(result: xr.Dataset, tau: float, kind: str = "alpha") -> xr.DataArray:
    """Exponents at the end of training at the temperature nearest to tau: (teacher, seed, ...)."""
    chosen = result.sel(temperature=[tau], method="nearest").isel(step=[-1])
    return analysis.exponents(chosen, floor=kind != "alpha")[kind]


def independent_claim(result: xr.Dataset, kind: str = "alpha") -> Claim:
    """Independent teacher: depth exponent about 1, at every temperature."""
    alphas = {
        tau: replicates(final_alpha(result, tau, kind), 0.0) for tau in result["temperature"].values
    }
    return judged(
        f"toy-{_loss(result)}-independent-exponent",
        "With an independent teacher the loss falls with depth with an exponent of about 1.",
        "paper, figures 3 and 4",
        scope(result),
        *(part(_at("exponent", result, tau), alphas[tau], *NEAR_ONE) for tau in alphas),
    )


def tied_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: a higher exponent than the independent one, at least a first-order one."""
    tau = float(result["temperature"].max())
    alpha = final_alpha(result, tau)
    tied, independent = replicates(alpha, 1.0), replicates(alpha, 0.0)
    return judged(
        f"toy-{_loss(result)}-tied-exponent",
        "With a tied teacher, a smooth dynamics, the depth exponent is higher: at least the 2 of a "
        "first-order scheme, and up to about 4.",
        "paper, figures 3 and 4",
        scope(result),
        part(_at("tied minus independent exponent", result, tau), tied - independent, 0.0),
        part(_at("tied exponent", result, tau), tied, 2.0),
    )


def temperature_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: the exponent grows with temperature."""
    low, high = float(result["temperature"].min()), float(result["temperature"].max())
    difference = [replicates(final_alpha(result, tau), 1.0) for tau in (low, high)]
    name = rf"tied exponent at tau {high:g} minus that at tau {low:g}"
    return judged(
        "toy-exponent-grows-with-temperature",
        "With a tied teacher the depth exponent grows with the temperature of the target.",
        "paper, figure 4",
        scope(result),
        part(name, difference[1] - difference[0], 0.0),
    )


def slow_claim(result: xr.Dataset) -> Claim:
    """Peaked targets train more slowly, with a loss that falls as time to the power -1/3."""
    spec = json.loads(result.attrs["specification"])
    stop = spec["decay_from"]
    gamma = analysis.time_exponent(result, start=0.1 * stop, stop=stop)
    rho = float(gamma["rho"].min())
    taus = [float(gamma["temperature"].min()), float(gamma["temperature"].max())]
    low, high = (replicates(gamma.sel(temperature=[tau]), rho) for tau in taus)
    name = "loss-time exponent at the lowest temperature, constant learning rate"
    return judged(
        "toy-peaked-targets-slow",
        "Peaked targets are learned slowly: the loss falls as training time to the power -1/3.",
        "arXiv 2602.03685, used in the paper's appendix C",
        scope(result),
        part(name, low, *NEAR_THIRD),
        part("that at the highest temperature minus it", high - low, 0.0),
    )


def _at(name: str, result: xr.Dataset, tau: float) -> str:
    return name if result.sizes["temperature"] == 1 else f"{name} at tau {tau:g}"


def midpoint_claim(euler: xr.Dataset, midpoint: xr.Dataset) -> Claim:
    """Second-order students help only where there is a dynamics to discretise."""
    gain = midpoint_gain(euler, midpoint)
    tied, independent = (replicates(gain, rho) for rho in (1.0, 0.0))
    return judged(
        "toy-midpoint-helps-only-tied",
        "Second-order students are better than plain ones of equal size only for a tied teacher.",
        "paper, figure 5",
        scope(midpoint),
        part("log ratio of losses, Euler over midpoint, tied teacher", tied, 0.0),
        part("the same, independent teacher", independent, high=NO_GAIN),
        part("the same, tied minus independent", tied - independent, 0.0),
    )


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
    return (analysis.log(plain) - analysis.log(second)).mean("depth", skipna=False)


def geometry_claim(result: xr.Dataset) -> Claim:
    """Students of an independent teacher: rotations of size 1/ell, weakly correlated updates."""
    exponent = replicates(rotation_exponent(result), 0.0)
    neighbour = neighbour_cosine(result)
    independent, tied = (replicates(neighbour, rho) for rho in (0.0, 1.0))
    return judged(
        "toy-geometry-like-language-models",
        "Students of an independent teacher look like language models: rotations fall as 1/depth "
        "and updates are weakly correlated, unlike those of a tied teacher.",
        "paper, figures 2 and 5",
        scope(result),
        part("exponent of the mean rotation in depth, independent", exponent, *NEAR_ONE),
        part("cosine of neighbouring updates, independent", independent, high=0.5),
        part("the same, tied minus independent", tied - independent, 0.0),
    )


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


def stages_claim(result: xr.Dataset) -> Claim:
    """A compositional target: the loss falls in steps where a stage more fits in."""
    slopes = analysis.local_slopes(result)
    return judged(
        "toy-compositional-steps",
        "Where a target needs its layers in sequence, the loss falls in steps, not as one power.",
        "paper, section on the three regimes",
        scope(result),
        part("local exponent at the depths steepest in the others", elsewhere(slopes, 1), 2.0),
        part("the same, flattest in the others", elsewhere(slopes, -1), high=1.0),
    )


def elsewhere(slopes: xr.DataArray, sign: int) -> np.ndarray:
    """Each replicate's slope at the depth where that of the others is steepest (1), flattest (-1).

    Chosen and measured in one replicate, the extremes of mere noise would pass for steps.
    """
    rows = np.array([analysis.replicates(slopes.sel(depth=ell)) for ell in slopes["depth"]]).T
    others = rows.sum(0) - rows
    if np.isnan(rows).any():
        return np.full(len(rows), np.nan)
    return np.take_along_axis(rows, (sign * others).argmax(1)[:, None], 1)[:, 0]


def _loss(result: xr.Dataset) -> str:
    return json.loads(result.attrs["specification"])["loss"]
