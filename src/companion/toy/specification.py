"""What a toy experiment is: a small YAML file, checked before anything starts.

The suite of the paper lies in `named/` beside this module, one file for each set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from companion.errors import InputError
from companion.settings import Number, Values, Whole, one_of, read_record, settings, to_record
from companion.toy.networks.blocks import BLOCKS

NAMED = Path(__file__).parent / "named"
Count = Annotated[Whole, Field(ge=1)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Rate = Annotated[Number, Field(ge=1e-12)]


@settings("specification")
class Specification:
    """A teacher-student experiment; the defaults are the dimensions of the paper.

    Parameters
    ----------
    name, purpose : str
        What it is called, and what it is for, in a sentence.
    teacher : str
        "residual" (a random residual network) or "parity" (chains of products of signs).
    teacher_depth : int
        Blocks of the teacher, or length of the chains.
    rho : tuple of float
        Correlation of the teacher's blocks: 0 independent, 1 tied; one teacher for each.
    teachers, seeds : int
        Replicates of each teacher, and of the students of each.
    loss, head : str
        "kl" with a "learned" or the teacher's "given" head, or "mse" on the final state ("none").
    temperatures : tuple of float
        tau of the target softmax(logits / tau); only for "kl".
    depths : tuple of int
        Blocks ell of the students.
    block : str
        One of `networks.blocks.BLOCKS`.
    width, expansion, vocabulary, batch, steps : int
        m, hidden width over m, V, samples a step, steps.
    lr, lr_depth : float
        Adam's learning rate; with `lr_depth` d it is lr sqrt(d / ell), else the same for all.
    decay_from, decay_to : float
        From this fraction of the steps on, the rate falls linearly to this fraction of itself.
    test_batches, times : int
        Batches of fresh data, and how many logarithmically spaced steps they are used at.
    seed : int
        Seed of everything random.
    """

    name: str
    purpose: str = ""
    teacher: Literal["residual", "parity"] = "residual"
    teacher_depth: Count = 128
    rho: Values[Fraction] = (0.0,)
    teachers: Count = 3
    seeds: Count = 1
    loss: Literal["kl", "mse"] = "kl"
    head: Literal["learned", "given", "none"] = "learned"
    temperatures: Values[Annotated[Number, Field(ge=1e-6)]] = (1.0,)
    depths: Values[Count] = (6, 12, 16, 24, 32, 48)
    block: Annotated[str, one_of(BLOCKS)] = "euler"
    width: Count = 32
    expansion: Count = 4
    vocabulary: Count = 128
    batch: Count = 1024
    steps: Count = 40_000
    lr: Rate = 6e-4
    lr_depth: Rate | None = None
    decay_from: Fraction = 1.0
    decay_to: Fraction = 0.1
    test_batches: Count = 10
    times: Count = 24
    seed: Annotated[Whole, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check_together(self) -> Specification:
        if (self.loss == "mse") != (self.head == "none"):
            raise InputError(
                f"head {self.head!r} does not fit loss {self.loss!r}: mse goes with none"
            )
        if self.loss == "mse" and len(self.temperatures) > 1:
            raise InputError("temperatures have no meaning with loss 'mse': leave them out")
        if self.teacher == "parity" and (self.loss != "mse" or self.width % self.teacher_depth):
            raise InputError(
                f"a parity teacher needs loss 'mse' and a teacher_depth that divides the width "
                f"{self.width}, got {self.loss!r} and {self.teacher_depth}"
            )
        return self

    @property
    def hidden(self) -> int:
        """Hidden width of a block."""
        return self.expansion * self.width

    @property
    def members(self) -> int:
        """Students of one depth: teachers x temperatures x seeds."""
        return len(self.rho) * self.teachers * len(self.temperatures) * self.seeds

    def learning_rate(self, ell: int, step: int) -> float:
        """Learning rate of a student of depth `ell` at `step`, counted from 0."""
        base = self.lr * (math.sqrt(self.lr_depth / ell) if self.lr_depth else 1.0)
        start = self.decay_from * self.steps
        if step < start:
            return base
        left = (self.steps - step) / (self.steps - start)
        return base * (self.decay_to + (1 - self.decay_to) * left)

    def flops_per_step(self) -> int:
        """Multiplications and additions of one step in matrix products, teacher included once."""
        block = 4 * self.width * self.hidden * self.batch
        students = 3 * block * BLOCKS[self.block].evaluations * sum(self.depths) * self.members
        if self.loss == "kl":
            readout = 2 * self.width * self.vocabulary * self.batch * self.members
            students += (3 if self.head == "learned" else 2) * readout * len(self.depths)
        teacher = block * self.teacher_depth * len(self.rho) * self.teachers
        return students + (teacher if self.teacher == "residual" else 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML and JSON types; `specification(spec.to_dict()) == spec`."""
        return to_record(self)


def named() -> list[str]:
    """Names of the specifications that come with the package."""
    return sorted(path.stem for path in NAMED.glob("*.yaml"))


def specification(source: str | Path | Mapping[str, Any], **changes: Any) -> Specification:
    """Read a specification: a name of `named()`, a YAML file, or a mapping; then apply `changes`.

    `temperatures` may be a list or {from, to, count}, which is spaced logarithmically.

    Raises
    ------
    InputError
        If there is no such file or name, a key is unknown, or a value is out of range.
    """
    record = {**_read(source), **changes}
    if isinstance(record.get("temperatures"), Mapping):
        record["temperatures"] = _spaced(record["temperatures"])
    if not isinstance(record.get("name"), str):
        raise InputError("the specification has no name: add name: ...")
    return Specification(**record)


def _read(source: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    path = NAMED / f"{source}.yaml" if str(source) in named() else Path(source)
    if not path.is_file():
        raise InputError(
            f"no specification {str(source)!r}: give a YAML file or one of {', '.join(named())}"
        )
    return read_record(path, "specification")


def _spaced(rule: Mapping[str, Any]) -> tuple[float, ...]:
    try:
        low, high, count = float(rule["from"]), float(rule["to"]), int(rule["count"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(
            f"temperatures {dict(rule)} need from, to and count, all numbers"
        ) from None
    if set(rule) > {"from", "to", "count"}:
        raise InputError(f"temperatures {dict(rule)} need from, to and count, and nothing else")
    if not (0 < low < math.inf and 0 < high < math.inf) or count < 2:
        raise InputError(f"temperatures {dict(rule)} need from > 0, to > 0 and count > 1")
    step = math.log(high / low) / (count - 1)
    return tuple(low * math.exp(step * i) for i in range(count))
