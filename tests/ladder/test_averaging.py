"""Averages of seeds against brute force and planted noise; rows of blocks against their formula."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

from companion.cli import app
from companion.errors import InputError
from companion.files import read_netcdf
from companion.ladder import averaging, runner
from companion.ladder.analysis import at_best_rate
from companion.ladder.grid import Grid, Run
from companion.ladder.model import build


@pytest.fixture
def seeded(tiny_grid):
    return Grid(**tiny_grid | {"depths": [2], "tokens": [2048], "seeds": [0, 1, 2]})


def planted(alpha, own=0.3, seeds=4, floor=3.0, gain=0.5):
    """Losses floor + common/ell + V/M with V = own ell^-alpha, for every set of seeds."""
    sets = averaging.subsets(range(seeds))
    ell = np.array([2, 4, 8, 16])
    part = own * ell**-alpha
    rows = [floor + gain * 2 / ell + part / len(one) for one in sets]
    names = ["+".join(map(str, one)) for one in sets]
    return xr.DataArray(np.array(rows).T, {"ell": ell, "subset": names}, ("ell", "subset"))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_planted_fall_of_what_seeds_differ_in_is_found(alpha):
    found = averaging.exponent(planted(alpha))
    assert found.estimate == pytest.approx(alpha, abs=1e-9)
    np.testing.assert_allclose(averaging.varying(planted(alpha))[0], 0.3 * 2**-alpha)


def test_averaging_is_worth_depth_where_only_the_number_of_blocks_counts():
    """If the loss is floor + V/ell in every way, two models gain what twice the depth does."""
    assert averaging.share_of_depth(planted(1.0, gain=0.0)).estimate == pytest.approx(1)
    none = averaging.share_of_depth(planted(1.0, own=1e-9))
    assert none.estimate == pytest.approx(0, abs=1e-6)


def test_the_interval_is_that_of_the_jackknife():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    found = averaging.over_seeds(range(4), lambda some: float(values[list(some)].mean()))
    assert found.estimate == pytest.approx(values.mean())
    assert found.stderr == pytest.approx(values.std(ddof=1) / 2)


def test_losses_of_sets_are_those_of_averaged_logits(seeded, tmp_path, runtime):
    table = runner.train(seeded, tmp_path / "g", runtime)
    losses = averaging.measure(tmp_path / "g", runtime)["loss"].sel(D=2048, ell=2)
    alone = [float(losses.sel(subset=str(seed))) for seed in seeded.seeds]
    np.testing.assert_allclose(alone, table.sort_values("seed")["loss"], rtol=1e-6)
    texts = averaging.text.load_texts(tmp_path / "g", seeded)
    nets = [
        averaging._net(tmp_path / "g", seeded, run, 2048, texts, runtime)
        for run in sorted(seeded.runs(), key=lambda run: run.seed)
    ]
    ids = torch.from_numpy(texts.held_out.astype(np.int64))
    with torch.no_grad():
        mean = torch.stack([net(ids).logits for net in nets]).mean(0)[:, :-1].double()
    right = mean.log_softmax(-1).gather(-1, ids[:, 1:, None])
    assert float(losses.sel(subset="0+1+2")) == pytest.approx(-float(right.mean()), rel=1e-5)
    assert (averaging.varying(losses) > 0).all()
    assert 0 < averaging.estimate(tmp_path / "g", runtime) < 60


def test_one_seed_and_several_rates_are_refused(seeded, tmp_path, runtime):
    one = Grid(**dict(vars(seeded), seeds=[0]))
    runner.train(one, tmp_path / "g", runtime)
    with pytest.raises(InputError, match="two seeds or more"):
        averaging.measure(tmp_path / "g", runtime)


def test_a_row_adds_what_its_blocks_write(tiny_grid):
    grid = Grid(**tiny_grid | {"depths": [4], "parallel": [1, 2]})
    line, rows = build(grid, Run(32, 4, 0, 1e-3)), build(grid, Run(32, 4, 0, 1e-3, 2))
    sizes = [sum(p.numel() for p in net.parameters()) for net in (line, rows)]
    assert sizes[0] == sizes[1]
    assert len(rows.model.layers) == 2
    ids = torch.arange(20)[None]
    seen = {}
    blocks = list(line.model.layers)

    def keep(block, given, out):
        seen[block] = (given, out)

    with torch.no_grad():
        for block in blocks:
            block.register_forward_hook(keep)
        line.model.layers = torch.nn.ModuleList(blocks[:1])
        line(ids)
        (h,), first = seen[blocks[0]]
        line.model.layers = torch.nn.ModuleList(blocks[1:2])
        line(ids)
        second = seen[blocks[1]][1]
        rows.model.layers = rows.model.layers[:1]
        rows.model.norm = torch.nn.Identity()
        found = rows.model(ids).last_hidden_state
    torch.testing.assert_close(found, first + second - h)


def test_rows_that_do_not_divide_the_depth_are_refused(tiny_grid):
    with pytest.raises(InputError, match="side by side"):
        Grid(**tiny_grid | {"depths": [4], "parallel": [3]})


def test_rows_of_blocks_train_and_resume_without_a_model_folder(tiny_grid, tmp_path, runtime):
    grid = Grid(**tiny_grid | {"depths": [2], "parallel": [2], "tokens": [2048]})
    table = runner.train(grid, tmp_path / "g", runtime)
    assert table["parallel"].tolist() == [2]
    assert table["loss"].iloc[0] < math.log(grid.vocabulary)
    folder = tmp_path / "g" / grid.runs()[0].name
    assert (folder / "D2048.safetensors").exists()
    assert not (folder / "D2048").exists()


def rows_of(losses):
    """A table of three seeds from {(ell, parallel, rate): loss}, all seeds shifted alike."""
    rows = [
        (32, ell, parallel, seed, rate, 1, loss + seed / 10)
        for (ell, parallel, rate), loss in losses.items()
        for seed in range(3)
    ]
    return pd.DataFrame(
        rows, columns=["m", "ell", "parallel", "seed", "learning_rate", "D", "loss"]
    )


def test_the_share_lost_is_that_of_the_formula_at_the_best_rates():
    losses = {(16, 1, 1.0): 3.0, (4, 1, 1.0): 4.0, (16, 4, 1.0): 3.9, (16, 4, 2.0): 3.25}
    found = averaging.share_lost(at_best_rate(rows_of(losses)), 16, 4)
    assert found.estimate == pytest.approx(0.25)
    assert found.high - found.low < 1e-9


def test_the_command_averages_a_finished_grid_and_says_its_cost(seeded, tmp_path, runtime):
    runner.train(seeded, tmp_path / "g", runtime)
    out = tmp_path / "seeds.nc"
    words = ["ladder", "average", str(tmp_path / "g"), "--out", str(out)]
    asked = CliRunner().invoke(app, [*words, "--estimate"])
    assert asked.stdout.startswith("about ")
    assert not out.exists()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "trained" in json.loads(read_netcdf(out).attrs["provenance"])
    again = CliRunner().invoke(app, [*words, "--resume"])
    assert "complete already" in again.stdout
