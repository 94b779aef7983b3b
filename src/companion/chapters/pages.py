"""Make the pages: stage what Sphinx reads, build it strictly, put the whole book in place.

The old book stays until the new one is whole; a failed build leaves it untouched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from companion.chapters.fingerprint import environment_hash
from companion.chapters.source import Book, Chapter
from companion.errors import RunError
from companion.runs import content_hash

STAMP = ".companion-stamp"
_AT_THE_TOP = ("_config.yml", "_toc.yml")
_NOT_STAGED = ("*.ipynb", "__pycache__", ".ipynb_checkpoints", "results", "profiles")
_JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
_SHOWN_LINES = 30
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class BuildError(RunError):
    """The pages could not be built; holds the end of what the builder said."""


def build(book: Book, chapters: Sequence[Chapter]) -> bool:
    """Build `_build/html` from the executed chapters; False if it was up to date already.

    Raises
    ------
    BuildError
        If Sphinx fails or warns; the book that was there stays.
    """
    _stage(book, chapters)
    stamp = f"{environment_hash(book)} {content_hash(book.stage)}"
    kept = book.html / STAMP
    if kept.exists() and kept.read_text("utf-8") == stamp:
        return False
    with tempfile.TemporaryDirectory(dir=book.build, prefix="pages-") as folder:
        pages = _sphinx(book, Path(folder))
        (pages / STAMP).write_text(stamp, "utf-8")
        _swap(pages, book.html)
    return True


def _stage(book: Book, chapters: Sequence[Chapter]) -> None:
    """Lay the sources beside the executed notebooks; what no longer has a source goes."""
    staged = {book.staged(chapter.name) for chapter in chapters}
    for path in [path for path in book.stage.rglob("*") if path.is_file()]:
        if path not in staged:
            path.unlink()
    shutil.copytree(
        book.sources,
        book.stage / "book",
        ignore=shutil.ignore_patterns(*_NOT_STAGED),
        dirs_exist_ok=True,
    )
    for name in _AT_THE_TOP:
        shutil.copy2(book.root / name, book.stage / name)
    shutil.copy2(book.results / "claims.json", book.stage / "claims.json")


def _sphinx(book: Book, folder: Path) -> Path:
    command = [sys.executable, "-c", _JUPYTER_BOOK, "build", ".", "--path-output", str(folder)]
    log = book.build / "html.log"
    with log.open("w", encoding="utf-8") as said:
        strict = ["-W", "--keep-going", "-n", "--all"]
        code = subprocess.run(
            command + strict,
            cwd=book.stage,
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    pages = folder / "_build" / "html"
    if code or not (pages / "index.html").exists():
        raise BuildError(f"the pages were not built:\n{_complaints(log)}\nall of it is in {log}")
    return pages


def _complaints(log: Path) -> str:
    lines = _COLOUR.sub("", log.read_text("utf-8")).splitlines()
    telling = [line for line in lines if "WARNING" in line or "ERROR" in line]
    return "\n".join((telling or lines)[-_SHOWN_LINES:])


def _swap(new: Path, place: Path) -> None:
    """Put the folder `new` at `place`; what was there is removed last."""
    old = new.with_name("old")
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
