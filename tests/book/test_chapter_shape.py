"""The part of the book's extension that shapes chapters, apart from a build."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.statemachine import StringList
from docutils.utils import new_document

from companion.files import checkout

ROOT = checkout()
assert ROOT is not None


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import chapter_shape

    yield chapter_shape
    del sys.modules["chapter_shape"]


def _cell(code: str, *outputs: nodes.Node) -> nodes.container:
    source = nodes.container("", nodes.literal_block(text=code), nb_element="cell_code_source")
    shown = nodes.container("", *outputs, nb_element="cell_code_output")
    return nodes.container("", source, shown, nb_element="cell_code", hide_mode="input")


def _chapter(*cells: nodes.Node) -> nodes.document:
    document = new_document("chapter")
    document += nodes.section("", nodes.title(text="Why?"), nodes.paragraph(text="So."), *cells)
    return document


def test_what_prepares_the_key_figure_is_folded_behind_it(extension):
    parameters, key = _cell("seed = 0"), _cell("draw()", nodes.image(uri="a.svg"))
    later = _cell("more()", nodes.image(uri="b.svg"))
    document = _chapter(parameters, key, later)
    extension._fold_preparation(None, document)
    (top,) = document.children
    first, opened, *folded, closed, last = top.children[2:]
    assert first is key
    assert [node.astext().strip() for node in folded] == ["seed = 0", "draw()"]
    assert "<details" in opened.astext()
    assert closed.astext() == "</details>"
    assert last is later
    assert "draw()" not in key.astext()
    assert "hide_mode" not in parameters


def test_a_page_without_a_figure_stays_as_it_is(extension):
    document = _chapter(_cell("seed = 0"))
    before = document.pformat()
    extension._fold_preparation(None, document)
    assert document.pformat() == before


def test_how_it_is_measured_and_marked_sections_open_on_demand(extension):
    def section(title, *body):
        return nodes.section("", nodes.title(text=title), *body)

    how = section(extension.HOW, section("The law", nodes.paragraph(text="L")))
    results = section("Results", section("Open"), section("Aside", extension.Fold()))
    document = _chapter(_cell("seed = 0"), how, results)
    extension._fold_sections(None, document, "book/a")
    folded = [one for one in document.findall(nodes.section) if "<details" in one[0].astext()]
    assert [one[1].astext() for one in folded] == ["The law", "Aside"]
    assert [one[-1].astext() for one in folded] == ["</details>"] * 2
    assert not list(document.findall(extension.Fold))


def test_what_is_next_is_what_follows_in_the_contents(extension):
    document = _chapter(extension.Next())
    relations = {"book/a": ["book/intro", None, "book/b"]}
    env = SimpleNamespace(
        collect_relations=lambda: relations, titles={"book/b": nodes.title(text="And then?")}
    )
    builder = SimpleNamespace(get_relative_uri=lambda here, there: "b.html")
    app = SimpleNamespace(env=env, builder=builder)
    extension._point_onwards(app, document, "book/a")
    (link,) = document.findall(nodes.reference)
    assert (link.astext(), link["refuri"]) == ("And then?", "b.html")


def test_above_an_answer_stand_the_verdicts_of_that_chapter_alone(extension, tmp_path):
    claims = [
        {"anchor": "claim-a", "chapter": "one", "verdict": "reproduced"},
        {"anchor": "claim-b", "chapter": "two", "verdict": "undecided"},
    ]
    (tmp_path / "claims.json").write_text(json.dumps({"claims": claims}))
    env = SimpleNamespace(srcdir=tmp_path, docname="book/one", note_dependency=lambda path: None)
    document = SimpleNamespace(settings=SimpleNamespace(env=env))
    said = StringList(["Yes."])
    state = SimpleNamespace(document=document, nested_parse=_parse)
    machine = SimpleNamespace(reporter=None)
    answer = extension.Answer("answer", [], {}, said, 1, 0, "", state, machine)
    (box,) = answer.run()
    assert "#claim-a" in box[0].astext()
    assert "#claim-b" not in box[0].astext()
    assert box[1].astext() == "Yes."


def _parse(content, offset, box):
    box += nodes.paragraph(text="\n".join(content))
