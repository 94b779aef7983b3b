"""Which statistic tells which two regimes apart, on networks of teachers that it has not seen.

For every pair of regimes and every depth a cut is found on half of the teachers, over all widths,
and tested on the other half; then the halves change places. Which regime lies above is one answer
for all depths. Nothing here depends on a language model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from companion.statistics.separation import auc, auc_interval, best_cut
from companion.toy.calibration.design import REGIMES

if TYPE_CHECKING:
    import xarray as xr

LEARNED = 0.5
"""A student that explains less of its target is no evidence of a regime, and is left out."""

CLASSES = (*REGIMES, "untrained")
PAIRS = tuple(combinations(CLASSES, 2))
DRAWS = 1000


def evidence(table: xr.Dataset) -> xr.Dataset:
    """The networks that count: untrained ones, and those that have learned; no mixtures.

    They keep their numbers, as coordinate `network`.
    """
    table = table.assign_coords(network=np.arange(table.sizes["network"]))
    regime = table["regime"].values
    counts = (table["explained"].values >= LEARNED) | (regime == "untrained")
    return table.isel(network=np.flatnonzero(counts & np.isin(regime, CLASSES)))


def halves(table: xr.Dataset) -> np.ndarray:
    """0 for the first half of the teachers of each regime and width, 1 for the second."""
    teacher = table["teacher"].values
    return (teacher >= (teacher.max() + 1) / 2).astype(int)


def separate(table: xr.Dataset, generator: np.random.Generator) -> xr.Dataset:
    """What every statistic is worth between every two of `CLASSES`.

    Parameters
    ----------
    table : xarray.Dataset
        From `measure.table`.
    generator : numpy.random.Generator
        For the bootstrap over teachers.

    Returns
    -------
    xarray.Dataset
        `right` (statistic, pair, member, depth): share of the networks of unseen teachers on the
        right side, NaN at depths where the statistic has no meaning or a class no networks;
        `networks` (pair, member, depth); `auc`, `auc_low`, `auc_high` (statistic, pair, depth) of
        the networks with a value; `cut` (statistic, pair, depth) and `above` (statistic, pair)
        from all teachers; `low`, `high` (statistic), the range of all networks; `side`
        (statistic, pair, network): on which side of the other half's cut a network lies, 0 or 1,
        -1 where it does not count or has no value.
    """
    import xarray as xr

    counted = evidence(table)
    names = [str(name) for name in table["statistic"].values]
    parts = [_one(Cases.of(counted, name), generator) for name in names]
    together = xr.concat(parts, xr.DataArray(names, dims="statistic", name="statistic"))
    together["networks"] = together["networks"].isel(statistic=0, drop=True)
    together = together.assign_coords(network=counted["network"])
    return together.reindex(network=np.arange(table.sizes["network"]), fill_value={"side": -1})


@dataclass(frozen=True)
class Cases:
    """One statistic of many networks; all arrays have the shape (network,).

    Parameters
    ----------
    values : ndarray of float
        NaN where the statistic has no meaning.
    regime, cluster : ndarray of str
        Class of each network; what it shares with others, its width and teacher.
    ell, half : ndarray of int
        Depth; half of the teachers.
    """

    values: np.ndarray
    regime: np.ndarray
    cluster: np.ndarray
    ell: np.ndarray
    half: np.ndarray

    @classmethod
    def of(cls, table: xr.Dataset, statistic: str) -> Cases:
        """The cases of one statistic in a table of `measure`."""
        m, teacher = table["m"].values, table["teacher"].values
        cluster = np.array([f"{one}-{other}" for one, other in zip(m, teacher, strict=True)])
        values = table["value"].sel(statistic=statistic).values
        return cls(values, table["regime"].values, cluster, table["ell"].values, halves(table))

    @property
    def depths(self) -> np.ndarray:
        """All depths there are, the shallowest first."""
        return np.unique(self.ell)

    def known(self, regime: str, among: np.ndarray | bool = True) -> np.ndarray:
        """Which networks of a regime have a value."""
        return (self.regime == regime) & np.isfinite(self.values) & among

    def above(self, pair: tuple[str, str], among: np.ndarray | bool = True) -> bool:
        """Whether the first class lies above the second, by the mean of the depths' AUCs."""
        areas = []
        for ell in self.depths:
            first, second = self._pair(pair, (self.ell == ell) & among)
            if len(first) and len(second):
                areas.append(auc(first, second))
        return not areas or float(np.mean(areas)) >= 0.5

    def cut(self, pair: tuple[str, str], ell: int, among: np.ndarray | bool = True) -> float:
        """The best cut at a depth; a class without values lies beyond every value."""
        first, second = self._pair(pair, (self.ell == ell) & among)
        above = self.above(pair, among)
        if len(first) and len(second):
            return best_cut(first, second, above)
        return -np.inf if bool(len(first)) == above else np.inf

    def _pair(self, pair: tuple[str, str], among: np.ndarray) -> list[np.ndarray]:
        return [self.values[self.known(regime, among)] for regime in pair]

    def unseen(self, pair: tuple[str, str], side: int) -> np.ndarray:
        """Whether each network lies on a side of the cut that the other half's teachers give."""
        on = np.zeros(len(self.values), bool)
        for half in (0, 1):
            others = self.half != half
            above = self.above(pair, others)
            for ell in self.depths:
                here = ~others & (self.ell == ell)
                cut = self.cut(pair, ell, others)
                on[here] = right_side(self.values, cut, above, side)[here]
        return on


def right_side(values, cut, above: bool, side: int) -> np.ndarray:
    """Whether each value lies on the side of a pair's first (0) or second (1) class; NaN on none.

    `above` says whether the first class lies above the cut.
    """
    on_first = values > cut if above else values < cut
    return np.isfinite(values) & (~on_first if side else on_first)


def _one(cases: Cases, generator: np.random.Generator) -> xr.Dataset:
    """All pairs of one statistic."""
    import xarray as xr

    right, networks = zip(*(_tested(cases, pair) for pair in PAIRS), strict=True)
    area = np.array([_areas(cases, pair, generator) for pair in PAIRS])
    cuts = [[cases.cut(pair, ell) for ell in cases.depths] for pair in PAIRS]
    known = cases.values[np.isfinite(cases.values)]
    variables = {
        "right": (("pair", "member", "depth"), np.array(right)),
        "networks": (("pair", "member", "depth"), np.array(networks)),
        "auc": (("pair", "depth"), area[:, 0]),
        "auc_low": (("pair", "depth"), area[:, 1]),
        "auc_high": (("pair", "depth"), area[:, 2]),
        "cut": (("pair", "depth"), np.array(cuts)),
        "above": ("pair", np.array([cases.above(pair) for pair in PAIRS])),
        "low": known.min(initial=np.inf),
        "high": known.max(initial=-np.inf),
        "side": (("pair", "network"), np.array([_sides(cases, pair) for pair in PAIRS])),
    }
    coords = {
        "pair": [" | ".join(pair) for pair in PAIRS],
        "member": ["first", "second"],
        "depth": cases.depths,
        "truth": list(CLASSES),
    }
    return xr.Dataset(variables, coords=coords)


def _tested(cases: Cases, pair: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Shares right and numbers of networks (side, ell), each judged by the other half's cut."""
    shape = 2, len(cases.depths)
    shares, counts = np.full(shape, np.nan), np.zeros(shape, int)
    met = cases.known(pair[0]) | cases.known(pair[1])
    both = [set(cases.ell[cases.regime == regime]) for regime in pair]
    common = both[0] & both[1] & set(cases.ell[met])
    for side, regime in enumerate(pair):
        good = cases.unseen(pair, side)
        # A statistic that cannot be formed calls an untrained network nothing: that is right.
        good |= ~np.isfinite(cases.values) & (regime == "untrained")
        for at, ell in enumerate(cases.depths):
            mask = (cases.regime == regime) & (cases.ell == ell)
            counts[side, at] = mask.sum()
            if ell in common:
                shares[side, at] = good[mask].mean()
    return shares, counts


def _areas(cases: Cases, pair: tuple[str, str], generator: np.random.Generator) -> np.ndarray:
    """AUC with its ends, (3, ell); NaN where a class has no values at that depth."""
    areas = np.full((3, len(cases.depths)), np.nan)
    for at, ell in enumerate(cases.depths):
        first, second = (cases.known(regime, cases.ell == ell) for regime in pair)
        if first.any() and second.any():
            of, by = cases.values, cases.cluster
            areas[:, at] = list(
                auc_interval(of[first], of[second], by[first], by[second], generator, DRAWS)
            )
    return areas


def _sides(cases: Cases, pair: tuple[str, str]) -> np.ndarray:
    """0 or 1 for the class on whose side of the other half's cut a network lies; else -1."""
    first, second = (cases.unseen(pair, side) for side in (0, 1))
    return np.where(first, 0, np.where(second, 1, -1)).astype(np.int8)
