"""Executed chapters and built pages: whole, quiet, fresh, small, and nothing typed by hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import nbformat
import papermill
import pytest
import yaml

from companion.chapters import Book, discover, stage_jobs
from companion.evidence.claims import VERDICTS
from companion.evidence.registry import registry
from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
CHAPTERS = discover(Book.here())
SMALL = yaml.safe_load((ROOT / "tests" / "book" / "small.yaml").read_text("utf-8"))
LARGEST_PAGE = 3_000_000

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)


def _outputs(built, chapter):
    notebook = nbformat.read(built.staged(chapter.name), as_version=4)
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def test_the_book_shows_the_sources_as_they_are_now(built):
    stale = [job.chapter for job in stage_jobs(built, CHAPTERS, "quick") if not job.fresh]
    assert stale == [], "run `make book`"


@each_chapter
def test_a_chapter_ran_without_errors_or_warnings(built, chapter):
    outputs = _outputs(built, chapter)
    assert [o for o in outputs if o.output_type == "error"] == []
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []


@each_chapter
def test_a_chapter_left_its_record(built, chapter):
    found = json.loads((built.results / f"{chapter.name}.json").read_text("utf-8"))
    assert found["parameters"] == chapter.values({})
    assert {"device", "commit", "versions", "time", "parameters"} <= set(found["provenance"])
    assert set(found["provenance"]["parameters"]) == set(found["parameters"])
    assert all(claim["scope"] and claim["source"] for claim in found["claims"])


def test_the_ledger_gathers_every_claim(built):
    ledger = json.loads((built.results / "claims.json").read_text("utf-8"))
    records = [json.loads((built.results / f"{c.name}.json").read_text("utf-8")) for c in CHAPTERS]
    judged = {claim["key"] for record in records for claim in record["claims"]}
    rows = ledger["claims"]
    assert [row["key"] for row in rows] == [key for key in registry() if key in judged]
    counted = Counter((row["whose"], row["verdict"]) for row in rows)
    for whose, counts in ledger["counts"].items():
        assert counts == {verdict: counted[whose, verdict] for verdict in VERDICTS}
    page = (built.html / "book" / "claims.html").read_text("utf-8")
    assert f"{sum(ledger['counts']['paper'].values())} claims of the paper" in page
    assert [row["key"] for row in rows if f"#{row['anchor']}" not in page] == []


class _Loads(HTMLParser):
    """What a page would fetch as it opens: everything but the links that a reader follows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "link"):
            self.found += [v for v in (values.get("src"), values.get("href")) if v]


def test_pages_are_small_and_load_nothing_from_elsewhere(built):
    for path in built.html.rglob("*.html"):
        text = path.read_text("utf-8")
        assert len(text.encode()) < LARGEST_PAGE, path.name
        loads = _Loads()
        loads.feed(text)
        assert [one for one in loads.found if re.match("(https?:)?//", one)] == [], path.name
        assert "np.float64(" not in text, path.name
        assert str(built.root) not in text, path.name


@pytest.mark.slow
@each_chapter
def test_it_runs_with_other_parameters_in_nbval(chapter, tmp_path, monkeypatch):
    """Papermill puts the parameters in, nbval executes; the book itself is papermill's work."""
    given = {"seed": 1, **SMALL.get(chapter.name, {})}
    assert chapter.values(given) != chapter.values({})
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        chapter.path, out, parameters=given, prepare_only=True, progress_bar=False
    )
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *options, str(out)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert f"{sum(c.cell_type == 'code' for c in nbformat.read(out, 4).cells)} passed" in ran.stdout
