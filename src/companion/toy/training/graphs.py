"""The training step as one CUDA graph: a single launch in place of some thousand small kernels.

Teacher, students, gradients and Adam are recorded once and replayed on the same memory, so the
sums are those of the plain step. Off unless asked for: it has not been measured yet whether it
pays (`python benchmarks/toy.py --device cuda --graph`).
"""

from __future__ import annotations

import torch

from companion.errors import InputError
from companion.runtime import Runtime
from companion.toy.networks import draws
from companion.toy.specification import Specification
from companion.toy.training.engine import Engine

WARM_UP = 3


class GraphedEngine(Engine):
    """An engine that records its first step and replays it for each other one.

    Raises
    ------
    InputError
        If the device is not CUDA.
    """

    def __init__(self, spec: Specification, runtime: Runtime, group: int | None = None) -> None:
        if not runtime.device.startswith("cuda"):
            raise InputError(f"CUDA graphs need a CUDA device, not {runtime.device!r}")
        super().__init__(spec, runtime, group)
        self._graph: torch.cuda.CUDAGraph | None = None

    def advance(self) -> list[torch.Tensor]:
        """One step of Adam for every student; the training losses (member,) of each stack."""
        if self._graph is None:
            self._graph = self._record()
        self._x.copy_(self._inputs())
        self.set_rates()
        self._graph.replay()
        self.step += 1
        return [each.clone() for each in self._losses]

    def _record(self) -> torch.cuda.CUDAGraph:
        """The step on `_x`, on the state that Adam has by now."""
        self._x = self._inputs()
        for adam in self.optimizers:
            for group in adam.param_groups:
                rate = torch.tensor(group["lr"], dtype=torch.float32, device=self.device)
                group.update(capturable=True, lr=rate)
        self._warm_up()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._losses = self.train(self.teachers.answer(self._x))
        return graph

    def _warm_up(self) -> None:
        """Forward and backward a few times aside, as recording needs; no weight is changed."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                targets = self.teachers.answer(self._x)
                for stack, adam in zip(self.stacks, self.optimizers, strict=True):
                    self.loss(stack, targets).sum().backward()
                    adam.zero_grad()
        torch.cuda.current_stream().wait_stream(aside)

    def _inputs(self) -> torch.Tensor:
        return draws.inputs(self.spec, draws.TRAIN, self.step, self.device).to(self.dtype)
