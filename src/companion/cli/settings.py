"""A command's options from the classes that hold its settings.

A parameter whose type is a settings class (see `companion.settings`) stands for an option a field:
name, type and default are the field's; the help is what the class's docstring says of it, with
the range that the class will hold it to.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from companion.cli.options import pairs
from companion.settings import describe

PLAIN = (bool, int, float, str, Path)


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of its settings, for `typer.Typer.command`.

    Parameters
    ----------
    command : callable
        Parameters annotated with a settings class are expanded in their place, all others are as
        for typer. Sequences are given with commas, mappings as KEY=VALUE, once or more.

    Returns
    -------
    callable
        Takes plain options; makes the settings, which refuse what will not do, and calls `command`.
    """
    signature = inspect.signature(command, eval_str=True)
    classes = {
        name: one.annotation
        for name, one in signature.parameters.items()
        if hasattr(one.annotation, "__pydantic_fields__")
    }

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, cls in classes.items():
            own = {field: given.pop(field) for field in cls.__pydantic_fields__}
            given[name] = cls(**_values(cls, own))
        command(**given)

    parameters: list[inspect.Parameter] = []
    for name, one in signature.parameters.items():
        parameters += _options(classes[name]) if name in classes else [one]
    parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in parameters]
    vars(called)["__signature__"] = signature.replace(parameters=parameters)
    del vars(called)["__wrapped__"]  # typer would read the types of the function within
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def described(cls: type) -> dict[str, str]:
    """What the numpydoc docstrings of a class and its bases say of each parameter, on one line."""
    texts = [inspect.cleandoc(one.__doc__ or "") for one in reversed(cls.__mro__)]
    text = "\n\n".join(texts)
    entries = re.findall(r"^(\w[\w, ]*) : .*((?:\n {4}.*)+)", text, re.MULTILINE)
    return {name: " ".join(said.split()) for names, said in entries for name in names.split(", ")}


def _options(cls: Any) -> list[inspect.Parameter]:
    """One parameter a field, as typer reads them."""
    said = described(cls)
    fields = cls.__pydantic_fields__.items()
    return [_option(name, field, said.get(name, "")) for name, field in fields]


def _option(name: str, field: FieldInfo, said: str) -> inspect.Parameter:
    base = _base(field.annotation)
    limits = describe(field.annotation, field.metadata)
    bounded = base is not dict and re.search(r"\d|one of", limits)
    kind = {tuple: str, dict: list[str]}.get(base, base)
    form = {tuple: "A,B,...", dict: "KEY=VALUE"}.get(base)
    default = inspect.Parameter.empty if field.is_required() else _shown(field.default)
    names = [f"--{name.replace('_', '-')}"] if default is False else []  # or --no-NAME comes too
    text = f"{said} ({limits})" if bounded else said
    option = typer.Option(*names, help=text, metavar=form)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind | None if default is None else kind, option],
    )


def _base(kind: Any) -> Any:
    """bool, int, float, str or Path; tuple for a sequence, dict for a mapping."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is None:
        return kind
    if origin is Literal:
        return str
    if origin is Annotated:
        return _base(inner[0])
    if origin in (Union, UnionType):
        kinds = [one for one in inner if one is not NoneType]
        return _base(kinds[0]) if len(kinds) == 1 else str
    return dict if issubclass(origin, Mapping) else tuple


def _shown(default: Any) -> Any:
    """A default as it would be typed; None where the class makes it."""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return default if isinstance(default, PLAIN) else None


def _values(cls: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, in the form that the class takes; what was not, is left to it."""
    return {
        name: _typed(name, cls.__pydantic_fields__[name], value)
        for name, value in given.items()
        if value not in (None, [])
    }


def _typed(name: str, field: FieldInfo, value: Any) -> Any:
    base = _base(field.annotation)
    if base is tuple:
        return tuple(part.strip() for part in value.split(","))
    if base is dict:
        return pairs(value, f"--{name.replace('_', '-')}", "name=value")
    return value
