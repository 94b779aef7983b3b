"""A grid is checked before anything runs."""

import pandas as pd
import pytest

from companion.errors import InputError
from companion.ladder.grid import Grid, read_grid, tuned
from companion.settings import to_record

GOOD = {"widths": [32, 64], "depths": [1, 2], "tokens": [1e6, 2e6]}


def test_a_record_becomes_a_grid_and_back():
    grid = Grid(**GOOD)
    assert Grid(**to_record(grid)) == grid
    assert grid.tokens == (1_000_000, 2_000_000)


def test_runs_are_the_full_product_with_the_longest_first():
    runs = Grid(**{**GOOD, "seeds": [0, 1]}).runs()
    assert len({run.name for run in runs}) == 8
    costs = [run.m**2 * run.ell for run in runs]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"widths": [48]}, "width 48 is impossible"),
        ({"depths": [0]}, "depths 0 must be 1 or more"),
        ({"tokens": [1000]}, "before the warm-up"),
        ({"tokens": []}, "no tokens"),
        ({"decay_fraction": 1.0}, "between 0 and 1"),
        ({"vocabulary": 100}, "vocabulary 100 must be between 257 and 65536"),
        ({"vocabulary": 70_000}, "vocabulary 70000 must be between 257 and 65536"),
        ({"batch": 0}, "batch 0 must be 1 or more"),
        ({"context": 1}, "context 1 must be 2 or more"),
        ({"warmup": -1}, "warmup -1 must be 0 or more"),
        ({"base_width": 0}, "base_width 0 must be 1 or more"),
        ({"evaluate": 0}, "evaluate 0 must be 1 or more"),
        ({"depth_rates": [4e-3]}, "1 depth_rates for 2 depths: give one each"),
        ({"depths": [2, 2]}, "depths .* must differ"),
        ({"learning_rates": [0.0]}, "learning_rates 0.0 must be above 0 and finite"),
        ({"learning_rates": [float("nan")]}, "learning_rates nan must be above 0 and finite"),
        ({"clip": float("inf")}, "clip inf must be above 0 and finite"),
        ({"weight_decay": -0.1}, "weight_decay -0.1"),
        ({"seeds": [-1]}, "seeds .* 0 or more"),
        ({"warmup": 0, "tokens": [8192]}, "no step for the decay"),
        ({"widths": "64"}, "widths '64' must be a list"),
        ({"widths": 64}, "widths 64 must be a list"),
        ({"depths": [True]}, "depths True must be .* whole"),
        ({"tokens": [float("inf")]}, "tokens inf must be a whole number"),
        ({"corpus": 3}, "corpus 3 must be a text"),
        ({"branch_scale": "half"}, "must be one of inverse-sqrt-depth, one"),
        ({"checkpoints": [0, 400]}, "checkpoint 400 is impossible: .* 0 to 390"),
        ({"wdiths": [32]}, "'wdiths' is unknown"),
        ({"depths": ["deep"]}, "depths 'deep' must be .* whole"),
        ({"depths": [1.5]}, "depths 1.5 must be .* whole"),
        ({"batch": [1]}, r"batch \[1\] must be .* whole"),
    ],
)
def test_impossible_grids_are_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        Grid(**GOOD | change)


def test_missing_keys_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match="needs the key 'tokens'"):
        Grid(widths=[32], depths=[1])
    with pytest.raises(InputError, match="cannot be read"):
        read_grid(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    for content, sentence in [("a: [1", "is not YAML: [^\n]*$"), ("- 1", "must map keys")]:
        broken.write_text(content)
        with pytest.raises(InputError, match=sentence):
            read_grid(broken)


def test_each_depth_may_have_a_rate_of_its_own():
    grid = Grid(**GOOD, depth_rates=[8e-3, 4e-3], seeds=[0, 1])
    assert {(run.ell, run.learning_rate) for run in grid.runs()} == {(1, 8e-3), (2, 4e-3)}
    assert len(grid.runs()) == 8
    assert Grid(**to_record(grid)) == grid


def test_rates_come_from_a_sweep_and_those_at_its_ends_are_named(tmp_path):
    losses = {1: {1e-3: 5.2, 2e-3: 5.0, 4e-3: 5.1}, 2: {1e-3: 5.2, 2e-3: 5.0, 4e-3: 4.9}}
    rows = [(ell, r, x, "inverse-sqrt-depth") for ell, of in losses.items() for r, x in of.items()]
    rows.append((1, 1e-3, 1.0, "one"))
    table = pd.DataFrame(rows, columns=["ell", "learning_rate", "loss", "branch_scale"])
    table.to_csv(tmp_path / "table.csv")
    grid, notes = tuned(Grid(**GOOD), tmp_path)
    assert grid.depth_rates == (2e-3, 4e-3)
    assert notes == ("the best rate of 2 blocks, 0.004, is the highest that was tried",)
    with pytest.raises(InputError, match="has no depth 4"):
        tuned(Grid(**GOOD | {"depths": [1, 4]}), tmp_path / "table.csv")
    with pytest.raises(InputError, match="is no table of a sweep"):
        tuned(grid, tmp_path / "none.csv")
