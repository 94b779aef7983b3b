"""Which children of a block give the attention and the feed-forward part of its update.

Found on numbers: a pair of children whose outputs, times one common factor, add up to the update
of every block. Sandwich norms, parallel blocks and residual multipliers are covered by that.
Blocks whose children carry the residual stream themselves, or that norm the sum, have no pair.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from companion.models.anatomy import Model
from companion.models.hooks import first_tensor, split

ACCURACY = {torch.float16: 0.05, torch.bfloat16: 0.2}
"""Accepted relative difference where dh is the difference of rounded states; else 1e-3."""

LENGTH = 12


@dataclass(frozen=True)
class Parts:
    """Names of the two children in every block, and the factor on their outputs."""

    attention: str
    mlp: str
    factor: float

    @property
    def names(self) -> tuple[str, str]:
        """Of both children, the attention's first."""
        return self.attention, self.mlp


def find_parts(model: Model) -> Parts | None:
    """The pair of children that adds up to dh in every block; None where there is none."""
    tokens = torch.arange(2 * LENGTH).reshape(2, LENGTH) % model.V
    outputs, updates = _watch(model, tokens)
    common = set.intersection(*(set(seen) for seen in outputs))
    names = [name for name in outputs[0] if name in common and "dropout" not in name]
    attention = [name for name in names if "att" in name.lower()]
    accuracy = ACCURACY.get(model.dtype, 1e-3)
    for a, f in product(attention, names):
        if a != f and (factor := _factor(a, f, outputs, updates, accuracy)) is not None:
            return Parts(a, f, factor)
    return None


def _watch(model: Model, tokens: Tensor) -> tuple[list[dict[str, Tensor]], list[Tensor]]:
    """Outputs of every block's children that have the shape of states, and the updates."""
    outputs: list[dict[str, Tensor]] = [{} for _ in model.blocks]
    ends: list[list[Tensor]] = [[] for _ in model.blocks]
    width = tokens.numel() * model.m

    def child_hook(seen: dict[str, Tensor], name: str):
        def keep(module: nn.Module, args: tuple, output: Any) -> None:
            x = first_tensor(output)
            if x.numel() == width:
                seen[name] = x.reshape(-1, x.shape[-1]).cpu().double().clone()

        return keep

    def block_hook(kept: list[Tensor]):
        def keep(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
            entered, _ = split(args, kwargs)
            dh = first_tensor(output).cpu().double() - entered.cpu().double()
            kept.append(dh.reshape(-1, dh.shape[-1]))

        return keep

    with ExitStack() as hooks, torch.no_grad():
        for block, seen, kept in zip(model.blocks, outputs, ends, strict=True):
            handle = block.register_forward_hook(block_hook(kept), with_kwargs=True)
            hooks.callback(handle.remove)
            for name, child in block.named_children():
                hooks.callback(child.register_forward_hook(child_hook(seen, name)).remove)
        model.states(tokens)
    return outputs, [kept[0] for kept in ends]


def _factor(
    a: str, f: str, outputs: list[dict[str, Tensor]], updates: list[Tensor], accuracy: float
) -> float | None:
    """The common factor c with dh = c (a + f) at most tokens, None if there is none."""
    sums = torch.stack([seen[a] + seen[f] for seen in outputs])
    dh = torch.stack(updates)
    factor = (sums * dh).sum() / (sums * sums).sum()
    errors = (dh - factor * sums).norm(dim=-1) / dh.norm(dim=-1)
    return round(float(factor), 3) if float(errors.nanmedian()) <= accuracy else None
