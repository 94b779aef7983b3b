"""The home page: the question and its answers in one picture, five sentences, three doors.

All numbers are those of `claims.json`, the ledger of this build. A claim that the page wants and
the ledger lacks fails the build.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from downloads import PLACE, links
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from companion.errors import InputError
from companion.evidence.chips import chip, style
from companion.evidence.registry import ranges
from companion.plotting.ledger import interval

SVG, CSV = (f"{PLACE}/intro/hero.{kind}" for kind in ("svg", "csv"))
REACH = 3.0
"""The picture's axis goes from 0 to this depth exponent; beyond, an arrow says so."""

ROWS = {
    "depth-exponent": "The paper's table, refitted",
    "depth-exponent-gemstones": "Runs that vary depth on purpose",
    "depth-exponent-ladder": "Models that differ in depth alone",
    "toy-independent-exponent": "Toys built of independent layers",
    "toy-tied-exponent": "Toys built of one repeated layer",
}
"""Claims whose depth exponents the picture shows, and what it calls them."""

SENTENCES = {
    "depth-exponent": "Refitted to its optimum, the paper's own table gives a depth exponent of "
    "{}; the paper says about 1.",
    "depth-exponent-gemstones": "On runs whose width and depth were varied on purpose it is {}.",
    "toy-independent-exponent": "In networks that were built to average, where the answer is "
    "known, it is {}: how it is read matters as much as what is read.",
    "calibration-geometry-tells-averaging": "Even, weakly correlated rotations are what averaging "
    "is inferred from; on networks of known regime they put a share of {} of the pairs in order; a "
    "coin puts half.",
    "loss-falls-gradually": "Read through the last block of real models, the middle layers' share "
    "of the loss that all layers take away together is {}; gradual is 0.25 to 1.",
}
"""One sentence a claim, true whatever its number is; {} is its first deciding measurement."""

DOORS = (
    ("Read", "book/toy_entropy", "Start with toys whose answer is known, and end with the ledger."),
    ("Rerun", "book/depth_report", "Put your own model, text or table in place of ours."),
    ("Teach", "book/teach", "Paths of 45 and 90 minutes, figures, exercises with solutions."),
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    for name, directive in (("hero", Hero), ("three-minutes", ThreeMinutes), ("doors", Doors)):
        app.add_directive(name, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def ledger_rows(staged: Path) -> dict[str, dict[str, Any]]:
    """The rows of this build's ledger by the claim's key."""
    listed = json.loads((staged / "claims.json").read_text("utf-8"))["claims"]
    return {row["key"]: row for row in listed}


class FromLedger(SphinxDirective):
    """A directive that shows claims of this build."""

    def rows(self) -> dict[str, dict[str, Any]]:
        """The ledger's rows by key."""
        self.env.note_dependency(str(Path(self.env.srcdir) / "claims.json"))
        return ledger_rows(Path(self.env.srcdir))


class Hero(FromLedger):
    """The picture: depth exponents on one axis, beside what "about one" is."""

    def run(self) -> list[nodes.Node]:
        """The picture, as HTML with drawings in the page's colours."""
        return [nodes.raw("", hero(self.rows()), format="html")]


class ThreeMinutes(FromLedger):
    """Five sentences with five numbers, each with its verdict and the way to its chapter."""

    def run(self) -> list[nodes.Node]:
        """The list, as HTML."""
        ledger = self.rows()
        told = "".join(f"<li>{sentence(_row(ledger, key))}</li>" for key in SENTENCES)
        return [nodes.raw("", f'<ol class="minutes">{told}</ol>', format="html")]


class Doors(SphinxDirective):
    """Three ways into the book."""

    def run(self) -> list[nodes.Node]:
        """A card for each."""
        here = self.env.docname
        cards = "".join(
            f'<a class="door" href="{self.env.app.builder.get_relative_uri(here, page)}">'
            f"<strong>{name}</strong><span>{html.escape(text)}</span></a>"
            for name, page, text in DOORS
        )
        return [nodes.raw("", f'<div class="doors">{cards}</div>', format="html")]


def sentence(row: Mapping[str, Any]) -> str:
    """The sentence of a claim with its number, its verdict, and where it is tested; HTML."""
    text = html.escape(SENTENCES[row["key"]].format("@"))
    text = text.replace("@", f"<strong>{number(row)}</strong>")
    return f"{text} {chip(row['verdict'], to=place(row))}"


def number(row: Mapping[str, Any]) -> str:
    """What decides a claim, with its interval; in words where nothing does."""
    found = next((m for m in row["measurements"] if m["decides"] and not m["idle"]), None)
    return interval(found) if found else "not testable here"


def sources(ledger: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Any, str]]:
    """By what the picture calls it: the exponent that decides, if one does, and the verdict."""
    named = {name: _row(ledger, key) for key, name in ROWS.items()}
    return {name: (_exponent(row), row["verdict"]) for name, row in named.items()}


def _exponent(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    parts = ("", "exponent")
    return next((m for m in row["measurements"] if m["decides"] and m["part"] in parts), None)


def place(row: Mapping[str, Any]) -> str:
    """Where a claim stands, from the home page."""
    return f"{row['chapter']}.html#{row['anchor']}"


def hero(ledger: Mapping[str, Mapping[str, Any]]) -> str:
    """The picture as HTML: a line a source, its interval, and the band that the paper predicts."""
    lines = "".join(_line(_row(ledger, key), name) for key, name in ROWS.items())
    ticks = "".join(f"<span>{tick:g}</span>" for tick in range(int(REACH) + 1))
    axis = f'<div class="line axis"><span></span><span class="ticks">{ticks}</span></div>'
    return (
        '<figure class="hero" id="hero" aria-labelledby="hero-caption">'
        f"{lines}{axis}"
        '<figcaption id="hero-caption">If most layers do the same and average out each other\'s '
        "errors, loss falls as one over depth: an exponent of 1 (grey band: what counts as about "
        f"one). What each source gives, with its interval.{links(f'../{SVG}', f'../{CSV}', 'hero')}"
        "</figcaption></figure>"
    )


def _line(row: Mapping[str, Any], name: str) -> str:
    found, verdict = _exponent(row), row["verdict"]
    label = f'<a href="{place(row)}">{html.escape(name)}</a>'
    told = interval(found) if found else verdict
    return (
        f'<div class="line"><span>{label} <small>{told}</small></span>'
        f'<span class="{style(verdict)}">{_strip(found, verdict)}</span></div>'
    )


def _strip(found: Mapping[str, Any] | None, verdict: str) -> str:
    """One line of the picture: the band, the interval, the estimate; SVG without words."""
    band = ranges()["about one"]
    inner = (
        f'<rect class="band" x="{_x(band.low)}" width="{_x(band.high) - _x(band.low):.1f}" '
        'height="24"/><line class="one" x1="100" x2="100" y2="24"/>'
    )
    if found:
        low, high = found["low"], found["high"]
        ends = (_x(low if low is not None else 0), _x(high if high is not None else REACH))
        inner += (
            f'<line class="span" x1="{ends[0]}" x2="{ends[1]}" y1="12" y2="12"/>'
            f'<circle cx="{_x(found["estimate"])}" cy="12" r="5"/>'
        )
    told = f"{interval(found)}: {verdict}" if found else "no interval"
    return (
        f'<svg viewBox="0 0 300 24" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(told)}">{inner}</svg>'
    )


def _x(exponent: float) -> float:
    return round(100 * min(max(exponent, 0), REACH), 1)


def _row(ledger: Mapping[str, Mapping[str, Any]], key: str) -> Mapping[str, Any]:
    if key not in ledger:
        raise InputError(
            f"the home page shows claim {key!r}, which no chapter of this build judged"
        )
    return ledger[key]
