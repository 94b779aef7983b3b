"""A claim: what the paper says, what this run measured, and the verdict that follows.

Floor 0. The verdict is computed from intervals, never written by hand.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CLAIM_MIME = "application/vnd.companion.claim+json"
REPRODUCED = "reproduced"
PARTLY = "partly"
UNDECIDED = "undecided"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable here"
VERDICTS = (REPRODUCED, PARTLY, UNDECIDED, NOT_REPRODUCED, NOT_TESTABLE)


@dataclass(frozen=True)
class Measurement:
    """One measured quantity, its interval, and the range that the claim predicts for it.

    `low`, `high` bound the interval at confidence `level`; `expected_low`, `expected_high` bound
    what the claim predicts, infinite where it sets no bound. All in `unit`.
    """

    name: str
    estimate: float
    low: float
    high: float
    expected_low: float = -math.inf
    expected_high: float = math.inf
    unit: str = ""
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"{self.name}: interval [{self.low}, {self.high}] is not an interval")
        if not self.expected_low <= self.expected_high:
            raise ValueError(f"{self.name}: the expected range is empty")

    @property
    def verdict(self) -> str:
        """Reproduced if the interval lies in the expected range, not if it lies outside."""
        if self.low >= self.expected_low and self.high <= self.expected_high:
            return REPRODUCED
        if self.high < self.expected_low or self.low > self.expected_high:
            return NOT_REPRODUCED
        return UNDECIDED


@dataclass(frozen=True)
class Claim:
    """A claim of the paper beside this run's measurements.

    Parameters
    ----------
    key : str
        Unique name, e.g. "rotation-inverse-depth".
    statement : str
        The paper's claim in our own words.
    source : str
        Its place, e.g. "paper, figure 2c".
    scope : mapping
        What the verdict holds for: model, data, size.
    measurements : tuple of Measurement
        Empty only where `untestable` says why nothing could be measured.
    untestable : str
        Why this run cannot test the claim.
    """

    key: str
    statement: str
    source: str
    scope: Mapping[str, str]
    measurements: tuple[Measurement, ...] = ()
    untestable: str = ""
    chapter: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if bool(self.measurements) == bool(self.untestable):
            raise ValueError(f"claim {self.key!r} needs either measurements or a reason for none")

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`; "partly" if some measurements agree and others contradict."""
        if not self.measurements:
            return NOT_TESTABLE
        verdicts = {measurement.verdict for measurement in self.measurements}
        if len(verdicts) == 1:
            return verdicts.pop()
        return PARTLY if {REPRODUCED, NOT_REPRODUCED} <= verdicts else UNDECIDED

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
        measurements = tuple(_measurement(m) for m in record["measurements"])
        names = ("key", "statement", "source", "scope", "untestable", "chapter")
        return cls(**{name: record[name] for name in names}, measurements=measurements)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        return {
            "text/html": box(self),
            "text/plain": f"[{self.verdict}] {self.statement}",
            CLAIM_MIME: self.to_dict(),
        }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _measurement(record: Mapping[str, Any]) -> Measurement:
    unbounded = {"low": -math.inf, "expected_low": -math.inf}
    unbounded |= {"high": math.inf, "expected_high": math.inf, "estimate": math.nan}
    values: dict[str, Any] = {k: v for k, v in record.items() if k != "verdict"}
    values = {k: unbounded[k] if v is None else v for k, v in values.items()}
    return Measurement(**values)


def box(claim: Claim) -> str:
    """The claim box of a chapter, as HTML."""
    rows = "".join(f"<li>{_measured(m)}</li>" for m in claim.measurements)
    measured = f"<ul>{rows}</ul>" if rows else f"<p>{html.escape(claim.untestable)}</p>"
    scope = ", ".join(f"{key}: {value}" for key, value in claim.scope.items())
    style = claim.verdict.replace(" ", "-")
    return (
        f'<div class="admonition claim claim-{style}" id="claim-{html.escape(claim.key)}">'
        f'<p class="admonition-title">Claim: {claim.verdict}</p>'
        f"<p>{html.escape(claim.statement)} <em>({html.escape(claim.source)})</em></p>"
        f"{measured}<p><strong>Scope.</strong> {html.escape(scope)}</p></div>"
    )


def _measured(m: Measurement) -> str:
    unit = f" {html.escape(m.unit)}" if m.unit else ""
    return (
        f"{html.escape(m.name)}: <strong>{m.estimate:.4g}</strong>{unit}, "
        f"{m.level:.0%} interval [{m.low:.4g}, {m.high:.4g}]; "
        f"expected {expected(m)}: {m.verdict}"
    )


def expected(m: Measurement) -> str:
    """The expected range in words, e.g. "at least 0.5"."""
    if math.isinf(m.expected_low) and math.isinf(m.expected_high):
        return "anything"
    if math.isinf(m.expected_high):
        return f"at least {m.expected_low:.4g}"
    if math.isinf(m.expected_low):
        return f"at most {m.expected_high:.4g}"
    return f"{m.expected_low:.4g} to {m.expected_high:.4g}"


def ledger(results: Iterable[Path]) -> list[Claim]:
    """All claims in the `<chapter>.json` files of `results`, in the order given."""
    records = (
        (path.stem, record)
        for path in results
        for record in json.loads(path.read_text(encoding="utf-8"))["claims"]
    )
    return [Claim.from_dict({**record, "chapter": chapter}) for chapter, record in records]
