"""A specification small enough for tests."""

import pytest

from companion.runtime import Runtime
from companion.toy import Specification


@pytest.fixture
def small() -> dict:
    return {
        "name": "small",
        "rho": [0.0, 1.0],
        "teachers": 1,
        "teacher_depth": 4,
        "temperatures": [0.2, 1.0],
        "depths": [2, 1, 4],
        "width": 6,
        "vocabulary": 5,
        "batch": 16,
        "steps": 12,
        "test_batches": 2,
        "times": 5,
        "lr": 3e-3,
    }


@pytest.fixture
def spec(small) -> Specification:
    return Specification(**small)


@pytest.fixture
def exact() -> Runtime:
    return Runtime.choose("cpu", "float64")
