"""The theory's core and the readings themselves, as claims; all ranges set before any data."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from companion.errors import InputError
from companion.evidence.calibration.verdict import WORDS
from companion.evidence.claims import Claim, Measurement
from companion.statistics.intervals import Interval
from companion.toy.calibration import averaging, shapes

if TYPE_CHECKING:
    import xarray as xr

FIGURE = "paper, figure 2: the inference from it"
THEORY = "follows from ensemble averaging; our test"
AREA = 0.9
"""From this AUC on, at the worst depth, a statistic tells two regimes apart well."""

OWN = 0.5
"""Up to this correlation, at least half of a student's error is a draw of its own."""

NEAR_ONE = (0.75, 1.25)
ALIKE = (-0.25, 0.25)
"""Difference of two exponents that counts as none."""


def claims(study: xr.Dataset, core: xr.Dataset, trade: xr.Dataset) -> list[Claim]:
    """All claims of the chapter.

    Parameters
    ----------
    study : xarray.Dataset
        Of `companion.evidence.calibration.study`.
    core, trade : xarray.Dataset
        Of `companion.toy.calibration.averaging` and `shapes`.
    """
    return [
        readings_tell_regimes(study),
        order_tells_stages(study),
        errors_are_own(core),
        variance_falls_inversely(core),
        hidden_units_are_what_counts(trade),
        dynamics_and_stages_need_depth(trade),
    ]


def readings_tell_regimes(study: xr.Dataset) -> Claim:
    """Averaging is more even than stages, and its neighbours less alike than a dynamics' are."""
    return Claim(
        "calibration-geometry-tells-averaging",
        "Even rotations and weakly correlated updates tell ensemble averaging from the other two.",
        FIGURE,
        _scope(study),
        (
            _area(study, "evenness of rotation", "ensemble | compositional", above=True),
            _area(study, "neighbour cosine", "ensemble | procedural", above=False),
        ),
    )


def order_tells_stages(study: xr.Dataset) -> Claim:
    """Order matters to stages: swapping costs more, in units of skipping, than elsewhere."""
    pairs = ("ensemble | compositional", "procedural | compositional")
    names = ("swap / skip", "parallel / skip")
    return Claim(
        "calibration-order-tells-stages",
        "The order of blocks matters in compositional assembly, and hardly in the other two.",
        THEORY,
        _scope(study),
        tuple(_area(study, name, pair, above=False) for name in names for pair in pairs),
    )


def errors_are_own(core: xr.Dataset) -> Claim:
    """Students of one teacher that differ in seed and data share at most half of their error."""
    deepest = int(core["ell"].max())
    found = averaging.correlation(core, "ensemble", deepest)
    return Claim(
        "calibration-errors-are-own",
        "The error of a network in ensemble averaging is mostly a draw of its own.",
        THEORY,
        _scope(core),
        (_measured(f"correlation of errors at {deepest} blocks", found, high=OWN),),
    )


def variance_falls_inversely(core: xr.Dataset) -> Claim:
    """The part that differs from student to student goes as 1/ell, the common part does not."""
    found = {}
    for part in ("varying", "common"):
        try:
            found[part] = averaging.exponent(core, part, "ensemble")
        except InputError as refused:
            why = str(refused)
            return _variance(core, (), why)
    both = (
        _measured("exponent of the varying part", found["varying"], *NEAR_ONE),
        _measured("exponent of the common part", found["common"], high=0.5),
    )
    return _variance(core, both)


def _variance(core: xr.Dataset, measured: tuple[Measurement, ...], why: str = "") -> Claim:
    statement = "Depth averages over draws: the varying part of the loss falls as one over depth."
    return Claim("calibration-variance-inverse", statement, THEORY, _scope(core), measured, why)


def hidden_units_are_what_counts(trade: xr.Dataset) -> Claim:
    """Averaging asks for the number of estimates: depth and width of blocks have one exponent."""
    found = shapes.exponents(trade, "ensemble")["difference"]
    return Claim(
        "calibration-averaging-counts-units",
        "With an independent teacher the loss sees how many hidden units there are, not how they "
        "are stacked.",
        THEORY,
        _scope(trade),
        (_measured("exponent of depth minus that of hidden units", found, *ALIKE),),
    )


def dynamics_and_stages_need_depth(trade: xr.Dataset) -> Claim:
    """The other two regimes ask for depth: its exponent is the larger one."""
    return Claim(
        "calibration-others-need-depth",
        "A dynamics and a hierarchy ask for depth more than for hidden units.",
        THEORY,
        _scope(trade),
        tuple(
            _measured(f"the same, {WORDS[r]}", shapes.exponents(trade, r)["difference"], low=0.0)
            for r in ("procedural", "compositional")
        ),
    )


def words(core: xr.Dataset, trade: xr.Dataset) -> dict[str, str]:
    """Sentences of the chapter about shared errors and traded shapes, by name."""
    deepest = int(core["ell"].max())
    shared = {r: averaging.correlation(core, r, deepest) for r in map(str, core["regime"].values)}
    listed = "; ".join(f"{WORDS[r]} {found:.2f}" for r, found in shared.items())
    plane = {r: shapes.exponents(trade, r) for r in map(str, trade["regime"].values)}
    traded = "; ".join(
        f"{WORDS[r]}: depth {found['depth']:.2f}, hidden units {found['hidden units']:.2f}"
        for r, found in plane.items()
    )
    return {
        "shared": f"Correlation of the errors of two students at {deepest} blocks: {listed}.",
        "parts": " ".join(_parts(core, r) for r in map(str, core["regime"].values)),
        "traded": f"Exponents: {traded}.",
    }


def _parts(core: xr.Dataset, regime: str) -> str:
    told = []
    for part in ("varying", "common"):
        try:
            told.append(f"the {part} part {averaging.exponent(core, part, regime):.2f}")
        except InputError:
            told.append(f"the {part} part none (it is not positive everywhere)")
    return f"Exponents in depth, {WORDS[regime]}: {' and '.join(told)}."


def _area(study: xr.Dataset, name: str, pair: str, above: bool) -> Measurement:
    """AUC at the worst depth, of the first class above the second, or below it."""
    one = study.sel(statistic=name, pair=pair).dropna("depth", subset=["auc"])
    ends = [one[key].values for key in ("auc", "auc_low", "auc_high")]
    estimate, low, high = ends if above else (1 - ends[0], 1 - ends[2], 1 - ends[1])
    at = int(estimate.argmin())
    first, second = (WORDS[regime] for regime in pair.split(" | "))
    where = f"{first} {'above' if above else 'below'} {second}"
    told = f"AUC of {name}, {where}, worst depth ({int(one['depth'][at])} blocks)"
    ends = (float(x[at]) for x in (estimate, low, high))
    return Measurement(told, *ends, expected_low=AREA, expected_high=1.0)


def _measured(
    name: str, found: Interval, low: float = -math.inf, high: float = math.inf
) -> Measurement:
    return Measurement(name, found.estimate, found.low, found.high, low, high)


def _scope(found: xr.Dataset) -> dict[str, str]:
    made = json.loads(found.attrs["provenance"])
    design = made["parameters"]
    return {
        "networks": f"toy students of the design {design['name']!r}, widths "
        f"{', '.join(map(str, design['widths']))}",
        "depths": ", ".join(map(str, design["common"]["depths"])),
        "teachers": f"{design['common']['teachers']} a regime and width",
        "training": f"{design['common']['steps']} steps or more of {design['common']['batch']}",
    }
