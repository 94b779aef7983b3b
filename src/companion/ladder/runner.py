"""Train a whole grid into a folder, run after run or some at the same time, and collect the losses.

The folder holds `grid.json`, `tokenizer.json`, `table.csv`, `provenance.json`, and for each run
`<run>/trunk.safetensors`, `<run>/D<tokens>.safetensors` (checkpoints), their `.jsonl` logs,
`<run>/D<tokens>.json` (the row of the table) and `<run>/D<tokens>/` (the model, Hub layout).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.errors import InputError
from companion.files import atomic, write_json
from companion.ladder import text
from companion.ladder.grid import Grid, Run
from companion.ladder.run import TrainingRun
from companion.ladder.trainer import Trainer
from companion.provenance import provenance
from companion.runs import Progress, claimed, end_with_parent, silent
from companion.runs.shards import ask, finished
from companion.runtime import Runtime
from companion.settings import to_record

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

TIMED_STEPS = 2
Rows = list[dict[str, Any]]
"""Of the table: one for each D and each kept step of a run."""


def train(
    grid: Grid,
    out: str | Path,
    runtime: Runtime,
    *,
    resume: bool = False,
    overwrite: bool = False,
    compiled: bool = False,
    graph: bool = False,
    jobs: int = 1,
    progress: Progress = silent,
    client: Client | None = None,
) -> pd.DataFrame:
    """Train every run of `grid` into folder `out`.

    Parameters
    ----------
    grid : Grid
    out : path
        A new or empty folder, or one of the same grid together with `resume` or `overwrite`.
    runtime : Runtime
        Device; with dtype bfloat16 the masters stay float32.
    resume, overwrite : bool
        Continue what an interrupted call left, or remove it.
    compiled : bool
        Use `torch.compile` (needs a C++ compiler; pays for runs of more than some minutes).
    graph : bool
        Replay each step as one CUDA graph, see `companion.ladder.graphs`.
    jobs : int
        Runs trained at the same time, each in a process with its share of the CPU threads.
    progress : callable
        Called after each step with (step, steps) of a run: its name is the task, its loss, speed
        and share of the device's peak are the note.
    client : distributed.Client, optional
        Its workers train the runs, a job each, in this folder: all machines must see it.

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
    if jobs > 1 and client is not None:
        raise InputError("jobs are processes of this machine: they do not go with shards")
    if graph and not runtime.device.startswith("cuda"):
        raise InputError(f"CUDA graphs need a CUDA device, not {runtime.device!r}")
    if jobs < 1:
        raise InputError(f"{jobs} jobs cannot train anything: use 1 or more")
    record = to_record(grid)
    with claimed(out, record, resume=resume, overwrite=overwrite, record="grid.json") as folder:
        _check_disk(grid, folder)
        texts = text.load_texts(folder, grid)
        corpora = {"train": texts.train_manifest, "held_out": texts.held_out_manifest}
        baselines = text.ngram_losses(texts.train, texts.held_out, grid.vocabulary)
        stamp = ask(client, provenance, runtime, record)
        stamp |= {"jobs": jobs, "corpus": corpora, "baselines": baselines}
        write_json(folder / "provenance.json", stamp)
        how = (runtime, compiled, graph, ask(client, Runtime.matmul_peak, runtime))
        runs = [TrainingRun(grid, run, folder / run.name, *how) for run in grid.runs()]
        in_turn = (run.train(texts, progress) for run in runs)
        rows: Rows = []
        if client is not None:
            in_turn = _on_workers(client, runs, progress)
        for part in _in_parallel(runs, jobs, progress) if jobs > 1 else in_turn:
            rows += part
            table = _write_table(rows, folder)
    return table


def estimate(grid: Grid, runtime: Runtime) -> float:
    """Seconds that `train` takes here in one process, from a few steps of every shape."""
    return sum(_seconds_a_step(grid, run, runtime) for run in grid.runs()) * grid.steps_of_a_run()


@cache
def _seconds_a_step(grid: Grid, run: Run, runtime: Runtime) -> float:
    """Of the shape; seed and rate do not matter."""
    alike = replace(run, seed=0, learning_rate=1.0)
    if alike != run:
        return _seconds_a_step(grid, alike, runtime)
    blocks = np.zeros(((TIMED_STEPS + 1) * grid.batch, grid.context), np.int64)
    trainer = Trainer(grid, run, blocks, runtime)

    def steps(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            figures = trainer.update(0.0)
        figures.tolist()  # waits for a GPU
        return time.perf_counter() - began

    steps(1)
    return steps(TIMED_STEPS) / TIMED_STEPS


def _check_disk(grid: Grid, out: Path) -> None:
    """Refuse to start what cannot be stored."""
    there = sum(file.stat().st_size for file in out.rglob("*.safetensors"))
    need = sum(_bytes(grid, run) for run in grid.runs()) - there
    free = shutil.disk_usage(out).free
    if free < need:
        raise InputError(f"the grid needs {need / 1e9:.1f} GB on disk, {free / 1e9:.1f} are free")


def _bytes(grid: Grid, run: Run) -> int:
    """Upper bound of what one run stores: checkpoints of three floats, models of two bytes.

    Checkpoints are the trunk, a branch for each D, and the one that is being replaced.
    """
    entries = 2 * grid.vocabulary * run.m + run.ell * 13 * run.m**2 + 10_000
    kept = len(grid.tokens)
    return entries * (12 * (kept + 2) + 2 * (kept + len(grid.checkpoints)))


def _in_parallel(runs: list[TrainingRun], jobs: int, progress: Progress) -> Iterator[Rows]:
    """Rows of each run in their order, from `jobs` processes that report through a queue."""
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(
        jobs, context, _start_process, (reports, threads, os.getpid())
    ) as pool:
        futures = [pool.submit(_train_in_process, run) for run in runs]
        try:
            for future in futures:
                while not future.done():
                    with contextlib.suppress(queue.Empty):
                        done, more = reports.get(timeout=0.5)
                        progress(*done, **more)
                yield future.result()
        except BaseException:
            for child in multiprocessing.active_children():
                child.terminate()
            raise


_reports: Any = None


def _start_process(reports: Any, threads: int, parent: int) -> None:
    import torch

    end_with_parent(parent)
    global _reports
    _reports = reports
    torch.set_num_threads(threads)


def _train_in_process(run: TrainingRun) -> Rows:
    texts = text.load_texts(run.folder.parent, run.grid)
    return run.train(texts, lambda *done, **more: _reports.put((done, more)))


def _on_workers(client: Client, runs: list[TrainingRun], progress: Progress) -> Iterator[Rows]:
    """Rows of each run in their order, from the workers of a client."""
    there = [replace(run, folder=run.folder.resolve()) for run in runs]
    jobs = {run.run.name: (run,) for run in there}
    found: dict[str, Rows] = {}
    for name, rows in finished(client, _train_on_worker, dict(jobs), progress):
        found[name] = rows
        while jobs and (first := next(iter(jobs))) in found:
            del jobs[first]
            yield found.pop(first)


def _train_on_worker(run: TrainingRun, report: Progress) -> Rows:
    return run.train(text.load_texts(run.folder.parent, run.grid), report)


def _write_table(rows: Rows, out: Path) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows)
    with atomic(out / "table.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table
