"""The chapters on published tables run to their end where those tables cannot be had."""

from __future__ import annotations

import json

import papermill
import pytest
import yaml

from companion.chapters import Book, discover
from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
SMALL = yaml.safe_load((ROOT / "tests" / "book" / "small.yaml").read_text("utf-8"))
ABOUT_TABLES = ("scaling_fit", "scaling_identifiability", "scaling_second_table")
CHAPTERS = [chapter for chapter in discover(Book(ROOT)) if chapter.name in ABOUT_TABLES]
NOWHERE = "http://127.0.0.1:9"


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_nothing_is_judged_on_a_table_that_stands_in(chapter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
    done = papermill.execute_notebook(
        chapter.path, tmp_path / "out.ipynb", parameters=SMALL[chapter.name], progress_bar=False
    )
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    claims = [json.dumps(o) for o in outputs if "companion.claim" in json.dumps(o)]
    assert claims
    assert all('"verdict": "not testable here"' in claim for claim in claims)
