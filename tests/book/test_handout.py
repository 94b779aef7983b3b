"""The handout is one page of A4 that says what the ledger says."""

from __future__ import annotations

import importlib
import json
import re
import sys

import pytest
from pypdf import PdfReader

from companion.chapters import discover
from companion.errors import InputError
from companion.files import checkout

A4 = (595.3, 841.9)


@pytest.fixture
def handout(monkeypatch):
    monkeypatch.syspath_prepend(str(checkout() / "book" / "_ext"))
    before = set(sys.modules)
    yield importlib.import_module("handout")
    for name in {"handout", "front", "downloads"} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def rows(built):
    ledger = json.loads((built.results / "claims.json").read_text("utf-8"))["claims"]
    return {row["key"]: row for row in ledger}


def words(page) -> str:
    """A page's text on one line."""
    return re.sub(r"\s+", " ", page.extract_text())


def test_it_is_one_page_with_the_numbers_of_this_build(built, handout, rows):
    paper = PdfReader(built.html / handout.NAME)
    assert len(paper.pages) == 1
    assert [float(side) for side in paper.pages[0].mediabox[2:]] == pytest.approx(A4, abs=1)
    told, titles = words(paper.pages[0]), {one.name: one.title for one in discover(built)}
    for key in handout.front.SENTENCES:
        assert handout.front.number(rows[key]) in told
        assert rows[key]["verdict"].capitalize() in told
        assert titles[rows[key]["chapter"]] in told
    counted = sum(row["whose"] == "paper" for row in rows.values())
    assert f"Of the {counted} claims of the paper" in told


def test_other_results_make_another_page(built, handout, rows, tmp_path):
    """Numbers and verdicts follow the ledger; nothing of them is typed."""
    changed = rows | {
        key: rows[key] | {"verdict": "undecided", "measurements": [
            {"estimate": 7.77, "low": None, "high": 8.88, "decides": True, "idle": "", "part": ""}
        ]} for key in handout.front.SENTENCES | handout.front.ROWS
    }  # fmt: skip
    svg, table, pdf = (tmp_path / f"one.{kind}" for kind in ("svg", "csv", "pdf"))
    handout.draw_hero(changed, svg, table)
    handout.handout(changed, {row["chapter"]: "Why?" for row in rows.values()}, svg, pdf)
    told = words(PdfReader(pdf).pages[0])
    assert told.count("7.77 [−∞, 8.88]") == len(handout.front.SENTENCES)
    assert "reproduced." not in told.split("Of the")[0]
    assert "7.77" in table.read_text("utf-8")


def test_a_page_that_overflows_is_refused(handout, rows, tmp_path):
    svg = tmp_path / "one.svg"
    handout.draw_hero(rows, svg, tmp_path / "one.csv")
    long = {row["chapter"]: "long " * 300 for row in rows.values()}
    with pytest.raises(InputError, match="pages: it must be one"):
        handout.handout(rows, long, svg, tmp_path / "one.pdf")
