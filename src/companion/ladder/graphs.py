"""The training step as one CUDA graph: its small kernels no longer wait for their launches.

Off unless asked for, and not run on a GPU yet: `python -m pytest -m gpu tests/ladder`, then
`python benchmarks/ladder.py --device cuda --graph`.
"""

from __future__ import annotations

from typing import Any

from companion.ladder.trainer import Trainer

PLAIN_STEPS = 2
"""Steps before the recording: they make Adam's moments and the libraries' workspaces."""


class GraphedTrainer(Trainer):
    """A trainer on CUDA that records its third step and replays it for each later one."""

    fetch = 16

    def __init__(self, *trained: Any) -> None:
        import torch

        super().__init__(*trained)
        for group in self.optimizer.param_groups:
            rate = torch.zeros((), device=self.runtime.torch_device)  # a replay reads it there
            group.update(capturable=True, lr=rate)
        self._plain_steps = PLAIN_STEPS
        self._graph: Any = None

    def set_rates(self, factor: float) -> None:
        """Learning rates of the next step, written where the graph reads them."""
        for group in self.optimizer.param_groups:
            group["lr"].fill_(group["peak"] * factor)

    def descend(self, ids: Any) -> tuple[Any, Any]:
        """One step of Adam on blocks `ids` (batch, position): its loss and gradient norm."""
        if self._plain_steps:
            self._plain_steps -= 1
            return self._aside(ids)
        if self._graph is None:
            self._graph = self._record(ids)
        self._ids.copy_(ids)
        self._graph.replay()
        return self._figures

    def _aside(self, ids: Any) -> tuple[Any, Any]:
        """A plain step on a stream of its own, as a recording needs before it."""
        import torch

        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            figures = super().descend(ids)
        torch.cuda.current_stream().wait_stream(aside)
        return figures

    def _record(self, ids: Any) -> Any:
        """Record the step on the memory of `ids`; no weight is changed."""
        import torch

        self._ids, graph = ids, torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._figures = super().descend(ids)
        return graph
