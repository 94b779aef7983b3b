"""How many tokens the lenses may read for about the price of the forward pass, by counting."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn

from companion.models import Model

LOGIT_FLOPS = 100
"""What the reduction of one logit takes, in operations of a matrix product of the same time."""


def lens_share(model: Model, lens: str, length: int) -> float:
    r"""Share f of the tokens at which the lenses cost as much as the forward pass of all tokens.

    With :math:`F = \ell (b + 4 T m)` operations a token for the forward pass, b those of one block
    and f those of it outside attention, a lens that replays r layers and reads k costs
    :math:`A = r (b - f + 4 T m)` at every token and :math:`B = r f + k V (2 m + c)` at each token
    read, so that the share is :math:`(F - A)/B`, at most 1. It depends on nothing but the model's
    shape, the lens and the block length, so that a run can be resumed anywhere.

    Parameters
    ----------
    model : Model
    lens : str
        "last_block", "logit", "both" or "none".
    length : int
        Tokens in a block, T.

    Returns
    -------
    float
        In (0, 1], three significant digits.
    """
    if lens == "none":
        return 1.0
    block = model.blocks[-1]
    whole, scores = _products(block.parameters()), 4 * length * model.m
    named = block.named_parameters()
    feed_forward = _products(weight for name, weight in named if "att" not in name.lower())
    replayed = model.ell - 1 if lens in ("last_block", "both") else 0
    read = lenses_read(model.ell, lens)
    forward = model.ell * (whole + scores)
    everywhere = replayed * (whole - feed_forward + scores)
    each = replayed * feed_forward + read * model.V * (2 * model.m + LOGIT_FLOPS)
    return min(1.0, _rounded((forward - everywhere) / each))


def lenses_read(ell: int, lens: str) -> int:
    """How many states of a token the lens turns into logits, the model's own among them."""
    return {"none": 0, "last_block": ell, "logit": ell + 1, "both": 2 * ell}[lens]


def _products(weights: Iterable[nn.Parameter]) -> int:
    return 2 * sum(weight.numel() for weight in weights if weight.ndim > 1)


def _rounded(x: float) -> float:
    return round(x, 2 - math.floor(math.log10(x)))
