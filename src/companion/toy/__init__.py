"""Toy experiments: residual students of many depths learn from a known residual teacher."""

from companion.toy.experiment import Progress, load, run_toy, save, target_entropy, times
from companion.toy.specification import Specification, named, specification

__all__ = [
    "Progress",
    "Specification",
    "load",
    "named",
    "run_toy",
    "save",
    "specification",
    "target_entropy",
    "times",
]
