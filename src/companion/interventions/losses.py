"""Losses of one batch of text under every disturbance, each piece of work done once.

The state that a disturbed block gets is the clean one, so the clean run is kept and every
disturbance starts from it. Behind its disturbed block a disturbance runs like any other: the states
of all are kept side by side, and each block runs the batch of those that have reached it. What
several disturbances ask of one block with one state is computed once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from companion.errors import InputError
from companion.interventions.blocks import rules
from companion.models import Model, Stream, calls_for, capture, replay, token_losses
from companion.models.cost import readout_weight
from companion.models.hooks import Call
from companion.models.memory import block_bytes, free_memory, tokens_read_at_once

TOKENS = {"cpu": 1024}
TOKENS_GPU = 16384
"""Tokens in one call of a block, in whole rows: enough to keep a device busy."""

KEPT_BYTES = {"cpu": 512 << 20}
KEPT_BYTES_GPU = 8 << 30
"""What disturbed states may take at most; a quarter of the free memory if that is less."""

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}
"""Largest difference of a replayed state, in standard deviations of that state."""

Plan = Sequence[tuple[str, int]]
Tell = Callable[[int], None]
Loss = Callable[[Model, Tensor, Tensor, Tensor], Tensor]
"""Losses (n,) of states behind the last block (n, m), given the model, all ids, flat positions."""


@dataclass(frozen=True)
class Sizes:
    """What is run and kept at once.

    Parameters
    ----------
    rows : int
        Rows of text.
    kept : int
        Disturbances whose states of these rows are kept.
    merged : int
        Disturbances that one call of a block runs.
    """

    rows: int
    kept: int
    merged: int

    @classmethod
    def fit(cls, model: Model, text: tuple[int, int], disturbances: int, rows: int = 0) -> Sizes:
        """Sizes that the free memory holds, whatever the text's size.

        Parameters
        ----------
        model : Model
        text : tuple of int
            Rows of text that there are, and tokens in each.
        disturbances : int
        rows : int
            Take that many rows instead, unless 0.
        """
        there, length = text
        kind, free = model.device.type, free_memory(model) // 4
        tokens = TOKENS.get(kind, TOKENS_GPU)
        state = length * model.m * model.dtype.itemsize
        each = (model.ell + 2) * state + block_bytes(model, length)
        rows = min(there, rows or max(1, min(tokens // length, free // each)))
        kept = min(KEPT_BYTES.get(kind, KEPT_BYTES_GPU), free) // (rows * state)
        merged = min(tokens // (rows * length), free // (rows * block_bytes(model, length)))
        return cls(rows, max(1, min(disturbances, kept)), max(1, merged))


def units(model: Model, plan: Plan, rows: int, length: int, read: int) -> tuple[int, int]:
    """Tokens through one block, and tokens read out, that a plan takes in all.

    Parameters
    ----------
    model : Model
    plan : sequence of (kind, layer)
    rows, length : int
    read : int
        Positions of a row whose loss is read.
    """
    passes = model.ell + sum(model.ell - layer for _, layer in plan)
    return rows * length * passes, rows * read * (len(plan) + 2)


def next_token(model: Model, z: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
    """Cross-entropies (n,) of the tokens behind the positions `chosen`, nats per token."""
    return token_losses(model, z, ids.flatten()[chosen + 1])


@torch.inference_mode()
def losses(
    model: Model,
    ids: Tensor,
    plan: Plan,
    chosen: Tensor,
    sizes: Sizes,
    tell: Tell,
    loss: Loss = next_token,
) -> Tensor:
    """Losses of one batch: clean, without any block, then for each item of the plan.

    Parameters
    ----------
    model : Model
    ids : Tensor of int, shape (B, T)
    plan : sequence of (kind, layer)
    chosen : Tensor of int, shape (n,)
        Flat positions, each with a successor in its row, whose prediction is read.
    sizes : Sizes
    tell : callable
        Called with each piece of work done, see `units`; a readout counts as many blocks.
    loss : callable
        Cross-entropy in nats per token, unless the model is judged by something else.

    Returns
    -------
    Tensor, shape (2 + len(plan), n), on the CPU
    """
    stream = capture(model, ids)
    check_replay(model, stream)
    tell(ids.numel() * model.ell)
    found = torch.empty(2 + len(plan), len(chosen), dtype=torch.float64)
    found[:2] = _read(model, stream.h[[-1, 0]], ids, chosen, tell, loss)
    order = sorted(range(len(plan)), key=lambda at: _joins(plan[at], model.ell))
    for first in range(0, len(order), sizes.kept):
        group = order[first : first + sizes.kept]
        ends = _ends(model, ids, stream, [plan[at] for at in group], sizes.merged, tell)
        found[torch.tensor(group) + 2] = _read(model, ends, ids, chosen, tell, loss)
    return found


def _joins(item: tuple[str, int], ell: int) -> int:
    """The first block that a disturbance leaves as it is, of those behind it."""
    return max(rules(*item, ell)) + 1


def _ends(model: Model, ids: Tensor, stream: Stream, plan: Plan, merged: int, tell: Tell) -> Tensor:
    """Final states (disturbance, B, T, m) of a plan sorted by where its items join."""
    h = stream.h.new_empty((len(plan), *stream.h.shape[1:]))
    by_layer = sorted(range(len(plan)), key=lambda at: plan[at][1])

    def run(index: int, states: Tensor) -> Tensor:
        return replay(model, stream, index, states.clone())  # some blocks add to their input

    joins = [_joins(item, model.ell) for item in plan]
    states = disturbed([plan[at] for at in by_layer], stream, run)
    for at, state in zip(by_layer, states, strict=True):
        h[at] = state
        tell(ids.numel() * (joins[at] - plan[at][1]))
    calls: dict[int, tuple[Call, ...]] = {}
    for depth in range(joins[0], model.ell):
        active = bisect_right(joins, depth)
        for part in h[:active].split(merged):
            if len(part) not in calls:
                calls[len(part)] = calls_for(model, ids.repeat(len(part), 1), stream)
            rows = part.flatten(0, 1)
            rows.copy_(calls[len(part)][depth](model.blocks[depth], rows))
            tell(ids.numel() * len(part))
    return h


def disturbed(plan: Plan, stream: Stream, run: Callable[[int, Tensor], Tensor]) -> Iterator[Tensor]:
    """States (B, T, m) behind what each item of a plan, sorted by layer, disturbs."""
    clean = list(stream.h)
    ell = len(clean) - 1
    known: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    layer = -1

    def remembered(index: int, h: Tensor) -> Tensor:
        key = index, id(h)  # `known` keeps h alive, so that no other tensor gets its id
        if key not in known:
            known[key] = h, run(index, h)
        return known[key][1]

    for kind, place in plan:
        if place != layer:
            layer = place
            known = {(at, id(clean[at])): (clean[at], clean[at + 1]) for at in range(ell)}
        h = clean[place]
        for _, rule in sorted(rules(kind, place, ell).items()):
            h = rule(h, remembered)
        yield h


def _read(
    model: Model, states: Tensor, ids: Tensor, chosen: Tensor, tell: Tell, loss: Loss
) -> Tensor:
    """Losses (k, n) at the chosen positions of final states (k, B, T, m)."""
    here = chosen.to(states.device)
    together = max(1, tokens_read_at_once(model) // len(chosen))
    rows = []
    for some in states.flatten(1, 2).split(together):
        found = loss(model, some[:, here].flatten(0, 1), ids, chosen.repeat(len(some)))
        rows.append(found.cpu().double().unflatten(0, (len(some), -1)))
        tell(len(found) * readout_weight(model))
    return torch.cat(rows)


def check_replay(model: Model, stream: Stream) -> None:
    """Refuse a model whose blocks cannot be run apart: the last one on its own input differs.

    Raises
    ------
    InputError
        With the difference, or if a block was run twice.
    """
    again = replay(model, stream, model.ell - 1, stream.h[-2].clone()).to(stream.h.device)
    off = float((again - stream.h[-1]).abs().max() / stream.h[-1].std())
    if len(stream.calls) != model.ell or not off <= TOLERANCE[model.dtype]:
        raise InputError(
            f"model {model.name!r} ({model.family}) cannot be disturbed block by block: run alone, "
            f"its last block is off by {off:.2g} standard deviations"
        )
