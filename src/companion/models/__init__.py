"""Causal language models: load one by name, name its parts, read its residual stream (floor 1)."""

from companion.models.anatomy import Model
from companion.models.load import ladder_models, load_model
from companion.models.parts import Parts, find_parts
from companion.models.stream import Stream, capture, replay_last_block

__all__ = [
    "Model",
    "Parts",
    "Stream",
    "capture",
    "find_parts",
    "ladder_models",
    "load_model",
    "replay_last_block",
]
