"""Settings as frozen dataclasses that pydantic checks; what is wrong is said in one sentence.

`@settings("grid")` turns annotated fields into types and ranges that hold. `Whole` and `Number`
read the numbers that YAML takes for words; bounds are pydantic's, `Annotated[Whole, Field(ge=1)]`.
Checks of a class's own are pydantic validators that raise `InputError` with the whole sentence.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from companion.errors import InputError

Item = TypeVar("Item")
BOUNDS = {"ge": "{:g} or more", "gt": "above {:g}", "le": "{:g} or less", "lt": "below {:g}"}

WORDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}


def _number(value: Any) -> Any:
    """YAML 1.1 takes 1e-3 for a word; no number is meant by true and false."""
    if isinstance(value, bool):
        raise ValueError
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _distinct(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(values)) < len(values):
        raise InputError("must differ from one another")
    return values


def one_of(names: Iterable[str]) -> AfterValidator:
    """A check that a text is one of `names`, for what a `Literal` cannot name."""
    allowed = tuple(names)

    def check(value: str) -> str:
        if value not in allowed:
            raise InputError(f"must be one of {', '.join(allowed)}")
        return value

    return AfterValidator(check)


Whole = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Distinct = Annotated[tuple[Item, ...], AfterValidator(_distinct)]
Values = Annotated[Distinct[Item], Field(min_length=1)]


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def settings(what: str) -> Callable[[type[Item]], type[Item]]:
    """Make a class a frozen dataclass whose values are checked when it is made.

    Parameters
    ----------
    what : str
        What the class describes, for its refusals, e.g. "grid" in "the grid has no depths".

    Returns
    -------
    callable
        The decorator. Making the class raises `InputError` at the first value that will not do.
    """

    def decorate(cls: type[Item]) -> type[Item]:
        made: Any = dataclass(frozen=True, config={"extra": "forbid"})(cls)
        checked = made.__init__

        @functools.wraps(checked)
        def __init__(self: Any, *args: Any, **values: Any) -> None:
            try:
                checked(self, *args, **values)
            except ValidationError as error:
                raise InputError(_sentence(error, made, what)) from None

        made.__init__ = __init__
        return made

    return decorate


def to_record(made: Any) -> dict[str, Any]:
    """Plain YAML and JSON types, of which the settings' class makes the same settings again."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(made).items()}


def read_record(path: str | Path, what: str) -> dict[str, Any]:
    """The keys and values of a YAML file that describes a `what`, e.g. a "grid".

    Raises
    ------
    InputError
        If the file cannot be read, is not YAML, or has no keys.
    """
    import yaml

    try:
        record = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{what} file {str(path)!r} cannot be read") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{what} file {str(path)!r} is not YAML: {reason}") from None
    if not isinstance(record, dict):
        raise InputError(f"{what} file {str(path)!r} has no keys: it must map keys to values")
    return record


def _sentence(error: ValidationError, cls: Any, what: str) -> str:
    """The first error in our words: which value, and what would be right."""
    first, known = error.errors()[0], cls.__pydantic_fields__
    name = str(first["loc"][0]) if first["loc"] else ""
    value = first["input"]
    if first["type"] == "missing":
        return f"the {what} needs the key {name!r}"
    if first["type"] == "unexpected_keyword_argument":
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}"
        return f"{what} key {name!r} is unknown: {hint}"
    if first["type"] == "too_short":
        return f"the {what} has no {name}"
    own = str(first.get("ctx", {}).get("error", ""))
    if not name:
        return own
    return f"{name} {shown(value)} {own or 'must be ' + _wanted(known[name], first)}"


def shown(value: Any) -> str:
    """A value as a person wrote it: texts quoted, tuples as lists."""
    if isinstance(value, tuple):
        return str(list(value))
    return repr(value) if isinstance(value, str) else str(value)


def _wanted(field: FieldInfo, error: Mapping[str, Any]) -> str:
    """What a field takes, in words, from its annotation."""
    if error["type"] in ("tuple_type", "list_type"):
        return "a list, such as [1]"
    return describe(field.annotation, field.metadata)


def describe(kind: Any, metadata: Iterable[Any] = ()) -> str:
    """A type with its bounds in words, e.g. "1 or more, whole" or "between 0 and 1"."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    parts = list(_parts(kind))
    types = [part for part in parts if isinstance(part, type)]
    constraints = [*metadata, *parts]
    bounds = {key: getattr(one, key) for one in constraints for key in BOUNDS if hasattr(one, key)}
    finite = any(getattr(one, "allow_inf_nan", True) is False for one in constraints)
    return _range(bounds, types[0] if types else object, finite)


def _parts(kind: Any) -> Iterator[Any]:
    """Plain types and constraints inside a nested annotation."""
    if isinstance(kind, FieldInfo):
        yield from kind.metadata
    elif get_args(kind):
        for part in get_args(kind):
            yield from _parts(part)
    elif kind not in (type(None), Ellipsis):
        yield kind


def _range(bounds: Mapping[str, float], kind: type, finite: bool) -> str:
    if not bounds:
        return WORDS.get(kind, f"of type {kind.__name__}")
    whole = ", whole" if kind is int else ""
    if set(bounds) in ({"ge", "le"}, {"gt", "lt"}):
        low, high = sorted(bounds.values())
        strictly = "strictly " if "gt" in bounds else ""
        return f"{strictly}between {low:g} and {high:g}{whole}"
    said = " and ".join(BOUNDS[key].format(value) for key, value in bounds.items())
    return said + (whole or (" and finite" if finite and len(bounds) == 1 else ""))
