"""The specification of a ladder: which (m, ell, D) to train, and how; checked before it runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from companion.errors import InputError

HEAD_WIDTH = 32


@dataclass(frozen=True)
class Grid:
    """A factorial suite of small language models, read from a YAML file of the same keys.

    Every (m, ell, seed, learning rate) is one trunk, trained at a constant rate after warm-up. For
    each D in `tokens` a branch leaves it and decays the rate to zero, so that the loss at every D
    is that of a finished training.
    """

    widths: tuple[int, ...]  # m, channels
    depths: tuple[int, ...]  # ell, blocks
    tokens: tuple[int, ...]  # D, training tokens of the annealed models
    seeds: tuple[int, ...] = (0,)  # initialisation and data order
    learning_rates: tuple[float, ...] = (4e-3,)  # of matrices at width `base_width`
    base_width: int = 128  # width at which the learning rate is stated; matrices use rate * base/m
    vocabulary: int = 2048  # tokens of the byte-level BPE
    context: int = 256  # tokens a block
    batch: int = 16  # blocks a step
    warmup: int = 50  # steps
    checkpoints: tuple[int, ...] = ()  # steps of the trunk at which the model is kept, not annealed
    decay_fraction: float = 0.2  # last part of D over which the rate falls linearly to zero
    weight_decay: float = 0.1  # of matrices, relative to the learning rate
    clip: float = 1.0  # bound of the gradient norm
    branch_scale: str = "inverse-sqrt-depth"  # initial residual branches, or "one"
    evaluate: int = 200_000  # held-out tokens
    corpus: str = "python-source:train"
    held_out: str = "python-source"

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise InputError(problem)

    @property
    def step_tokens(self) -> int:
        """Tokens of one optimiser step."""
        return self.batch * self.context

    def runs(self) -> list[Run]:
        """All trunks, the longest first, so that the time left is never underestimated."""
        shapes = itertools.product(self.widths, self.depths, self.seeds, self.learning_rates)
        runs = [Run(m, ell, seed, rate) for m, ell, seed, rate in shapes]
        return sorted(runs, key=lambda run: -(run.m**2) * run.ell)

    def steps(self, tokens: int) -> int:
        """Optimiser steps that `tokens` make."""
        return tokens // self.step_tokens

    def branch_start(self, tokens: int) -> int:
        """The step at which the branch annealed at D = `tokens` leaves the trunk."""
        return round(self.steps(tokens) * (1 - self.decay_fraction))


@dataclass(frozen=True)
class Run:
    """One trunk of the grid: width m, depth ell, seed, learning rate at the base width."""

    m: int
    ell: int
    seed: int
    learning_rate: float

    @property
    def name(self) -> str:
        """Unique within a grid, e.g. "m128-ell8-seed0-lr0.004"."""
        return f"m{self.m}-ell{self.ell}-seed{self.seed}-lr{self.learning_rate:g}"


LEAST = {"base_width": 1, "context": 2, "batch": 1, "warmup": 0, "evaluate": 1}


def _problems(grid: Grid) -> Iterator[str]:
    for name, least in LEAST.items():
        if getattr(grid, name) < least:
            yield f"{name} {getattr(grid, name)} is impossible: use {least} or more"
    for name in ("widths", "depths", "tokens", "seeds", "learning_rates", "checkpoints"):
        if len(set(getattr(grid, name))) < len(getattr(grid, name)):
            yield f"{name} {list(getattr(grid, name))} must differ from one another"
    for rate in (*grid.learning_rates, grid.clip):
        if not 0 < rate < math.inf:
            yield f"learning_rates and clip must be above 0 and finite, {rate} is not"
    if not 0 <= grid.weight_decay < math.inf:
        yield f"weight_decay {grid.weight_decay} must be 0 or more"
    if min(grid.seeds, default=0) < 0:
        yield f"seeds {list(grid.seeds)} must be 0 or more"
    if not 0 < grid.decay_fraction < 1:
        yield f"decay_fraction {grid.decay_fraction} must lie between 0 and 1"
    for name in ("widths", "depths", "tokens", "seeds", "learning_rates"):
        if not getattr(grid, name):
            yield f"the grid has no {name}"
    for m in grid.widths:
        if m < HEAD_WIDTH or m % HEAD_WIDTH:
            yield f"width {m} is impossible: heads are {HEAD_WIDTH} wide, use a multiple of it"
    for ell in grid.depths:
        if ell < 1:
            yield f"depth {ell} is impossible: use 1 or more"
    for tokens in grid.tokens:
        if grid.warmup < grid.branch_start(tokens) >= grid.steps(tokens):
            yield f"{tokens} tokens leave no step for the decay: use more, or decay over more"
        if grid.branch_start(tokens) <= grid.warmup:
            need = round((grid.warmup + 1) * grid.step_tokens / (1 - grid.decay_fraction))
            yield f"{tokens} tokens end before the warm-up does: use more than {need}"
    last = max(map(grid.branch_start, grid.tokens), default=0)
    for step in grid.checkpoints:
        if not 0 <= step <= last:
            yield f"checkpoint {step} is impossible: the trunk has steps 0 to {last}"
    if not 257 <= grid.vocabulary <= 2**16:
        yield f"a vocabulary of {grid.vocabulary} is impossible: use 257 (bytes and end) to {2**16}"
    if grid.branch_scale not in ("inverse-sqrt-depth", "one"):
        yield f'branch_scale {grid.branch_scale!r} is unknown: use "inverse-sqrt-depth" or "one"'


def read_grid(path: str | Path) -> Grid:
    """Read and check a grid file.

    Raises
    ------
    InputError
        If the file is missing, is not YAML, has unknown or missing keys, or an impossible shape.
    """
    try:
        record = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise InputError(f"grid file {str(path)!r} cannot be read") from None
    except yaml.YAMLError as error:
        raise InputError(
            f"grid file {str(path)!r} is not YAML: {str(error).splitlines()[0]}"
        ) from None
    if not isinstance(record, dict):
        raise InputError(f"grid file {str(path)!r} must map keys such as widths to values")
    return make_grid(record)


def make_grid(record: dict[str, Any]) -> Grid:
    """A grid from plain values; lists become tuples, numbers such as 4e6 whole where they must."""
    known = {f.name: f.type for f in fields(Grid)}
    for key in record:
        if key not in known:
            raise InputError(f"grid key {key!r} is unknown: known are {', '.join(known)}")
    for key in ("widths", "depths", "tokens"):
        if key not in record:
            raise InputError(f"the grid needs the key {key!r}")
    return Grid(**{key: _typed(key, value, str(known[key])) for key, value in record.items()})


def _typed(key: str, value: Any, kind: str) -> Any:
    one = {"int": int, "float": float, "str": str}[kind.removeprefix("tuple[").split(",")[0]]
    try:
        if not kind.startswith("tuple"):
            return _exactly(one, value)
        if not isinstance(value, list | tuple):
            raise TypeError
        return tuple(_exactly(one, item) for item in value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"grid key {key!r} cannot be {value!r}: it is of type {kind}") from None


def _exactly(kind: type, value: Any) -> Any:
    if isinstance(value, bool) or value is None or (kind is str and not isinstance(value, str)):
        raise ValueError(value)
    converted = kind(float(value)) if kind is int else kind(value)
    if kind is int and converted != float(value):
        raise ValueError(value)
    return converted


def to_record(grid: Grid) -> dict[str, Any]:
    """Plain values that `make_grid` reads back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(grid).items()}
