"""Verdicts at a glance: a word, a shape and a colour each, so that none of the three is needed.

A chip is one verdict; `Chips` are those of a chapter, for its first screen.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from companion.evidence.claims import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    VERDICTS,
    Claim,
)

SHAPES = {
    REPRODUCED: '<circle r="5" fill="currentColor"/>',
    PARTLY: '<circle r="4.4"/><path d="M0-4.4A4.4 4.4 0 0 0 0 4.4Z" fill="currentColor"/>',
    UNDECIDED: '<path d="M0-5.2 5.2 0 0 5.2-5.2 0Z"/>',
    NOT_REPRODUCED: '<path d="M-4.2-4.2 4.2 4.2M-4.2 4.2 4.2-4.2" stroke-width="2.6"/>',
    NOT_TESTABLE: '<path d="M-4.4-4.4H4.4V4.4H-4.4Z" stroke-dasharray="2 1.5"/>',
}
"""What each verdict looks like, as SVG about the origin, five units in reach."""


def style(verdict: str) -> str:
    """The class of a verdict in the book's style sheet, which sets its colour."""
    return f"verdict-{verdict.replace(' ', '-')}"


def shape(verdict: str) -> str:
    """The shape alone, as a drawing that stands beside the word."""
    drawn = f'<g fill="none" stroke="currentColor" stroke-width="1.6">{SHAPES[verdict]}</g>'
    return f'<svg class="shape" viewBox="-6 -6 12 12" aria-hidden="true">{drawn}</svg>'


def chip(verdict: str, label: str | None = None, to: str = "") -> str:
    """One verdict as HTML: its shape, its word (or `label`), and where it leads."""
    inside = f"{shape(verdict)}{html.escape(label or verdict)}"
    where = f' href="{html.escape(to)}"' if to else ""
    tag = "a" if to else "span"
    return f'<{tag} class="chip {style(verdict)}"{where}>{inside}</{tag}>'


@dataclass(frozen=True)
class Chips:
    """The verdicts of a chapter in one line: how many of each, leading to the first such claim."""

    claims: Sequence[Claim]

    def __str__(self) -> str:
        counted = Counter(claim.verdict for claim in self.claims)
        return ", ".join(f"{counted[v]} {v}" for v in VERDICTS if counted[v])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        return {"text/html": self._html(), "text/plain": str(self)}

    def _html(self) -> str:
        first = {claim.verdict: claim.key for claim in reversed(self.claims)}
        counted = Counter(claim.verdict for claim in self.claims)
        parts = [
            chip(verdict, f"{counted[verdict]} {verdict}", f"#claim-{first[verdict]}")
            for verdict in VERDICTS
            if verdict in first
        ]
        return f'<span class="chips">{"".join(parts)}</span>'
