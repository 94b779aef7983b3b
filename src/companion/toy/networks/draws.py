"""Everything random in a toy experiment, each draw fixed by the seed and its own address.

No generator carries a state from one step to the next: the batch of a step is a function of
(seed, teacher, step). So a resumed run, and a plain reference that trains one student after
the other, see the same numbers.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from companion.toy.networks.blocks import BLOCKS, Weights
from companion.toy.specification import Specification

TEACHER, STUDENT, TRAIN, TEST = 1, 2, 3, 4


def generator(seed: int, *address: int, device: str = "cpu") -> torch.Generator:
    """A generator that is fixed by the seed and an address of whole numbers."""
    state = np.random.SeedSequence([seed, *address]).generate_state(2)
    return torch.Generator(device).manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def uniform(shape: tuple[int, ...], fan_in: int, source: torch.Generator) -> torch.Tensor:
    """torch's default for linear layers: uniform in ±1/sqrt(fan_in); always drawn in float64."""
    bound = 1 / math.sqrt(fan_in)
    return (torch.rand(shape, generator=source, dtype=torch.float64) * 2 - 1) * bound


def mlp_weights(spec: Specification, source: torch.Generator) -> Weights:
    """Default weights of one block: W1 (m, hidden), b1 (hidden,), W2 (hidden, m)."""
    m, hidden = spec.width, spec.hidden
    return {
        "W1": uniform((m, hidden), m, source),
        "b1": uniform((hidden,), m, source),
        "W2": uniform((hidden, m), hidden, source),
    }


def teacher_weights(spec: Specification, teacher: int) -> tuple[list[Weights], torch.Tensor]:
    r"""Blocks and head (m, V) of a residual teacher.

    .. math:: W_i = \sqrt{\rho}\, W_{shared} + \sqrt{1 - \rho}\, W_i', \qquad
              W_2 \to W_2 / \sqrt{depth}

    Equal replicates share their draws at every rho. Teacher index = rho index x replicates +
    replicate. The head is torch's default where it is to be learned and N(0, 1/m) where given.
    """
    which, replicate = divmod(teacher, spec.teachers)
    rho, source = spec.rho[which], generator(spec.seed, TEACHER, replicate)
    head = _head(spec, source)
    shared = mlp_weights(spec, source)
    blocks = []
    for _ in range(spec.teacher_depth):
        own = mlp_weights(spec, source)
        block = {k: math.sqrt(rho) * shared[k] + math.sqrt(1 - rho) * own[k] for k in own}
        blocks.append(block | {"W2": block["W2"] / math.sqrt(spec.teacher_depth)})
    return blocks, head


def _head(spec: Specification, source: torch.Generator) -> torch.Tensor:
    shape = (spec.width, spec.vocabulary)
    if spec.head == "given":
        return torch.randn(shape, generator=source, dtype=torch.float64) / math.sqrt(spec.width)
    return uniform(shape, spec.width, source)


def block_weights(spec: Specification, layer: int, source: torch.Generator) -> Weights:
    """Initial weights of a block of a student: default, but W2 = 0, so that it is the identity."""
    block, weights = BLOCKS[spec.block], {}
    for suffix in block.mlps:
        weights |= {f"{name}{suffix}": value for name, value in mlp_weights(spec, source).items()}
        weights[f"W2{suffix}"].zero_()
    return weights | block.extras(spec.width, layer)


def student_source(spec: Specification, teacher: int, seed: int, ell: int) -> torch.Generator:
    """Generator of a student's weights; the same at every temperature."""
    return generator(spec.seed, STUDENT, teacher, seed, ell)


def inputs(spec: Specification, stream: int, step: int, device: str = "cpu") -> torch.Tensor:
    """Samples x (teacher, batch, m): standard normal, or random signs for a parity teacher."""
    shape = (spec.batch, spec.width)
    batches = []
    for teacher in range(len(spec.rho) * spec.teachers):
        source = generator(spec.seed, stream, teacher, step, device=device)
        x = torch.randn(shape, generator=source, device=device)
        batches.append(x.sign() if spec.teacher == "parity" else x)
    return torch.stack(batches)
