"""A grid that trains in seconds, and its text."""

import pytest

from companion.ladder.grid import make_grid
from companion.runtime import Runtime

TINY = {
    "widths": [32],
    "depths": [1, 2],
    "tokens": [2048, 4096],
    "vocabulary": 300,
    "context": 32,
    "batch": 4,
    "warmup": 4,
    "evaluate": 1024,
}


@pytest.fixture
def text_file(tmp_path):
    """A text with structure that a model can learn: counted lines."""
    file = tmp_path / "text.jsonl"
    lines = (f'{{"text": "line {i} is followed by line {i + 1}"}}' for i in range(600))
    file.write_text("\n".join(lines))
    return file


@pytest.fixture
def grid(text_file):
    return make_grid({**TINY, "corpus": str(text_file), "held_out": str(text_file)})


@pytest.fixture(scope="session")
def runtime():
    return Runtime.choose("cpu", "float32")
