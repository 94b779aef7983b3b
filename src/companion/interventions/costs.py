"""What disturbed blocks cost: by layer, at the middle, against skipping, against depth; intervals.

All of it from a dataset of `ablate`, resampled over its documents where there is an interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from companion import geometry
from companion.errors import InputError
from companion.interventions.blocks import extent
from companion.statistics.intervals import Interval, log_slope, percentile, resample

Datasets = Mapping[str, xr.Dataset]
SHALLOWEST = 4
"""A model of fewer blocks has no middle of its own."""


def loss_change(dataset: xr.Dataset, weights: xr.DataArray | float = 1.0) -> xr.DataArray:
    """Loss change (kind, layer, ...) in nats per token, documents weighted by their tokens.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `ablate`.
    weights : DataArray with a dimension `document`, optional
        How often each document counts; the other dimensions stay, e.g. resamples.
    """
    tokens = dataset.tokens * weights
    change = (dataset.loss - dataset.loss_clean).fillna(0.0)
    mean = xr.dot(change, tokens, dim="document") / tokens.sum("document")
    return mean.where(dataset.loss.notnull().all("document"))


def gain_of_depth(dataset: xr.Dataset, weights: xr.DataArray | float = 1.0) -> xr.DataArray:
    """Loss without any block minus loss with all, in nats per token; weights as there."""
    tokens = dataset.tokens * weights
    gain = (dataset.loss_empty - dataset.loss_clean) * tokens
    return gain.sum("document") / tokens.sum("document")


def resampled(
    dataset: xr.Dataset, generator: np.random.Generator, draws: int = 1000
) -> xr.DataArray:
    """Weights (draw, document) of a bootstrap over documents, for `loss_change` and the like."""
    counts = resample(dataset.sizes["document"], draws, generator)
    return xr.DataArray(counts, dims=("draw", "document"), coords={"document": dataset.document})


def by_documents(
    statistic: Callable[[xr.DataArray | float], xr.DataArray],
    dataset: xr.Dataset,
    generator: np.random.Generator,
    *,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic over resampled documents.

    Parameters
    ----------
    statistic : callable
        Takes document weights as `loss_change` does, returns a number per draw.
    dataset : xarray.Dataset
        Whose documents are resampled.
    generator : numpy.random.Generator
    draws : int
    level : float
    """
    values = statistic(resampled(dataset, generator, draws))
    name = "document bootstrap"
    return percentile(values, float(statistic(1.0)), level=level, method=name)


def profiles(
    dataset: xr.Dataset, generator: np.random.Generator, *, draws: int = 500, level: float = 0.95
) -> xr.Dataset:
    """`estimate`, `low`, `high` (kind, layer) of the loss change, bootstrapped over documents."""
    estimate = loss_change(dataset)
    changes = loss_change(dataset, resampled(dataset, generator, draws)).fillna(0.0)
    ends = changes.quantile([(1 - level) / 2, (1 + level) / 2], "draw").where(estimate.notnull())
    low, high = (ends.isel(quantile=i, drop=True) for i in (0, 1))
    variables = {"estimate": estimate, "low": low, "high": high}
    return xr.Dataset(variables, attrs=dataset.attrs)


def middle(values: xr.DataArray, kind: str) -> xr.DataArray:
    """Values (..., layer) of `kind` where what it disturbs is centred in the middle half of depth.

    Parameters
    ----------
    values : DataArray (..., kind, layer)
    kind : str
    """
    layers = geometry.middle(values.sizes["layer"], extent(kind))
    return values.sel(kind=kind, layer=layers)


def middle_cost(
    dataset: xr.Dataset, kind: str, weights: xr.DataArray | float = 1.0
) -> xr.DataArray:
    """Mean loss change by `kind` over the middle layers, nats per token; weights of documents."""
    return middle(loss_change(dataset, weights), kind).mean("layer")


def cost(dataset: xr.Dataset, kind: str, generator: np.random.Generator) -> Interval:
    """`middle_cost` with its interval over documents."""
    return by_documents(lambda w: middle_cost(dataset, kind, w), dataset, generator)


def ratio(
    dataset: xr.Dataset, kind: str, generator: np.random.Generator, to: str = "skip"
) -> Interval:
    """Middle cost of `kind` over that of `to`, interval over documents."""

    def both(weights: xr.DataArray | float) -> xr.DataArray:
        return middle_cost(dataset, kind, weights) / middle_cost(dataset, to, weights)

    return by_documents(both, dataset, generator)


def share(dataset: xr.Dataset, generator: np.random.Generator) -> Interval:
    r"""Cost of skipping a middle block in units of an equal share of what all blocks gain.

    :math:`\ell\,\overline{\Delta L}_\text{skip} / (L_\text{no blocks} - L)`.
    """

    def scaled(weights: xr.DataArray | float) -> xr.DataArray:
        skip = middle_cost(dataset, "skip", weights)
        return dataset.attrs["ell"] * skip / gain_of_depth(dataset, weights)

    return by_documents(scaled, dataset, generator)


def exponent(datasets: Datasets, generator: np.random.Generator, kind: str = "skip") -> Interval:
    """Slope of the middle cost against depth on logarithmic axes.

    Raises
    ------
    InputError
        With fewer than three depths, or where the disturbance does not raise the loss.
    """
    costs = [cost(dataset, kind, generator) for dataset in datasets.values()]
    depths = [dataset.attrs["ell"] for dataset in datasets.values()]
    if len(set(depths)) < 3:
        raise InputError(f"an exponent needs at least 3 depths, there are {len(set(depths))}")
    falls = [name for name, one in zip(datasets, costs, strict=True) if one.estimate <= 0]
    if falls:
        raise InputError(f"{kind} does not raise the loss of {', '.join(falls)}: no power law")
    return log_slope(depths, [c.estimate for c in costs], sem=[c.stderr for c in costs])


def deep(datasets: Datasets) -> Datasets:
    """Models that have a middle: at least four blocks."""
    return {name: d for name, d in datasets.items() if d.attrs["ell"] >= SHALLOWEST}
