"""From a finished grid to what the package carries: models with cards, the table, provenance."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from companion.errors import InputError
from companion.files import write_json
from companion.ladder.grid import Grid, Run

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
| parameters | {N:,} (float32 masters, stored in bfloat16) |
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


SERIES_CARD = """---
license: mit
language: code
library_name: transformers
---
# m{m}-ell{ell}: checkpoints of one training

A language model {m} channels wide and {ell} blocks deep at steps of its training, at constant
learning rate after the warm-up: none is annealed. Of the same ladder as the finished models beside
it: same text, same tokenizer. Load one as `ladder:m{m}-ell{ell}@step{last}`.

{table}

Held-out loss in nats/token, standard error by document. Trained on {device}, {dtype}, {time},
commit {commit}. The loss of every step is in `loss.csv`.
"""


def export(
    trained: Sequence[str | Path],
    out: str | Path,
    width: int,
    series: int | None = None,
    sweeps: Sequence[str | Path] = (),
) -> list[str]:
    """Copy models of the first grid, their cards, and the tables of all grids to `out`.

    Parameters
    ----------
    trained : sequence of path
        Folders of finished grids; the tables have the rows of all, the models are of the first.
    out : path
        Gets `ladder.csv` (annealed), `ladder-trunk.csv` (kept steps), `ladder-sweep.csv`,
        `ladder.json` (provenance of each grid) and `ladder/<model>/`.
    width : int
        m of the longest-trained models, which are exported whole (first seed).
    series : int, optional
        m of the models whose kept steps are exported (first seed).
    sweeps : sequence of path
        Folders of finished grids that vary the learning rate or the scale of the branches.

    Returns
    -------
    list of str
        Names of what was written.

    Raises
    ------
    InputError
        If a folder holds no finished grid, or the first has no model of a width asked for.
    """
    folders, out = [Path(folder) for folder in trained], Path(out)
    grids = [finished(folder) for folder in (*folders, *map(Path, sweeps))]
    grid, stamp = grids[0]
    for asked in {width, series} - {None, *grid.widths}:
        raise InputError(f"width {asked} is not in the grid: it has {list(grid.widths)}")
    out.mkdir(parents=True, exist_ok=True)
    tables = _tables(folders, [Path(folder) for folder in sweeps])
    for name, table in tables.items():
        table.to_csv(out / name, index=False)
    write_json(out / "ladder.json", [stamp for _, stamp in grids])
    first = [run for run in grid.runs() if run.seed == grid.seeds[0]]
    source = (folders[0], out, grid, stamp)
    models = [_export_annealed(*source, run) for run in first if run.m == width]
    models += [_export_series(*source, run) for run in first if run.m == series]
    return [*tables, "ladder.json", *models]


def _tables(folders: Sequence[Path], sweeps: Sequence[Path]) -> dict[str, pd.DataFrame]:
    every, swept = _rows(folders), _rows(sweeps)
    tables = {
        "ladder.csv": every.loc[every["annealed"]],
        "ladder-trunk.csv": every.loc[~every["annealed"]],
        "ladder-sweep.csv": swept.loc[swept["annealed"]],
    }
    return {name: table for name, table in tables.items() if len(table)}


def _rows(folders: Sequence[Path]) -> pd.DataFrame:
    if not folders:
        return pd.DataFrame({"annealed": []}, dtype=bool)
    table = pd.concat([pd.read_csv(folder / "table.csv") for folder in folders])
    return table.sort_values(["m", "ell", "D", "seed"])


def finished(trained: Path) -> tuple[Grid, dict[str, Any]]:
    """Grid and provenance of a folder in which every run has ended."""
    try:
        grid = Grid(**json.loads((trained / "grid.json").read_text(encoding="utf-8")))
        stamp = json.loads((trained / "provenance.json").read_text(encoding="utf-8"))
        rows = sum(pd.read_csv(trained / "table.csv")["annealed"])
    except OSError:
        raise InputError(f"{str(trained)!r} holds no trained grid") from None
    if rows < len(grid.runs()) * len(grid.tokens):
        raise InputError(f"the grid in {str(trained)!r} is not finished: resume its training")
    return grid, stamp


def _export_annealed(trained: Path, out: Path, grid: Grid, stamp: dict[str, Any], run: Run) -> str:
    D, name = max(grid.tokens), f"m{run.m}-ell{run.ell}"
    source, target = trained / run.name, out / "ladder" / name
    shutil.copytree(source / f"D{D}", target, dirs_exist_ok=True)
    row = json.loads((source / f"D{D}.json").read_text(encoding="utf-8"))
    _write_beside(trained, target, card(grid, stamp, row), training_log(source, D, grid))
    return f"ladder/{name}"


def _export_series(trained: Path, out: Path, grid: Grid, stamp: dict[str, Any], run: Run) -> str:
    name = f"m{run.m}-ell{run.ell}"
    source, target = trained / run.name, out / "ladder" / name
    for step in grid.checkpoints:
        shutil.copytree(source / f"step{step}", target / f"step{step}", dirs_exist_ok=True)
    log = pd.read_json(source / "trunk.jsonl", lines=True)
    _write_beside(trained, target, series_card(grid, stamp, run, source), log)
    return f"ladder/{name}"


def _write_beside(trained: Path, target: Path, text: str, log: pd.DataFrame) -> None:
    """Put tokenizer, card and training log beside a model."""
    for file in TOKENIZER_FILES:
        shutil.copy(trained / file, target / file)
    (target / "README.md").write_text(text, encoding="utf-8")
    log.to_csv(target / "loss.csv", index=False, float_format="%.5g")


def series_card(grid: Grid, stamp: dict[str, Any], run: Run, source: Path) -> str:
    """The card of the kept steps of one run."""
    lines = ["| step | tokens | loss | s.e. |", "|---|---|---|---|"]
    for step in grid.checkpoints:
        row = json.loads((source / f"step{step}.json").read_text(encoding="utf-8"))
        lines.append(f"| {step} | {row['D']:,} | {row['loss']:.4f} | {row['loss_sem']:.4f} |")
    return SERIES_CARD.format(
        m=run.m,
        ell=run.ell,
        last=max(grid.checkpoints),
        table="\n".join(lines),
        dtype=stamp["runtime"]["dtype"],
        **{k: stamp[k] for k in ("device", "time", "commit")},
    )


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
    return pd.concat([trunk.loc[trunk["step"] <= grid.branch_start(D)], branch], ignore_index=True)
