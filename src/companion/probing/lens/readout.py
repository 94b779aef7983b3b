"""What each layer would predict: last-block lens and logit lens, in chunks of tokens.

Logits exist for some tokens, and on a CPU for a piece of the vocabulary, at a time: what is kept
of them gives cross-entropy, entropy, KL to the final distribution and agreement of the most likely
token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion.models import Model, Stream
from companion.probing.lens.last_block import replayed_at
from companion.probing.quantities import LOGIT
from companion.probing.sweep.batch import chunk_size, widen

LOWEST = -1e4
"""Logits that far below the largest weigh nothing: cut off, they must not overflow."""

COLUMNS = 512
"""Of the vocabulary at once on a CPU: a product of this width stays in cache for its reduction."""


@dataclass(frozen=True)
class Readout:
    """How lenses are read of a model, what may be left out and in what pieces.

    Parameters
    ----------
    reduce : callable
        `reduce_logits` or its compiled form.
    by_token : sequence of str
        As for `replayed_at`.
    columns : int
        Of the vocabulary at once.
    """

    reduce: Callable[[Tensor, Tensor], tuple[Tensor, ...]]
    by_token: Sequence[str]
    columns: int

    @classmethod
    def of(cls, model: Model, certificate: Mapping[str, Any], fuse: bool = False) -> Readout:
        """As a model's certificate allows: a CPU's cache holds a piece of the vocabulary, and a GPU
        takes all; `fuse` compiles the reduction."""
        pieces = certificate["by_column"] and model.device.type == "cpu"
        return cls(
            reduce=torch.compile(reduce_logits, dynamic=True) if fuse else reduce_logits,
            by_token=certificate["by_token"],
            columns=min(COLUMNS, model.V) if pieces else model.V,
        )


def lens_values(
    model: Model,
    stream: Stream,
    tokens: Tensor,
    positions: Tensor,
    lens: str,
    readout: Readout,
) -> dict[str, Tensor]:
    """Lens quantities of the tokens at `positions`.

    Parameters
    ----------
    model, stream
        As captured from `tokens`.
    tokens : Tensor of int, shape (B, T)
    positions : Tensor of int, shape (n,)
        Flat positions that have a successor in their block.
    lens : str
        "last_block", "logit" or "both".
    readout : Readout

    Returns
    -------
    dict of name to Tensor, shape (layers, B * T)
        NaN for all other tokens.
    """
    z = _behind_last_block(model, stream, positions, lens, readout.by_token)
    target = tokens.flatten()[positions + 1].to(z.device)
    size = tokens_at_once(model, len(z), readout.columns)
    parts = zip(z.split(size, 1), target.split(size), strict=True)
    table = torch.cat([_read(model, *part, readout) for part in parts], -1)
    full = table.new_full((*table.shape[:2], tokens.numel()), torch.nan)
    full[:, :, positions.to(full.device)] = table
    return _named(full, model.ell, lens)


def tokens_at_once(model: Model, layers: int, columns: int) -> int:
    """Tokens of which so many logits of so many layers exist at once: what stays in cache, but not
    fewer than make using the unembedding as dear as reading it."""
    return max(chunk_size(model.device, 4 * layers * columns), model.m // (4 * layers), 1)


def _behind_last_block(
    model: Model, stream: Stream, positions: Tensor, lens: str, by_token: Sequence[str]
) -> Tensor:
    """States that the readout turns into logits, (lens layer, n, m); the last is the model's own.

    First the last-block lens at 0 .. ell-2, then the logit lens at 0 .. ell-1, then h_ell.
    """
    positions = positions.to(stream.h.device)
    states = []
    if lens != "logit":
        replay = replayed_at(model, stream, positions, by_token)
        states += [replay(h) for h in stream.h[:-2]]
    if lens != "last_block":
        states += [h.flatten(0, 1)[positions] for h in stream.h[:-1]]
    return torch.stack([*states, stream.h[-1].flatten(0, 1)[positions]])


def _read(model: Model, z: Tensor, target: Tensor, readout: Readout) -> Tensor:
    """All four quantities, (4, layer, n), of states z (layer, n, m), logits in pieces."""
    z = model.behind_tail(z)
    if readout.columns >= model.V:
        return torch.stack(Sums(*readout.reduce(model.head(z), target)).quantities())
    pieces = (
        Sums(*readout.reduce(model.head(z, slice(at, at + readout.columns)), target - at))
        for at in range(0, len(model.unembedding.weight), readout.columns)
    )
    return torch.stack(reduce(Sums.merge, pieces).quantities())


class Sums(NamedTuple):
    """What is kept of the logits x of a part of the vocabulary, each of shape (layer, n).

    The last layer is the model's own prediction; f is its x. `merge` of the parts is what all
    logits at once would give, to rounding.

    Parameters
    ----------
    top : Tensor
        max x.
    total, first : Tensor
        Sums of e^(x - top) and e^(x - top) (x - top).
    cross : Tensor
        Sum of e^(f - max f) (x - top).
    target : Tensor
        x of the token that follows; 0 where it is in another part.
    winner : Tensor
        x of the token with the largest f.
    """

    top: Tensor
    total: Tensor
    first: Tensor
    cross: Tensor
    target: Tensor
    winner: Tensor

    def merge(self, other: Sums) -> Sums:
        """Both parts together."""
        top = torch.maximum(self.top, other.top)
        ours, theirs = self._from(top), other._from(top)
        added = (a + b for a, b in zip(ours, theirs, strict=True))
        ahead = other.top[-1] > self.top[-1]
        winner = torch.where(ahead, other.winner, self.winner)
        return Sums(top, *added, self.target + other.target, winner)

    def _from(self, top: Tensor) -> tuple[Tensor, ...]:
        """The three sums, taken relative to another top; a part that is cut off adds nothing."""
        down = (self.top - top).clamp_min(LOWEST)
        scale = down.exp()
        cross = self.cross + self.total[-1] * down
        return scale * self.total, scale * (self.first + self.total * down), scale[-1] * cross

    def quantities(self) -> tuple[Tensor, ...]:
        """Cross-entropy, entropy, KL(final || lens), in nats, and top-1 agreement, (layer, n)."""
        log_total = self.total.log()
        entropy = log_total - self.first / self.total
        kl = log_total - entropy[-1] - self.cross / self.total[-1]
        cross_entropy = log_total + self.top - self.target
        return cross_entropy, entropy, kl, (self.winner == self.top).to(kl.dtype)


def reduce_logits(logits: Tensor, target: Tensor) -> Sums:
    """The sums of a part of the vocabulary.

    Parameters
    ----------
    logits : Tensor, shape (layer, n, part of V)
        Widening is part of it, so that its compiled form reads logits as they are.
    target : Tensor of int, shape (n,)
        Place of the token that follows in this part; outside of it if it is in another one.
    """
    x = widen(logits)
    top = x.amax(-1)
    away = x - top.unsqueeze(-1)
    weight = away.exp()
    here = (target >= 0) & (target < x.shape[-1])
    place = target.where(here, 0).expand(top.shape).unsqueeze(-1)
    winner = x[-1].argmax(-1).expand(top.shape).unsqueeze(-1)
    return Sums(
        top,
        weight.sum(-1),
        (weight * away).sum(-1),
        (weight[-1] * away).sum(-1),
        x.gather(-1, place).squeeze(-1).where(here, 0),
        x.gather(-1, winner).squeeze(-1),
    )


def _named(table: Tensor, ell: int, lens: str) -> dict[str, Tensor]:
    names = ("cross_entropy", "entropy", "kl", "top1")
    values: dict[str, Tensor] = {}
    for name, layers in zip(names, table, strict=True):
        if lens != "logit":
            values[name] = torch.cat([layers[: ell - 1], layers[-1:]])
        if lens != "last_block":
            values[name + LOGIT] = layers[-ell - 1 :]
    for suffix in ("", LOGIT):
        if (ce := values.get("cross_entropy" + suffix)) is not None:
            values["loss_removed" + suffix] = ce[:-1] - ce[1:]
    return values
