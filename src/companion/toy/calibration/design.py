"""What a calibration set is: one toy specification for each regime and width, from a YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from companion.errors import InputError
from companion.settings import Values, Whole, read_record, settings
from companion.toy.specification import Specification, specification

if TYPE_CHECKING:
    import xarray as xr

NAMED = Path(__file__).parent / "named"
REGIMES = ("ensemble", "procedural", "compositional")
"""Regimes that students are trained to be in: by independent, tied and hierarchical teachers."""
KINDS = (*REGIMES, "mixture")


@settings("calibration")
class Design:
    """Students of every regime, width and depth.

    Parameters
    ----------
    name, purpose : str
        What it is called, and what it is for, in a sentence.
    regimes : mapping
        For each regime the keys of a toy specification that differ, and `gains`, `widths`, and
        `chains`: into how many chains of products a hierarchical target is divided.
    common : mapping
        Keys of a toy specification that all share.
    widths : tuple of int
        m of the students; a regime may name its own.
    seed : int
        Seed of everything random.
    """

    name: str
    regimes: dict[str, dict[str, Any]]
    common: dict[str, Any]
    purpose: str = ""
    widths: Values[Whole] = (16,)
    seed: Whole = 0

    @model_validator(mode="after")
    def _check_regimes(self) -> Design:
        unknown = [name for name in self.regimes if name not in KINDS]
        if unknown or not self.regimes:
            raise InputError(f"regimes {unknown} are unknown: use {', '.join(KINDS)}")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML and JSON types; `design(one.to_dict()) == one`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Task:
    """Students of one regime and width, trained together.

    Parameters
    ----------
    regime : str
        One of `KINDS`.
    spec : Specification
    gains : tuple of float
        Factor on the last matrix of every block of the teacher, in turn over its replicates: how
        far a target moves the state must not tell the regime.
    """

    regime: str
    spec: Specification
    gains: tuple[float, ...] = (1.0,)

    @property
    def name(self) -> str:
        """E.g. "ensemble-m16"; that of its file of weights, too."""
        return f"{self.regime}-m{self.spec.width}"

    def gain(self, teacher: int) -> float:
        """Factor of one teacher."""
        return self.gains[teacher % self.spec.teachers % len(self.gains)]


def named() -> list[str]:
    """Names of the designs that come with the package."""
    return sorted(path.stem for path in NAMED.glob("*.yaml"))


def design(source: str | Path | Mapping[str, Any], **changes: Any) -> Design:
    """Read a design: a name of `named()`, a YAML file, or a mapping; then apply `changes`.

    Raises
    ------
    InputError
        If there is no such file or name, a key is unknown, or a value is out of range.
    """
    if isinstance(source, Mapping):
        return Design(**{**source, **changes})
    path = NAMED / f"{source}.yaml" if str(source) in named() else Path(source)
    if not path.is_file():
        raise InputError(
            f"no calibration {str(source)!r}: give a YAML file or one of {', '.join(named())}"
        )
    return Design(**{**read_record(path, "calibration"), **changes})


def tasks(chosen: Design) -> list[Task]:
    """The trainings of a design, the narrowest first: they cost least."""
    return sorted(_tasks(chosen), key=lambda task: task.spec.width)


def by_regime(parts: Sequence[xr.Dataset], each: Sequence[Task]) -> xr.Dataset:
    """Data sets of tasks side by side, along a dimension `regime`."""
    import xarray as xr

    return xr.concat(parts, "regime", join="outer").assign_coords(
        regime=[task.regime for task in each]
    )


def _tasks(chosen: Design) -> Iterator[Task]:
    for regime, own in chosen.regimes.items():
        keys = dict(own)
        gains = tuple(float(gain) for gain in keys.pop("gains", (1.0,)))
        chains = keys.pop("chains", None)
        for width in keys.pop("widths", chosen.widths):
            record = {**chosen.common, **keys, "width": width, "seed": chosen.seed}
            if chains is not None:
                record["teacher_depth"] = width // chains
            yield Task(regime, specification({"name": f"{regime}-m{width}", **record}), gains)
