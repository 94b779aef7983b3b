"""One run of a model kept in full, and runs that start from the middle or with other blocks.

No family of models is known here: a block is called with whatever its model calls it with, and
answers in the shape that its model expects. Every change to a model lives in a `with` and is
undone at its end, also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion.models import Model

Rest = tuple[tuple, dict[str, Any]]


@dataclass(frozen=True)
class Passage:
    """What one run left behind.

    Parameters
    ----------
    states : tuple of Tensor, each (B, T, m)
        h[0..ell]: the embeddings, then the residual stream after each block.
    rest : tuple
        The other arguments of each block (masks, rotary tables), for this shape of input.
    answer : Tensor or tuple
        What a block returned, as a pattern for blocks that are replaced.
    logits : Tensor, (B, kept, V)
    """

    states: tuple[Tensor, ...]
    rest: tuple[Rest, ...]
    answer: Tensor | tuple
    logits: Tensor

    def like(self, state: Tensor) -> Tensor | tuple:
        """`state` in the shape in which this model's blocks answer: alone or first of a tuple."""
        if isinstance(self.answer, Tensor):
            return state
        return (state, *self.answer[1:])


def states_of(answer: Tensor | tuple) -> Tensor:
    """The residual stream in what a block returned."""
    return answer if isinstance(answer, Tensor) else answer[0]


def split(args: tuple, kwargs: dict[str, Any]) -> tuple[Tensor, Rest]:
    """The residual stream in the arguments of a block, and the other arguments."""
    if args:
        return args[0], (args[1:], kwargs)
    others = {name: value for name, value in kwargs.items() if name != "hidden_states"}
    return kwargs["hidden_states"], ((), others)


def forward(model: Model, tokens: Tensor, keep: int = 0) -> Tensor:
    """Logits (B, keep, V) of the last `keep` positions of `tokens` (B, T); 0 keeps all."""
    return model.net(input_ids=tokens, use_cache=False, logits_to_keep=keep).logits


def record(model: Model, tokens: Tensor, keep: int = 0, noise: Tensor | None = None) -> Passage:
    """Run `tokens` (B, T) and keep the residual stream before and after every block.

    Parameters
    ----------
    model : Model
    tokens : Tensor of int, (B, T)
    keep : int
        Keep the logits of this many last positions; 0 keeps all.
    noise : Tensor, (B, T, width of the embedding), optional
        Added to the output of the embedding.
    """
    states: list[Tensor] = []
    rest: list[Rest] = []
    answers: list[Any] = []

    def before(block, args, kwargs):
        state, others = split(args, kwargs)
        states.append(state.clone())  # some blocks add to their input in place
        rest.append(others)

    with ExitStack() as hooks:
        if noise is not None:
            embedding = model.net.get_input_embeddings()
            hooks.callback(embedding.register_forward_hook(lambda *io: io[2] + noise).remove)
        for block in model.blocks:
            hooks.callback(block.register_forward_pre_hook(before, with_kwargs=True).remove)
        last = model.blocks[-1].register_forward_hook(lambda *io: answers.append(io[2]))
        hooks.callback(last.remove)
        logits = forward(model, tokens, keep)
    return Passage((*states, states_of(answers[0])), tuple(rest), answers[0], logits)


@contextmanager
def replaced(model: Model, forwards: Mapping[int, Callable[..., Any]]) -> Iterator[None]:
    """Blocks in `forwards` compute that instead; hooks on them stay in force."""
    blocks = [model.blocks[index] for index in forwards]
    before = [vars(block).get("forward") for block in blocks]
    try:
        for block, other in zip(blocks, forwards.values(), strict=True):
            block.forward = other
        yield
    finally:
        for block, own in zip(blocks, before, strict=True):
            if own is None:
                vars(block).pop("forward", None)
            else:
                block.forward = own


@contextmanager
def resume(model: Model, layer: int, state: Tensor, passage: Passage) -> Iterator[None]:
    """Runs start from h[layer] = `state` (B, T, m); the blocks below are not computed.

    Parameters
    ----------
    model : Model
    layer : int
        0..ell; at ell only the final norm and the unembedding are left.
    state : Tensor, (B, T, m)
    passage : Passage
        Any earlier run of this model, for the pattern of a block's answer.
    """
    if layer:
        forwards = dict.fromkeys(range(layer), lambda *_, **__: passage.like(state))
        with replaced(model, forwards):
            yield
        return

    def start(block, args, kwargs):
        _, (others, named) = split(args, kwargs)
        return (state, *others), named

    handle = model.blocks[0].register_forward_pre_hook(start, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def edited(model: Model, edits: Mapping[int, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """h[layer] becomes `edits[layer](h[layer])` for layers 1..ell, as soon as it is computed."""
    with ExitStack() as hooks:
        for layer, edit in edits.items():
            handle = model.blocks[layer - 1].register_forward_hook(_editor(edit))
            hooks.callback(handle.remove)
        yield


def _editor(edit: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    def hook(block, args, answer):
        new = edit(states_of(answer))
        return new if isinstance(answer, Tensor) else (new, *answer[1:])

    return hook


def peek(model: Model) -> Passage:
    """A run of one token, to learn how this model's blocks answer."""
    with torch.inference_mode():
        return record(model, torch.zeros(1, 1, dtype=torch.long, device=model.device))
