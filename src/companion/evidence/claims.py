"""A claim: what is said, what a run measured, and the verdict that follows.

The verdict is computed from intervals, never written by hand; `judging` makes claims.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from companion.evidence.registry import Range

CLAIM_MIME = "application/vnd.companion.claim+json"
REPRODUCED = "reproduced"
PARTLY = "partly"
UNDECIDED = "undecided"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable here"
NO_EVIDENCE = "no evidence"
SHOWN = 2  # measurements in a claim's box before the rest is folded
VERDICTS = (REPRODUCED, PARTLY, UNDECIDED, NOT_REPRODUCED, NOT_TESTABLE)


@dataclass(frozen=True)
class Measurement:
    """One measured quantity, its interval, and the range that a claim predicts for it.

    Parameters
    ----------
    name : str
    estimate, low, high : float
        The interval at confidence `level`; of a `spread`, least and largest of several estimates.
    part : str
        Which part of its claim it measures; the registry has that part's range.
    unit : str
    level : float
    spread : bool
        Whether it is a range of estimates, compared as a range and shown as one.
    idle : str
        Why it is no evidence, e.g. that an untrained network passes too.
    expected_low, expected_high : float
        What the claim predicts, infinite without a bound; `judge` takes it from the registry.
    """

    name: str
    estimate: float
    low: float
    high: float
    part: str = ""
    unit: str = ""
    level: float = 0.95
    spread: bool = False
    idle: str = ""
    expected_low: float = -math.inf
    expected_high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"{self.name}: interval [{self.low}, {self.high}] is not an interval")
        if not self.expected_low <= self.expected_high:
            raise ValueError(f"{self.name}: the expected range is empty")

    @property
    def verdict(self) -> str:
        """Reproduced if the interval lies in the expected range, not if it lies outside."""
        if self.idle:
            return NO_EVIDENCE
        if self.low >= self.expected_low and self.high <= self.expected_high:
            return REPRODUCED
        if self.high < self.expected_low or self.low > self.expected_high:
            return NOT_REPRODUCED
        return UNDECIDED


@dataclass(frozen=True)
class Claim:
    """A claim beside the measurements of one run; `companion.evidence.judge` makes it.

    Parameters
    ----------
    key : str
        Its name in the registry, e.g. "rotation-inverse-depth".
    statement : str
        The claim in our own words.
    source : str
        Its place, e.g. "paper, figure 2c".
    scope : mapping
        What the verdict holds for: model, data, size.
    measurements : tuple of Measurement
        Empty only where `untestable` says why nothing could be measured.
    untestable : str
        Why this run cannot test the claim.
    whose, question, holds : str
        From the registry: "paper" or "ours"; the group in the ledger; "every", "each" or "any".
    run : str
        "live" or "stored".
    size : float
        How much went into it, to tell the better of two runs of one claim.
    """

    key: str
    statement: str
    source: str
    scope: Mapping[str, str]
    measurements: tuple[Measurement, ...] = ()
    untestable: str = ""
    whose: str = "paper"
    question: str = ""
    holds: str = "every"
    run: str = "live"
    size: float = 0.0
    chapter: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not self.measurements and not self.untestable:
            raise ValueError(f"claim {self.key!r} needs either measurements or a reason for none")

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`, by `combined`."""
        return NOT_TESTABLE if self.untestable else combined(self.measurements, self.holds)

    @property
    def anchor(self) -> str:
        """Its place on its page: a stored run has one of its own."""
        return f"claim-{self.key}" + ("" if self.run == "live" else f"-{self.run}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the verdict; unbounded sides are null."""
        record = asdict(self) | {"scope": dict(self.scope), "verdict": self.verdict}
        record["measurements"] = [
            {k: _finite(v) for k, v in asdict(m).items()} | {"verdict": m.verdict}
            for m in self.measurements
        ]
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Claim:
        """The inverse of `to_dict`."""
        known = {one.name for one in fields(cls)} - {"measurements"}
        measurements = tuple(_measurement(m) for m in record["measurements"])
        values = {name: value for name, value in record.items() if name in known}
        return cls(**values, measurements=measurements)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        return {
            "text/html": box(self),
            "text/plain": f"[{self.verdict}] {self.statement}",
            CLAIM_MIME: self.to_dict(),
        }


def combined(measurements: Iterable[Measurement], holds: str = "every") -> str:
    """The verdict of several measurements together; what is no evidence does not count.

    "every": one contradicted measurement contradicts a universal claim, whatever else is open.
    "each": the parts are statements of their own, so that some may hold and others not: partly.
    "any": one that holds suffices; contradicted only if all are.
    """
    counted = [m for m in measurements if not m.idle]
    if not counted:
        return NOT_TESTABLE
    parts = {m.part for m in counted}
    if holds == "each" and len(parts) > 1:
        verdicts = {combined([m for m in counted if m.part == part]) for part in parts}
        if {REPRODUCED, NOT_REPRODUCED} <= verdicts:
            return PARTLY
    else:
        verdicts = {m.verdict for m in counted}
    if len(verdicts) == 1:
        return verdicts.pop()
    deciding = REPRODUCED if holds == "any" else NOT_REPRODUCED
    return deciding if deciding in verdicts else UNDECIDED


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _measurement(record: Mapping[str, Any]) -> Measurement:
    unbounded: dict[str, Any] = {"low": -math.inf, "expected_low": -math.inf}
    unbounded |= {"high": math.inf, "expected_high": math.inf, "estimate": math.nan}
    known = {one.name for one in fields(Measurement)}
    values: dict[str, Any] = {k: v for k, v in record.items() if k in known}
    return Measurement(**{k: unbounded[k] if v is None else v for k, v in values.items()})


def box(claim: Claim) -> str:
    """The claim box of a chapter, as HTML; what bears the verdict in sight, the rest folded."""
    ranked = sorted(claim.measurements, key=lambda one: one.verdict != claim.verdict)
    rows = [f"<li>{_measured(m)}</li>" for m in ranked]
    measured = f"<ul>{''.join(rows[:SHOWN])}</ul>" if rows else ""
    measured += f"<p>{html.escape(claim.untestable)}</p>" if claim.untestable else ""
    more = f", and {len(rows) - SHOWN} more measured" if rows[SHOWN:] else ""
    rest = f"<ul>{''.join(rows[SHOWN:])}</ul>" if rows[SHOWN:] else ""
    scope = ", ".join(f"{key}: {value}" for key, value in claim.scope.items())
    style = claim.verdict.replace(" ", "-")
    run = "" if claim.run == "live" else f" ({claim.run} run)"
    return (
        f'<div class="admonition claim claim-{style}" id="{html.escape(claim.anchor)}">'
        f'<p class="admonition-title">Claim: {claim.verdict}{run}</p>'
        f"<p>{html.escape(claim.statement)} <em>({html.escape(claim.source)}"
        f"{'; our test' if claim.whose == 'ours' else ''})</em></p>"
        f"{measured}<details><summary>Scope{more}</summary>{rest}"
        f"<p>{html.escape(scope)}</p></details></div>"
    )


def _measured(m: Measurement) -> str:
    why = f" ({html.escape(m.idle)})" if m.idle else ""
    return (
        f"{html.escape(m.name)}: <strong>{m.estimate:.4g}</strong>{_unit(m)}, {interval_words(m)}; "
        f"expected {expected(m)}: {m.verdict}{why}"
    )


def _unit(m: Measurement) -> str:
    return f" {html.escape(m.unit)}" if m.unit else ""


def interval_words(m: Measurement) -> str:
    """Its interval or range in words, e.g. "95% interval [0.9, 1.1]"."""
    kind = "range" if m.spread else f"{m.level:.0%} interval"
    return f"{kind} [{m.low:.4g}, {m.high:.4g}]"


def expected(m: Measurement) -> str:
    """The expected range in words, e.g. "at least 0.5"."""
    return Range(m.expected_low, m.expected_high, "").words
