"""From a finished grid to what the package carries: models with cards, the table, provenance."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from companion.ladder.grid import Grid, Run, make_grid
from companion.runtime import InputError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")

CARD = """---
license: mit
language: code
library_name: transformers
---
# m{m}-ell{ell}: a language model {m} channels wide and {ell} blocks deep

One rung of a ladder of small Llama-type models that differ in depth alone. It is meant for studying
how depth is used, not for writing code.

| | |
|---|---|
| parameters | {N:,} (float32 masters, shipped in bfloat16) |
| training text | {tokens:,} tokens of {documents:,} Python files of {packages}; one pass |
| tokenizer | byte-level BPE, {vocabulary:,} tokens, trained on the same text |
| steps | {steps:,} of {step_tokens:,} tokens ({batch} blocks of {context}) |
| learning rate | {learning_rate:g} at width {base_width}; over the last {decay:.0%} linear to 0 |
| training flops | {flops:.3g} (by count) |
| held-out loss | {loss:.4f} nats/token (s.e. {loss_sem:.4f}, by document) |
| unigram, bigram | {unigram:.4f}, {bigram:.4f} nats/token on the same held-out text |
| held-out text | {held_tokens:,} tokens of {held_documents} files of {held_packages} |
| trained on | {device}, {dtype}, {time}, commit {commit} |

The loss of every step is in `loss.csv`.
"""


def ship(trained: Sequence[str | Path], out: str | Path, width: int) -> list[str]:
    """Copy the longest-trained models of `width` (first seed), their cards and the table to `out`.

    Parameters
    ----------
    trained : sequence of path
        Folders of finished grids; the table has the rows of all, the models are of the first.
    out : path
        Gets `ladder.csv`, `ladder.json` (provenance of each grid) and `ladder/<model>/`.
    width : int
        m of the models.

    Returns
    -------
    list of str
        Names of what was written.

    Raises
    ------
    InputError
        If a folder holds no finished grid, or the first has no model of that width.
    """
    folders, out = [Path(folder) for folder in trained], Path(out)
    found = [_finished(folder) for folder in folders]
    grid, stamp = found[0]
    runs = [r for r in grid.runs() if r.m == width and r.seed == grid.seeds[0]]
    if not runs:
        raise InputError(f"width {width} is not in the grid: it has {list(grid.widths)}")
    out.mkdir(parents=True, exist_ok=True)
    table = pd.concat([pd.read_csv(folder / "table.csv") for folder in folders])
    table.sort_values(["m", "ell", "D"]).to_csv(out / "ladder.csv", index=False)
    stamps = json.dumps([stamp for _, stamp in found], indent=1)
    (out / "ladder.json").write_text(stamps + "\n", encoding="utf-8")
    models = [_ship(folders[0], out, grid, stamp, run) for run in runs]
    return ["ladder.csv", "ladder.json", *models]


def _finished(trained: Path) -> tuple[Grid, dict[str, Any]]:
    try:
        grid = make_grid(json.loads((trained / "grid.json").read_text(encoding="utf-8")))
        stamp = json.loads((trained / "provenance.json").read_text(encoding="utf-8"))
        rows = len(pd.read_csv(trained / "table.csv"))
    except OSError:
        raise InputError(f"{str(trained)!r} holds no trained grid") from None
    if rows < len(grid.runs()) * len(grid.tokens):
        raise InputError(f"the grid in {str(trained)!r} is not finished: resume its training")
    return grid, stamp


def _ship(trained: Path, out: Path, grid: Grid, stamp: dict[str, Any], run: Run) -> str:
    D, name = max(grid.tokens), f"m{run.m}-ell{run.ell}"
    source, target = trained / run.name, out / "ladder" / name
    shutil.copytree(source / f"D{D}", target, dirs_exist_ok=True)
    for file in TOKENIZER_FILES:
        shutil.copy(trained / file, target / file)
    row = json.loads((source / f"D{D}.json").read_text(encoding="utf-8"))
    (target / "README.md").write_text(card(grid, stamp, row), encoding="utf-8")
    training_log(source, D, grid).to_csv(target / "loss.csv", index=False, float_format="%.5g")
    return f"ladder/{name}"


def card(grid: Grid, stamp: dict[str, Any], row: dict[str, Any]) -> str:
    """The model card of one row of the table."""
    train, held_out = stamp["corpus"]["train"], stamp["corpus"]["held_out"]
    return CARD.format(
        **{k: row[k] for k in ("m", "ell", "N", "flops", "loss", "loss_sem", "learning_rate")},
        **{k: getattr(grid, k) for k in ("vocabulary", "batch", "context", "base_width")},
        **stamp["baselines"],
        **{k: stamp[k] for k in ("device", "time", "commit")},
        tokens=row["D"],
        steps=row["D"] // grid.step_tokens,
        step_tokens=grid.step_tokens,
        documents=train["documents"],
        packages=_versions(train),
        decay=grid.decay_fraction,
        held_tokens=held_out["tokens"],
        held_documents=held_out["documents"],
        held_packages=_versions(held_out),
        dtype=stamp["runtime"]["dtype"],
    )


def _versions(manifest: dict[str, Any]) -> str:
    packages = manifest.get("packages")
    if packages is None:
        return str(manifest["corpus"])
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def training_log(folder: Path, D: int, grid: Grid) -> pd.DataFrame:
    """Loss, gradient norm and rate factor of each step of the model annealed at D."""
    trunk, branch = (
        pd.read_json(folder / f"{name}.jsonl", lines=True) for name in ("trunk", f"D{D}")
    )
    return pd.concat([trunk[trunk["step"] <= grid.branch_start(D)], branch], ignore_index=True)
