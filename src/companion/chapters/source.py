"""Where the book's files lie, and what its chapters are.

A chapter is a notebook in `book/` that has a cell tagged ``parameters``; its title, its expected
minutes and its parameters are read from the notebook itself, so that nothing is listed twice.
"""

from __future__ import annotations

import difflib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from companion import files
from companion.chapters.parameters import Parameter, parse, resolve
from companion.errors import InputError

PROFILES = ("quick", "full")


@dataclass(frozen=True)
class Book:
    """The folders of one book: sources under `root/book`, everything made under `root/_build`."""

    root: Path

    @classmethod
    def here(cls) -> Book:
        """The book of this checkout, or the one that `COMPANION_BOOK` names.

        Raises
        ------
        InputError
            If there is none.
        """
        named = os.environ.get("COMPANION_BOOK")
        root = Path(named) if named else files.checkout()
        if root is None or not (root / "book").is_dir():
            where = f"COMPANION_BOOK={named}" if named else "an installed package"
            raise InputError(f"no book in {where}: set COMPANION_BOOK to a checkout of the project")
        return cls(root.resolve())

    @property
    def sources(self) -> Path:
        """Chapters, pages, profiles and stored results."""
        return self.root / "book"

    @property
    def build(self) -> Path:
        """Everything that is made."""
        return self.root / "_build"

    @property
    def stage(self) -> Path:
        """What Sphinx reads: pages beside executed notebooks."""
        return self.build / "stage"

    @property
    def results(self) -> Path:
        """What each chapter found, and the ledger of claims."""
        return self.build / "results"

    @property
    def html(self) -> Path:
        """The built pages."""
        return self.build / "html"

    @property
    def partial(self) -> Path:
        """Notebooks that are running, and those that failed on the way."""
        return self.build / "partial"

    def staged(self, chapter: str) -> Path:
        """The executed notebook that the pages are made from."""
        return self.stage / "book" / f"{chapter}.ipynb"

    def profile(self, name: str) -> dict[str, dict[str, Any]]:
        """Parameters by chapter of one profile; quick is every chapter's defaults.

        Raises
        ------
        InputError
            If there is no such profile, or it speaks of a chapter that does not exist.
        """
        if name not in PROFILES:
            raise InputError(f"no profile {name!r}: use {' or '.join(PROFILES)}")
        path = self.sources / "profiles" / f"{name}.yaml"
        listed = (yaml.safe_load(path.read_text("utf-8")) or {}) if path.exists() else {}
        return {find(self, chapter).name: values or {} for chapter, values in listed.items()}


@dataclass(frozen=True)
class Chapter:
    """One chapter: the path of its source notebook, and what the notebook says of itself."""

    path: Path

    @property
    def name(self) -> str:
        """The name of its file, by which commands know it."""
        return self.path.stem

    @cached_property
    def notebook(self) -> dict[str, Any]:
        """The source as JSON has it."""
        try:
            return json.loads(self.path.read_text("utf-8"))
        except (OSError, json.JSONDecodeError) as broken:
            raise InputError(f"{self.path.name} is not a readable notebook: {broken}") from broken

    @property
    def title(self) -> str:
        """Its first heading."""
        for cell in self.notebook["cells"]:
            for line in source(cell).splitlines():
                if cell["cell_type"] == "markdown" and line.startswith("# "):
                    return line[2:].strip()
        return self.name

    @property
    def minutes(self) -> float:
        """Expected minutes of the quick profile on two cores; the longest chapters start first."""
        return float(self.notebook["metadata"].get("companion", {}).get("minutes", 1.0))

    @property
    def formerly(self) -> tuple[str, ...]:
        """Names under which readers may know this chapter."""
        return tuple(self.notebook["metadata"].get("companion", {}).get("formerly", ()))

    @property
    def cells(self) -> int:
        """How many code cells it has."""
        return sum(cell["cell_type"] == "code" for cell in self.notebook["cells"])

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the parameters cell declares; see `companion.chapters.parameters.parse`."""
        return parse("\n".join(source(cell) for cell in self._tagged("parameters")))

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter's value with `given` checked and put over the defaults."""
        return resolve(self.parameters, given, self.name)

    def _tagged(self, tag: str) -> list[dict[str, Any]]:
        cells = self.notebook["cells"]
        return [cell for cell in cells if tag in cell["metadata"].get("tags", ())]


def source(cell: dict[str, Any]) -> str:
    """A notebook cell's source as one string; on disk it may be a list of lines."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def discover(book: Book) -> tuple[Chapter, ...]:
    """All chapters of the book in the order of its table of contents, then any others."""
    contents = _in_contents(book.root / "_toc.yml")
    paths = [path for path in book.sources.glob("*.ipynb") if not path.name.startswith(".")]
    order = {name: place for place, name in enumerate(contents)}
    paths.sort(key=lambda path: (order.get(f"book/{path.stem}", len(order)), path.stem))
    return tuple(Chapter(path) for path in paths)


def find(book: Book, name: str) -> Chapter:
    """The chapter called `name`, or formerly called so: then with a warning that says so.

    Raises
    ------
    InputError
        If there is none; names the nearest one.
    """
    chapters = {chapter.name: chapter for chapter in discover(book)}
    for chapter in chapters.values():
        if name in chapter.formerly and name not in chapters:
            warnings.warn(f"chapter {name!r} is now {chapter.name!r}", stacklevel=2)
            return chapter
    if name not in chapters:
        near = difflib.get_close_matches(name, chapters, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(chapters) or 'none'}"
        raise InputError(f"no chapter {name!r}: {hint}")
    return chapters[name]


def _in_contents(path: Path) -> list[str]:
    """Every file named in a table of contents, depth first."""
    if not path.exists():
        return []
    names: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            names.extend(value for key, value in node.items() if key in ("root", "file"))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(yaml.safe_load(path.read_text("utf-8")))
    return [name.removesuffix(".ipynb") for name in names]
