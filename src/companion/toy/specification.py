"""What a toy experiment is: a small YAML file, checked before anything starts.

The suite of the paper lies in `named/` beside this module, one file for each set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from companion.errors import InputError

TEACHERS = ("residual", "parity")
LOSSES = ("kl", "mse")
HEADS = ("learned", "given", "none")
BLOCKS = ("euler", "midpoint", "gated", "depth_attention", "post_norm", "scaled_norm", "streams")
LISTS = ("rho", "temperatures", "depths")
NAMED = Path(__file__).parent / "named"


@dataclass(frozen=True)
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
        One of `BLOCKS`.
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
    teacher: str = "residual"
    teacher_depth: int = 128
    rho: tuple[float, ...] = (0.0,)
    teachers: int = 3
    seeds: int = 1
    loss: str = "kl"
    head: str = "learned"
    temperatures: tuple[float, ...] = (1.0,)
    depths: tuple[int, ...] = (6, 12, 16, 24, 32, 48)
    block: str = "euler"
    width: int = 32
    expansion: int = 4
    vocabulary: int = 128
    batch: int = 1024
    steps: int = 40_000
    lr: float = 6e-4
    lr_depth: float | None = None
    decay_from: float = 1.0
    decay_to: float = 0.1
    test_batches: int = 10
    times: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        for name in LISTS:
            if not isinstance(getattr(self, name), list | tuple):
                raise InputError(f"{name} {getattr(self, name)!r} must be a list, such as [1]")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_choices(self)
        _check_numbers(self)
        _check_together(self)

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
        evaluations = 2 if self.block == "midpoint" else 1
        students = 3 * block * evaluations * sum(self.depths) * self.members
        if self.loss == "kl":
            readout = 2 * self.width * self.vocabulary * self.batch * self.members
            students += (3 if self.head == "learned" else 2) * readout * len(self.depths)
        teacher = block * self.teacher_depth * len(self.rho) * self.teachers
        return students + (teacher if self.teacher == "residual" else 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML and JSON types; `specification(spec.to_dict()) == spec`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


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
    known = [field.name for field in fields(Specification)]
    for key in record:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
            raise InputError(f"unknown key {key!r} in the specification: {hint}")
    record = {key: _number(value) for key, value in record.items()}
    if isinstance(record.get("temperatures"), Mapping):
        record["temperatures"] = _spaced(record["temperatures"])
    if not isinstance(record.get("name"), str):
        raise InputError("the specification has no name: add name: ...")
    return Specification(**record)


def _read(source: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    import yaml

    path = NAMED / f"{source}.yaml" if str(source) in named() else Path(source)
    if not path.is_file():
        raise InputError(
            f"no specification {str(source)!r}: give a YAML file or one of {', '.join(named())}"
        )
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{str(source)!r} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(record, Mapping):
        raise InputError(f"{str(source)!r} is not a specification: it has no keys")
    return record


def _number(value: Any) -> Any:
    """YAML 1.1 takes 1e-3 for a word: read such words, alone or in a list, as the numbers meant."""
    if isinstance(value, list | tuple):
        return [_number(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+", value):
        return float(value)
    return value


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


def _check_choices(spec: Specification) -> None:
    choices = {"teacher": TEACHERS, "loss": LOSSES, "head": HEADS, "block": BLOCKS}
    for name, allowed in choices.items():
        if getattr(spec, name) not in allowed:
            raise InputError(f"{name} {getattr(spec, name)!r} must be one of {', '.join(allowed)}")


def _check_numbers(spec: Specification) -> None:
    counts = ("teacher_depth", "teachers", "seeds", "width", "expansion", "vocabulary")
    for name in (*counts, "batch", "steps", "test_batches", "times", "depths"):
        values = spec.depths if name == "depths" else (getattr(spec, name),)
        if not values or any(type(v) is not int or v < 1 for v in values):
            raise InputError(f"{name} {getattr(spec, name)!r} must be 1 or more, whole")
    _within("rho", spec.rho, 0, 1)
    _within("temperatures", spec.temperatures, 1e-6, math.inf)
    for name in LISTS:
        if len(set(getattr(spec, name))) < len(getattr(spec, name)):
            raise InputError(f"{name} {list(getattr(spec, name))} must differ from one another")
    _within("lr", (spec.lr,), 1e-12, math.inf)
    if spec.lr_depth is not None:
        _within("lr_depth", (spec.lr_depth,), 1e-12, math.inf)
    _within("decay_from", (spec.decay_from,), 0, 1)
    _within("decay_to", (spec.decay_to,), 0, 1)
    if type(spec.seed) is not int or spec.seed < 0:
        raise InputError(f"seed {spec.seed!r} must be a whole number, 0 or more")


def _within(name: str, values: tuple[float, ...], low: float, high: float) -> None:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if (
        not values
        or len(numbers) < len(values)
        or any(not low <= v <= high or math.isinf(v) for v in numbers)
    ):
        given = values[0] if len(values) == 1 else list(values)
        bounds = f"{low:g} or more" if math.isinf(high) else f"between {low:g} and {high:g}"
        raise InputError(f"{name} {given!r} must be {bounds}")


def _check_together(spec: Specification) -> None:
    if (spec.loss == "mse") != (spec.head == "none"):
        raise InputError(f"head {spec.head!r} does not fit loss {spec.loss!r}: mse goes with none")
    if spec.loss == "mse" and len(spec.temperatures) > 1:
        raise InputError("temperatures have no meaning with loss 'mse': leave them out")
    if spec.teacher == "parity" and (spec.loss != "mse" or spec.width % spec.teacher_depth):
        raise InputError(
            f"a parity teacher needs loss 'mse' and a teacher_depth that divides the width "
            f"{spec.width}, got {spec.loss!r} and {spec.teacher_depth}"
        )
