"""How much the loss rises when one block is skipped, swapped, repeated, averaged or parallelised.

The run up to the changed block is the clean one, so it is computed once and every intervention
starts from its state: half the work of running the whole model for each block.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from companion.errors import InputError
from companion.interventions.blocks import KINDS, intervene, places
from companion.interventions.passage import Passage, forward, record, resume
from companion.models import Model
from companion.provenance import provenance
from companion.statistics.intervals import Interval, percentile, resample

Progress = Callable[[int, int], None]


def ablate(
    model: Model,
    tokens: Any,
    kind: str | Sequence[str] = KINDS,
    *,
    batch: int = 8,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Loss of `model` with each block changed in turn, document by document.

    :math:`\Delta L_l = L(\text{block } l \text{ changed}) - L`, the causal side of 'layers are
    similar'.

    Parameters
    ----------
    model : Model
    tokens : array of int (block, position), or iterable of `corpus.Block`
        Without document numbers every row counts as a document.
    kind : str or sequence of str
        What to do to the blocks, see `intervene`.
    batch : int
        Rows run at once.
    progress : callable, optional
        Called with (rows done, rows in all).

    Returns
    -------
    xarray.Dataset
        `loss` (kind, layer, document), `loss_clean` and `loss_empty` (document; the latter with
        no block at all) in nats per token, `tokens` (document). NaN where a kind has no place.

    Raises
    ------
    InputError
        If a kind is unknown or the tokens do not fit the model.

    Notes
    -----
    Ours; the paper infers similarity from correlations and rotations, it removes nothing.
    """
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    ell = model.ell
    plan = [(k, layer) for k in kinds for layer in places(k, ell)]
    rows, documents = _rows(tokens)
    names, member = np.unique(documents[:, 1:], return_inverse=True)
    member = member.reshape(documents[:, 1:].shape)
    sums = np.zeros((len(plan) + 2, len(names)))
    for start in range(0, len(rows), batch):
        cut = slice(start, start + batch)
        ids = torch.as_tensor(rows[cut], device=model.device)
        for number, losses in enumerate(_losses(model, ids, plan)):
            sums[number] += _per_document(losses, member[cut], len(names))
        if progress:
            progress(min(start + batch, len(rows)), len(rows))
    return _dataset(model, kinds, plan, names, np.bincount(member.ravel()), sums)


def _rows(tokens: Any) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and document numbers, both (block, position)."""
    if isinstance(tokens, Iterable) and not hasattr(tokens, "shape"):
        blocks = list(tokens)
        rows = np.stack([np.asarray(block.tokens) for block in blocks])
        return rows, np.stack([np.asarray(block.documents) for block in blocks])
    rows = np.asarray(tokens.cpu() if isinstance(tokens, Tensor) else tokens)
    if rows.ndim != 2 or rows.shape[1] < 2 or not np.issubdtype(rows.dtype, np.integer):
        raise InputError(
            f"tokens of shape {rows.shape} and type {rows.dtype} will not do: "
            "give integers (block, position) with at least 2 positions"
        )
    return rows, np.repeat(np.arange(len(rows))[:, None], rows.shape[1], axis=1)


@torch.inference_mode()
def _losses(model: Model, ids: Tensor, plan: list[tuple[str, int]]) -> Iterable[np.ndarray]:
    """Cross-entropies (B, T-1): clean, without any block, then for each item of the plan."""
    clean = record(model, ids)
    yield _cross_entropy(clean.logits, ids)
    yield _cross_entropy(_from(model, ids, model.ell, 0, clean), ids)
    for kind, layer in plan:
        with intervene(model, kind, layer, clean):
            yield _cross_entropy(_from(model, ids, layer, layer, clean), ids)


def _from(model: Model, ids: Tensor, layer: int, state: int, clean: Passage) -> Tensor:
    """Logits of a run that enters block `layer` with the clean h[state]."""
    with resume(model, layer, clean.states[state], clean):
        return forward(model, ids)


def _cross_entropy(logits: Tensor, ids: Tensor) -> np.ndarray:
    flat = logits[:, :-1].float().flatten(0, 1)
    losses = torch.nn.functional.cross_entropy(flat, ids[:, 1:].flatten(), reduction="none")
    return losses.cpu().double().numpy()


def _per_document(losses: np.ndarray, member: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(member.ravel(), weights=losses, minlength=n)


def _dataset(model, kinds, plan, names, counts, sums) -> xr.Dataset:
    """Put the sums (plan + 2, document) where they belong, as means per token."""
    loss = xr.DataArray(
        np.full((len(kinds), model.ell, len(names)), np.nan),
        dims=("kind", "layer", "document"),
        coords={"kind": list(kinds), "layer": np.arange(model.ell), "document": names},
        attrs={"units": "nats per token"},
    )
    for (kind, layer), total in zip(plan, sums[2:], strict=True):
        loss.loc[kind, layer] = total / counts
    nats = {"units": "nats per token"}
    variables = {
        "loss": loss,
        "loss_clean": ("document", sums[0] / counts, nats),
        "loss_empty": ("document", sums[1] / counts, nats),
        "tokens": ("document", counts, {"units": "predicted tokens"}),
    }
    stamp = provenance(model.runtime, {"model": model.name, "kinds": list(kinds)})
    attrs = {"model": model.name, "ell": model.ell, "corpus": "tokens given"}
    attrs["provenance"] = json.dumps(stamp)
    return xr.Dataset(variables, attrs=attrs)


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
