"""Exercises say what they take, and what follows from them."""

from __future__ import annotations

import re

import pytest

from companion.chapters import Book, discover

CHAPTERS = {chapter.name: chapter for chapter in discover(Book.here())}
EXERCISE = re.compile(r"```\{exercise\} ?([^\n]*)\n:label: (\S+)\n\n(.*?)```", re.S)
SOLUTION = r"```\{{solution(?:-start)?\}} {}\b(.*?)(?:```\{{solution-end\}}|\Z|```\{{exercise)"
RATING = re.compile(r"\*\d+ minutes, (pencil|code|pencil and code)\.\* ")


@pytest.mark.parametrize("name", CHAPTERS)
def test_an_exercise_has_a_title_a_rating_and_an_end(name):
    texts = ["".join(cell["source"]) for cell in CHAPTERS[name].notebook["cells"]]
    whole = "\n\n".join(texts)
    found = EXERCISE.findall(whole)
    assert 3 <= len(found) <= 5
    for title, label, text in found:
        assert title, label
        assert RATING.match(text), label
        (solution,) = re.findall(SOLUTION.format(re.escape(label)), whole, re.S)
        assert re.search(r"^So: .+[.!]$", solution, re.M), label
