"""Chapters as sources: bare, well formed, and written to the house's rules."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from companion.chapters import PROFILES, Book, discover
from companion.chapters.source import source
from companion.errors import InputError
from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
BOOK = Book(ROOT)
CHAPTERS = discover(BOOK)
MOST_CELLS, MOST_LINES = 30, 6
OPENING = re.compile(
    r"runtime = Runtime\.choose\(device, ('float32', )?seed=seed\)\n"
    r"(generator = runtime\.numpy_generator\(\)\n)?"
    r"theme\.use\(\)"
)
SCRIPT_PATHS = re.compile(r"/(home|root|work|Users)/")

pytestmark = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)


def _code(chapter):
    return [cell for cell in chapter.notebook["cells"] if cell["cell_type"] == "code"]


def _text(chapter):
    cells = chapter.notebook["cells"]
    return "\n".join(source(cell) for cell in cells if cell["cell_type"] == "markdown")


def test_it_is_bare_and_valid(chapter):
    notebook = nbformat.read(chapter.path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert not [cell for cell in _code(chapter) if cell["outputs"] or cell["execution_count"]]
    ids = [cell["id"] for cell in chapter.notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert chapter.notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert 0 < chapter.minutes <= 5
    assert not SCRIPT_PATHS.search(chapter.path.read_text("utf-8"))


def test_its_parameters_are_declared_and_its_profiles_pass_the_check(chapter):
    declared = {one.name: one for one in chapter.parameters}
    assert {"device", "seed"} <= set(declared)
    assert all(one.help for one in declared.values())
    for profile in PROFILES:
        chapter.values(BOOK.profile(profile).get(chapter.name, {}))
    with pytest.raises(InputError, match="has no parameter sede: did you mean seed"):
        chapter.values({"sede": 1})


def test_cells_are_few_and_short(chapter):
    """Parameters and imports, which come first, are as many as they are."""
    assert len(_code(chapter)) <= MOST_CELLS
    texts = [source(cell) for cell in _code(chapter)[2:]]
    assert [text for text in texts if len(list(filter(None, text.split("\n")))) > MOST_LINES] == []


def test_it_publishes_results_and_glues_nothing_by_hand(chapter):
    assert [source(cell) for cell in _code(chapter) if re.search(r"\bglue\b", source(cell))] == []


def test_it_opens_as_every_chapter_does(chapter):
    """Parameters, the last two of them device and seed; then imports, runtime and theme."""
    parameters, imports = _code(chapter)[:2]
    assert parameters["metadata"]["tags"][0] == "parameters"
    assert {"device", "seed"} == {one.name for one in chapter.parameters[-2:]}
    body = ast.parse(source(imports)).body
    called = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    assert body[-len(called) :] == called
    assert OPENING.fullmatch("\n".join(map(ast.unparse, called)))


def test_it_opens_with_its_minutes_and_closes_with_its_provenance(chapter):
    assert source(chapter.notebook["cells"][0]).startswith("# ")
    assert "minute" in _text(chapter)
    assert "provenance(" in source(_code(chapter)[-1])


def test_it_has_exercises_with_solutions(chapter):
    exercises = re.findall(r"\{exercise(?:-start)?\}", _text(chapter))
    solutions = re.findall(r"\{solution(?:-start)?\}", _text(chapter))
    assert 3 <= len(exercises) <= 5
    assert len(solutions) == len(exercises)


def test_every_figure_has_a_name_a_caption_and_alt_text(chapter):
    shown = [cell["metadata"].get("mystnb", {}) for cell in _code(chapter)]
    figures = [one for one in shown if {"figure", "image"} & one.keys()]
    assert figures
    for one in figures:
        assert one["figure"]["name"].startswith("fig-")
        assert len(one["figure"]["caption"]) > 20
        assert len(one["image"]["alt"]) > 20


def test_it_is_in_the_table_of_contents(chapter):
    contents = yaml.safe_load((Path(BOOK.root) / "_toc.yml").read_text("utf-8"))
    assert json.dumps(contents).count(f'"book/{chapter.name}"') == 1
