"""`companion ladder`: a grid from YAML to a table and exported models, and refusals in a line."""

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from companion.cli import app


@pytest.fixture
def grid_file(tiny_grid, tmp_path):
    grid = tmp_path / "grid.yaml"
    grid.write_text(yaml.safe_dump(tiny_grid | {"depths": [1], "tokens": [2048]}))
    return grid


def companion(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_grid_is_trained_and_exported(grid_file, tmp_path):
    options = ("--dtype", "float32", "--device", "cpu")
    done = companion("ladder", "train", grid_file, "--out", tmp_path / "trained", *options)
    assert done.exit_code == 0, done.output
    assert "m32-ell1-seed0-lr0.004 D=2e+03: 1 of 16 steps, loss " in done.stderr
    assert "% of peak" in done.stderr
    assert len(pd.read_csv(tmp_path / "trained" / "table.csv")) == 1
    again = companion("ladder", "train", grid_file, "--out", tmp_path / "trained", *options)
    assert again.exit_code == 2
    assert again.stderr.endswith("go on with it (--resume) or start anew (--overwrite)\n")
    options = (tmp_path / "trained", "--out", tmp_path / "o", "--width", 32)
    done = companion("ladder", "export", *options)
    assert done.output.split() == ["ladder.csv", "ladder.json", "ladder/m32-ell1"]
    old = companion("ladder", "ship", *options)
    assert old.stdout == done.stdout
    assert old.stderr == "warning: `companion ladder ship` is called `companion ladder export`\n"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"widths": [33]}, "width 33 is impossible"), ({"dephts": [2]}, "'dephts' is unknown")],
)
def test_impossible_grids_end_with_2(tiny_grid, grid_file, tmp_path, change, sentence):
    grid_file.write_text(yaml.safe_dump(tiny_grid | change))
    refused = companion("ladder", "train", grid_file, "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert not (tmp_path / "out").exists()
