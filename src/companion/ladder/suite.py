"""Train a whole grid into a folder, run after run, and collect the table of losses.

The folder holds `grid.json`, `tokenizer.json`, `table.csv`, `provenance.json`, and for each run
`<run>/trunk.safetensors`, `<run>/D<tokens>.safetensors` (checkpoints), their `.jsonl` logs,
`<run>/D<tokens>.json` (the row of the table) and `<run>/D<tokens>/` (the model, Hub layout).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.corpus import DOCUMENT_TOKENS
from companion.ladder import text
from companion.ladder.grid import Grid, Run, to_record
from companion.ladder.model import flops_per_token
from companion.ladder.trainer import Diverged, Trainer, advance
from companion.runtime import InputError, Runtime, atomic, provenance
from companion.statistics.intervals import clustered_mean

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str, int, int, float, float], None]


def train(
    grid: Grid,
    out: str | Path,
    runtime: Runtime,
    *,
    resume: bool = False,
    compiled: bool = False,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Train every run of `grid` into folder `out`.

    Parameters
    ----------
    grid : Grid
    out : path
        A new or empty folder, or one of the same grid together with `resume`.
    runtime : Runtime
        Device; with dtype bfloat16 the masters stay float32.
    resume : bool
        Continue what an interrupted call left.
    compiled : bool
        Use `torch.compile` (needs a C++ compiler; pays for runs of more than some minutes).
    progress : callable, optional
        Called as `progress(name, step, steps, loss, tokens_per_second)`.

    Returns
    -------
    DataFrame
        One row per (m, ell, D, seed, learning rate): loss in nats/token on the held-out text, its
        standard error clustered by document, N parameters, flops; `status` is "ok" or says why a
        run has no loss.

    Raises
    ------
    InputError
        If the folder holds something else, the corpus is too small, or the disk is too full.
    """
    out = Path(out)
    _claim_folder(grid, out, resume)
    tokenizer = text.load_tokenizer(out, grid)
    tokens, _, train_manifest = text.load_blocks(
        out, grid.corpus, tokenizer, grid.context, max(grid.tokens)
    )
    held_out = text.load_blocks(
        out, grid.held_out, tokenizer, grid.context, grid.evaluate, DOCUMENT_TOKENS
    )
    stamp = provenance(
        runtime,
        to_record(grid),
        corpus={"train": train_manifest, "held_out": held_out[2]},
        baselines=text.ngram_losses(tokens, held_out[0], grid.vocabulary),
    )
    (out / "provenance.json").write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    rows: list[dict[str, Any]] = []
    for run in grid.runs():
        job = _Job(grid, run, out / run.name, runtime, compiled, progress)
        rows += job.train(tokens, held_out)
        _write_table(rows, out)
    return _write_table(rows, out)


def _claim_folder(grid: Grid, out: Path, resume: bool) -> None:
    """Refuse to mix grids in one folder, or to start what cannot be stored."""
    record = json.dumps(to_record(grid), indent=1)
    mark = out / "grid.json"
    if mark.exists():
        if mark.read_text(encoding="utf-8") != record:
            raise InputError(f"{str(out)!r} holds another grid: choose another folder")
        if not resume:
            raise InputError(f"{str(out)!r} holds this grid already: add --resume to continue it")
    elif out.exists() and any(out.iterdir()):
        raise InputError(f"{str(out)!r} is not empty and holds no grid: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    need = sum(_bytes(grid, run) for run in grid.runs())
    free = shutil.disk_usage(out).free
    if free < need:
        raise InputError(f"the grid needs {need / 1e9:.1f} GB on disk, {free / 1e9:.1f} are free")
    mark.write_text(record, encoding="utf-8")


def _bytes(grid: Grid, run: Run) -> int:
    """Upper bound of what one run stores: checkpoints of three floats, models of two bytes."""
    entries = 2 * grid.vocabulary * run.m + run.ell * 13 * run.m**2
    return entries * (12 * 2 + 2 * len(grid.tokens))


class _Job:
    """One run inside its folder."""

    def __init__(
        self,
        grid: Grid,
        run: Run,
        folder: Path,
        runtime: Runtime,
        compiled: bool,
        progress: Progress | None,
    ) -> None:
        self.grid, self.run, self.folder, self.runtime = grid, run, folder, runtime
        self.compiled, self.progress = compiled, progress

    def train(self, tokens: np.ndarray, held_out: Any) -> list[dict[str, Any]]:
        """Rows of all D of this run; those that exist are read, not trained again."""
        wanted = sorted(self.grid.tokens)
        if all(self._result(D).exists() for D in wanted):
            return [json.loads(self._result(D).read_text(encoding="utf-8")) for D in wanted]
        self.folder.mkdir(exist_ok=True)
        trainer = Trainer(self.grid, self.run, tokens, self.runtime)
        if self.compiled:
            trainer.net.compile()
        rows = []
        for D in wanted:
            if not self._result(D).exists():
                row = self._row(trainer, D, held_out)
                with atomic(self._result(D)) as temporary:
                    temporary.write_text(json.dumps(row), encoding="utf-8")
            rows.append(json.loads(self._result(D).read_text(encoding="utf-8")))
        return rows

    def _result(self, D: int) -> Path:
        return self.folder / f"D{D}.json"

    def _row(self, trainer: Trainer, D: int, held_out: Any) -> dict[str, Any]:
        try:
            self._anneal(trainer, D)
            loss = held_out_loss(trainer, held_out[0], held_out[1])
            measured = {"loss": loss.estimate, "loss_sem": loss.stderr, "status": "ok"}
            trainer.export(self.folder / f"D{D}")
        except Diverged as reason:
            measured = {"loss": None, "loss_sem": None, "status": str(reason)}
        return self._facts(trainer, D) | measured

    def _anneal(self, trainer: Trainer, D: int) -> None:
        """Bring the trunk to where the branch of D leaves it, then train the branch."""
        trunk, branch = self.folder / "trunk.safetensors", self.folder / f"D{D}.safetensors"
        if branch.exists():
            trainer.load(branch)
        else:
            if trunk.exists():
                trainer.load(trunk)
            advance(trainer, self.grid.branch_start(D), None, trunk, self._report(D))
        advance(trainer, self.grid.steps(D), D, branch, self._report(D))

    def _report(self, D: int) -> Callable[[int, float, float], None]:
        name, steps = f"{self.run.name} D={D:.2g}", self.grid.steps(D)
        progress = self.progress or (lambda *_: None)
        return lambda step, loss, speed: progress(name, step, steps, loss, speed)

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


def held_out_loss(trainer: Trainer, tokens: np.ndarray, documents: np.ndarray) -> Any:
    """Next-token loss in float32 on blocks, with its interval clustered by document."""
    import torch
    from torch.nn.functional import cross_entropy

    losses = []
    with torch.no_grad():
        for start in range(0, len(tokens), trainer.grid.batch):
            ids = torch.from_numpy(tokens[start : start + trainer.grid.batch].astype(np.int64))
            ids = ids.to(trainer.runtime.torch_device)
            logits = trainer.net(ids).logits[:, :-1].float()
            losses.append(
                cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
            )
    return clustered_mean(torch.cat(losses).cpu().numpy(), documents[:, 1:].ravel())


def _write_table(rows: list[dict[str, Any]], out: Path) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows)
    with atomic(out / "table.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table
