"""Causal language models: load one by name, name its parts, read its residual stream (floor 1).

`sources` bring a model, `given` takes it however it comes, `anatomy` and `parts` name
what it is made of; `hooks` and `stream` read, replay and change its residual stream; `memory` and
`cost` say what that takes.
"""

from companion.models.anatomy import Model
from companion.models.cost import Cost, measure, token_losses
from companion.models.given import as_model, loaded_once
from companion.models.parts import Parts, find_parts
from companion.models.sources.fetching import ModelUnavailable, fetch
from companion.models.sources.load import ladder_models, load_model, unpacked
from companion.models.sources.registry import OpenModel, open_model, open_models
from companion.models.stream import (
    Stream,
    calls_for,
    capture,
    patched,
    replay,
    replay_last_block,
    started_at,
)

__all__ = [
    "Cost",
    "Model",
    "ModelUnavailable",
    "OpenModel",
    "Parts",
    "Stream",
    "as_model",
    "calls_for",
    "capture",
    "fetch",
    "find_parts",
    "ladder_models",
    "load_model",
    "loaded_once",
    "measure",
    "open_model",
    "open_models",
    "patched",
    "replay",
    "replay_last_block",
    "started_at",
    "token_losses",
    "unpacked",
]
