"""Hand a result's numbers and sentences to a chapter's prose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Real
from typing import Any


def publish(results: Any, prefix: str = "") -> None:
    """Make each field of a result citable in prose as ``{glue:text}`<prefix><name>```.

    Parameters
    ----------
    results : dataclass instance or mapping
        Texts and numbers; underscores in names become hyphens. Numbers are handed on as Python
        floats or ints, so that a page never shows a NumPy type.
    prefix : str
        Stands before every name.

    Raises
    ------
    TypeError
        If a value is neither a text nor a number.
    """
    from myst_nb import glue

    for name, value in _items(results):
        glue(f"{prefix}{name}".replace("_", "-"), _plain(value), display=False)


def _items(results: Any) -> list[tuple[str, Any]]:
    if isinstance(results, Mapping):
        return list(results.items())
    if is_dataclass(results):
        return [(field.name, getattr(results, field.name)) for field in fields(results)]
    raise TypeError(f"{type(results).__name__} has no fields: publish a mapping or dataclass")


def _plain(value: Any) -> str | int | float:
    if isinstance(value, str | int):
        return value
    if isinstance(value, Real) or hasattr(value, "__float__"):
        return float(value)
    raise TypeError(f"{value!r} is neither a text nor a number")
