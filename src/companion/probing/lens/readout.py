"""What each layer would predict: last-block lens and logit lens, in chunks of tokens.

Full-vocabulary logits exist for one chunk at a time: they are reduced at once to cross-entropy,
entropy, KL to the final distribution and agreement of the most likely token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from companion.models import Model, Stream
from companion.probing.lens.last_block import replayed_at
from companion.probing.quantities import LOGIT
from companion.probing.sweep.batch import chunk_size, widen

Reduce = Callable[..., tuple[Tensor, ...]]


def lens_values(
    model: Model,
    stream: Stream,
    tokens: Tensor,
    positions: Tensor,
    lens: str,
    reduce: Reduce,
    feed_forward: str | None = None,
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
    reduce : callable
        `reduce_logits` or its compiled form.
    feed_forward : str, optional
        As for `replayed_at`.

    Returns
    -------
    dict of name to Tensor, shape (layers, B * T)
        NaN for all other tokens.
    """
    z = _behind_last_block(model, stream, positions, lens, feed_forward)
    target = tokens.flatten()[positions + 1].to(z.device)
    results = []
    size = tokens_at_once(model, len(z))
    for start in range(0, len(positions), size):
        part = z[:, start : start + size]
        logits = model.readout(part.flatten(0, 1)).unflatten(0, part.shape[:2])
        results.append(_reduced(logits, target[start : start + size], reduce))
    table = torch.cat(results, -1)
    full = table.new_full((*table.shape[:2], tokens.numel()), torch.nan)
    full[:, :, positions.to(full.device)] = table
    return _named(full, model.ell, lens)


def tokens_at_once(model: Model, layers: int) -> int:
    """Tokens whose logits of so many layers exist at once: what stays in cache, but not fewer than
    make using the unembedding as dear as reading it."""
    return max(chunk_size(model.device, 4 * layers * model.V), model.m // (4 * layers), 1)


def _behind_last_block(
    model: Model, stream: Stream, positions: Tensor, lens: str, feed_forward: str | None
) -> Tensor:
    """States that the readout turns into logits, (lens layer, n, m); the last is the model's own.

    First the last-block lens at 0 .. ell-2, then the logit lens at 0 .. ell-1, then h_ell.
    """
    positions = positions.to(stream.h.device)
    states = []
    if lens != "logit":
        replay = replayed_at(model, stream, positions, feed_forward)
        states += [replay(h) for h in stream.h[:-2]]
    if lens != "last_block":
        states += [h.flatten(0, 1)[positions] for h in stream.h[:-1]]
    return torch.stack([*states, stream.h[-1].flatten(0, 1)[positions]])


def _reduced(logits: Tensor, target: Tensor, reduce: Reduce) -> Tensor:
    """All four quantities, (4, layer, n), of logits (layer, n, V), in pieces that stay in cache."""
    layers, n, V = logits.shape
    rows = chunk_size(logits.device, 4 * V)
    some, deep = min(n, rows), max(1, rows // n)
    result = torch.empty(
        (4, layers, n), dtype=widen(logits[:1, :1, :1]).dtype, device=target.device
    )
    for first in range(0, n, some):
        place = slice(first, first + some)
        final = Final.of(logits[-1, place])
        for top in range(0, layers, deep):
            piece = logits[top : top + deep, place]
            values = reduce(piece, target[place], final)
            for row, value in zip(result, values, strict=True):
                row[top : top + deep, place] = value
    return result


class Final(NamedTuple):
    """The final distribution of n tokens: p (n, V), its entropy (n,) and most likely token (n,)."""

    p: Tensor
    entropy: Tensor
    winner: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> Final:
        """That of logits (n, V)."""
        log_p = widen(logits).log_softmax(-1)
        p = log_p.exp()
        return cls(p, -(p * log_p).sum(-1), log_p.argmax(-1))


def reduce_logits(logits: Tensor, target: Tensor, final: Final) -> tuple[Tensor, ...]:
    """Cross-entropy, entropy, KL(final || lens), top-1 agreement of (layer, n, V) logits.

    Parameters
    ----------
    logits : Tensor, shape (layer, n, V)
    target : Tensor of int, shape (n,)
    final : Final

    Returns
    -------
    tuple of Tensor, shape (layer, n)
        All in nats. Widening is part of it, so that its compiled form reads logits as they are.
    """
    x = widen(logits)
    x = x - x.amax(-1, keepdim=True)
    weight = x.exp()
    total = weight.sum(-1)
    log_total = total.log()
    entropy = log_total - (weight * x).sum(-1) / total
    kl = log_total - final.entropy - (final.p * x).sum(-1)
    where = target.expand(x.shape[:-1]).unsqueeze(-1)
    cross_entropy = log_total - x.gather(-1, where).squeeze(-1)
    winner = final.winner.expand(x.shape[:-1]).unsqueeze(-1)
    agrees = (x.gather(-1, winner).squeeze(-1) == 0).to(x.dtype)
    return cross_entropy, entropy, kl, agrees


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
