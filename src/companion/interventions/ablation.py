"""How much the loss rises when a block is skipped, swapped, repeated, averaged, parallelised."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from companion.errors import InputError
from companion.files import read_netcdf, write_netcdf
from companion.interventions.blocks import KINDS, places
from companion.interventions.losses import Loss, Plan, Sizes, losses, next_token, units
from companion.models import Model, as_model, measure
from companion.models.cost import readout_weight
from companion.models.memory import out_of_memory
from companion.provenance import provenance
from companion.runs import Every

Progress = Callable[[int, int], None]
SECONDS = 30.0


def ablate(
    model: Model | str | Any,
    tokens: Any,
    kind: str | Sequence[str] = KINDS,
    *,
    read_fraction: float = 1.0,
    batch_size: int = 0,
    progress: Progress | None = None,
    loss: Loss = next_token,
    keep: Path | None = None,
) -> xr.Dataset:
    r"""Loss of `model` with each block changed in turn, document by document.

    :math:`\Delta L_l = L(\text{block } l \text{ changed}) - L`, the causal side of 'layers are
    similar'.

    Parameters
    ----------
    model : Model, str or transformers model
        As for `companion.models.as_model`.
    tokens : array of int (block, position), or iterable of `corpus.Block`
        Without document numbers every row counts as a document.
    kind : str or sequence of str
        What to do to the blocks, see `intervene`.
    read_fraction : float
        Share of the predictions in each row, drawn at random, whose loss is read: logits of a
        large vocabulary can cost more than all blocks.
    batch_size : int
        Rows run at once, 0 for what memory holds; halved when memory runs out.
    progress : callable, optional
        Called with (work done, work in all), in tokens through one block.
    loss : callable
        What is read, see `losses.Loss`: cross-entropy of the next token, unless said otherwise.
    keep : path, optional
        Where the sums are kept every half minute, and taken up from.

    Returns
    -------
    xarray.Dataset
        `loss` (kind, layer, document), `loss_clean` and `loss_empty` (document; the latter with
        no block at all) in nats per token, `tokens` (document). NaN where a kind has no place.

    Raises
    ------
    InputError
        If a kind is unknown, the tokens do not fit the model, or its blocks cannot be run apart.

    Notes
    -----
    Ours; the paper infers similarity from correlations and rotations, it removes nothing.
    """
    model = as_model(model)
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    plan = [(k, layer) for k in kinds for layer in places(k, model.ell)]
    rows, documents = _rows(tokens)
    _check(model, rows, batch_size)
    read = positions_read(rows.shape, read_fraction, model.runtime.seed)
    sums = _Sums.empty(len(plan) + 2, np.take_along_axis(documents, read + 1, 1))
    blocks, readouts = units(model, plan, len(rows), rows.shape[1], read.shape[1])
    sizes = Sizes.fit(model, rows.shape[:2], len(plan), batch_size)
    work = _Work(blocks + readouts * readout_weight(model), progress, sizes, loss)
    start, often = sums.take_up(keep), Every(SECONDS)
    work.done = work.total * start // len(rows)
    while start < len(rows):
        cut = slice(start, start + work.sizes.rows)
        sums.add(cut, _measured(model, rows[cut], plan, read[cut], work))
        start = min(cut.stop, len(rows))
        if keep is not None and often.due():
            sums.keep(start, keep)
    found = _dataset(model, kinds, plan, sums)
    return found.assign_attrs(read_fraction=read_fraction)


def estimate_ablation(
    model: Model | str | Any,
    rows: int,
    length: int,
    kinds: str | Sequence[str] = KINDS,
    *,
    read_fraction: float = 1.0,
) -> float:
    """Seconds that `ablate` will take on this machine, from a measurement of about a second.

    Parameters
    ----------
    model : Model, str or transformers model
    rows, length : int
        Rows of text, and tokens in each.
    kinds, read_fraction
        As for `ablate`.
    """
    model = as_model(model)
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    plan = [(k, layer) for k in kinds for layer in places(k, model.ell)]
    read = _read_in_a_row(length, read_fraction)
    return measure(model, length).seconds(*units(model, plan, rows, length, read))


@dataclass
class _Work:
    """What has been done of a run, whom to tell, and how much is done at once."""

    total: int
    progress: Progress | None
    sizes: Sizes
    loss: Loss
    done: int = 0

    def tell(self, more: int) -> None:
        self.done += more
        if self.progress:
            self.progress(self.done, self.total)

    def halve(self, model: Model, rows: int) -> None:
        """Less at once from here on, after memory did not suffice for so many rows."""
        if rows == self.sizes.kept == 1:
            raise InputError(
                f"memory does not suffice for one row on {model.runtime.device}: "
                "use shorter rows, a smaller model or another device"
            )
        self.sizes = Sizes(max(1, rows // 2), max(1, self.sizes.kept // 2), 1)
        if model.device.type == "cuda":
            torch.cuda.empty_cache()
        warnings.warn(
            f"memory did not suffice for {rows} rows at once: going on with {self.sizes.rows}",
            stacklevel=4,
        )


@dataclass
class _Sums:
    """Summed losses (item, document) over the predictions read, and how many there were."""

    names: np.ndarray
    member: np.ndarray
    losses: np.ndarray

    @classmethod
    def empty(cls, items: int, documents: np.ndarray) -> _Sums:
        names, member = np.unique(documents, return_inverse=True)
        return cls(names, member.reshape(documents.shape), np.zeros((items, len(names))))

    def add(self, rows: slice, found: Tensor) -> None:
        """Losses (item, prediction) of these rows."""
        member, n = self.member[rows].ravel(), len(self.names)
        self.losses += [np.bincount(member, one, n) for one in found.numpy()]

    def take_up(self, kept: Path | None) -> int:
        """Go on from what was kept, if anything; the number of rows that are in it."""
        if kept is None or not kept.exists():
            return 0
        before = read_netcdf(kept)
        self.losses += before["losses"].values
        return int(before.attrs["rows"])

    def keep(self, rows: int, to: Path) -> None:
        """Write the sums of the first rows."""
        kept = xr.Dataset({"losses": (("item", "document"), self.losses)}, attrs={"rows": rows})
        write_netcdf(kept, to)

    @property
    def counts(self) -> np.ndarray:
        return np.bincount(self.member.ravel())


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


def _check(model: Model, rows: np.ndarray, batch_size: int) -> None:
    if batch_size < 0:
        raise InputError(f"batch size {batch_size} is out of range: use 0 to fit memory, or more")
    if rows.min() < 0 or rows.max() >= model.V:
        raise InputError(
            f"tokens {rows.min()}..{rows.max()} are not all of model {model.name!r}: "
            f"use 0..{model.V - 1}"
        )


def _read_in_a_row(length: int, fraction: float) -> int:
    if not 0 < fraction <= 1:
        raise InputError(f"read_fraction {fraction} must be above 0 and at most 1")
    return math.ceil(fraction * (length - 1))


def positions_read(shape: tuple[int, int], fraction: float, seed: int) -> np.ndarray:
    """Positions (row, read) whose prediction of the next token is read, in order, seeded by row."""
    number, length = _read_in_a_row(shape[1], fraction), shape[1] - 1
    drawn = [
        np.sort(np.random.default_rng([seed, row]).choice(length, number, replace=False))
        for row in range(shape[0])
    ]
    return np.array(drawn)


def _measured(model: Model, rows: np.ndarray, plan: Plan, read: np.ndarray, work: _Work) -> Tensor:
    """Losses (item, prediction) of some rows; in halves where memory does not suffice."""
    began = work.done
    try:
        ids = torch.as_tensor(rows, device=model.device)
        chosen = (read + rows.shape[1] * np.arange(len(rows))[:, None]).ravel()
        at = torch.from_numpy(chosen)
        return losses(model, ids, plan, at, work.sizes, work.tell, work.loss)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    work.done = began
    work.halve(model, len(rows))
    size = work.sizes.rows
    cuts = [slice(start, start + size) for start in range(0, len(rows), size)]
    return torch.cat([_measured(model, rows[cut], plan, read[cut], work) for cut in cuts], 1)


def _dataset(model: Model, kinds: tuple[str, ...], plan: Plan, sums: _Sums) -> xr.Dataset:
    """Put the sums (plan + 2, document) where they belong, as means per token."""
    nats = {"units": "nats per token"}
    loss = xr.DataArray(
        np.full((len(kinds), model.ell, len(sums.names)), np.nan),
        dims=("kind", "layer", "document"),
        coords={"kind": list(kinds), "layer": np.arange(model.ell), "document": sums.names},
        attrs=nats,
    )
    clean, empty, *others = sums.losses / sums.counts
    for (kind, layer), mean in zip(plan, others, strict=True):
        loss.loc[kind, layer] = mean
    variables = {
        "loss": loss,
        "loss_clean": ("document", clean, nats),
        "loss_empty": ("document", empty, nats),
        "tokens": ("document", sums.counts, {"units": "predicted tokens"}),
    }
    stamp = provenance(model.runtime, {"model": model.name, "kinds": list(kinds)})
    attrs = {"model": model.name, "ell": model.ell, "corpus": "tokens given"}
    return xr.Dataset(variables, attrs=attrs | {"provenance": json.dumps(stamp)})
