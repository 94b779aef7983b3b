"""The shape of a chapter's page, made and not written.

Above the answer stand the chapter's verdicts, from the ledger. What prepares a chapter (parameters,
imports, runs) stands in the notebook where it must run, before the key figure; in the page it is
folded away behind that figure. How it is measured shows its titles and opens on demand, as does any
section that says `{fold}`. What is next follows the table of contents.
"""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from companion.evidence.chips import chips

SUMMARY = "Parameters, imports and runs behind this figure"
HOW = "How it is measured"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.add_node(Next)
    app.add_directive("answer", Answer)
    app.add_directive("what-is-next", WhatIsNext)
    app.add_node(Fold)
    app.add_directive("fold", FoldSection)
    app.connect("doctree-read", _fold_preparation)
    app.connect("doctree-resolved", _point_onwards)
    app.connect("doctree-resolved", _fold_sections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Answer(SphinxDirective):
    """A chapter's answer, below the verdicts of its claims."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Chips, and what the chapter says."""
        path = Path(self.env.srcdir) / "claims.json"
        self.env.note_dependency(str(path))
        chapter = self.env.docname.rpartition("/")[2]
        claims = json.loads(path.read_text("utf-8"))["claims"]
        verdicts = [(one["anchor"], one["verdict"]) for one in claims if one["chapter"] == chapter]
        box = nodes.container(classes=["answer"])
        box += _html(chips(verdicts))
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class Next(nodes.General, nodes.Element):
    """Stands for the link to the next page until every title is known."""


class WhatIsNext(SphinxDirective):
    """The question of the next chapter, as the table of contents has it."""

    def run(self) -> list[nodes.Node]:
        """A placeholder."""
        return [Next()]


class Fold(nodes.General, nodes.Element):
    """Marks the section that it stands in as one to fold."""


class FoldSection(SphinxDirective):
    """The section that this stands in shows its title and opens on demand."""

    def run(self) -> list[nodes.Node]:
        """A mark."""
        return [Fold()]


def _fold_sections(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the body of the sections of "How it is measured" and of marked ones into details."""
    marked = [mark.parent for mark in doctree.findall(Fold)]
    for mark in list(doctree.findall(Fold)):
        mark.parent.remove(mark)
    if any(doctree.findall(nodes.container)):  # a chapter, which has cells
        sections = [one for one in doctree.findall(nodes.section) if one[0].astext() == HOW]
        marked += [one for above in sections for one in above if isinstance(one, nodes.section)]
    for section in marked:
        section.insert(1, _html("</summary>"))
        section.insert(0, _html('<details class="more"><summary>'))
        section += _html("</details>")


def _fold_preparation(app: Sphinx, doctree: nodes.document) -> None:
    """Move what draws the key figure, and the cells before it, behind it, folded."""
    top = next(iter(doctree.findall(nodes.section)), None)
    cells = [node for node in top.children if _is_cell(node)] if top else []
    key = next((cell for cell in cells if next(iter(cell.findall(nodes.image)), None)), None)
    if top is None or key is None:
        return
    preparing = cells[: cells.index(key)]
    for cell in preparing:
        top.remove(cell)
        cell.attributes.pop("hide_mode", None)
    if _is_source(key.children[0]):
        preparing.append(key.children[0])
        key.remove(key.children[0])
    opened = f'<details class="preparation"><summary>{SUMMARY}</summary>'
    folded = [_html(opened), *preparing, _html("</details>")]
    place = top.index(key) + 1
    for node in reversed(folded):
        top.insert(place, node)


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _is_source(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_source"


def _is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def _point_onwards(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    places = list(doctree.findall(Next))
    if not places:
        return
    _, _, following = app.env.collect_relations()[docname]
    for place in places:
        place.replace_self(_invitation(app, docname, following))


def _invitation(app: Sphinx, docname: str, following: str) -> nodes.paragraph:
    title = app.env.titles[following].astext()
    where = app.builder.get_relative_uri(docname, following)
    link = nodes.reference("", title, refuri=where, internal=True)
    return nodes.paragraph("", "", link, classes=["onwards"])
