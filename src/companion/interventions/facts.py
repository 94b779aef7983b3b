"""Facts to trace: a prompt about a subject, and the continuation of one who knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from companion.errors import InputError
from companion.files import user_path

_SLOT = "{subject}"
_FIELDS = ("prompt", "subject", "target")
_OPTIONAL = ("relation",)
_PACKAGED = Path(__file__).resolve().parents[1] / "data" / "facts"


@dataclass(frozen=True)
class Fact:
    """A prompt, the subject in it, and its continuation.

    Parameters
    ----------
    prompt : str
        With the subject, or with the slot {subject}, exactly once.
    subject : str
    target : str
        Continues the prompt letter by letter: give the space that comes before a word.
    relation : str
        What ties subject and target, e.g. "capital"; facts of one relation are not independent.
        Empty where the file names none.

    Raises
    ------
    InputError
        If a part is empty or the subject is not exactly once in the prompt.
    """

    prompt: str
    subject: str
    target: str
    relation: str = ""

    def __post_init__(self) -> None:
        if not (self.prompt and self.subject and self.target):
            raise InputError(f"fact {self.prompt!r} needs a prompt, a subject and a target")
        wanted = _SLOT if _SLOT in self.prompt else self.subject
        found = self.prompt.count(wanted)
        if found != 1:
            raise InputError(
                f"subject {self.subject!r} must be in the prompt {self.prompt!r} exactly once, "
                f"as itself or as {_SLOT}: found {found} times"
            )

    @property
    def text(self) -> str:
        """The prompt with the subject in its slot."""
        return self.prompt.replace(_SLOT, self.subject)

    @property
    def span(self) -> tuple[int, int]:
        """Where the subject starts and ends in `text`, in characters."""
        start = self.prompt.find(_SLOT if _SLOT in self.prompt else self.subject)
        return start, start + len(self.subject)


def packaged_facts() -> list[str]:
    """Names of the facts that come with the package."""
    return sorted(path.stem for path in _PACKAGED.glob("*.yaml"))


def load_facts(name_or_path: str | Path) -> list[Fact]:
    """Read facts from YAML (a list) or JSONL; or packaged ones by name.

    Every record has `prompt`, `subject` and `target`, and may have `relation`; nothing else.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or a record is not a fact.
    """
    path = user_path(name_or_path)
    if str(name_or_path) in packaged_facts():
        path = _PACKAGED / f"{name_or_path}.yaml"
    if not path.is_file():
        packaged = ", ".join(packaged_facts())
        raise InputError(f"no facts file {str(name_or_path)!r}; packaged facts: {packaged}")
    records = _parse(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"facts file {str(path)!r} must hold a list of at least one fact")
    return [_fact(record, number, path) for number, record in enumerate(records, 1)]


def _parse(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return yaml.safe_load(text)
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"facts file {str(path)!r} is neither YAML nor JSONL: {reason}") from None


def _fact(record: Any, number: int, path: Path) -> Fact:
    proper = isinstance(record, Mapping) and set(record) - set(_OPTIONAL) == set(_FIELDS)
    if not proper or not all(isinstance(value, str) for value in record.values()):
        raise InputError(
            f"fact {number} of {str(path)!r} must have exactly the texts {', '.join(_FIELDS)}, "
            f"and may have {', '.join(_OPTIONAL)}"
        )
    return Fact(**record)
