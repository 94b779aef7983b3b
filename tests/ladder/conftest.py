"""A grid that trains in seconds, and where."""

import pytest

from companion.ladder.grid import Grid
from companion.runtime import Runtime


@pytest.fixture
def grid(tiny_grid):
    return Grid(**tiny_grid)


@pytest.fixture(scope="session")
def runtime():
    return Runtime.choose("cpu", "float32")
