"""What each layer would predict: last-block lens and logit lens, in chunks of tokens.

Full-vocabulary logits exist for one chunk at a time: they are reduced at once to cross-entropy,
entropy, KL to the final distribution and agreement of the most likely token.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from companion.models import Model, Stream, replay_last_block
from companion.probing.measure import chunk_size, widen
from companion.probing.quantities import LOGIT

Reduce = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


def lens_values(
    model: Model, stream: Stream, tokens: Tensor, chosen: Tensor, lens: str, reduce: Reduce
) -> dict[str, Tensor]:
    """Lens quantities of the chosen tokens.

    Parameters
    ----------
    model, stream
        As captured from `tokens`.
    tokens : Tensor of int, shape (B, T)
    chosen : Tensor of int, shape (n,)
        Flat positions that have a successor in their block.
    lens : str
        "last_block", "logit" or "both".
    reduce : callable
        `reduce_logits` or its compiled form.

    Returns
    -------
    dict of name to Tensor, shape (layers, B * T)
        NaN for tokens that were not chosen.
    """
    z = _behind_last_block(model, stream, chosen, lens)
    target = tokens.flatten()[chosen + 1].to(z.device)
    results = []
    size = tokens_at_once(model, len(z))
    for start in range(0, len(chosen), size):
        part = z[:, start : start + size]
        logits = model.readout(part.flatten(0, 1)).unflatten(0, part.shape[:2])
        results.append(torch.stack(reduce(logits, target[start : start + size])))
    table = torch.cat(results, -1)
    full = table.new_full((*table.shape[:2], tokens.numel()), torch.nan)
    full[:, :, chosen.to(full.device)] = table
    return _named(full, model.ell, lens)


def tokens_at_once(model: Model, layers: int) -> int:
    """Tokens whose logits of so many layers exist at once: what stays in cache, but not fewer than
    make using the unembedding as dear as reading it."""
    return max(chunk_size(model.device, 4 * layers * model.V), model.m // (2 * layers), 1)


def _behind_last_block(model: Model, stream: Stream, chosen: Tensor, lens: str) -> Tensor:
    """States that the readout turns into logits, (lens layer, n, m); the last is the model's own.

    First the last-block lens at 0 .. ell-2, then the logit lens at 0 .. ell-1, then h_ell.
    """
    chosen = chosen.to(stream.h.device)
    states = []
    if lens != "logit":
        for h in stream.h[:-2]:
            states.append(replay_last_block(model, stream, h).flatten(0, 1)[chosen])
    if lens != "last_block":
        states += [h.flatten(0, 1)[chosen] for h in stream.h[:-1]]
    return torch.stack([*states, stream.h[-1].flatten(0, 1)[chosen]])


def reduce_logits(logits: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    """Cross-entropy, entropy, KL(final || lens), top-1 agreement of (layer, n, V) logits.

    The last layer is the final distribution. All in nats; each result (layer, n). Widening is
    part of it, so that its compiled form reads the logits as they are.
    """
    x = widen(logits)
    x = x - x.amax(-1, keepdim=True)
    weight = x.exp()
    total = weight.sum(-1)
    log_total = total.log()
    entropy = log_total - (weight * x).sum(-1) / total
    final = weight[-1] / total[-1, :, None]
    kl = log_total - entropy[-1] - (final * x).sum(-1)
    where = target.expand(x.shape[:-1]).unsqueeze(-1)
    cross_entropy = log_total - x.gather(-1, where).squeeze(-1)
    winner = x[-1].argmax(-1).expand(x.shape[:-1]).unsqueeze(-1)
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
