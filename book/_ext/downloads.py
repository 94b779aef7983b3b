"""Every figure can be had as SVG, and what it shows as CSV.

An executed chapter holds a figure's numbers beside its picture (`companion.plotting.theme`). They
are written to `_downloads/figures/<chapter>/<name>.csv`, and the caption leads to both. The ledger
is a figure, too: its measurements are in `_downloads/claims.csv`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pandas as pd
from after_pages import after_pages
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

PLACE = "_downloads/figures"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("doctree-resolved", _offer)
    after_pages(app, _write_ledger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def links(svg: str, csv: str, name: str) -> str:
    """A caption's way to its picture and its numbers; HTML.

    Parameters
    ----------
    svg, csv : str
        Addresses of both, from the page.
    name : str
        What the files are called when saved.
    """
    return (
        f' <span class="downloads"><a href="{svg}" download="{name}.svg" aria-label="SVG of this '
        f'figure">SVG</a> · <a href="{csv}" download="{name}.csv" aria-label="CSV of the numbers '
        'in this figure">CSV</a></span>'
    )


def _write_ledger(app: Sphinx) -> None:
    """A row for each measurement, with its claim and both verdicts."""
    claims = json.loads((Path(app.srcdir) / "claims.json").read_text("utf-8"))["claims"]
    meta = ["key", "statement", "source", "whose", "question", "verdict", "estimand"]
    rows = pd.json_normalize(claims, "measurements", meta, meta_prefix="claim_")
    target = Path(app.outdir) / "_downloads" / "claims.csv"
    target.parent.mkdir(exist_ok=True)
    rows.to_csv(target, index=False)


def _offer(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    figures = [one for one in doctree.findall(nodes.figure) if next(one.findall(nodes.image), None)]
    source = Path(app.env.doc2path(docname))
    if not figures or source.suffix != ".ipynb":
        return
    numbers = dict(_numbers(source))
    for figure in figures:
        _offer_one(app, docname, figure, numbers)


def _offer_one(app: Sphinx, docname: str, figure: nodes.figure, numbers: dict[str, str]) -> None:
    uri, name = next(figure.findall(nodes.image))["uri"], figure["ids"][0]
    if Path(uri).stem not in numbers:
        logging.getLogger(__name__).warning("figure %s has no numbers", name, location=figure)
        return
    place = f"{PLACE}/{docname.rpartition('/')[2]}/{name}.csv"
    target = Path(app.outdir) / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(numbers[Path(uri).stem], "utf-8")
    top = "../" * docname.count("/")
    picture = f"{top}{app.builder.imagedir}/{app.env.images[uri][1]}"
    next(figure.findall(nodes.caption)).append(
        nodes.raw("", links(picture, top + place, name), format="html")
    )


def _numbers(notebook: Path) -> Iterator[tuple[str, str]]:
    """By the hash that names a picture's file: its numbers."""
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            shown = output.get("data", {})
            if {"image/svg+xml", "text/csv"} <= shown.keys():
                lines = "".join(shown["image/svg+xml"]).splitlines()
                picture = os.linesep.join(lines).encode()
                yield sha256(picture).hexdigest(), "".join(shown["text/csv"])
