"""The raw residual stream, by hooks on the block list, and the replay of the last block."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from companion.errors import InputError
from companion.models.anatomy import Model, first_tensor
from companion.models.parts import Parts


@dataclass(frozen=True)
class Stream:
    """One captured batch.

    Parameters
    ----------
    h : Tensor, shape (ell + 1, B, T, m)
        h[0] what enters the first block, h[l] what leaves block l; raw, in the model's dtype.
    arguments, keywords : tuple, dict
        How the last block was called, but for the states: masks, positions, rotary embeddings.
    part_norms : Tensor, shape (2, ell, B, T)
        Lengths of the attention and the feed-forward part of each update, where asked for.
    """

    h: Tensor
    arguments: tuple
    keywords: dict[str, Any]
    part_norms: Tensor


def capture(model: Model, tokens: Tensor, parts: Parts | None = None) -> Stream:
    """Run `model` on tokens (B, T) and keep every state; copied, so in-place blocks do no harm.

    h_0 is the embedding output as the first block gets it; h_ell leaves the last block before any
    final norm (the published scripts' last state is normed).

    Raises
    ------
    InputError
        If what enters a block is not one state for each token.
    """
    shape = (model.ell + 1, *tokens.shape, model.m)
    h = torch.empty(shape, dtype=model.dtype, device=model.device)
    wide = torch.promote_types(model.dtype, torch.float32)
    lengths = (2, model.ell, *tokens.shape) if parts else 0
    part_norms = torch.zeros(lengths, dtype=wide, device=model.device)
    names, factor = (parts.names, parts.factor) if parts else ((), 1.0)
    call: dict[str, Any] = {}

    def enter(layer: int) -> Callable:
        def keep(block: nn.Module, args: tuple, kwargs: dict) -> None:
            states, call["arguments"], call["keywords"] = _split(args, kwargs)
            if getattr(states, "shape", None) != h[layer].shape:
                raise InputError(
                    f"model {model.name!r} ({model.family}) does not hand block {layer} one state "
                    f"of {model.m} numbers a token, so it has no residual stream to read"
                )
            h[layer].copy_(states)

        return keep

    def leave(block: nn.Module, args: tuple, output: Any) -> None:
        h[-1].copy_(first_tensor(output))

    def measure(where: Tensor) -> Callable:
        def keep(module: nn.Module, args: tuple, output: Any) -> None:
            part = torch.linalg.vector_norm(first_tensor(output), dim=-1, dtype=wide)
            where.copy_(factor * part.reshape(where.shape))

        return keep

    with ExitStack() as hooks, torch.no_grad():
        for layer, block in enumerate(model.blocks):
            hook = block.register_forward_pre_hook(enter(layer), with_kwargs=True)
            hooks.callback(hook.remove)
            for part, name in enumerate(names):
                keep = measure(part_norms[part, layer])
                hooks.callback(getattr(block, name).register_forward_hook(keep).remove)
        hooks.callback(model.blocks[-1].register_forward_hook(leave).remove)
        model.states(tokens)
    return Stream(h, call["arguments"], call["keywords"], part_norms)


def replay_last_block(model: Model, stream: Stream, states: Tensor) -> Tensor:
    """The last block applied to other states (B, T, m), called as it was in the capture.

    With h_l in place of its own input this is the state behind the last-block lens; with
    h_{ell-1} it gives h_ell again.
    """
    keywords = dict(stream.keywords)
    if "hidden_states" in keywords:
        keywords["hidden_states"] = states
        return first_tensor(model.blocks[-1](**keywords))
    return first_tensor(model.blocks[-1](states, *stream.arguments, **keywords))


def _split(args: tuple, kwargs: dict) -> tuple[Any, tuple, dict]:
    if args:
        return args[0], args[1:], kwargs
    return kwargs.get("hidden_states"), (), kwargs
