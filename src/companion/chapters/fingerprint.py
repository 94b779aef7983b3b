"""When is a run still good? A hash over everything that a chapter's numbers can depend on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import companion
from companion.chapters.source import Book, Chapter

_NOT_SOURCE = {"__pycache__", ".ipynb_checkpoints"}


def chapter_fingerprint(chapter: Chapter, values: Mapping[str, Any], around: str) -> str:
    """The hash of one run: notebook, parameters, files that they name, and `around`.

    `around` is `surroundings`; of named files path, size and time count, for they may be large.
    """
    told = json.dumps([around, chapter.name, dict(values), _named_files(values)], sort_keys=True)
    return hashlib.sha256(told.encode() + chapter.path.read_bytes()).hexdigest()


def _named_files(values: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Path, size and time of every file that a text parameter names, or whose folder it names."""
    listed = [value if isinstance(value, list) else [value] for value in values.values()]
    texts = [text for values in listed for text in values if isinstance(text, str)]
    names = {part.strip().partition("@")[0] for text in texts for part in text.split(",")}
    named = [Path(name) for name in sorted(names) if os.path.exists(name)]
    files = [file for path in named for file in (path, *sorted(path.rglob("*"))) if file.is_file()]
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def surroundings(book: Book) -> str:
    """The hash of what all chapters share: package, embedded models, data, installed versions."""
    folders = {
        "package": Path(companion.__file__).parent,
        "results": Path(os.environ.get("COMPANION_RESULTS", book.sources / "results")),
    }
    if "COMPANION_DATA" in os.environ:
        folders["data"] = Path(os.environ["COMPANION_DATA"])
    parts = [f"{name} {tree_hash(folder)}" for name, folder in folders.items()]
    return hashlib.sha256("\n".join([*parts, *_versions()]).encode()).hexdigest()


def tree_hash(folder: Path, leave_out: Iterable[str] = ()) -> str:
    """The hash of every file's path and content under `folder`; of nothing if it is not there."""
    digest = hashlib.sha256()
    skipped = _NOT_SOURCE.union(leave_out)
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and skipped.isdisjoint(relative.parts):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{relative.as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _versions() -> list[str]:
    installed = {f"{d.metadata['Name']}=={d.version}" for d in metadata.distributions()}
    return [platform.machine(), platform.python_version(), *sorted(installed)]
