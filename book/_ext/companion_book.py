"""The book's own Sphinx extension: offline pages, the ledger of claims, the picture of the rooms.

Pages load nothing from elsewhere: MathJax is one file copied from an installed package, and the
script that would fetch a live-code library is dropped. Launch buttons appear only once
`repository.url` in `_config.yml` is set.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from after_pages import after_pages
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

from companion.evidence.registry import questions
from companion.files import stored
from companion.plotting.ledger import forest
from companion.rooms import picture

MATHJAX = "tex-svg-full.js"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("config-inited", _configure)
    app.connect("html-page-context", _drop_live_code, priority=900)
    app.connect("autodoc-process-docstring", _keep_bars, priority=900)
    after_pages(app, _copy_mathjax)
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("ledger-errors", LedgerErrors)
    app.add_directive("model-families", ModelFamilies)
    app.add_directive("package-rooms", PackageRooms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _configure(app: Sphinx, config: Config) -> None:
    config.mathjax_path = f"mathjax/{MATHJAX}"
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options.pop("launch_buttons", None)


def _drop_live_code(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.Node | None
) -> None:
    scripts = context.get("script_files", [])
    context["script_files"] = [one for one in scripts if "thebe" not in _described(one)]


def _described(script: Any) -> str:
    return f"{script} {getattr(script, 'attributes', {}).get('body', '')}".lower()


def _keep_bars(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Formulas in docstrings write |x| for a length; reStructuredText would look x up."""
    lines[:] = [line if "`" in line else line.replace("|", r"\|") for line in lines]


def _copy_mathjax(app: Sphinx) -> None:
    files = distribution("sphinx-mathjax-offline").files or []
    found = next(file for file in files if file.name == MATHJAX)
    target = Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found.locate(), target / MATHJAX)


class PackageRooms(SphinxDirective):
    """The rooms of the package by floor, drawn from its sources."""

    def run(self) -> list[nodes.Node]:
        """The drawing, for pages in HTML."""
        return [nodes.raw("", picture(), format="html")]


class ClaimsLedger(SphinxDirective):
    """All claims of all chapters, with the count of each verdict, from `claims.json`."""

    def run(self) -> list[nodes.Node]:
        """A sentence with the counts, and the forest plot."""
        path = Path(self.env.srcdir) / "claims.json"
        self.env.note_dependency(str(path))
        ledger = json.loads(path.read_text("utf-8"))
        asked = questions()
        claims = [one | {"question": asked[one["question"]]} for one in ledger["claims"]]
        told = [_counted(whose, counts) for whose, counts in ledger["counts"].items()]
        summary = " ".join(filter(None, told)) or "No claims yet."
        drawn = nodes.raw("", forest(claims), format="html")
        return [nodes.paragraph(text=summary), *([drawn] if claims else [])]


class LedgerErrors(SphinxDirective):
    """How often the rules are right on planted truths, from the stored study."""

    def run(self) -> list[nodes.Node]:
        """A sentence on the study, and its table."""
        record = json.loads(stored("ledger-errors.json").read_text("utf-8"))
        stamp = record["provenance"]
        size = stamp["parameters"]
        told = (
            f"{size['repeats']:,} planted claims a row, {size['replicates']} replicates behind "
            f"each interval, run on {stamp['time'][:10]}, commit {stamp['commit']}."
        )
        shares = ("right", "wrong", "undecided")
        head = ["Planted", "Noise", *(share.capitalize() for share in shares)]
        body = [
            [row["case"], f"{row['noise']:g}", *(f"{row[share]:.1%}" for share in shares)]
            for row in record["rows"]
        ]
        return [
            nodes.paragraph(text=told),
            nodes.raw("", "<details><summary>The table</summary>", format="html"),
            _table([head, *body], (44, 10, 14, 14, 18)),
            nodes.raw("", "</details>", format="html"),
        ]


class ModelFamilies(SphinxDirective):
    """Which decoder families of transformers can be read, from the stored trial."""

    def run(self) -> list[nodes.Node]:
        """A sentence with the counts, and the table."""
        record = json.loads(stored("families.json").read_text("utf-8"))
        rows, stamp = record["rows"], record["provenance"]
        certified = [row for row in rows if row["supported"]]
        told = (
            f"{len(certified)} of {len(rows)} families are certified, "
            f"{sum(bool(row['split']) for row in certified)} of them with attention and MLP apart; "
            f"transformers {record['transformers']}, {stamp['time'][:10]}, "
            f"commit {stamp['commit']}."
        )
        head = ["Family", "Certified", "Attention and MLP", "Head"]
        table = _table([head, *map(_family, rows)], (20, 30, 30, 20))
        return [nodes.paragraph(text=told), table]


def _family(row: dict[str, Any]) -> list[str]:
    if not row["supported"]:
        return [row["name"], f"no: {row['why']}", "", ""]
    checked = "yes, every statistic against the oracle" if row["against_oracle"] else "yes"
    split = "apart" if row["split"] else "one update: the blocks are no sum of these two"
    return [row["name"], checked, split, row["head"]]


def _table(rows: list[list[str]], widths: tuple[int, ...]) -> nodes.table:
    """A table of texts, the first row its head; widths are relative."""
    cells = [[[nodes.paragraph(text=cell)] for cell in row] for row in rows]
    group = nodes.tgroup("", cols=len(widths))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", _row(cells[0]))
    group += nodes.tbody("", *(_row(row) for row in cells[1:]))
    return nodes.table("", group, classes=["rates"])


def _counted(whose: str, counts: dict[str, int]) -> str:
    listed = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    owner = "of the paper" if whose == "paper" else "of ours"
    return f"{sum(counts.values())} claims {owner}: {listed}." if listed else ""


def _row(cells: list[list[nodes.Node]]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", *cell) for cell in cells))
