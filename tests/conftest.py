"""What tests of several rooms share: a ladder's grid that trains in seconds, and its text."""

import pytest


@pytest.fixture
def tiny_grid(tmp_path):
    """The record of a grid of one width and two depths on a text that a model can learn."""
    file = tmp_path / "text.jsonl"
    lines = (f'{{"text": "line {i} is followed by line {i + 1}"}}' for i in range(600))
    file.write_text("\n".join(lines))
    return {
        "widths": [32],
        "depths": [1, 2],
        "tokens": [2048, 4096],
        "vocabulary": 300,
        "context": 32,
        "batch": 4,
        "warmup": 4,
        "evaluate": 1024,
        "corpus": str(file),
        "held_out": str(file),
    }
