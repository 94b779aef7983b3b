"""The last block applied to earlier states, worked out only where its result is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from companion.models import Model, Stream, replay_last_block


@contextmanager
def feed_forward_at(module: nn.Module | None, positions: Tensor) -> Iterator[None]:
    """Let a feed-forward part work on some tokens only; it leaves zeros at all others.

    Attention needs the keys and values of every token, but a feed-forward part treats each token
    by itself: what is computed at tokens that nobody reads is wasted, three quarters of a block.

    Parameters
    ----------
    module : nn.Module or None
        A part that takes states (B, T, width) or (B * T, width); None changes nothing.
    positions : Tensor of int, shape (n,)
        Flat positions, row after row.
    """
    shapes: list[torch.Size] = []

    def narrow(part: nn.Module, args: tuple) -> tuple:
        x, *more = args
        shapes.append(x.shape)
        some = x.flatten(0, -2)[positions.to(x.device)]
        return (some.reshape(*[1] * (x.ndim - 2), *some.shape), *more)

    def widen(part: nn.Module, args: tuple, output: Any) -> Any:
        y, more = (output, None) if isinstance(output, Tensor) else (output[0], output[1:])
        full = y.new_zeros((*shapes.pop()[:-1], y.shape[-1]))
        full.view(-1, y.shape[-1])[positions.to(y.device)] = y.reshape(-1, y.shape[-1])
        return full if more is None else (full, *more)

    with ExitStack() as hooks:
        if module is not None:
            hooks.callback(module.register_forward_pre_hook(narrow).remove)
            hooks.callback(module.register_forward_hook(widen).remove)
        yield


def replayed_at(
    model: Model, stream: Stream, positions: Tensor, feed_forward: str | None
) -> Callable[[Tensor], Tensor]:
    """A function from states h (B, T, m) to what the last block makes of them at `positions`.

    Parameters
    ----------
    model, stream
        As captured.
    positions : Tensor of int, shape (n,)
        Flat positions.
    feed_forward : str or None
        Name of the last block's child that may be restricted to them, see `separable`.

    Returns
    -------
    callable
        Its result has shape (n, m).
    """
    part = getattr(model.blocks[-1], feed_forward) if feed_forward else None

    def replay(h: Tensor) -> Tensor:
        with feed_forward_at(part, positions):
            return replay_last_block(model, stream, h).flatten(0, 1)[positions]

    return replay


def separable(model: Model, stream: Stream, tolerance: float) -> str | None:
    """The largest child of the last block that treats each token by itself, measured; else None.

    Children are tried by size, attention left out. Every third token is replayed with the child
    working on those tokens alone, and on all; both must agree to `tolerance` standard deviations.
    """
    positions = torch.arange(0, stream.h[0].shape[:2].numel(), 3, device=stream.h.device)
    whole = replayed_at(model, stream, positions, None)(stream.h[-2]).double()
    for name in _by_size(model.blocks[-1]):
        try:
            alone = replayed_at(model, stream, positions, name)(stream.h[-2]).double()
        except Exception:  # whatever a family's own code raises at fewer tokens than it expects
            continue
        if float((alone - whole).abs().max() / whole.std()) <= tolerance:
            return name
    return None


def _by_size(block: nn.Module) -> list[str]:
    sizes = {
        name: sum(weight.numel() for weight in child.parameters() if weight.ndim > 1)
        for name, child in block.named_children()
        if "att" not in name.lower()
    }
    return sorted(filter(sizes.get, sizes), key=lambda name: -sizes[name])
