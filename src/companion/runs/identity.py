"""Are two runs the same? Settings are compared by value, files by what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from companion.files import sha256_of

_NOT_CONTENT = {"__pycache__", ".ipynb_checkpoints"}
_ABSENT = object()


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they look once they have been written as JSON and read again.

    What JSON has no word for (paths, infinities) becomes text.
    """
    return json.loads(json.dumps(dict(settings), default=str), parse_constant=str)


def difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first setting in which two runs differ, in words; None where they agree.

    Parameters
    ----------
    then, now : mapping
        Settings of the earlier and of this run; nested ones are named "outer.inner".

    Returns
    -------
    str or None
        E.g. "tokens was 640, now 320".
    """
    return _first_difference(plain(then), plain(now), "")


def _first_difference(then: Mapping[str, Any], now: Mapping[str, Any], outer: str) -> str | None:
    for key in [*now, *(key for key in then if key not in now)]:
        old, new = then.get(key, _ABSENT), now.get(key, _ABSENT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if found := _first_difference(old, new, f"{outer}{key}."):
                return found
        elif _written(old) != _written(new):
            return f"{outer}{key} was {_written(old)}, now {_written(new)}"
    return None


def _written(value: Any) -> str:
    """A value to compare and to show; 1 and 1.0 are the same number."""
    if value is _ABSENT:
        return "not set"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def content_hash(path: Path, leave_out: Iterable[str] = ()) -> str:
    """The hash of what a file holds, or of every file's path and content under a folder.

    A path that is not there hashes as an empty folder does.

    Parameters
    ----------
    path : Path
    leave_out : iterable of str
        Names of files and folders that do not count, besides compiled ones.
    """
    if path.is_file():
        return sha256_of(path)
    digest, skipped = hashlib.sha256(), _NOT_CONTENT.union(leave_out)
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and skipped.isdisjoint(relative.parts):
            digest.update(f"{relative.as_posix()} {content_hash(file)}\n".encode())
    return digest.hexdigest()
