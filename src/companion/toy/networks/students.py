"""Students of one depth, as one stack: every weight has a leading axis `member`.

Member = (teacher x temperatures + temperature) x seeds + seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from companion.toy.networks.blocks import BLOCKS, Weights, rmsnorm
from companion.toy.networks.draws import block_weights, student_source
from companion.toy.specification import Specification


@dataclass(frozen=True)
class Member:
    """Address of a student among those of its depth."""

    teacher: int
    temperature: int
    seed: int


def members(spec: Specification) -> list[Member]:
    """All students of one depth, in the order of the stack."""
    return [
        Member(teacher, temperature, seed)
        for teacher in range(len(spec.rho) * spec.teachers)
        for temperature in range(len(spec.temperatures))
        for seed in range(spec.seeds)
    ]


def student_weights(spec: Specification, ell: int, member: Member) -> list[Weights]:
    """Initial weights of one student: its blocks, and last its head if it learns one (zero)."""
    source = student_source(spec, member.teacher, member.seed, ell)
    weights = [block_weights(spec, layer, source) for layer in range(ell)]
    if spec.head == "learned":
        shape = (spec.width, spec.vocabulary)
        weights.append({"head": torch.zeros(shape, dtype=torch.float64)})
    return weights


class Stack:
    """The students `members` of depth `ell`; `weights[i]` are those of block i, then the head."""

    def __init__(self, spec: Specification, ell: int, group: list[Member], device, dtype) -> None:
        self.spec, self.ell, self.members = spec, ell, group
        self.teacher = torch.tensor([one.teacher for one in group], device=device)
        self.temperature = torch.tensor([one.temperature for one in group], device=device)
        taus = [spec.temperatures[one.temperature] for one in group]
        self.tau = torch.tensor(taus, dtype=dtype, device=device)
        each = [student_weights(spec, ell, member) for member in group]
        self.weights: list[Weights] = [
            {
                key: torch.stack([w[i][key] for w in each]).to(dtype).to(device).requires_grad_()
                for key in each[0][i]
            }
            for i in range(len(each[0]))
        ]

    def parameters(self) -> dict[str, torch.Tensor]:
        """All weights by name, e.g. "3.W1"."""
        return {f"{i}.{k}": v for i, block in enumerate(self.weights) for k, v in block.items()}

    def states(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Residual stream h_0 .. h_ell for inputs x (member, batch, m); streams averaged."""
        return [h.mean(0) if h.dim() == 4 else h for h in self._raw(x)]

    def _raw(self, x: torch.Tensor) -> list[torch.Tensor]:
        block, h = BLOCKS[self.spec.block], rmsnorm(x)
        states = [h.expand(block.streams, *h.shape) if block.streams > 1 else h]
        for weights in self.weights[: self.ell]:
            states.append(block.step(states, weights))
        return states

    def final(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised final state, (member, batch, m)."""
        return rmsnorm(self.states(x)[-1])
