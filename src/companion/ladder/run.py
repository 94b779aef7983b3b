"""One training run inside its folder: trunk, branches, held-out losses, models."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from companion.files import write_json
from companion.ladder.graphs import GraphedTrainer
from companion.ladder.grid import Grid, Run
from companion.ladder.model import flops_per_token, logits
from companion.ladder.text import Texts
from companion.ladder.trainer import Diverged, Trainer, advance
from companion.runs import Progress
from companion.runtime import Runtime
from companion.statistics.intervals import Interval, clustered_mean


@dataclass(frozen=True)
class TrainingRun:
    """A run of a grid, the folder that it trains in, and where it computes.

    `peak` is the device's rate of large matrix products in flops a second.
    """

    grid: Grid
    run: Run
    folder: Path
    runtime: Runtime
    compiled: bool
    graph: bool
    peak: float

    def train(self, texts: Texts, progress: Progress) -> list[dict[str, Any]]:
        """Rows of all D and kept steps of this run; those that exist are read, not trained again.

        Rows of kept steps come first; a run that diverged lacks those after its last finite loss.
        """
        wanted = sorted(self.grid.tokens)
        if not all(self._result(f"D{D}").exists() for D in wanted):
            self.folder.mkdir(exist_ok=True)
            kind = GraphedTrainer if self.graph else Trainer
            trainer = kind(self.grid, self.run, texts.train, self.runtime)
            if self.compiled:
                trainer.compile()
            for D in wanted:
                if not self._result(f"D{D}").exists():
                    self._reach(trainer, D, texts, progress)
        names = [f"step{step}" for step in self.grid.checkpoints] + [f"D{D}" for D in wanted]
        files = [file for file in map(self._result, names) if file.exists()]
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def _result(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _reach(self, trainer: Trainer, D: int, texts: Texts, progress: Progress) -> None:
        """Train up to the model annealed at D, and keep it with its row."""
        try:
            self._anneal(trainer, D, texts, progress)
            self._keep(trainer, f"D{D}", True, texts)
        except Diverged as reason:
            failed = {"loss": None, "loss_sem": None, "status": str(reason)}
            self._store(f"D{D}", self._facts(trainer, self.grid.steps(D), True) | failed)

    def _anneal(self, trainer: Trainer, D: int, texts: Texts, progress: Progress) -> None:
        """Bring the trunk to where the branch of D leaves it, then train the branch."""
        trunk, branch = self.folder / "trunk.safetensors", self.folder / f"D{D}.safetensors"
        name, steps = f"{self.run.name} D={D:.2g}", self.grid.steps(D)
        share = flops_per_token(trainer.net) / self.peak

        def report(step: int, loss: float, speed: float) -> None:
            note = f"loss {loss:.3f}, {speed:,.0f} tokens/s, {speed * share:.0%} of peak"
            progress(step, steps, note=note, task=name)

        if branch.exists():
            trainer.load(branch)
        else:
            if trunk.exists():
                trainer.load(trunk)
            start = self.grid.branch_start(D)
            for stop in sorted({start, *(s for s in self.grid.checkpoints if s <= start)}):
                if stop >= trainer.step:
                    advance(trainer, stop, None, trunk, report)
                    if stop in self.grid.checkpoints:
                        self._keep(trainer, f"step{stop}", False, texts)
        advance(trainer, steps, D, branch, report)

    def _keep(self, trainer: Trainer, name: str, annealed: bool, texts: Texts) -> None:
        """Save the model as it is, then write its row with the held-out loss.

        Blocks side by side are of no architecture of the Hub: their checkpoint is all that is kept.
        """
        if self.run.parallel == 1:
            trainer.save_pretrained(self.folder / name)
        loss = held_out_loss(trainer, texts.held_out, texts.documents)
        if not math.isfinite(loss.estimate):
            raise Diverged(f"{self.run.name}: held-out loss {loss.estimate} at step {trainer.step}")
        measured = {"loss": loss.estimate, "loss_sem": loss.stderr, "status": "ok"}
        self._store(name, self._facts(trainer, trainer.step, annealed) | measured)

    def _store(self, name: str, row: dict[str, Any]) -> None:
        write_json(self._result(name), row)

    def _facts(self, trainer: Trainer, steps: int, annealed: bool) -> dict[str, Any]:
        run, grid = self.run, self.grid
        trained = steps * grid.step_tokens
        return {
            "m": run.m,
            "ell": run.ell,
            "parallel": run.parallel,
            "D": trained,
            "seed": run.seed,
            "N": sum(p.numel() for p in trainer.net.parameters()),
            "flops": flops_per_token(trainer.net) * trained,
            "learning_rate": run.learning_rate,
            "branch_scale": grid.branch_scale,
            "annealed": annealed,
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
            scores = logits(trainer.net, ids)[:, :-1].float().flatten(0, 1)
            losses.append(cross_entropy(scores, ids[:, 1:].flatten(), reduction="none"))
    return clustered_mean(torch.cat(losses).cpu().numpy(), documents[:, 1:].ravel())
