"""Companion to "Inverse Depth Scaling From Most Layers Being Similar".

Public names load on first use, so that ``import companion`` stays fast.
"""

from importlib import import_module
from importlib.metadata import version

__version__ = version("depth-companion")

_HOME = {
    "Claim": "evidence.claims",
    "Measurement": "evidence.claims",
    "Runtime": "runtime",
    "load_model": "models",
    "load_table": "tables",
    "probe": "probing",
    "trace": "interventions",
    "fit": "scaling",
    "FitResult": "scaling",
    "ScalingLaw": "scaling",
    "run_toy": "toy",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'companion' has no attribute {name!r}")
    return getattr(import_module(f"companion.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
