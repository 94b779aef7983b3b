"""The raw residual stream of one run, and what follows from other states at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from companion.errors import InputError
from companion.models.anatomy import Model
from companion.models.hooks import Call, first_tensor, replaced, split, with_states
from companion.models.parts import Parts


@dataclass(frozen=True)
class Stream:
    """One captured batch.

    Parameters
    ----------
    h : Tensor, shape (ell + 1, B, T, m)
        h[0] what enters the first block, h[l] what leaves block l; raw, in the model's dtype.
    calls : tuple of Call
        How each block was called, for a batch of this shape.
    answer : Tensor or tuple
        What the last block returned, as a pattern for blocks that are replaced.
    part_norms : Tensor, shape (2, ell, B, T)
        Lengths of the attention and the feed-forward part of each update, where asked for.
    """

    h: Tensor
    calls: tuple[Call, ...]
    answer: Any
    part_norms: Tensor


def capture(
    model: Model, tokens: Tensor, parts: Parts | None = None, noise: Tensor | None = None
) -> Stream:
    """Run `model` on tokens (B, T) and keep every state; copied, so in-place blocks do no harm.

    h_0 is the embedding output as the first block gets it; h_ell leaves the last block before any
    final norm (the published scripts' last state is normed).

    Parameters
    ----------
    model : Model
    tokens : Tensor of int, shape (B, T)
    parts : Parts, optional
        Measure the parts of the updates too.
    noise : Tensor, shape (B, T, width of the embedding), optional
        Added to what the embedding puts out.

    Raises
    ------
    InputError
        If what enters a block is not one state for each token.
    """
    h = torch.empty((model.ell + 1, *tokens.shape, model.m), dtype=model.dtype, device=model.device)
    wide = torch.promote_types(model.dtype, torch.float32)
    part_norms = torch.zeros(
        (2, model.ell, *tokens.shape) if parts else 0, dtype=wide, device=model.device
    )
    calls: list[Call] = []
    answers: list[Any] = []
    with ExitStack() as hooks, torch.no_grad():
        if noise is not None:
            embedding = model.net.get_input_embeddings()
            hooks.callback(embedding.register_forward_hook(lambda *io: io[2] + noise).remove)
        for layer, block in enumerate(model.blocks):
            hook = _keeper(model, layer, h[layer], calls)
            hooks.callback(block.register_forward_pre_hook(hook, with_kwargs=True).remove)
            if parts is None:
                continue
            for name, where in zip(parts.names, part_norms, strict=True):
                measure = _measurer(parts, where[layer])
                hooks.callback(getattr(block, name).register_forward_hook(measure).remove)
        last = model.blocks[-1].register_forward_hook(lambda *io: answers.append(io[2]))
        hooks.callback(last.remove)
        model.states(tokens)
    h[-1].copy_(first_tensor(answers[0]))
    return Stream(h, tuple(calls), answers[0], part_norms)


def _keeper(model: Model, layer: int, where: Tensor, calls: list[Call]) -> Callable[..., None]:
    def keep(block: nn.Module, args: tuple, kwargs: dict) -> None:
        states, call = split(args, kwargs)
        if getattr(states, "shape", None) != where.shape:
            raise InputError(
                f"model {model.name!r} ({model.family}) does not hand block {layer} one state "
                f"of {model.m} numbers a token, so it has no residual stream to read"
            )
        where.copy_(states)
        calls.append(call)

    return keep


def _measurer(parts: Parts, where: Tensor) -> Callable[..., None]:
    def measure(module: nn.Module, args: tuple, output: Any) -> None:
        part = torch.linalg.vector_norm(first_tensor(output), dim=-1, dtype=where.dtype)
        where.copy_(parts.factor * part.reshape(where.shape))

    return measure


def calls_for(model: Model, tokens: Tensor, stream: Stream) -> tuple[Call, ...]:
    """How the model would call each block on tokens (B, T); no block is computed.

    Parameters
    ----------
    model : Model
    tokens : Tensor of int, shape (B, T)
    stream : Stream
        Any run of this model, for the pattern of a block's answer.
    """
    calls: list[Call] = []

    def keep(*args: Any, **kwargs: Any) -> Any:
        states, call = split(args, kwargs)
        calls.append(call)
        return with_states(stream.answer, states)

    with replaced(dict.fromkeys(model.blocks, keep)), torch.no_grad():
        model.states(tokens)
    return tuple(calls)


def replay(model: Model, stream: Stream, layer: int, states: Tensor) -> Tensor:
    """Block `layer` (from 0) applied to other states (B, T, m), called as it was in the capture."""
    return stream.calls[layer](model.blocks[layer], states)


def replay_last_block(model: Model, stream: Stream, states: Tensor) -> Tensor:
    """`replay` of the last block.

    With h_l in place of its own input this is the state behind the last-block lens; with
    h_{ell-1} it gives h_ell again.
    """
    return replay(model, stream, model.ell - 1, states)


@contextmanager
def started_at(model: Model, layer: int, states: Tensor, stream: Stream) -> Iterator[None]:
    """Runs start from h[layer] = `states` (B, T, m); the blocks below are not computed.

    Parameters
    ----------
    model : Model
    layer : int
        0..ell; at ell only the final norm and the unembedding are left.
    states : Tensor, shape (B, T, m)
    stream : Stream
        Any earlier run of this model, for the pattern of a block's answer.
    """
    if layer:
        below = model.blocks[:layer]
        with replaced(dict.fromkeys(below, lambda *_, **__: with_states(stream.answer, states))):
            yield
        return

    def start(block: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        call = split(args, kwargs)[1]
        return (states, *call.arguments), call.keywords

    handle = model.blocks[0].register_forward_pre_hook(start, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def patched(model: Model, edits: Mapping[int, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """h[layer] becomes `edits[layer](h[layer])` for layers 1..ell, as soon as it is computed."""
    with ExitStack() as hooks:
        for layer, edit in edits.items():
            handle = model.blocks[layer - 1].register_forward_hook(_editor(edit))
            hooks.callback(handle.remove)
        yield


def _editor(edit: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    return lambda block, args, answer: with_states(answer, edit(first_tensor(answer)))
