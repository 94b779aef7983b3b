"""The argument on one page of paper: `handout.pdf`, and the home page's picture as a file.

Everything that could be otherwise comes from `claims.json`. A page that overflows fails the build.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import front
import matplotlib as mpl
from after_pages import after_pages
from fpdf import FPDF, XPos, YPos
from matplotlib import pyplot as plt
from sphinx.application import Sphinx

from companion.errors import InputError
from companion.evidence.claims import VERDICTS
from companion.evidence.registry import ranges
from companion.plotting import theme
from companion.plotting.ledger import exponents
from companion.plotting.theme.drawn import csv

NAME = "handout.pdf"
TITLE = "What do language models do with their depth?"
QUESTION = (
    "Make a language model deeper and its loss falls, by some accounts as one over the depth. "
    "There are three ways in which a stack of layers could use its depth. **Compositional "
    "assembly**: each stage builds on the one before; loss falls in steps. **Procedural "
    "assembly**: layers are the steps of one smooth dynamics; loss falls as a high power of one "
    "over the depth. **Ensemble averaging**: layers do the same and average out each other's "
    "errors; loss falls as one over the depth. The paper __Inverse Depth Scaling From Most Layers "
    "Being Similar__ concludes that language models are in the third regime."
)
CAPTION = (
    "Depth exponents with their intervals. Grey: what counts as about one, which averaging "
    "predicts."
)
FEET = (
    "A claim is reproduced if the whole interval lies in the range that was stated before, not "
    "reproduced if it lies outside, undecided if it straddles the edge."
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    after_pages(app, _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx) -> None:
    ledger, out = front.ledger_rows(Path(app.srcdir)), Path(app.outdir)
    titles = {name.rpartition("/")[2]: title.astext() for name, title in app.env.titles.items()}
    draw_hero(ledger, out / front.SVG, out / front.CSV)
    handout(ledger, titles, out / front.SVG, out / NAME)


def draw_hero(ledger: Mapping[str, Any], svg: Path, table: Path) -> None:
    """Draw the home page's picture to `svg`, and write its numbers to `table`."""
    band = ranges()["about one"]
    svg.parent.mkdir(parents=True, exist_ok=True)
    with plt.rc_context():
        theme.use()
        figure, ax = plt.subplots(figsize=(9, 3.6))
        exponents(front.sources(ledger), (band.low, band.high), front.REACH, ax)
        figure.savefig(svg, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        plt.close(figure)
    table.write_text(csv(figure), "utf-8")


def handout(
    ledger: Mapping[str, Any], titles: Mapping[str, str], picture: Path, target: Path
) -> None:
    """Write the page.

    Parameters
    ----------
    ledger : mapping
        Rows of the ledger by the claim's key.
    titles : mapping
        By name of a chapter: its title.
    picture : Path
        The home page's picture, as SVG.
    target : Path
        The PDF to write.

    Raises
    ------
    InputError
        If it needs more than a page.
    """
    page = _paper()
    _say(page, TITLE, 17, "B", after=3)
    _say(page, QUESTION, 9.5, after=3)
    page.image(picture, w=page.epw)
    _say(page, CAPTION, 8.5, after=3)
    for key, text in front.SENTENCES.items():
        row = ledger[key]
        told = text.format(f"**{front.number(row)}**")
        _say(page, f"{told} **{row['verdict'].capitalize()}.**", 10)
        _say(page, f"{titles[row['chapter']]} (book/{row['chapter']}.html)", 8.5, after=2.4)
    _say(page, _verdicts(ledger), 10, after=1)
    _say(page, FEET, 8.5)
    if page.pages_count > 1:
        raise InputError(f"the handout takes {page.pages_count} pages: it must be one")
    page.output(target)


def _verdicts(ledger: Mapping[str, Any]) -> str:
    counted = Counter(row["verdict"] for row in ledger.values() if row["whose"] == "paper")
    listed = ", ".join(f"{counted[one]} {one}" for one in VERDICTS if counted[one])
    return f"Of the **{counted.total()}** claims of the paper, in this build: **{listed}**."


def _paper() -> FPDF:
    """An empty page, in a font that has the signs of the book."""
    page = FPDF(format="A4")
    page.set_margin(18)
    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    for style, name in {"": "", "B": "-Bold", "I": "-Oblique"}.items():
        page.add_font("DejaVu", style, fonts / f"DejaVuSans{name}.ttf")
    page.set_title(TITLE)
    page.set_lang("en")
    page.add_page()
    return page


def _say(page: FPDF, text: str, size: float, style: str = "", after: float = 0) -> None:
    """A paragraph, and what stands free below it in millimetres."""
    page.set_font("DejaVu", style, size)
    place = {"new_x": XPos.LMARGIN, "new_y": YPos.NEXT}
    page.multi_cell(0, size * 0.5, text, markdown=True, align="L", **place)
    page.ln(after)
