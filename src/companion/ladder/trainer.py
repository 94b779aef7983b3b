"""One training run: a trunk at constant rate, branches that decay, checkpoints that lose nothing.

The state is (weights, Adam moments, step). The batch of a step is a function of the seed and the
step alone, so a run that was killed continues to the same result, bit for bit on the same CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from companion.errors import InputError
from companion.files import atomic
from companion.ladder.grid import Grid, Run
from companion.ladder.model import build, logits, parameter_groups
from companion.runs import Every, Journal
from companion.runtime import Runtime

CHECKPOINT_SECONDS = 60.0
STRETCH = 4096
"""Blocks shuffled together: a longer training of the same seed begins as a shorter one does."""


class Diverged(RuntimeError):
    """The loss of a run is no longer finite."""


class Trainer:
    """Weights, optimiser and step of one run on one device."""

    fetch = 1
    """Steps between two looks at the losses."""

    def __init__(self, grid: Grid, run: Run, tokens: np.ndarray, runtime: Runtime) -> None:
        import torch

        self.grid, self.run, self.runtime = grid, run, runtime
        self.tokens = tokens
        self.order = shuffled(len(tokens), run.seed)
        self.net = build(grid, run).to(runtime.torch_device)
        groups = parameter_groups(self.net, grid, run)
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=True)
        self.step = 0

    def compile(self) -> None:
        """Compile the blocks: one after another, so that the first serves all."""
        for block in self.net.model.layers:
            block.compile()

    def batch(self, step: int) -> Any:
        """Token ids (batch, position) of one step."""
        import torch

        blocks = self.order[step * self.grid.batch : (step + 1) * self.grid.batch]
        ids = torch.from_numpy(self.tokens[blocks].astype(np.int64))
        return ids.to(self.runtime.torch_device)

    def update(self, factor: float) -> Any:
        """One step at `factor` times the peak rates; a tensor of loss (nats/token), gradient norm.

        A GPU is not waited for.
        """
        import torch

        self.set_rates(factor)
        figures = self.descend(self.batch(self.step))
        self.step += 1
        return torch.stack(figures)

    def set_rates(self, factor: float) -> None:
        """Learning rates of the next step, `factor` times their peaks."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor

    def descend(self, ids: Any) -> tuple[Any, Any]:
        """One step of Adam on blocks `ids` (batch, position): its loss and gradient norm."""
        import torch

        loss = self.loss(ids)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.grid.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach(), norm

    def loss(self, ids: Any) -> Any:
        """Mean next-token cross-entropy of blocks `ids` (batch, position), in nats."""
        import torch
        from torch.nn.functional import cross_entropy

        kind = self.runtime.torch_dtype
        device = self.runtime.torch_device.type
        with torch.autocast(device, kind, enabled=kind != torch.float32):
            scores = logits(self.net, ids)[:, :-1]
        return cross_entropy(scores.float().flatten(0, 1), ids[:, 1:].flatten())

    def save(self, path: Path) -> None:
        """Write weights, moments and step to one file, atomically."""
        from safetensors.torch import save as serialised

        state = {}
        for name, weight in self.net.named_parameters():
            state[f"weight/{name}"] = weight.detach()
            for key, value in self.optimizer.state.get(weight, {}).items():
                state[f"{key}/{name}"] = value
        with atomic(path) as temporary:
            about = {"step": str(self.step), "run": self.run.name}
            temporary.write_bytes(serialised(state, about))

    def load(self, path: Path) -> None:
        """Continue from a file that `save` wrote.

        Raises
        ------
        InputError
            If the file is damaged or belongs to another run.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt", device=str(self.runtime.torch_device)) as stored:
                about = stored.metadata()
                state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise InputError(f"checkpoint {path} is damaged ({error}): remove it") from error
        if about["run"] != self.run.name:
            raise InputError(f"checkpoint {path} is of {about['run']}, not of {self.run.name}")
        self.step = int(about["step"])
        with torch.no_grad():
            for name, weight in self.net.named_parameters():
                weight.copy_(state[f"weight/{name}"])
                kept = self.optimizer.state[weight]
                for key in ("step", "exp_avg", "exp_avg_sq"):
                    value = state[f"{key}/{name}"]
                    kept[key] = kept[key].copy_(value) if key in kept else value

    def save_pretrained(self, folder: Path) -> None:
        """Write the model in Hub layout, weights rounded to bfloat16."""
        import torch
        from safetensors.torch import save_file

        folder.mkdir(exist_ok=True)
        rounded = {
            name: weight.detach().to("cpu", torch.bfloat16, copy=True)
            for name, weight in self.net.named_parameters()
        }
        save_file(rounded, folder / "model.safetensors", metadata={"format": "pt"})
        self.net.config.architectures = [type(self.net).__name__]
        self.net.config.dtype = "bfloat16"
        self.net.config.save_pretrained(folder)


def shuffled(blocks: int, seed: int) -> np.ndarray:
    """The order in which blocks are read, shuffled within stretches of `STRETCH`."""
    generator = np.random.default_rng([seed, 1])
    starts = range(0, blocks, STRETCH)
    return np.concatenate([s + generator.permutation(min(STRETCH, blocks - s)) for s in starts])


def schedule(grid: Grid, branch: int | None, step: int) -> float:
    """Factor of the peak rate at `step`: linear warm-up, one, linear decay to 0 on a branch.

    `branch` is the D of the branch, None on the trunk.
    """
    warm = min(1.0, (step + 1) / grid.warmup) if grid.warmup else 1.0
    if branch is None:
        return warm
    start, end = grid.branch_start(branch), grid.steps(branch)
    return warm * min(1.0, (end - step) / (end - start))


def advance(
    trainer: Trainer,
    stop: int,
    branch: int | None,
    checkpoint: Path,
    report: Callable[[int, float, float], None],
) -> None:
    """Train to step `stop`, with a checkpoint every minute and at the end.

    `report(step, loss, tokens per second)` is called after each step, and the step's loss, gradient
    norm and rate are appended to `<checkpoint>.jsonl`.

    Raises
    ------
    Diverged
        If the loss is not finite.
    """
    import torch

    due = Every(CHECKPOINT_SECONDS)
    with Journal(checkpoint.with_suffix(".jsonl"), lambda row: row["step"] <= trainer.step) as log:
        while trainer.step < stop:
            began, steps = (
                time.monotonic(),
                range(trainer.step, min(trainer.step + trainer.fetch, stop)),
            )
            factors = [schedule(trainer.grid, branch, step) for step in steps]
            figures = torch.stack([trainer.update(factor) for factor in factors]).tolist()
            speed = len(steps) * trainer.grid.step_tokens / (time.monotonic() - began)
            for step, factor, (loss, norm) in zip(steps, factors, figures, strict=True):
                if not math.isfinite(loss):
                    raise Diverged(f"{trainer.run.name}: loss {loss} at step {step + 1}")
                log.append({"step": step + 1, "loss": loss, "gradient_norm": norm, "rate": factor})
                report(step + 1, loss, speed)
            if due.due():
                log.flush()
                trainer.save(checkpoint)
    trainer.save(checkpoint)
