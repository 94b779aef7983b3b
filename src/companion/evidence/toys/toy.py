"""Claims of the paper about the toy experiments, their verdicts computed from results."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable

import xarray as xr
from numpy.typing import ArrayLike

from companion.evidence.claims import Claim, Measurement
from companion.statistics.intervals import Interval
from companion.toy import analysis, comparison
from companion.toy.analysis import replicates
from companion.toy.regimes import (
    final_alpha,
    left_out_slope,
    midpoint_gain,
    neighbour_cosine,
    rotation_exponent,
)

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


def independent_claim(result: xr.Dataset) -> Claim:
    """Independent teacher: depth exponent about 1, at every temperature."""
    alphas = {
        tau: replicates(final_alpha(result, tau), 0.0) for tau in result["temperature"].values
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


def stages_claim(result: xr.Dataset) -> Claim:
    """A compositional target: the loss falls in steps where a stage more fits in."""
    slopes = analysis.local_slopes(result)
    return judged(
        "toy-compositional-steps",
        "Where a target needs its layers in sequence, the loss falls in steps, not as one power.",
        "paper, section on the three regimes",
        scope(result),
        part("local exponent at the depths steepest in the others", left_out_slope(slopes, 1), 2.0),
        part("the same, flattest in the others", left_out_slope(slopes, -1), high=1.0),
    )


def variants_claim(compared: xr.Dataset) -> Claim:
    """Do the variants raise the depth exponent above that of the plain block?"""
    target = json.loads(compared.attrs["specification"])["teacher"]
    gains = comparison.gains(compared)
    name = "exponent of {} minus that of the plain block"
    diverged = set(compared["block"].values) - {comparison.BASELINE, *gains}
    where = {"learning rates": ", ".join(f"{r:g}" for r in compared["rate"].values)}
    return judged(
        f"toy-variants-raise-the-exponent-{target}",
        "Other residual connections, such as gating or attention over depth, make better use of "
        "depth than the plain one.",
        "paper, discussion (an outlook, not a result)",
        scope(compared) | where | ({"diverged": ", ".join(sorted(diverged))} if diverged else {}),
        *((name.format(key), gain, 0.0, math.inf) for key, gain in gains.items()),
    )


def entropy_claims(result: xr.Dataset | None) -> list[Claim]:
    """All claims about targets with a temperature; none without independent and tied teachers."""
    if result is None or not {0.0, 1.0} <= set(result["rho"].values):
        return []
    makers = (independent_claim, tied_claim, temperature_claim, slow_claim)
    return [make(result) for make in makers]


def regime_claims(
    plain: xr.Dataset | None,
    midpoint: xr.Dataset | None,
    staged: xr.Dataset | None,
    *compared: xr.Dataset | None,
) -> list[Claim]:
    """All claims about regimes, but for those whose results are absent (None)."""
    parts: list[tuple[Callable[..., Claim], *tuple[xr.Dataset | None, ...]]] = [
        (independent_claim, plain),
        (tied_claim, plain),
        (midpoint_claim, plain, midpoint),
        (stages_claim, staged),
        (geometry_claim, plain),
        *((variants_claim, one) for one in compared),
    ]
    return [make(*results) for make, *results in parts if all(one is not None for one in results)]


def as_stored(claims: Iterable[Claim]) -> list[Claim]:
    """The claims of stored results, under keys of their own beside those of the live run."""
    return [dataclasses.replace(claim, key=f"{claim.key}-stored") for claim in claims]


def _loss(result: xr.Dataset) -> str:
    return json.loads(result.attrs["specification"])["loss"]
