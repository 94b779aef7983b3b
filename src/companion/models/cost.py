"""What a run costs: losses read in chunks of the vocabulary, and a second's measurement of time.

A run is counted in two numbers, tokens through one block and tokens read out into logits. `measure`
says how long either takes on this machine, so that a long run can be priced before it starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from companion.models.anatomy import Model
from companion.models.memory import tokens_read_at_once
from companion.models.stream import capture, replay

TOKENS = 512
"""Tokens that are run at once to be timed, in whole rows."""


@dataclass(frozen=True)
class Cost:
    """Seconds that a token takes here.

    Parameters
    ----------
    block : float
        In one block, the mean over blocks.
    readout : float
        From the state behind the last block to its loss: tail, head and cross-entropy.
    """

    block: float
    readout: float

    def seconds(self, blocks: float, readouts: float) -> float:
        """Of a run of so many tokens through one block, and so many read out."""
        return self.block * blocks + self.readout * readouts


@torch.inference_mode()
def measure(model: Model, length: int, seconds: float = 1.0) -> Cost:
    """Time a few blocks and a few readouts on random tokens.

    Parameters
    ----------
    model : Model
    length : int
        Tokens in a row.
    seconds : float
        How long to measure, beside one run to warm up.
    """
    rows = max(1, TOKENS // length)
    generator = model.runtime.torch_generator(device="cpu")
    tokens = torch.randint(model.V, (rows, length), generator=generator)
    stream = capture(model, tokens)
    layers = count()

    def block() -> None:
        layer = next(layers) % model.ell
        replay(model, stream, layer, stream.h[layer].clone())

    some = tokens_read_at_once(model)
    z = stream.h[-1].flatten(0, 1)[:some]
    target = tokens.flatten()[:some]
    per_block = _seconds_each(block, model.device, seconds / 2)
    per_readout = _seconds_each(lambda: token_losses(model, z, target), model.device, seconds / 2)
    return Cost(per_block / tokens.numel(), per_readout / len(z))


def token_losses(model: Model, z: Tensor, target: Tensor) -> Tensor:
    """Cross-entropies (n,) of states behind the last block, nats per token.

    Logits exist for one chunk of tokens at a time, never all of them.

    Parameters
    ----------
    model : Model
    z : Tensor, shape (n, m)
    target : Tensor of int, shape (n,)
        The token that follows each state.
    """
    size = tokens_read_at_once(model)
    target = target.to(model.device)
    wide = torch.promote_types(model.dtype, torch.float32)
    losses = [
        cross_entropy(model.readout(states).to(wide), follows, reduction="none")
        for states, follows in zip(z.split(size), target.split(size), strict=True)
    ]
    return torch.cat(losses)


def readout_weight(model: Model) -> int:
    """How many blocks a readout is worth, by the multiplications that both take; at least 1."""
    inside = sum(weight.numel() for weight in model.blocks.parameters() if weight.ndim > 1)
    return max(1, round(model.V * model.m * model.ell / max(1, inside)))


def _seconds_each(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Mean time of `work`, repeated for so long after one call to warm up."""
    work()
    _wait(device)
    began = time.perf_counter()
    for done in count(1):
        work()
        _wait(device)
        if (spent := time.perf_counter() - began) >= seconds:
            return spent / done
    raise AssertionError  # count never ends


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
