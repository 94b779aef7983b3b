"""Causal language models: load one by name, name its parts, read its residual stream (floor 1)."""

from companion.models.anatomy import Model
from companion.models.fetching import ModelUnavailable, fetch
from companion.models.load import ladder_models, load_model
from companion.models.parts import Parts, find_parts
from companion.models.registry import OpenModel, open_model, open_models
from companion.models.stream import Stream, capture, replay_last_block

__all__ = [
    "Model",
    "ModelUnavailable",
    "OpenModel",
    "Parts",
    "Stream",
    "capture",
    "fetch",
    "find_parts",
    "ladder_models",
    "load_model",
    "open_model",
    "open_models",
    "replay_last_block",
]
