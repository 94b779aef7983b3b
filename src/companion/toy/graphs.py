"""The training step as one CUDA graph: a single launch in place of some thousand small kernels.

Teacher, students, gradients and Adam are recorded once and replayed on the same memory, so the
sums are those of the plain step. Off unless asked for: it has not been measured yet whether it
pays (`python benchmarks/toy.py --device cuda --graph`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from companion.toy import draws

if TYPE_CHECKING:
    from companion.toy.engine import Engine

WARM_UP = 3


class Graph:
    """Recorded from an engine on a CUDA device, whose Adam has its state; call it for each step."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.x = engine, self._inputs(engine)
        for adam in engine.optimizers:
            for group in adam.param_groups:
                rate = torch.tensor(group["lr"], dtype=torch.float32, device=engine.device)
                group.update(capturable=True, lr=rate)
        self._warm_up()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = engine.train(engine.teachers.answer(self.x))

    def __call__(self) -> list[torch.Tensor]:
        """One step on the batch of `engine.step`; training losses (member,) of each stack."""
        self.x.copy_(self._inputs(self.engine))
        self.engine.set_rates()
        self.graph.replay()
        return [each.clone() for each in self.losses]

    def _warm_up(self) -> None:
        """Forward and backward a few times aside, as recording needs; no weight is changed."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                targets = self.engine.teachers.answer(self.x)
                for stack, adam in zip(self.engine.stacks, self.engine.optimizers, strict=True):
                    self.engine.loss(stack, targets).sum().backward()
                    adam.zero_grad()
        torch.cuda.current_stream().wait_stream(aside)

    @staticmethod
    def _inputs(engine: Engine) -> torch.Tensor:
        return draws.inputs(engine.spec, draws.TRAIN, engine.step, engine.device).to(engine.dtype)
