"""The same disturbances in several models, on the same text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice

import xarray as xr

from companion.corpus import blocks
from companion.errors import InputError
from companion.interventions.ablation import ablate
from companion.models import load_model
from companion.runtime import Runtime


def ablate_each(
    models: Sequence[str],
    runtime: Runtime,
    *,
    corpus: str,
    tokens: int,
    block_length: int,
    every: int = 8,
    kinds: Sequence[str] = ("skip", "swap", "average"),
    batch: int = 8,
) -> dict[str, xr.Dataset]:
    """Disturb the blocks of every model in turn, shallowest first.

    Parameters
    ----------
    models : sequence of str
        Names for `load_model`.
    runtime : Runtime
    corpus : str
        As for `companion.corpus.blocks`.
    tokens, block_length : int
        Tokens to run, and tokens in a block.
    every : int
        Take one block in this many, so that few tokens come from many documents; the intervals
        are over documents.
    kinds : sequence of str
    batch : int
        Blocks of text run at once.

    Returns
    -------
    dict of name to Dataset
        As `ablate` gives it; the corpus' manifest is among the attributes.

    Raises
    ------
    InputError
        If a model has no tokenizer, or as `ablate`, `load_model` and `blocks` do.
    """
    done = {}
    for name in models:
        model = load_model(name, runtime)
        if model.tokenizer is None:
            raise InputError(f"model {name!r} has no tokenizer, so text cannot become its tokens")
        text = blocks(corpus, model.tokenizer, block_length, tokens * every)
        found = ablate(model, list(islice(text, 0, None, every)), kinds, batch=batch)
        manifest = json.dumps(text.manifest() | {"every": every})
        done[name] = found.assign_attrs(corpus=corpus, manifest=manifest)
    return dict(sorted(done.items(), key=lambda item: item[1].attrs["ell"]))
