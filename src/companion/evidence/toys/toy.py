"""Claims of the paper about the toy experiments, their verdicts computed from results."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from companion.evidence.claims import Claim
from companion.evidence.judging import judge, of
from companion.statistics.intervals import Interval
from companion.toy import comparison
from companion.toy.analysis import over_replicates, replicates
from companion.toy.regimes import (
    doublings,
    exponent_moves,
    exponent_readings,
    final_alpha,
    midpoint_gain,
    neighbour_cosine,
    over_lengths,
    plunge,
    rotation_exponent,
)

SETTLED = 0.1
"""Training has converged where twice of it moves the exponent by less."""

EXPLAINED = 0.1
"""Squared error per channel below which a target of unit size counts as built."""

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


def judged(
    key: str, result: xr.Dataset, *parts: Part, reason: str = "", lengths: int = 0, **more: str
) -> Claim:
    """The claim with its parts measured; not testable where one of them is unknown.

    `lengths` says for how many lengths of training, each doubled, there are annealed runs.
    """
    unknown = [name for _, name, interval in parts if math.isnan(interval.estimate)]
    if unknown or not (parts or reason):
        reason = f"students diverged, so this is unknown: {', '.join(unknown) or 'all of it'}"
    measured = () if reason else [of(interval, name, part) for part, name, interval in parts]
    given = {"met": {"annealed lengths": lengths} if lengths else {}, "size": _size(result)}
    return judge(key, measured, scope(result) | more, data="toy", reason=reason, **given)


def _size(result: xr.Dataset) -> float:
    """Samples that all students saw together: how much went into a run."""
    spec = json.loads(result.attrs["specification"])
    return spec["steps"] * spec["batch"] * spec["teachers"] * spec["seeds"] * len(spec["depths"])


def unsettled(runs: Sequence[xr.Dataset], tau: float, *rhos: float) -> str:
    """Why exponents have not converged: what the last two times of longer training moved them by.

    Parameters
    ----------
    runs : sequence of xarray.Dataset
        Annealed, each at least twice as long as the one before.
    tau : float
    *rhos : float
        Of the teachers whose exponents count.
    """
    runs = runs[-3:]
    for rho in rhos:
        for moved, run in zip(exponent_moves(runs, tau, rho), runs[1:], strict=True):
            by = over_replicates(moved)
            if not max(abs(by.low), abs(by.high)) < SETTLED:
                return (
                    f"not converged: longer training, to {int(run['step'].max()):,} steps, moves "
                    f"the exponent of rho = {rho:g} by {by:.2f}, where less than {SETTLED} is asked"
                )
    return ""


def _whole(result: xr.Dataset, shorter: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Those that have all teachers and temperatures of which the claims about a result speak."""
    taus = set(result["temperature"].values.tolist())
    return [
        run
        for run in shorter
        if {0.0, 1.0} <= set(run["rho"].values) and taus <= set(run["temperature"].values.tolist())
    ]


def independent_claim(result: xr.Dataset, shorter: Sequence[xr.Dataset] = ()) -> Claim:
    """Independent teacher: depth exponent about 1, at every temperature and however it is read.

    Plain, with a floor, over the lower and over the upper half of the depths: where these do not
    agree there is no single power law over the range.
    """
    runs = doublings(result, _whole(result, shorter))
    taus = [float(tau) for tau in result["temperature"].values]
    parts = [
        ("exponent", _at(f"exponent, {how}", result, tau), over_replicates(replicates(alpha, 0.0)))
        for tau in taus
        for how, alpha in exponent_readings(result, tau).items()
    ]
    why = next(filter(None, (unsettled(runs, tau, 0.0) for tau in taus)), "")
    given = {"reason": why, "lengths": len(runs)}
    return judged("toy-independent-exponent", result, *parts, **given)


def tied_claim(result: xr.Dataset, shorter: Sequence[xr.Dataset] = ()) -> Claim:
    """Tied teacher: a higher exponent than the independent one, at least a first-order one."""
    runs = doublings(result, _whole(result, shorter))
    tau = float(result["temperature"].max())
    readings = exponent_readings(result, tau)
    gains = {how: replicates(a, 1.0) - replicates(a, 0.0) for how, a in readings.items()}
    parts = [
        ("excess", _at(f"tied minus independent exponent, {how}", result, tau), gain)
        for how, gain in gains.items()
    ]
    parts += [
        ("exponent", _at(f"tied exponent, {how}", result, tau), replicates(alpha, 1.0))
        for how, alpha in readings.items()
    ]
    judgeable = [(part, name, over_replicates(values)) for part, name, values in parts]
    given = {"reason": unsettled(runs, tau, 0.0, 1.0), "lengths": len(runs)}
    return judged("toy-tied-exponent", result, *judgeable, **given)


def law_sentence(result: xr.Dataset, rho: float) -> str:
    """Whether one power law describes the loss over the depths, from four readings of it."""
    tau = float(result["temperature"].max())
    readings = {
        how: over_replicates(replicates(alpha, rho))
        for how, alpha in exponent_readings(result, tau).items()
    }
    exponents = "; ".join(f"{how} {interval:.2f}" for how, interval in readings.items())
    low = max(interval.low for interval in readings.values())
    high = min(interval.high for interval in readings.values())
    if any(math.isnan(interval.estimate) for interval in readings.values()):
        return "Students diverged, so the exponent is unknown."
    law = "one power law fits" if low <= high else "there is no single power law over this range"
    return f"Exponent for rho = {rho:g}: {exponents}; {law}."


def temperature_claim(result: xr.Dataset, shorter: Sequence[xr.Dataset] = ()) -> Claim:
    """Tied teacher: the exponent grows with temperature."""
    runs = doublings(result, _whole(result, shorter))
    low, high = float(result["temperature"].min()), float(result["temperature"].max())
    ends = [replicates(final_alpha(result, tau), 1.0) for tau in (low, high)]
    name = rf"tied exponent at tau {high:g} minus that at tau {low:g}"
    part = ("difference", name, over_replicates(ends[1] - ends[0]))
    why = unsettled(runs, low, 1.0) or unsettled(runs, high, 1.0)
    given = {"reason": why, "lengths": len(runs)}
    return judged("toy-exponent-grows-with-temperature", result, part, **given)


def slow_claim(result: xr.Dataset, shorter: Sequence[xr.Dataset] = ()) -> Claim:
    """Peaked targets train slowly: annealed losses fall with the length of training to the -1/3.

    Not the loss within one training, which the rate's decay moves.
    """
    runs = doublings(result, shorter)
    rho = float(result["rho"].min())
    taus = [float(result["temperature"].min()), float(result["temperature"].max())]
    low, high = (over_lengths(runs, tau, rho) for tau in taus)
    name = "exponent of annealed losses in training length, lowest temperature"
    return judged(
        "toy-peaked-targets-slow",
        result,
        ("exponent", name, over_replicates(low)),
        ("difference", "that at the highest temperature minus it", over_replicates(high - low)),
        lengths=len(runs),
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
    """A compositional target: the loss plunges where a stage more fits in, and is flat elsewhere.

    The plunge is where the loss first falls below `EXPLAINED`, set beforehand; its depth may
    differ from replicate to replicate.
    """
    at, rest = plunge(result, EXPLAINED)
    if np.isnan(at).all():
        reason = f"no replicate's loss crosses {EXPLAINED} between two depths"
        return judged("toy-compositional-steps", result, reason=reason)
    known = np.isfinite(at)
    if known.sum() < 2:
        reason = f"only one replicate's loss crosses {EXPLAINED}"
        return judged("toy-compositional-steps", result, reason=reason)
    name = f"local exponent where the loss first falls below {EXPLAINED}"
    where: dict[str, Any] = {"replicates that cross": f"{known.sum()} of {len(at)}"}
    return judged(
        "toy-compositional-steps",
        result,
        ("plunge", name, over_replicates(at[known])),
        ("rest", "mean local exponent elsewhere", over_replicates(rest[known])),
        **where,
    )


def variants_claim(compared: xr.Dataset) -> Claim:
    """Do the variants raise the depth exponent above that of the plain block?"""
    target = json.loads(compared.attrs["specification"])["teacher"]
    gains = comparison.gains(compared)
    name = "exponent of {} minus that of the plain block"
    diverged = set(compared["block"].values) - {comparison.BASELINE, *gains}
    more: dict[str, Any] = {"learning rates": ", ".join(f"{r:g}" for r in compared["rate"].values)}
    more |= {"diverged": ", ".join(sorted(diverged))} if diverged else {}
    return judged(
        f"toy-variants-raise-the-exponent-{target}",
        compared,
        *(("gain", name.format(key.replace("_", " ")), gain) for key, gain in gains.items()),
        **more,
    )


def entropy_claims(result: xr.Dataset | None, shorter: Sequence[xr.Dataset] = ()) -> list[Claim]:
    """All claims about targets with a temperature; none without independent and tied teachers."""
    if result is None or not {0.0, 1.0} <= set(result["rho"].values):
        return []
    makers = (independent_claim, tied_claim, temperature_claim, slow_claim)
    return [make(result, shorter) for make in makers]


def regime_claims(
    plain: xr.Dataset | None,
    midpoint: xr.Dataset | None,
    staged: xr.Dataset | None,
    *compared: xr.Dataset | None,
    shorter: Sequence[xr.Dataset] = (),
) -> list[Claim]:
    """All claims about regimes, but for those whose results are absent (None)."""
    exponents = (partial(make, shorter=shorter) for make in (independent_claim, tied_claim))
    parts: list[tuple[Callable[..., Claim], *tuple[xr.Dataset | None, ...]]] = [
        *((make, plain) for make in exponents),
        (midpoint_claim, plain, midpoint),
        (stages_claim, staged),
        (geometry_claim, plain),
        *((variants_claim, one) for one in compared),
    ]
    return [make(*results) for make, *results in parts if all(one is not None for one in results)]
