"""The same probe on several models, for questions about depth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from companion.errors import InputError
from companion.probing.summaries import depth
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr

    from companion.models import Model

LADDER = "ladder"


def model_names(models: str) -> list[str]:
    """Model names out of one string: "ladder" for all embedded models, or names between commas.

    Raises
    ------
    InputError
        If the string names no model, or one twice.
    """
    from companion.models import ladder_models

    listed = [name.strip() for name in models.split(",") if name.strip()]
    listed = [n for name in listed for n in (ladder_models() if name == LADDER else [name])]
    if not listed:
        raise InputError(f"models={models!r} names no model: use ladder, or names between commas")
    if len(set(listed)) < len(listed):
        raise InputError(f"models={models!r} names a model twice")
    return listed


def probe_models(models: str, runtime: Runtime, **options) -> dict[str, xr.Dataset]:
    """Probe every model of `models` on the same corpus, shallowest first.

    Parameters
    ----------
    models : str
        As for `model_names`.
    runtime : Runtime
    **options
        As for `probe_one`.

    Returns
    -------
    dict of short name to dataset
        As `short_name` gives it; the full name where two would be alike.
    """
    listed = model_names(models)
    done = [probe_one(name, runtime, **options) for name in listed]
    brief = [short_name(name) for name in listed]
    keys = brief if len(set(brief)) == len(listed) else listed
    by_name = dict(zip(keys, done, strict=True))
    return dict(sorted(by_name.items(), key=lambda item: depth(item[1])))


def reuse_or_probe(
    model: str, done: Mapping[str, xr.Dataset], runtime: Runtime, **options
) -> xr.Dataset:
    """The dataset of `model` out of `done` if it is there, or else a probe of its own."""
    for dataset in done.values():
        if dataset.attrs["model"] == model:
            return dataset
    return probe_one(model, runtime, **options)


def probe_one(
    model: str,
    runtime: Runtime,
    *,
    corpus: str,
    tokens: int,
    block_length: int,
    batch_size: int = 0,
    untrained: bool = False,
    **options,
) -> xr.Dataset:
    """Load one model, cut the corpus with its tokenizer, and probe.

    Parameters
    ----------
    model : str
        "ladder:NAME", a folder, or a Hub id.
    runtime : Runtime
    corpus, tokens, block_length
        As for `companion.corpus.blocks`.
    batch_size : int
        Blocks at once; 0 fits the memory.
    untrained : bool
        Replace the weights by random ones, see `reinitialised`.
    **options
        Passed on to `companion.probing.probe`.

    Raises
    ------
    InputError
        If the model has no tokenizer, if all tokens are of one document, or as `load_model`,
        `blocks` and `probe` do.
    """
    from companion.models import load_model

    loaded = load_model(model, runtime)
    settings = {"block_length": block_length, "batch_size": batch_size, **options}
    return probe_loaded(
        reinitialised(loaded) if untrained else loaded, corpus=corpus, tokens=tokens, **settings
    )


def probe_loaded(
    loaded: Model, *, corpus: str, tokens: int, block_length: int, batch_size: int = 0, **options
) -> xr.Dataset:
    """As `probe_one`, for a model that is there already."""
    from companion.corpus import blocks
    from companion.probing import probe

    if loaded.tokenizer is None:
        raise InputError(
            f"model {loaded.name!r} has no tokenizer, so no text can be cut into its tokens"
        )
    text = blocks(corpus, loaded.tokenizer, block_length, tokens)
    result = probe(loaded, text, batch_size=batch_size, **options)
    if result.attrs["clusters"] < 2:
        raise InputError(
            f"the {result.attrs['tokens']} tokens read of corpus {corpus!r} are of one document: "
            "an interval takes at least 2, better 30; give more text or more tokens"
        )
    return result


def reinitialised(model: Model) -> Model:
    """The same architecture with random weights, as its family initialises them; seeded."""
    import torch
    from transformers import AutoModelForCausalLM

    from companion.models import Model

    runtime = model.runtime
    # transformers draws initial weights from the global generator only: seed it, then restore it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(runtime.seed)
        net = AutoModelForCausalLM.from_config(model.net.config, dtype=torch.float32)
    net = net.to(runtime.torch_device, runtime.torch_dtype)
    return Model.of(net, runtime, model.tokenizer, f"{model.name} (random weights)")


def short_name(model: str) -> str:
    """The last part of a model's name, e.g. "m128-ell8" of "ladder:m128-ell8"."""
    return PurePath(model.rpartition(":")[2]).name
