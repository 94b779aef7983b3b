"""Claims of the paper about the toy experiments, their verdicts computed from results."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import xarray as xr

from companion.evidence.claims import Claim
from companion.evidence.judging import judge, of
from companion.statistics.intervals import Interval
from companion.toy import analysis, comparison
from companion.toy.analysis import over_replicates, replicates
from companion.toy.regimes import (
    final_alpha,
    left_out_slope,
    midpoint_gain,
    neighbour_cosine,
    rotation_exponent,
)

Part = tuple[str, str, Interval]
"""Of a claim's part: its name in the registry, what is measured in words, and its interval."""


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


def judged(key: str, result: xr.Dataset, *parts: Part, **more: str) -> Claim:
    """The claim with its parts measured; not testable where one of them is unknown."""
    unknown = [name for _, name, interval in parts if math.isnan(interval.estimate)]
    why = ""
    if unknown or not parts:
        why = f"students diverged, so this is unknown: {', '.join(unknown) or 'all of it'}"
    measured = () if why else [of(interval, name, part) for part, name, interval in parts]
    return judge(key, measured, scope(result) | more, data="toy", reason=why, size=_size(result))


def _size(result: xr.Dataset) -> float:
    """Samples that all students saw together: how much went into a run."""
    spec = json.loads(result.attrs["specification"])
    return spec["steps"] * spec["batch"] * spec["teachers"] * spec["seeds"] * len(spec["depths"])


def independent_claim(result: xr.Dataset) -> Claim:
    """Independent teacher: depth exponent about 1, at every temperature."""
    alphas = {
        tau: over_replicates(replicates(final_alpha(result, tau), 0.0))
        for tau in result["temperature"].values
    }
    return judged(
        "toy-independent-exponent",
        result,
        *(("exponent", _at("exponent", result, tau), alpha) for tau, alpha in alphas.items()),
    )


def tied_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: a higher exponent than the independent one, at least a first-order one."""
    tau = float(result["temperature"].max())
    alpha = final_alpha(result, tau)
    tied, independent = replicates(alpha, 1.0), replicates(alpha, 0.0)
    excess = over_replicates(tied - independent)
    return judged(
        "toy-tied-exponent",
        result,
        ("excess", _at("tied minus independent exponent", result, tau), excess),
        ("exponent", _at("tied exponent", result, tau), over_replicates(tied)),
    )


def temperature_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: the exponent grows with temperature."""
    low, high = float(result["temperature"].min()), float(result["temperature"].max())
    ends = [replicates(final_alpha(result, tau), 1.0) for tau in (low, high)]
    name = rf"tied exponent at tau {high:g} minus that at tau {low:g}"
    difference = over_replicates(ends[1] - ends[0])
    return judged("toy-exponent-grows-with-temperature", result, ("difference", name, difference))


def slow_claim(result: xr.Dataset) -> Claim:
    """Peaked targets train more slowly, with a loss that falls as time to the power -1/3."""
    spec = json.loads(result.attrs["specification"])
    stop = spec["decay_from"]
    gamma = analysis.time_exponent(result, start=0.1 * stop, stop=stop)
    rho = float(gamma["rho"].min())
    taus = [float(gamma["temperature"].min()), float(gamma["temperature"].max())]
    low, high = (replicates(gamma.sel(temperature=[tau]), rho) for tau in taus)
    name = "loss-time exponent at the lowest temperature, constant learning rate"
    faster = over_replicates(high - low)
    return judged(
        "toy-peaked-targets-slow",
        result,
        ("exponent", name, over_replicates(low)),
        ("difference", "that at the highest temperature minus it", faster),
    )


def _at(name: str, result: xr.Dataset, tau: float) -> str:
    return name if result.sizes["temperature"] == 1 else f"{name} at tau {tau:g}"


def midpoint_claim(euler: xr.Dataset, midpoint: xr.Dataset) -> Claim:
    """Second-order students help only where there is a dynamics to discretise."""
    gain = midpoint_gain(euler, midpoint)
    tied, independent = (replicates(gain, rho) for rho in (1.0, 0.0))
    name = "log ratio of losses, Euler over midpoint, tied teacher"
    return judged(
        "toy-midpoint-helps-only-tied",
        midpoint,
        ("tied", name, over_replicates(tied)),
        ("independent", "the same, independent teacher", over_replicates(independent)),
        ("difference", "the same, tied minus independent", over_replicates(tied - independent)),
    )


def geometry_claim(result: xr.Dataset) -> Claim:
    """Students of an independent teacher: rotations of size 1/ell, weakly correlated updates."""
    exponent = over_replicates(replicates(rotation_exponent(result), 0.0))
    neighbour = neighbour_cosine(result)
    independent, tied = (replicates(neighbour, rho) for rho in (0.0, 1.0))
    cosine = over_replicates(independent)
    return judged(
        "toy-geometry-like-language-models",
        result,
        ("exponent", "exponent of the mean rotation in depth, independent", exponent),
        ("cosine", "cosine of neighbouring updates, independent", cosine),
        ("difference", "the same, tied minus independent", over_replicates(tied - independent)),
    )


def stages_claim(result: xr.Dataset) -> Claim:
    """A compositional target: the loss falls in steps where a stage more fits in."""
    slopes = analysis.local_slopes(result)
    steepest, flattest = (over_replicates(left_out_slope(slopes, sign)) for sign in (1, -1))
    return judged(
        "toy-compositional-steps",
        result,
        ("steepest", "local exponent at the depths steepest in the others", steepest),
        ("flattest", "the same, flattest in the others", flattest),
    )


def variants_claim(compared: xr.Dataset) -> Claim:
    """Do the variants raise the depth exponent above that of the plain block?"""
    target = json.loads(compared.attrs["specification"])["teacher"]
    gains = comparison.gains(compared)
    name = "exponent of {} minus that of the plain block"
    diverged = set(compared["block"].values) - {comparison.BASELINE, *gains}
    more = {"learning rates": ", ".join(f"{r:g}" for r in compared["rate"].values)}
    more |= {"diverged": ", ".join(sorted(diverged))} if diverged else {}
    return judged(
        f"toy-variants-raise-the-exponent-{target}",
        compared,
        *(("gain", name.format(key.replace("_", " ")), gain) for key, gain in gains.items()),
        **more,
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
