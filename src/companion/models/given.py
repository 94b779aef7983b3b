"""A model however it is given: loaded, by name, or a transformers model in memory."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from companion.errors import InputError
from companion.models.anatomy import Model
from companion.models.sources.load import load_model
from companion.runtime import Runtime


def as_model(model: Model | str | Any, runtime: Runtime | None = None) -> Model:
    """A `Model` of whatever names or is one.

    Parameters
    ----------
    model : Model, str or transformers.PreTrainedModel
        A loaded model, which is returned as it is; a name for `load_model`; or a causal language
        model of transformers that is already in memory, which stays where and as it is.
    runtime : Runtime, optional
        For loading by name, `Runtime.choose()` without it; of one in memory only the seed counts.

    Raises
    ------
    InputError
        If it is none of these, or as `load_model` and `Model.of` do.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str):
        return load_model(model, runtime or Runtime.choose())
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel):
        raise InputError(
            f"a {type(model).__name__} is no model: give a name, a loaded model, or a transformers "
            "model in memory"
        )
    dtype = str(model.dtype).removeprefix("torch.")
    seed = runtime.seed if runtime else 0
    return Model.of(model, Runtime.choose(str(model.device), dtype, seed))


@lru_cache(maxsize=1)
def loaded_once(name: str, runtime: Runtime | None = None) -> Model:
    """As `as_model`, but a process that is asked for the same name again gives the same model."""
    return as_model(name, runtime)
