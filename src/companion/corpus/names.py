"""Which text a corpus' name means (floor 1)."""

from __future__ import annotations

from companion.corpus.english import english_source
from companion.corpus.sources import (
    HELD_OUT_PACKAGES,
    TRAIN_PACKAGES,
    Source,
    hub_source,
    path_source,
    python_source,
)
from companion.errors import InputError
from companion.files import user_path


def open_source(name: str) -> Source:
    """The documents of corpus `name`, see `blocks`."""
    if name in ("python-source", "python-source:held-out"):
        return python_source(name, HELD_OUT_PACKAGES)
    if name == "python-source:train":
        return python_source(name, TRAIN_PACKAGES)
    if name == "english":
        return english_source(name)
    if name.startswith("hub:"):
        return hub_source(name)
    path = user_path(name)
    if name and path.exists():
        return path_source(name, path)
    raise InputError(
        f"corpus {name!r} is neither python-source, english, hub:NAME, nor a file or "
        "folder that exists"
    )
