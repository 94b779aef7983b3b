"""The registry: every claim once, from `data/claims.yaml`, with the ranges that count and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from companion.errors import InputError
from companion.settings import settings

REGISTRY = Path(__file__).resolve().parents[1] / "data" / "claims.yaml"


@dataclass(frozen=True)
class Range:
    """What a claim predicts for one quantity, from `low` to `high`, and why these ends."""

    low: float
    high: float
    why: str

    @classmethod
    def of(cls, given: list[Any]) -> Range:
        """From [low, high, why]; null is no bound."""
        low, high, why = given
        return cls(-math.inf if low is None else low, math.inf if high is None else high, why)

    @property
    def words(self) -> str:
        """Its ends in words, e.g. "at least 0.5"."""
        if math.isinf(self.low) and math.isinf(self.high):
            return "anything"
        if math.isinf(self.high):
            return f"at least {self.low:.4g}"
        if math.isinf(self.low):
            return f"at most {self.high:.4g}"
        return f"{self.low:.4g} to {self.high:.4g}"


@settings("claim")
class Entry:
    """One claim as the registry has it; see the head of the file for its keys."""

    statement: str
    source: str
    whose: Literal["paper", "ours"]
    question: str
    estimand: str
    parts: dict[str, Any]
    holds: Literal["every", "each", "any"] = "every"
    about: tuple[str, ...] = ()
    needs: dict[str, float] | None = None
    statistic: tuple[str, ...] = ()

    def range(self, part: str) -> Range:
        """The range of a part; with a single part its name may be left out.

        Raises
        ------
        KeyError
            If the claim has no such part.
        """
        (name,) = self.parts if not part and len(self.parts) == 1 else (part,)
        given = self.parts[name]
        return ranges()[given] if isinstance(given, str) else Range.of(given)


@cache
def _file() -> Mapping[str, Any]:
    return yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))


@cache
def ranges() -> dict[str, Range]:
    """Ranges that several claims share, by name."""
    return {name: Range.of(given) for name, given in _file()["ranges"].items()}


def questions() -> dict[str, str]:
    """The ledger's groups: what each asks, in the order in which they stand."""
    return dict(_file()["questions"])


@cache
def registry() -> dict[str, Entry]:
    """All claims by key, in the order of the ledger."""
    return {key: Entry(**given) for key, given in _file()["claims"].items()}


def worded(*keys: str) -> dict[str, str]:
    """The ranges of claims in words, for prose: by key, or by key and part where it has several."""
    return {
        key if len(entry(key).parts) == 1 else f"{key}-{part}": entry(key).range(part).words
        for key in keys
        for part in entry(key).parts
    }


def entry(key: str) -> Entry:
    """The claim of that key.

    Raises
    ------
    InputError
        If there is none.
    """
    if key not in registry():
        raise InputError(f"claim {key!r} is not registered: data/claims.yaml has all of them")
    return registry()[key]
