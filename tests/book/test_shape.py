"""Every chapter in one shape: question, answer, its picture; then how, what, and what not."""

from __future__ import annotations

import re

import pytest

from companion.chapters import Book, Chapter, discover
from companion.chapters.source import source
from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
CHAPTERS = discover(Book(ROOT))
SECTIONS = [
    "What you will learn",
    "How it is measured",
    "Results",
    "What this does not show",
    "Exercises",
    "What is next",
]
ANSWER = re.compile(r"# .+\?\n\n:::\{answer\}\n\{glue:text\}`answer`\n:::")
NEXT = re.compile(r"^## What is next\n\n```\{what-is-next\}\n```", re.MULTILINE)


def faults(chapter: Chapter) -> list[str]:
    """What a chapter's source lacks of the shape, in words."""
    cells = chapter.notebook["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    prose = [source(cell) for cell in cells if cell["cell_type"] == "markdown"]
    text = "\n\n".join(prose)
    checks = {
        "a question, then the answer, first": ANSWER.fullmatch(prose[0].strip()),
        "its sections, in order": re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS,
        "a figure before what you will learn": any(map(_is_figure, _first_screen(cells))),
        "minutes below what you will learn": "minute" in text.split("## How it is")[0],
        "what is next from the contents": NEXT.search(text),
        "folded plumbing": all(map(_folded, [*code[_key(code) :], code[-1]])),
        "no summary": "## Summary" not in text,
    }
    return [name for name, holds in checks.items() if not holds]


def _first_screen(cells: list[dict]) -> list[dict]:
    learn = [i for i, cell in enumerate(cells) if source(cell).startswith(f"## {SECTIONS[0]}")]
    return cells[: learn[0]] if learn else []


def _key(code: list[dict]) -> int:
    return next((i for i, cell in enumerate(code) if _is_figure(cell)), 0)


def _is_figure(cell: dict) -> bool:
    return "figure" in cell["metadata"].get("mystnb", {})


def _folded(cell: dict) -> bool:
    plumbing = re.search(r"^(publish|provenance)\(", source(cell), re.MULTILINE)
    tags = {"hide-input", "hide-cell"} & set(cell["metadata"].get("tags", ()))
    return not plumbing or _is_figure(cell) or bool(tags)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_a_chapter_has_the_shape(chapter):
    assert faults(chapter) == []


def test_a_summary_in_place_of_an_answer_is_a_fault(tmp_path):
    path = tmp_path / "old.ipynb"
    path.write_text(
        '{"cells": [{"cell_type": "markdown", "metadata": {}, "source": "# How\\n## Summary"},'
        '{"cell_type": "code", "metadata": {}, "source": "provenance(x)"}], "metadata": {}}'
    )
    found = faults(Chapter(path))
    assert {"no summary", "its sections, in order", "folded plumbing"} <= set(found)
