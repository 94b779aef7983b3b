"""The last block applied to earlier states, worked out only where its result is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from companion.models import Model, Stream, replay_last_block

NONSENSE = 1e3
"""What a token that needs more than its own shows: zeros in untrained attention hardly do."""


@contextmanager
def restricted(
    modules: Iterable[nn.Module], positions: Tensor, elsewhere: float = 0.0
) -> Iterator[None]:
    """Let modules work on some tokens only.

    Attention needs the keys and values of every token, but a feed-forward part, a query or what
    projects the attended values back is the business of one token: what is computed of them at
    tokens that nobody reads is wasted, most of a block.

    Parameters
    ----------
    modules : iterable of nn.Module
        Parts that take states (B, T, width) or (B * T, width).
    positions : Tensor of int, shape (n,)
        Flat positions, row after row.
    elsewhere : float
        What each module leaves at all other tokens.
    """
    with ExitStack() as hooks:
        for module in modules:
            shapes: list[torch.Size] = []
            narrow = partial(_narrow, positions, shapes)
            widen = partial(_widen, positions, shapes, elsewhere)
            hooks.callback(module.register_forward_pre_hook(narrow).remove)
            hooks.callback(module.register_forward_hook(widen).remove)
        yield


def _narrow(positions: Tensor, shapes: list[torch.Size], part: nn.Module, args: tuple) -> tuple:
    x, *more = args
    shapes.append(x.shape)
    some = x.flatten(0, -2)[positions.to(x.device)]
    return (some.reshape(*[1] * (x.ndim - 2), *some.shape), *more)


def _widen(
    positions: Tensor,
    shapes: list[torch.Size],
    elsewhere: float,
    part: nn.Module,
    args: tuple,
    output: Any,
) -> Any:
    y, more = (output, None) if isinstance(output, Tensor) else (output[0], output[1:])
    full = y.new_full((*shapes.pop()[:-1], y.shape[-1]), elsewhere)
    full.view(-1, y.shape[-1])[positions.to(y.device)] = y.reshape(-1, y.shape[-1])
    return full if more is None else (full, *more)


def replayed_at(
    model: Model,
    stream: Stream,
    positions: Tensor,
    by_token: Iterable[str],
    elsewhere: float = 0.0,
) -> Callable[[Tensor], Tensor]:
    """A function from states h (B, T, m) to what the last block makes of them at `positions`.

    Parameters
    ----------
    model, stream
        As captured.
    positions : Tensor of int, shape (n,)
        Flat positions.
    by_token : iterable of str
        The last block's parts that may be restricted to them, see `separable`.
    elsewhere : float
        As for `restricted`.

    Returns
    -------
    callable
        Its result has shape (n, m).
    """
    parts = [model.blocks[-1].get_submodule(name) for name in by_token]

    def replay(h: Tensor) -> Tensor:
        with restricted(parts, positions, elsewhere):
            return replay_last_block(model, stream, h).flatten(0, 1)[positions]

    return replay


def separable(model: Model, stream: Stream, tolerance: float) -> list[str]:
    """Parts of the last block that treat each token by itself, or of which a token needs only its
    own, measured.

    Tried are the largest of the children that are not attention which passes, then every linear map
    inside attention. Every third token is replayed with the parts working on those tokens alone,
    `NONSENSE` at all others, and on all; both must agree to `tolerance` standard deviations.
    """
    positions = torch.arange(0, stream.h[0].shape[:2].numel(), 3, device=stream.h.device)
    whole = replayed_at(model, stream, positions, [])(stream.h[-2]).double()

    def passes(names: list[str]) -> bool:
        try:
            alone = replayed_at(model, stream, positions, names, NONSENSE)(stream.h[-2]).double()
        except Exception:  # whatever a family's own code raises at fewer tokens than it expects
            return False
        return float((alone - whole).abs().max() / whole.std()) <= tolerance

    block = model.blocks[-1]
    found = [name for name in _by_size(block) if passes([name])][:1]
    for path, module in block.named_modules():
        if type(module) is nn.Linear and "att" in path.lower() and passes([*found, path]):
            found.append(path)
    return found


def _by_size(block: nn.Module) -> list[str]:
    sizes = {
        name: sum(weight.numel() for weight in child.parameters() if weight.ndim > 1)
        for name, child in block.named_children()
        if "att" not in name.lower()
    }
    return sorted(filter(sizes.get, sizes), key=lambda name: -sizes[name])
