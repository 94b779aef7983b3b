"""Tiny books, made of tiny chapters, in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from companion.chapters import Book

PARAMETERS = """n: int = 2  # how many [1, 9]
scale: float = 0.5  # how large [0, ]
kind: str = "plain"  # which {plain, odd}
seed: int = 0  # seed [0, ]"""
CLAIM = """from companion.evidence import Measurement, judge
from companion.provenance import Provenance
judge("fact-moves-gradually", [Measurement("n", n / 10, n / 10 - 0.1, n / 10 + 0.1)], {})"""
STAMP = 'Provenance(parameters={"n": n, "scale": scale})'


def _notebook(name: str, cells: list[str]) -> nbformat.NotebookNode:
    code = [CLAIM, *cells, STAMP]
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"# Chapter {name}\n\nA question."),
            nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
            *map(nbformat.v4.new_code_cell, code),
        ],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "companion": {"minutes": 0.1},
        },
    )
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
    return notebook


@pytest.fixture
def write_chapter(tmp_path: Path) -> Callable[..., Path]:
    """Write one chapter whose code cells, besides claim and stamp, are the ones given."""

    def write(name: str, *cells: str) -> Path:
        path = tmp_path / "book" / f"{name}.ipynb"
        nbformat.write(_notebook(name, list(cells)), path)
        return path

    return write


@pytest.fixture
def tiny_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """A book with an introduction alone, named by `COMPANION_BOOK`, always in one environment."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "intro.md").write_text("# Introduction\n\nWords.\n")
    config = "title: Tiny\nexecute:\n  execute_notebooks: 'off'\nonly_build_toc_files: true\n"
    (tmp_path / "_config.yml").write_text(config)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    monkeypatch.setenv("COMPANION_BOOK", str(tmp_path))
    monkeypatch.setattr("companion.chapters.execution.environment_hash", lambda book: "unchanged")
    monkeypatch.setattr("companion.chapters.pages.environment_hash", lambda book: "unchanged")
    return Book.here()
