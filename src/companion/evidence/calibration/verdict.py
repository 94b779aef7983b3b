"""Which statistics may speak about regimes, and what they leave possible.

A statistic speaks for a pair of regimes where it passed: on the students of teachers that it had
not seen, at least `RIGHT` of the networks of either regime were on the right side, at each depth.
What has not passed may be shown, but decides nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from companion.errors import InputError
from companion.files import read_netcdf, stored

if TYPE_CHECKING:
    import xarray as xr

STORED = "calibration.nc"
RIGHT = 0.9
"""Share of the networks of unseen teachers, of either regime and at each depth, to be right."""

REACH = 1.25
"""A model may be deeper or shallower than all networks of the calibration by this factor."""

SIZES = ("middle rotation", "rotation x depth")
"""Never decisive, whatever they separate: how far a target lies from its input is no regime."""

UNTRAINED = "untrained"
WORDS = {
    "ensemble": "ensemble averaging",
    "procedural": "procedural assembly",
    "compositional": "compositional assembly",
    UNTRAINED: "an untrained network",
}


@functools.cache
def calibrated() -> xr.Dataset:
    """The stored calibration.

    Raises
    ------
    InputError
        If there is none: `companion calibrate train`, then `measure`, make one.
    """
    return read_netcdf(stored(STORED))


def separates(name: str, study: xr.Dataset | None = None) -> tuple[tuple[str, str], ...]:
    """The pairs of classes for which a statistic passed; none of `SIZES`, or of one never tried.

    Parameters
    ----------
    name : str
        Of `calibration.measure.STATISTICS`.
    study : xarray.Dataset, optional
        Of `calibration.study`; by default the stored one.
    """
    study = calibrated() if study is None else study
    if name not in study["statistic"].values or name in SIZES:
        return ()
    right = study["right"].sel(statistic=name)
    tested = right.notnull().all("member").any("depth")
    good = ((right >= RIGHT) | right.isnull()).all(["member", "depth"]) & tested
    return tuple(classes(pair) for pair in study["pair"].values[good.values])


def passes(name: str, regime: str | None = None, study: xr.Dataset | None = None) -> bool:
    """Whether a statistic tells every class from every other, or one regime from all others."""
    study = calibrated() if study is None else study
    wanted = [classes(pair) for pair in study["pair"].values]
    wanted = [pair for pair in wanted if regime is None or regime in pair]
    return set(wanted) <= set(separates(name, study))


def against(name: str, regime: str, study: xr.Dataset | None = None) -> tuple[str, ...]:
    """The trained regimes that a statistic tells from `regime`."""
    pairs = [set(pair) - {regime} for pair in separates(name, study) if regime in pair]
    return tuple(other for one in pairs for other in one if other != UNTRAINED)


def why_no_test(name: str, regime: str, study: xr.Dataset | None = None) -> str:
    """Why a claim about `regime` cannot rest on a statistic; empty where it can.

    It can where the statistic tells that regime from at least one of the others.
    """
    try:
        spoken = against(name, regime, study)
    except InputError as absent:
        return f"not a test: the {name} has not been calibrated here, {absent}"
    if spoken:
        return ""
    return (
        f"not a test: in trained networks of known regime the {name} does not tell "
        f"{WORDS[regime]} from any other regime (fewer than {RIGHT:.0%} right on unseen teachers)"
    )


@dataclass(frozen=True)
class Verdict:
    """What the statistics of one network leave possible.

    Parameters
    ----------
    possible : tuple of str
        Classes that no statistic excludes.
    excluded : mapping of class to tuple of str
        What excludes each of the others.
    used, outside : tuple of str
        Statistics that excluded something; those that passed but lie outside of all networks of
        the calibration, where a cut means nothing.
    silence : str
        Why no statistic could speak of this network; else empty.
    """

    possible: tuple[str, ...]
    excluded: Mapping[str, tuple[str, ...]]
    used: tuple[str, ...]
    outside: tuple[str, ...]
    silence: str = ""

    @property
    def regime(self) -> str:
        """The only class that is left, or "undecided"."""
        return self.possible[0] if len(self.possible) == 1 else "undecided"

    @property
    def _decisive(self) -> tuple[str, ...]:
        """What excludes a regime; if nothing does, what excludes an untrained network."""
        trained = [n for one, names in self.excluded.items() if one != UNTRAINED for n in names]
        return tuple(name for name in self.used if name in trained) or self.used

    @property
    def words(self) -> str:
        """The classes that are left, in words."""
        return " or ".join(WORDS[one] for one in self.possible) or "none of the calibrated regimes"

    @property
    def sentence(self) -> str:
        """What may be said about the regime."""
        if self.silence:
            return f"No regime is excluded: {self.silence}."
        outside = f" ({listed(self.outside)}: outside of all calibrated networks)"
        outside = outside if self.outside else ""
        if not self.used:
            why = "none of the statistics read here tells regimes apart in calibration"
            return f"No regime is excluded: {why}{outside}."
        by = f"by {listed(self._decisive)}, calibrated on students whose regime is known"
        if len(self.possible) == 1 and self.possible[0] != UNTRAINED:
            return f"Taken together: {self.words}, {by}{outside}."
        return f"The regime stays open: {self.words} ({by}){outside}."


def verdict_for(
    statistics: Mapping[str, float], ell: int, study: xr.Dataset | None = None
) -> Verdict:
    """What the values of some statistics leave possible for a network of `ell` blocks.

    Cuts between the calibrated depths are interpolated in the logarithm of the depth; beyond, as
    far as `REACH`, the nearest depth's holds.

    Parameters
    ----------
    statistics : mapping of name to float
        As `calibration.measure.read_probe` and `read_ablation` give; NaN and unknown ones say
        nothing.
    ell : int
    study : xarray.Dataset, optional
        The stored one, unless another is given. Without either nothing is excluded.
    """
    try:
        study = calibrated() if study is None else study
    except InputError as absent:
        return Verdict(tuple(WORDS), {}, (), (), str(absent))
    every = tuple(str(one) for one in study["truth"].values)
    depths = study["depth"].values
    if not depths.min() / REACH <= ell <= depths.max() * REACH:
        span = f"{depths.min()} to {depths.max()} blocks"
        reason = f"the calibration has networks of {span}, this one has {ell}"
        return Verdict(every, {}, (), (), reason)
    excluded: dict[str, list[str]] = {}
    outside = []
    for name, value in statistics.items():
        pairs = separates(name, study) if math.isfinite(value) else ()
        if pairs and not _inside(study.sel(statistic=name), value):
            outside.append(name)
            continue
        for pair in pairs:
            loser = _loser(study.sel(statistic=name), pair, value, ell)
            excluded.setdefault(loser, []).append(name)
    possible = tuple(one for one in every if one not in excluded)
    by = {one: tuple(dict.fromkeys(names)) for one, names in excluded.items()}
    used = tuple(name for name in statistics if any(name in names for names in by.values()))
    return Verdict(possible, by, used, tuple(outside))


def classes(pair: str) -> tuple[str, str]:
    """The two classes of a pair's name."""
    first, second = str(pair).split(" | ")
    return first, second


def _inside(statistic: xr.Dataset, value: float) -> bool:
    return float(statistic["low"]) <= value <= float(statistic["high"])


def _loser(statistic: xr.Dataset, pair: tuple[str, str], value: float, ell: int) -> str:
    """The class of a pair that a value excludes."""
    one = statistic.sel(pair=" | ".join(pair))
    tested = one["right"].notnull().all("member").values
    cut = np.interp(math.log(ell), np.log(one["depth"].values[tested]), one["cut"].values[tested])
    return pair[1] if (value > cut) == bool(one["above"]) else pair[0]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + "".join(names[-1:])
