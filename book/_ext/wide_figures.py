"""Figures and tables that a narrow page can show: they scroll inside themselves, by keyboard, too.

A figure never shrinks so far that its type falls below `LEAST` pixels. How far that is depends on
its own width and its smallest type, which are read from its SVG.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LEAST = 9.0
POINT = 96 / 72
IMAGE = re.compile(r'<img alt="([^"]*)" src="([^"]*_images/([^"]+\.svg))" />')
TABLE = '<div class="output text_html">'
CITED = '<div role="list"'  # a bibliography's entries have a role that no list may hold
SCROLLED = '<div class="output text_html" tabindex="0" role="region" aria-label="Output">'


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("html-page-context", _widen)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _widen(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.Node | None
) -> None:
    """Give each figure its least width and a link to itself; let tables be reached by keyboard."""
    if "body" not in context:
        return
    files = {name: Path(app.srcdir) / path for path, name in app.builder.images.items()}

    def linked(found: re.Match[str]) -> str:
        alt, source, name = found.groups()
        least = least_width(files[name].read_text("utf-8")) if name in files else 0
        return (
            f'<a class="wide" href="{source}"><img alt="{alt}" src="{source}" '
            f'style="min-width: {least}px" /></a>'
        )

    body = IMAGE.sub(linked, context["body"]).replace(TABLE, SCROLLED)
    context["body"] = body.replace(CITED, "<div")


def least_width(svg: str) -> int:
    """The width in pixels at which the smallest type of a matplotlib SVG is `LEAST` pixels high.

    Its type is drawn as outlines of a font of 100 points, so a scale of 0.11 is 11 points. Indices
    and exponents are smaller by nature and do not count.
    """
    width = re.search(r'<svg[^>]* width="([\d.]+)pt"', svg)
    scales = [float(scale) for scale in re.findall(r"scale\(([\d.]+) -", svg)]
    if not width or not scales:
        return 0
    return round(float(width[1]) * LEAST / (100 * min(scales)))
