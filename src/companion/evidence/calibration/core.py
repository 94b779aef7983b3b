"""The theory's core and the readings themselves, as claims."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from companion.errors import InputError
from companion.evidence.calibration.verdict import WORDS
from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge, of
from companion.toy.calibration import averaging, shapes

if TYPE_CHECKING:
    import xarray as xr


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
    areas = [
        _area(study, "evenness of rotation", "ensemble | compositional", above=True),
        _area(study, "neighbour cosine", "ensemble | procedural", above=False),
    ]
    return judge("calibration-geometry-tells-averaging", areas, _scope(study), data="toy")


def order_tells_stages(study: xr.Dataset) -> Claim:
    """Order matters to stages: swapping costs more, in units of skipping, than elsewhere."""
    pairs = ("ensemble | compositional", "procedural | compositional")
    names = ("swap / skip", "parallel / skip")
    areas = [_area(study, name, pair, above=False) for name in names for pair in pairs]
    return judge("calibration-order-tells-stages", areas, _scope(study), data="toy")


def errors_are_own(core: xr.Dataset) -> Claim:
    """Students of one teacher that differ in seed and data share at most half of their error."""
    deepest = int(core["ell"].max())
    found = averaging.correlation(core, "ensemble", deepest)
    shared = [of(found, f"correlation of errors at {deepest} blocks")]
    return judge("calibration-errors-are-own", shared, _scope(core), data="toy")


def variance_falls_inversely(core: xr.Dataset) -> Claim:
    """The part that differs from student to student goes as 1/ell, the common part does not."""
    both, why = [], ""
    try:
        for part in ("varying", "common"):
            found = averaging.exponent(core, part, "ensemble")
            both.append(of(found, f"exponent of the {part} part", part))
    except InputError as refused:
        why = str(refused)
    return judge("calibration-variance-inverse", both, _scope(core), data="toy", reason=why)


def hidden_units_are_what_counts(trade: xr.Dataset) -> Claim:
    """Averaging asks for the number of estimates: depth and width of blocks have one exponent."""
    found = shapes.exponents(trade, "ensemble")["difference"]
    units = [of(found, "exponent of depth minus that of hidden units")]
    return judge("calibration-averaging-counts-units", units, _scope(trade), data="toy")


def dynamics_and_stages_need_depth(trade: xr.Dataset) -> Claim:
    """The other two regimes ask for depth: its exponent is the larger one."""
    both = [
        of(shapes.exponents(trade, r)["difference"], f"the same, {WORDS[r]}")
        for r in ("procedural", "compositional")
    ]
    return judge("calibration-others-need-depth", both, _scope(trade), data="toy")


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
    return Measurement(told, float(estimate[at]), float(low[at]), float(high[at]))


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
