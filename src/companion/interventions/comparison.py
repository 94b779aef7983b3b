"""The same disturbances in several models, on the same text; and real models, live or as stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import xarray as xr
from pydantic import Field

from companion import corpus
from companion.corpus import Block
from companion.errors import InputError
from companion.files import read_netcdf, stored
from companion.interventions.ablation import Progress, ablate
from companion.models import Model, ModelUnavailable, as_model
from companion.runtime import Runtime
from companion.settings import Number, Values, Whole, settings

KINDS = ("skip", "swap", "average")
STORED = "interventions-{}.nc"
"""Name of the stored run of a model among the results of heavy runs."""


@settings("text")
class Text(corpus.Text):
    """Text cut into blocks for a model.

    Parameters
    ----------
    every : int
        Take one block in this many, so that few tokens come from many documents; the intervals
        are over documents.
    """

    tokens: Annotated[Whole, Field(ge=1)] = 2048
    block_length: Annotated[Whole, Field(ge=2)] = 128
    every: Annotated[Whole, Field(ge=1)] = 8

    def blocks(self, model: Model) -> tuple[list[Block], str]:
        """The blocks in the model's tokens, and the manifest of what was read, as JSON.

        Raises
        ------
        InputError
            If the model has no tokenizer, or as `companion.corpus.blocks` does.
        """
        if model.tokenizer is None:
            raise InputError(
                f"model {model.name!r} has no tokenizer, so text cannot become its tokens"
            )
        text = corpus.blocks(
            self.corpus, model.tokenizer, self.block_length, self.tokens * self.every
        )
        taken = list(islice(text, 0, None, self.every))
        return taken, json.dumps(text.manifest() | {"every": self.every})


@settings("ablation")
class Ablation:
    """What is done to the blocks, and what is read of it.

    Parameters
    ----------
    kinds : tuple of str
        Of skip, swap, repeat, average, parallel.
    read_fraction : float
        Share of the predictions whose loss is read.
    batch_size : int
        Blocks of text at once, 0 for what fits into memory.
    """

    kinds: Values[str] = KINDS
    read_fraction: Annotated[Number, Field(gt=0, le=1)] = 1.0
    batch_size: Annotated[Whole, Field(ge=0)] = 0


def ablate_text(
    model: Model | str | Any,
    text: Text,
    kinds: Sequence[str] = KINDS,
    *,
    runtime: Runtime | None = None,
    read_fraction: float = 1.0,
    batch_size: int = 0,
    progress: Progress | None = None,
    keep: Path | None = None,
) -> xr.Dataset:
    """`ablate` on a corpus; its manifest is among the attributes.

    Parameters
    ----------
    model : Model, str or transformers model
    text : Text
    kinds : sequence of str
    runtime : Runtime, optional
        For a model given by name.
    read_fraction, batch_size, progress, keep
        As for `ablate`.

    Raises
    ------
    InputError
        As `as_model`, `Text.blocks` and `ablate` do.
    """
    model = as_model(model, runtime)
    taken, manifest = text.blocks(model)
    options = {"read_fraction": read_fraction, "batch_size": batch_size, "progress": progress}
    found = ablate(model, taken, kinds, keep=keep, **options)
    return found.assign_attrs(corpus=text.corpus, manifest=manifest)


def ablate_models(
    models: Sequence[str],
    runtime: Runtime,
    text: Text,
    kinds: Sequence[str] = KINDS,
    **options: Any,
) -> dict[str, xr.Dataset]:
    """`ablate_text` of every model in turn, by name, shallowest first; options as there."""
    done = {name: ablate_text(name, text, kinds, runtime=runtime, **options) for name in models}
    return dict(sorted(done.items(), key=lambda item: item[1].attrs["ell"]))


@dataclass(frozen=True)
class Pretrained:
    """What is known of a pretrained model beside the ladder.

    Parameters
    ----------
    name : str
        Empty if none was asked for.
    live : dict of name to Dataset
        Measured now; empty where the model could not be had.
    stored : dict of name to Dataset
        Measured before, on more tokens.
    refused : str
        Why it could not be had.
    """

    name: str
    live: dict[str, xr.Dataset]
    stored: dict[str, xr.Dataset]
    refused: str = ""

    @property
    def runs(self) -> dict[str, xr.Dataset]:
        """All there are, the stored ones first, under names that tell which is which."""
        stored = {f"{name}, stored": dataset for name, dataset in self.stored.items()}
        return stored | {f"{name}, live": dataset for name, dataset in self.live.items()}


def ablate_or_stored(
    name: str, runtime: Runtime, text: Text, kinds: Sequence[str] = KINDS, **options: Any
) -> Pretrained:
    """Disturb a pretrained model if it can be had here, and read the stored runs that there are.

    Parameters
    ----------
    name : str
        For `load_model`; empty for none.
    runtime : Runtime
    text : Text
    kinds, **options
        As for `ablate_text`.
    """
    earlier = stored_runs()
    if not name:
        return Pretrained(name, {}, earlier)
    try:
        model = as_model(name, runtime)
    except ModelUnavailable as refused:
        return Pretrained(name, {}, earlier, str(refused))
    return Pretrained(name, {name: ablate_text(model, text, kinds, **options)}, earlier)


def stored_runs(names: Sequence[str] = ("smollm2-135m", "gemma3-270m")) -> dict[str, xr.Dataset]:
    """The stored runs of pretrained models, by name; those that are not there are left out."""
    found = {}
    for name in names:
        try:
            path = stored(STORED.format(name))
        except InputError:
            continue
        found[name] = read_netcdf(path)
    return found
