"""A few tiny students of every regime, trained for some steps."""

from __future__ import annotations

import pytest

from companion.runtime import Runtime
from companion.toy.calibration.design import design, tasks
from companion.toy.calibration.training import trained

TINY = {
    "name": "tiny",
    "widths": [8],
    "common": {
        "teachers": 2,
        "teacher_depth": 4,
        "loss": "mse",
        "head": "none",
        "depths": [4, 8],
        "batch": 32,
        "steps": 12,
        "lr": 6e-3,
        "test_batches": 2,
    },
    "regimes": {
        "ensemble": {"rho": [0.0], "gains": [2, 4]},
        "procedural": {"rho": [1.0], "gains": [0.5]},
        "compositional": {"teacher": "parity"},
    },
}


@pytest.fixture(scope="session")
def runtime():
    return Runtime.choose("cpu", "float32", 0)


@pytest.fixture(scope="session")
def tiny():
    return design(TINY)


@pytest.fixture(scope="session")
def engines(tiny, runtime):
    """Each task with its engine, by regime."""
    return {task.regime: (task, trained(task, runtime)) for task in tasks(tiny)}
