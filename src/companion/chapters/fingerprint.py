"""When is a run still good? A hash over everything that a chapter's numbers can depend on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import companion
from companion import files
from companion.chapters.source import Book, Chapter
from companion.runs import content_hash


def chapter_fingerprint(chapter: Chapter, values: Mapping[str, Any], environment: str) -> str:
    """The hash of one run: notebook, parameters, files that they name, and `environment`.

    `environment` is `environment_hash`; of named files path and content count.
    """
    parts = [environment, chapter.name, dict(values), _named_files(values)]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode() + chapter.path.read_bytes()).hexdigest()


def _named_files(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Path and content of every file or folder that a text parameter names."""
    listed = [value if isinstance(value, list) else [value] for value in values.values()]
    texts = [text for values in listed for text in values if isinstance(text, str)]
    names = {part.strip().partition("@")[0] for text in texts for part in text.split(",")}
    return [(name, content_hash(Path(name))) for name in sorted(names) if os.path.exists(name)]


def environment_hash(book: Book) -> str:
    """The hash of what all chapters share: package, data, installed versions, models at hand.

    An open model that comes or goes, and leave to fetch one, change what a chapter can show.
    """
    folders = {
        "package": Path(companion.__file__).parent,
        "results": Path(os.environ.get("COMPANION_RESULTS", book.sources / "results")),
    }
    if "COMPANION_DATA" in os.environ:
        folders["data"] = Path(os.environ["COMPANION_DATA"])
    parts = [f"{name} {content_hash(folder)}" for name, folder in folders.items()]
    parts += [f"offline {files.offline()}", f"models {models_here()}"]
    return hashlib.sha256("\n".join([*parts, *_versions()]).encode()).hexdigest()


def models_here() -> list[str]:
    """Names of the open models that need not be fetched any more."""
    from companion.models import open_models

    return [name for name, model in open_models().items() if model.is_here]


def _versions() -> list[str]:
    installed = {f"{d.metadata['Name']}=={d.version}" for d in metadata.distributions()}
    return [platform.machine(), platform.python_version(), *sorted(installed)]
