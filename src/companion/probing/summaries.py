"""Few numbers out of a probe's dataset: middle layers, their mean rotation, evenness, correlation.

Floor 2. All take the dataset of `probe` (or of a control) and look at its group "rest", the
tokens that are neither first in their block nor attention sinks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from companion.errors import InputError
from companion.probing.quantities import middle
from companion.statistics.intervals import Interval, around, log_slope, percentile

if TYPE_CHECKING:
    import xarray as xr

DRAWS = 4000


def middle_layers(ell: int) -> np.ndarray:
    """Blocks l whose centre (l + 1/2)/ell lies in the middle half of the depth, [1/4, 3/4].

    At ell = 2 these are both blocks, so that a network of two has no middle of its own.

    Raises
    ------
    InputError
        If ell is below 2.
    """
    if ell < 2:
        raise InputError(f"a network of {ell} block has no middle layers: at least 2 are needed")
    return np.array(middle(ell))


def depth(dataset: xr.Dataset) -> int:
    """How many blocks the network has, ell."""
    return int(dataset.attrs["ell"])


def profile(
    dataset: xr.Dataset, quantity: str, statistic: str = "mean", group: str = "rest"
) -> np.ndarray:
    """One statistic of one quantity against layer, NaN where a layer has no value."""
    if quantity not in dataset:
        raise InputError(f"this probe file has no {quantity!r}; it has {_quantities(dataset)}")
    return dataset[quantity].sel(group=group, statistic=statistic).values.astype(float)


def _quantities(dataset: xr.Dataset) -> str:
    names = (str(k) for k, v in dataset.data_vars.items() if {"layer", "statistic"} <= {*v.dims})
    return ", ".join(names)


def estimates(dataset: xr.Dataset, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of a quantity against layer, both of shape (ell + 1,)."""
    return profile(dataset, quantity), profile(dataset, quantity, "sem")


def middle_estimates(
    dataset: xr.Dataset, quantity: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle layers at which a quantity is known, its mean and its standard error there.

    Returns
    -------
    layers, mean, sem : ndarray, shape (n,)
    """
    mean, sem = estimates(dataset, quantity)
    layers = middle_layers(depth(dataset))
    layers = layers[np.isfinite(mean[layers])]
    return layers, mean[layers], sem[layers]


def own_loss(dataset: xr.Dataset) -> Interval:
    """The model's own loss, nats per token: what the last-block lens reads at layer ell - 1."""
    last = depth(dataset) - 1
    mean, sem = (float(x[last]) for x in estimates(dataset, "cross_entropy"))
    return around(mean, sem, degrees(dataset), method="clustered by document")


def degrees(dataset: xr.Dataset) -> float:
    """Degrees of freedom of its standard errors: clusters of documents less one, if it says so."""
    return float(dataset.attrs.get("clusters", math.inf)) - 1


def half_widths(dataset: xr.Dataset) -> float:
    """Half of a 95 % interval in standard errors: Student's t, 1.96 with many documents."""
    return around(0.0, 1.0, degrees(dataset)).high


def middle_mean(dataset: xr.Dataset, quantity: str = "theta") -> Interval:
    r"""Mean of a per-block quantity over the middle layers, with a 95 % interval.

    For theta each token's own mean over the middle layers was kept, so that its standard error is
    exact; for others it is the mean of the layers' standard errors, an upper bound, reached if the
    layers' errors move together.
    """
    if quantity == "theta":
        kept = dataset["theta_middle"].sel(group="rest")
        mean, sem = (float(kept.sel(statistic=name)) for name in ("mean", "sem"))
        return around(mean, sem, degrees(dataset), method="clustered by document")
    _, mean, sem = middle_estimates(dataset, quantity)
    error = float(sem.mean())
    return around(float(mean.mean()), error, degrees(dataset), method="clustered by document")


def participation(values, sem=None, generator: np.random.Generator | None = None) -> Interval:
    r"""How evenly layers share a total: 1 if all alike, k/n if k of n do everything.

    :math:`P = (\sum_l v_l)^2 / (n \sum_l v_l^2)`.

    Parameters
    ----------
    values : array_like, shape (n,)
        One value for each layer.
    sem : array_like, shape (n,), optional
        Their standard errors. Noise in the values lowers P, in draws about them once more, so that
        the percentile interval never holds P = 1: it is joined with its mirror image about P.
    generator : numpy.random.Generator, optional
        Needed with `sem`.

    Returns
    -------
    Interval
        Of zero width without `sem`.
    """
    v = np.asarray(values, float)
    if v.ndim != 1 or not len(v) or not np.all(np.isfinite(v)) or not np.any(v):
        raise InputError("participation needs finite values, not all of them zero")
    estimate = float(_participation(v))
    if sem is None:
        return Interval(estimate, estimate, estimate)
    if generator is None:
        raise InputError("participation with standard errors needs a seeded generator")
    draws = _participation(v + np.asarray(sem, float) * generator.normal(size=(DRAWS, len(v))))
    drawn = percentile(draws, estimate, method="normal draws of the layers' means")
    low = min(drawn.low, 2 * estimate - drawn.high)
    high = min(max(drawn.high, 2 * estimate - drawn.low), 1.0)
    return replace(drawn, low=low, high=high)


def _participation(v: np.ndarray) -> np.ndarray:
    return v.sum(-1) ** 2 / (v.shape[-1] * (v**2).sum(-1))


def evenness(dataset: xr.Dataset, generator: np.random.Generator) -> Interval:
    """Participation of the mean rotations theta of the middle layers."""
    _, mean, sem = middle_estimates(dataset, "theta")
    return participation(mean, sem, generator)


def update_cosine(dataset: xr.Dataset, lag: int = 1) -> Interval:
    """Mean cosine between the updates of middle layers that lie `lag` apart.

    The standard error is the mean of the entries' standard errors, an upper bound.

    Raises
    ------
    InputError
        If no two middle layers lie that far apart.
    """
    layers = middle_layers(depth(dataset))
    pairs = [(i, j) for i in layers for j in layers if j - i == lag]
    if not pairs:
        raise InputError(f"no two of the {len(layers)} middle layers lie {lag} apart")
    i, j = np.transpose(pairs)
    mean = dataset["update_correlation"].values[i, j]
    sem = dataset["update_correlation_sem"].values[i, j]
    error = float(sem.mean())
    return around(float(mean.mean()), error, degrees(dataset), method="clustered by document")


def middle_loss(dataset: xr.Dataset, lens: str = "") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle layers whose effect on the loss is known, the loss that each removes, and its sem.

    The last-block lens (`lens` "", the logit lens is "_logit") reads with the last block, so that
    block itself has no value.

    Returns
    -------
    layers, removed, sem : ndarray, shape (n,)
        Loss in nats per token.
    """
    return middle_estimates(dataset, f"loss_removed{lens}")


def falling_share(dataset: xr.Dataset, lens: str = "") -> Interval:
    """Share of the layers that lower the loss, read through a lens, see `middle_loss`.

    The interval counts, at its low end, layers that surely do (95 %), at its high end those that
    may.
    """
    removed, sem = estimates(dataset, f"loss_removed{lens}")
    known = np.isfinite(removed)
    removed, half = removed[known], half_widths(dataset) * sem[known]
    shares = ((removed + shift > 0).mean() for shift in (0, -half, half))
    return Interval(*map(float, shares), method="layers counted")


def rotation_slope(datasets: Mapping[str, xr.Dataset], quantity: str = "theta") -> Interval:
    r"""Exponent b of :math:`\bar\theta_\mathrm{middle} = A\,\ell^b` over several depths.

    The interval comes from the scatter of the models about the line (Student's t): the models
    differ by more than the sampling of tokens.

    Parameters
    ----------
    datasets : mapping of name to dataset
        At least three, of two or more depths.
    quantity : str
        "theta", or another per-block quantity.
    """
    ell = [depth(d) for d in datasets.values()]
    return log_slope(ell, [middle_mean(d, quantity).estimate for d in datasets.values()])


def depths(datasets: Mapping[str, xr.Dataset]) -> int:
    """How many different depths the datasets have."""
    return len({depth(d) for d in datasets.values()})
