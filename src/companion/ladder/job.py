"""One run inside its folder: trunk, branches, held-out losses, exported models."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from companion.ladder.grid import Grid, Run
from companion.ladder.model import flops_per_token
from companion.ladder.text import Texts
from companion.ladder.trainer import Diverged, Trainer, advance
from companion.runtime import Runtime, atomic
from companion.statistics.intervals import Interval, clustered_mean

Progress = Callable[[str, int, int, float, float], None]
"""Called after each step with the run's name, step, steps, loss and tokens per second."""


@dataclass(frozen=True)
class Job:
    """A run of a grid, the folder that it trains in, and where it computes."""

    grid: Grid
    run: Run
    folder: Path
    runtime: Runtime
    compiled: bool

    def train(self, texts: Texts, progress: Progress) -> list[dict[str, Any]]:
        """Rows of all D of this run; those that exist are read, not trained again."""
        wanted = sorted(self.grid.tokens)
        if not all(self._result(D).exists() for D in wanted):
            self.folder.mkdir(exist_ok=True)
            trainer = Trainer(self.grid, self.run, texts.train, self.runtime)
            if self.compiled:
                trainer.net.compile()
            for D in wanted:
                if not self._result(D).exists():
                    self._store(D, self._row(trainer, D, texts, progress))
        return [json.loads(self._result(D).read_text(encoding="utf-8")) for D in wanted]

    def _result(self, D: int) -> Path:
        return self.folder / f"D{D}.json"

    def _store(self, D: int, row: dict[str, Any]) -> None:
        with atomic(self._result(D)) as temporary:
            temporary.write_text(json.dumps(row), encoding="utf-8")

    def _row(self, trainer: Trainer, D: int, texts: Texts, progress: Progress) -> dict[str, Any]:
        try:
            self._anneal(trainer, D, progress)
            loss = held_out_loss(trainer, texts.held_out, texts.documents)
            measured = {"loss": loss.estimate, "loss_sem": loss.stderr, "status": "ok"}
            trainer.export(self.folder / f"D{D}")
        except Diverged as reason:
            measured = {"loss": None, "loss_sem": None, "status": str(reason)}
        return self._facts(trainer, D) | measured

    def _anneal(self, trainer: Trainer, D: int, progress: Progress) -> None:
        """Bring the trunk to where the branch of D leaves it, then train the branch."""
        trunk, branch = self.folder / "trunk.safetensors", self.folder / f"D{D}.safetensors"
        name, steps = f"{self.run.name} D={D:.2g}", self.grid.steps(D)

        def report(step: int, loss: float, speed: float) -> None:
            progress(name, step, steps, loss, speed)

        if branch.exists():
            trainer.load(branch)
        else:
            if trunk.exists():
                trainer.load(trunk)
            start = self.grid.branch_start(D)
            for stop in sorted({start, *(s for s in self.grid.checkpoints if s < start)}):
                if stop >= trainer.step:
                    advance(trainer, stop, None, trunk, report)
                    self._keep(trainer)
        advance(trainer, steps, D, branch, report)

    def _keep(self, trainer: Trainer) -> None:
        if trainer.step in self.grid.checkpoints:
            trainer.export(self.folder / f"step{trainer.step}")

    def _facts(self, trainer: Trainer, D: int) -> dict[str, Any]:
        run, grid = self.run, self.grid
        trained = grid.steps(D) * grid.step_tokens
        return {
            "m": run.m,
            "ell": run.ell,
            "D": trained,
            "seed": run.seed,
            "N": sum(p.numel() for p in trainer.net.parameters()),
            "flops": flops_per_token(trainer.net) * trained,
            "learning_rate": run.learning_rate,
            "annealed": True,
        }


def held_out_loss(trainer: Trainer, tokens: np.ndarray, documents: np.ndarray) -> Interval:
    """Next-token loss in float32 on blocks, with its interval clustered by document."""
    import torch
    from torch.nn.functional import cross_entropy

    losses = []
    with torch.no_grad():
        for start in range(0, len(tokens), trainer.grid.batch):
            ids = torch.from_numpy(tokens[start : start + trainer.grid.batch].astype(np.int64))
            ids = ids.to(trainer.runtime.torch_device)
            logits = trainer.net(ids).logits[:, :-1].float().flatten(0, 1)
            losses.append(cross_entropy(logits, ids[:, 1:].flatten(), reduction="none"))
    return clustered_mean(torch.cat(losses).cpu().numpy(), documents[:, 1:].ravel())
