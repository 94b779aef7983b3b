"""The specification of a ladder: which (m, ell, D) to train, and how; checked before it runs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from companion.errors import InputError
from companion.settings import Distinct, Number, Values, Whole, read_record, settings

HEAD_WIDTH = 32
Count = Annotated[Whole, Field(ge=1)]
Natural = Annotated[Whole, Field(ge=0)]
Positive = Annotated[Number, Field(gt=0)]


@settings("grid")
class Grid:
    """Small language models on a full product of sizes, read from a YAML file of the same keys.

    Every (m, ell, seed, learning rate) is one trunk, trained at a constant rate after warm-up. For
    each D in `tokens` a branch leaves it and decays the rate to zero, so that the loss at every D
    is that of a finished training.
    """

    widths: Values[Count]  # m, channels
    depths: Values[Count]  # ell, blocks
    tokens: Values[Whole]  # D, training tokens of the annealed models
    parallel: Values[Count] = (1,)  # how many blocks stand side by side, reading the same state
    seeds: Values[Natural] = (0,)  # initialisation and data order
    learning_rates: Values[Positive] = (4e-3,)  # of matrices at width `base_width`
    depth_rates: tuple[Positive, ...] = ()  # one for each of `depths`, instead of learning_rates
    base_width: Count = 128  # where the learning rate is stated; matrices use rate * base/m
    vocabulary: Annotated[Whole, Field(ge=257, le=2**16)] = 2048  # of the byte-level BPE, with end
    context: Annotated[Whole, Field(ge=2)] = 256  # tokens a block
    batch: Count = 16  # blocks a step
    warmup: Natural = 50  # steps
    checkpoints: Distinct[Natural] = ()  # steps of the trunk at which the model is kept
    decay_fraction: Annotated[Number, Field(gt=0, lt=1)] = 0.2  # last part of D, rate falls to zero
    weight_decay: Annotated[Number, Field(ge=0)] = 0.1  # of matrices, relative to the learning rate
    clip: Positive = 1.0  # bound of the gradient norm
    branch_scale: Literal["inverse-sqrt-depth", "one"] = "inverse-sqrt-depth"  # branches at first
    evaluate: Count = 200_000  # held-out tokens
    corpus: str = "python-source:train"
    held_out: str = "python-source"

    @model_validator(mode="after")
    def _check_together(self) -> Grid:
        for m in self.widths:
            if m % HEAD_WIDTH:
                raise InputError(
                    f"width {m} is impossible: heads are {HEAD_WIDTH} wide, use a multiple of it"
                )
        for ell, side in itertools.product(self.depths, self.parallel):
            if ell % side:
                raise InputError(f"{ell} blocks do not stand {side} side by side: use a divisor")
        if self.depth_rates and len(self.depth_rates) != len(self.depths):
            raise InputError(
                f"{len(self.depth_rates)} depth_rates for {len(self.depths)} depths: give one each"
            )
        for tokens in self.tokens:
            self._check_tokens(tokens)
        last = max(map(self.branch_start, self.tokens))
        late = [step for step in self.checkpoints if step > last]
        if late:
            raise InputError(f"checkpoint {late[0]} is impossible: the trunk has steps 0 to {last}")
        return self

    def _check_tokens(self, tokens: int) -> None:
        start = self.branch_start(tokens)
        if start <= self.warmup:
            need = round((self.warmup + 1) * self.step_tokens / (1 - self.decay_fraction))
            raise InputError(f"{tokens} tokens end before the warm-up does: use more than {need}")
        if start >= self.steps(tokens):
            raise InputError(
                f"{tokens} tokens leave no step for the decay: use more, or decay over more"
            )

    @property
    def step_tokens(self) -> int:
        """Tokens of one optimiser step."""
        return self.batch * self.context

    def runs(self) -> list[Run]:
        """All trunks, the longest first, so that the time left is never underestimated."""
        tuned = dict(zip(self.depths, self.depth_rates, strict=False))
        shapes = itertools.product(self.widths, self.depths, self.seeds, self.parallel)
        runs = [
            Run(m, ell, seed, rate, side)
            for m, ell, seed, side in shapes
            for rate in ([tuned[ell]] if tuned else self.learning_rates)
        ]
        return sorted(runs, key=lambda run: -(run.m**2) * run.ell)

    def steps(self, tokens: int) -> int:
        """Optimiser steps that `tokens` make."""
        return tokens // self.step_tokens

    def steps_of_a_run(self) -> int:
        """Optimiser steps of one trunk with all of its branches."""
        starts = {tokens: self.branch_start(tokens) for tokens in self.tokens}
        branches = sum(self.steps(tokens) - start for tokens, start in starts.items())
        return max(starts.values()) + branches

    def branch_start(self, tokens: int) -> int:
        """The step at which the branch annealed at D = `tokens` leaves the trunk."""
        return round(self.steps(tokens) * (1 - self.decay_fraction))


@dataclass(frozen=True)
class Run:
    """One trunk of the grid: width m, depth ell, seed, learning rate at the base width.

    `parallel` of its blocks stand side by side; see `model.build`.
    """

    m: int
    ell: int
    seed: int
    learning_rate: float
    parallel: int = 1

    @property
    def name(self) -> str:
        """Unique within a grid, e.g. "m128-ell8-seed0-lr0.004"."""
        side = f"-parallel{self.parallel}" if self.parallel > 1 else ""
        return f"m{self.m}-ell{self.ell}-seed{self.seed}-lr{self.learning_rate:g}{side}"


def tuned(grid: Grid, sweep: str | Path) -> tuple[Grid, tuple[str, ...]]:
    """The grid with each depth at its best rate of a sweep, and what to know of these rates.

    Parameters
    ----------
    grid : Grid
    sweep : path
        Folder of a finished sweep, or a table of one: columns ell, learning_rate, loss, and
        branch_scale, of which only the rows of the grid's count.

    Returns
    -------
    Grid
    tuple of str
        A sentence for each depth whose best rate is the lowest or the highest that was tried.

    Raises
    ------
    InputError
        If the sweep cannot be read, or lacks a depth of the grid.
    """
    import pandas as pd

    path = Path(sweep) / "table.csv" if Path(sweep).is_dir() else Path(sweep)
    try:
        table = pd.read_csv(path)
        table = table[table["branch_scale"] == grid.branch_scale]
        losses = table.pivot_table("loss", "ell", "learning_rate")
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{str(path)!r} is no table of a sweep: {error}") from None
    if missing := set(grid.depths) - set(losses.index):
        raise InputError(f"the sweep {str(path)!r} has no depth {min(missing)}")
    best = {ell: float(losses.loc[ell].idxmin()) for ell in grid.depths}
    ends = {ell: losses.loc[ell].dropna().index for ell in grid.depths}
    notes = [
        f"the best rate of {ell} blocks, {rate:g}, is the {end} that was tried"
        for ell, rate in best.items()
        for end, limit in (("lowest", ends[ell].min()), ("highest", ends[ell].max()))
        if rate == limit
    ]
    return replace(grid, depth_rates=tuple(best.values())), tuple(notes)


def read_grid(path: str | Path) -> Grid:
    """Read and check a grid file.

    Raises
    ------
    InputError
        If the file is missing, is not YAML, has unknown or missing keys, or an impossible shape.
    """
    return Grid(**read_record(path, "grid"))
