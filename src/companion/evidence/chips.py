"""Verdicts at a glance: a word, a shape and a colour each, so that none of the three is needed.

A chip is one verdict; `chips` are those of a chapter, for its first screen.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from companion.evidence.claims import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
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


def chips(verdicts: Iterable[tuple[str, str]]) -> str:
    """The verdicts of one page in a line, as HTML: how many of each, leading to its first claim.

    Parameters
    ----------
    verdicts : iterable of (anchor, verdict)
        Of the page's claims, in their order.
    """
    places: dict[str, list[str]] = {verdict: [] for verdict in SHAPES}
    for anchor, verdict in verdicts:
        places[verdict].append(anchor)
    drawn = [
        chip(verdict, f"{len(anchors)} {verdict}", f"#{anchors[0]}")
        for verdict, anchors in places.items()
        if anchors
    ]
    return f'<p class="chips">{"".join(drawn)}</p>' if drawn else ""
