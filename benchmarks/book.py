"""The runner against plain papermill: the same chapters, in parallel processes or one by one.

The baseline calls papermill's own command for one chapter after another. Ours runs them as
`companion build --execute-only` does, and once more with nothing changed.

    python benchmarks/book.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from companion.chapters import Book, discover, execute, stage_jobs
from companion.runtime import Runtime

WORK = """import torch
torch.manual_seed(seed)
a = torch.randn(512, 512)
for _ in range(products):
    a = torch.nn.functional.normalize(a @ a)
float(a.sum())"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within a minute on two cores")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    chosen = parser.parse_args()
    chapters, products = (4, 200) if chosen.quick else (10, 4000)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(written(Path(folder), chapters, products))
    print(json.dumps(figures, indent=2) if chosen.json else text(figures))


def measure(book: Book) -> dict:
    """Seconds for all chapters either way, in one run, and for a second call of ours."""
    chapters = discover(book)
    baseline = _seconds(lambda: [_papermill(chapter.path) for chapter in chapters])
    ours = _seconds(lambda: execute(stage_jobs(book, chapters, "quick")))
    again = _seconds(lambda: execute(stage_jobs(book, chapters, "quick")))
    ratio, cores = baseline / ours, os.cpu_count() or 1
    return {
        "ratio": ratio,
        "baseline": baseline,
        "ours": ours,
        "unchanged": again,
        "unit": f"seconds for {len(chapters)} chapters",
        "device": Runtime.choose("cpu").device_name,
        "fraction_of_peak": ratio / min(cores, len(chapters)),
    }


def text(figures: dict) -> str:
    return (
        f"{figures['unit']} on {figures['device']}: {figures['ours']:.1f}, papermill one by one "
        f"{figures['baseline']:.1f}, {figures['ratio']:.2f} times faster, "
        f"{figures['fraction_of_peak']:.0%} of what the cores allow; "
        f"nothing changed: {figures['unchanged']:.2f}"
    )


def written(root: Path, chapters: int, products: int) -> Book:
    """A book of chapters that multiply matrices."""
    book = Book(root)
    book.sources.mkdir()
    cell = f"products: int = {products}  # matrix products\nseed: int = 0  # seed"
    for number in range(chapters):
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell(f"# Chapter {number}"),
                nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]}),
                nbformat.v4.new_code_cell(WORK),
            ],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, book.sources / f"chapter{number}.ipynb")
    return book


def _papermill(path: Path) -> None:
    command = [sys.executable, "-m", "papermill", str(path), str(path.with_suffix(".out"))]
    options = ["--no-progress-bar", "-k", "python3", "-l", "python"]
    subprocess.run(command + options, check=True, capture_output=True)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
