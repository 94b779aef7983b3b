"""The parameters cell of a chapter: what may be set, and the check of what was set.

One line a parameter, ``name: type = default  # help [low, high]`` or ``# help {a, b}``; the
defaults are the quick profile. papermill checks neither names nor types, so this does.
"""

from __future__ import annotations

import ast
import difflib
import io
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import Strict, TypeAdapter, ValidationError

from companion.errors import InputError
from companion.settings import Number, Whole


class _Scalar(NamedTuple):
    annotation: Any
    words: str
    ordered: bool = False


SCALARS = {
    "int": _Scalar(Whole, "a whole number", ordered=True),
    "float": _Scalar(Number, "a number", ordered=True),
    "str": _Scalar(Annotated[str, Strict()], "a text"),
    "bool": _Scalar(bool, "true or false"),
}
_RANGE = re.compile(r"\[([-+.\deE ]*),([-+.\deE ]*)\]\s*$")
_CHOICES = re.compile(r"\{([^{}]*)\}\s*$")


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type (``int``, ``list[float]``, ...), default, help and limits."""

    name: str
    type: str
    default: Any
    help: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    @property
    def limits(self) -> str:
        """The limits in words, empty without any."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return (
            "" if self.low == -math.inf and self.high == math.inf else _bounds(self.low, self.high)
        )

    def check(self, value: Any) -> Any:
        """Give `value` in this parameter's type.

        Parameters
        ----------
        value : object
            A string from the command line, or a plain value from a profile.

        Raises
        ------
        InputError
            If the type is wrong or the value is outside the limits.
        """
        if not self.type.startswith("list["):
            return self._element(value)
        items = _items(value) if isinstance(value, str) else value
        if not isinstance(items, list):
            raise InputError(f"{self.name}={value!r} is not a {self.type}")
        return [self._element(item) for item in items]

    def _element(self, value: Any) -> Any:
        kind = SCALARS[self.type.removeprefix("list[").removesuffix("]")]
        try:
            converted = TypeAdapter(kind.annotation).validate_python(value)
        except ValidationError:
            raise InputError(f"{self.name}={value!r} is not {kind.words}") from None
        outside = kind.ordered and not self.low <= converted <= self.high
        if outside or (self.choices and str(converted) not in self.choices):
            raise InputError(f"{self.name}={value!r} must be {self.limits}")
        return converted


def parse(source: str) -> tuple[Parameter, ...]:
    """All parameters of a parameters cell, in order.

    Raises
    ------
    InputError
        If a line is not ``name: type = default  # help``, or a default breaks its own limits.
    """
    comments = _comments(source)
    parameters = []
    for statement in ast.parse(source).body:
        parameters.append(_parameter(statement, comments.get(statement.end_lineno or 0, "")))
    return tuple(parameters)


def resolve(
    parameters: tuple[Parameter, ...], given: Mapping[str, Any], chapter: str
) -> dict[str, Any]:
    """Every parameter's value: the given one, checked, or else the default.

    Raises
    ------
    InputError
        If a name is unknown (the nearest right one is named) or a value is refused.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            raise InputError(_unknown(name, chapter, list(known)))
    return {
        name: parameter.check(given[name]) if name in given else parameter.default
        for name, parameter in known.items()
    }


def _parameter(statement: ast.stmt, comment: str) -> Parameter:
    match statement:
        case ast.AnnAssign(
            target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value
        ):
            kind = ast.unparse(annotation)
        case _:
            raise InputError(
                f"parameters line {ast.unparse(statement)!r} is not name: type = value"
            )
    if kind.removeprefix("list[").removesuffix("]") not in SCALARS:
        raise InputError(f"parameter {name} has type {kind}: use {', '.join(SCALARS)} or a list")
    default = ast.literal_eval(value)
    parameter = Parameter(name, kind, default, *_limits(comment))
    parameter.check(default)
    return parameter


def _limits(comment: str) -> tuple[str, float, float, tuple[str, ...]]:
    if found := _CHOICES.search(comment):
        choices = tuple(choice.strip() for choice in found[1].split(","))
        return comment[: found.start()].strip(), -math.inf, math.inf, choices
    if found := _RANGE.search(comment):
        low, high = (side.strip() for side in found.groups())
        return (
            comment[: found.start()].strip(),
            float(low or -math.inf),
            float(high or math.inf),
            (),
        )
    return comment, -math.inf, math.inf, ()


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}


def _items(text: str) -> Any:
    try:
        return yaml.safe_load(text if text.lstrip().startswith("[") else f"[{text}]")
    except yaml.YAMLError:
        return None


def _bounds(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"at most {high:g}" if math.isinf(low) else f"from {low:g} to {high:g}"


def _unknown(name: str, chapter: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
    return f"chapter {chapter} has no parameter {name}: {hint}"
