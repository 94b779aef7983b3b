"""Toy experiments: residual students of many depths learn from a known residual teacher.

`specification`: what is trained; `experiment`: from it to a labelled result; `comparison`: several
residual blocks at tuned rates; `analysis`: depth exponents; `regimes`: what tells regimes apart.
Rooms: `networks` (blocks, teachers, students), `training` (engine, CUDA graph, checkpoints).
"""

from companion.files import read_netcdf as load
from companion.files import write_netcdf as save
from companion.toy.experiment import run_toy, target_entropy, times
from companion.toy.specification import Specification, named, specification

__all__ = [
    "Specification",
    "load",
    "named",
    "run_toy",
    "save",
    "specification",
    "target_entropy",
    "times",
]
