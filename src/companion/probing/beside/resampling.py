"""Any function of a probe's layer means, with its interval over documents.

Floor 2. A probe keeps counts and sums by cluster of documents; clusters are drawn anew from them,
so that ratios and shares of layers, whose errors move together, get the interval that they have.
A compact file holds no sums, only standard errors: there means are drawn from normal
distributions, layers apart for losses and together for cosines, either of which is the wider way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from companion.errors import InputError
from companion.probing.dataset import BY_NAME, STATE
from companion.probing.quantities import LOGIT, middle
from companion.probing.summaries import profile
from companion.statistics.intervals import Interval, percentile, resample

if TYPE_CHECKING:
    import xarray as xr

DRAWS = 1000
NORMAL = "normal draws of the layers' means"
FEWEST_KEPT = 4
"""Blocks of the middle, at least, of which half a middle's distance is more than one block."""

LENSES = {"last-block lens": "", "logit lens": LOGIT}
"""The two lenses, and what the names of their quantities end in."""


@dataclass(frozen=True)
class Means:
    """Means by row, and the same in every resample of the documents.

    Parameters
    ----------
    estimate : ndarray, shape (row,)
    draws : ndarray, shape (R, row)
    method : str
        How they were drawn.
    """

    estimate: np.ndarray
    draws: np.ndarray
    method: str = "document bootstrap"

    def __call__(self, statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
        """Percentile interval (95 %) of a statistic that takes (..., row) to (...)."""
        estimate, draws = float(statistic(self.estimate)), statistic(self.draws)
        return percentile(draws, estimate, method=self.method)

    def curve(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Estimate, low and high end of (..., row) -> (..., n), shape (3, n)."""
        ends = np.quantile(statistic(self.draws), [0.025, 0.975], axis=0)
        return np.stack([statistic(self.estimate), *ends])


def layer_means(dataset: xr.Dataset, quantity: str, generator: np.random.Generator) -> Means:
    """Means of a quantity by layer over tokens of group "rest", documents resampled.

    Raises
    ------
    InputError
        If the file does not hold the quantity.
    """
    names = json.loads(dataset.attrs["quantities"]) if "quantities" in dataset.attrs else []
    if quantity not in names:
        raise InputError(f"this probe file has no sums of {quantity!r}; it has {', '.join(names)}")
    ell = int(dataset.attrs["ell"])
    if f"{STATE}sums" not in dataset:
        known = slice(0, BY_NAME[quantity].layers(ell))
        mean, sem = (profile(dataset, quantity, name)[known] for name in ("mean", "sem"))
        return Means(mean, mean + sem * generator.normal(size=(DRAWS, len(mean))), NORMAL)
    start = sum(BY_NAME[name].layers(ell) for name in names[: names.index(quantity)])
    rows = slice(start, start + BY_NAME[quantity].layers(ell))
    return _resampled(dataset, "", rows, generator)


def lag_cosines(dataset: xr.Dataset, generator: np.random.Generator) -> np.ndarray:
    r"""Mean cosine of two middle updates at each distance, with its interval over documents.

    :math:`\langle\cos(\Delta h_i, \Delta h_j)\rangle`, mean over tokens and over middle blocks
    with j - i = lag.

    Returns
    -------
    ndarray, shape (3, n - 1)
        Estimate, low, high for lags 1 .. n - 1 among n middle blocks.
    """
    ell = int(dataset.attrs["ell"])
    lags = np.arange(1, len(middle(ell)))
    means, lag = _pair_means(dataset, generator)
    return means.curve(lambda x: np.stack([x[..., lag == k].mean(-1) for k in lags], -1))


def cosine_kept(dataset: xr.Dataset, generator: np.random.Generator) -> Interval:
    """Mean cosine of middle updates half of the middle apart, over that of neighbours.

    Raises
    ------
    InputError
        If the middle has fewer than four blocks.
    """
    blocks = len(middle(int(dataset.attrs["ell"])))
    if blocks < FEWEST_KEPT:
        raise InputError(f"a middle of {blocks} blocks has no half: {FEWEST_KEPT} are needed")
    means, lag = _pair_means(dataset, generator)
    far, near = lag == blocks // 2, lag == 1
    return means(lambda x: x[..., far].mean(-1) / x[..., near].mean(-1))


def _pair_means(dataset: xr.Dataset, generator: np.random.Generator) -> tuple[Means, np.ndarray]:
    """Mean cosine of every pair of middle updates, and how far apart the two lie."""
    ell = int(dataset.attrs["ell"])
    i, j = np.triu_indices(ell, 1)
    inside = np.isin(i, middle(ell)) & np.isin(j, middle(ell))
    if f"{STATE}correlation_sums" in dataset:
        means = _resampled(dataset, "correlation_", inside, generator)
    else:
        pairs = i[inside], j[inside]
        mean, sem = (
            dataset[f"update_correlation{end}"].values[pairs].astype(float) for end in ("", "_sem")
        )
        means = Means(mean, mean + sem * generator.normal(size=(DRAWS, 1)), NORMAL)
    return means, (j - i)[inside]


def known_loss(dataset: xr.Dataset, lens: str, generator: np.random.Generator) -> Interval:
    r"""What the model knows beyond a uniform guess, :math:`\ln V - L`, nats per token."""
    means, guess = _read(dataset, lens, generator)
    return means(lambda ce: guess - ce[..., -1])


def loss_left(dataset: xr.Dataset, lens: str, generator: np.random.Generator) -> np.ndarray:
    r"""Share of what the model knows that a layer has not yet, :math:`(L_l - L)/(\ln V - L)`.

    1 is a uniform guess, 0 the model's own loss; above 1 the lens reads worse than guessing.

    Parameters
    ----------
    dataset : xarray.Dataset
        A probe with that lens.
    lens : str
        A key of `LENSES`.
    generator : numpy.random.Generator

    Returns
    -------
    ndarray, shape (3, layers)
        Estimate, low, high.
    """
    means, guess = _read(dataset, lens, generator)
    return means.curve(lambda ce: (ce - ce[..., -1:]) / (guess - ce[..., -1:]))


def middle_share(dataset: xr.Dataset, lens: str, generator: np.random.Generator) -> Interval:
    r"""Loss removed by the middle layers as a share of what the model knows.

    :math:`\sum_{l\,\in\,\mathrm{middle}} (L_l - L_{l+1}) / (\ln V - L)`; one half where every
    layer adds the same to what is known, below zero where the middle raises the loss.
    """
    chosen = _read_middle(dataset, lens)
    means, guess = _read(dataset, lens, generator)
    return means(lambda ce: _removed(ce)[..., chosen].sum(-1) / (guess - ce[..., -1]))


def loss_evenness(dataset: xr.Dataset, lens: str, generator: np.random.Generator) -> Interval:
    r"""Participation of the loss removed by each middle layer, with the sign of their sum.

    :math:`P = \sum_l r_l\,|\sum_l r_l| / (n \sum_l r_l^2)`: 1 if all remove the same, near 0 where
    they undo one another, -1 if all raise the loss by the same.
    """
    chosen = _read_middle(dataset, lens)
    means, _ = _read(dataset, lens, generator)

    def signed(ce: np.ndarray) -> np.ndarray:
        removed = _removed(ce)[..., chosen]
        total = removed.sum(-1)
        return total * np.abs(total) / (len(chosen) * (removed**2).sum(-1))

    return means(signed)


def worse_than_guessing(dataset: xr.Dataset, lens: str, generator: np.random.Generator) -> Interval:
    r"""Share of the layers whose lens reads more than a uniform guess, :math:`\ln V` nats."""
    means, guess = _read(dataset, lens, generator)
    return means(lambda ce: (ce > guess).mean(-1))


def _read(dataset: xr.Dataset, lens: str, generator: np.random.Generator) -> tuple[Means, float]:
    """Cross-entropies by layer through a lens, and that of a uniform guess."""
    guess = float(np.log(int(dataset.attrs["V"])))
    return layer_means(dataset, f"cross_entropy{LENSES[lens]}", generator), guess


def _removed(ce: np.ndarray) -> np.ndarray:
    return ce[..., :-1] - ce[..., 1:]


def _read_middle(dataset: xr.Dataset, lens: str) -> list[int]:
    """Middle blocks whose effect the lens reads: the last-block lens has none for the last one."""
    ell = int(dataset.attrs["ell"])
    return [layer for layer in middle(ell) if LENSES[lens] or layer < ell - 1]


def _resampled(dataset: xr.Dataset, prefix: str, rows, generator: np.random.Generator) -> Means:
    """Means of some rows of the state's sums; only clusters that hold tokens are drawn."""
    group = list(dataset["group"].values).index("rest")
    counts, sums = (
        dataset[f"{STATE}{prefix}{name}"].values[rows, group].astype(float)
        for name in ("counts", "sums")
    )
    used = counts.sum(0) > 0
    if used.sum() < 2:
        raise InputError("an interval over documents takes at least 2 of them: give more text")
    weights = resample(int(used.sum()), DRAWS, generator)
    drawn = (weights @ sums[:, used].T) / (weights @ counts[:, used].T)
    return Means(sums.sum(1) / counts.sum(1), drawn)
