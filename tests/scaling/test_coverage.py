"""Planted tables: the noise asked for, coverage of known intervals, and studies cut short."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from companion import scaling
from companion.errors import InputError
from companion.scaling.uncertainty.coverage import coverage, plant

from ..conftest import TRUTH

STANDARD_ERROR = math.sqrt(0.95 * 0.05 / 200)


def cover(table, seed=0, **options):
    options = {"names": ["alpha_D"], "methods": ["jacobian"], "repeats": 6} | options
    return coverage(table, "additive", TRUTH, 0.003, np.random.default_rng(seed), **options)


def test_planted_noise_has_the_size_and_the_sharing_asked_for(grid):
    one_shape = grid.assign(m=512.0, ell=8.0)
    big = SimpleNamespace(table=one_shape.loc[np.repeat(grid.index, 50)])
    table = plant(big.table, "additive", TRUTH, 0.01, np.random.default_rng(0), shared=1.0)
    noise = np.log(table["loss"]) - np.log(scaling.LAWS["additive"].predict(TRUTH, table))
    assert noise.std() == pytest.approx(0, abs=1e-12)
    table = plant(big.table, "additive", TRUTH, 0.01, np.random.default_rng(0))
    noise = np.log(table["loss"]) - np.log(scaling.LAWS["additive"].predict(TRUTH, table))
    assert noise.std() == pytest.approx(0.01, rel=0.1)


def test_independent_rows_are_covered_and_shared_errors_are_not(grid):
    """Linear theory is right where rows are independent, and overconfident where they are not."""
    names = ["alpha_m", "alpha_D"]
    honest = cover(grid, names=names, repeats=200)
    assert honest["coverage"].to_numpy() == pytest.approx(0.95, abs=3 * STANDARD_ERROR)
    shared = cover(grid, names=names, repeats=200, shared=0.9).set_index("parameter")
    assert shared.loc["alpha_m", "high"] < 0.95


@pytest.mark.slow
def test_profiles_are_nominal_on_chinchillas_design(chinchilla):
    """Small version of the stored study: independent rows, exponent 1 planted."""
    truth = scaling.fit(chinchilla, drop=40, fixed={"alpha_ell": 1.0})
    found = coverage(
        truth.table, "additive", truth.params, truth.stddev, np.random.default_rng(0),
        names=["alpha_ell", "alpha_D"], repeats=60, methods=["profile", "jackknife"],
    )  # fmt: skip
    assert found["missing"].sum() == found["unconverged"].sum() == 0
    assert (found["low"] <= 0.95).all()
    assert (found["high"] >= 0.95).all()


def test_a_study_cut_short_ends_like_one_in_one_go(grid, tmp_path):
    journal = tmp_path / "trials.jsonl"

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    whole = cover(grid)
    with pytest.raises(KeyboardInterrupt):
        cover(grid, folder=tmp_path, progress=stop)
    with journal.open("a") as file:
        file.write('[{"method": "jaco')
    with pytest.raises(InputError, match="holds a run"):
        cover(grid, folder=tmp_path)
    counted = []
    again = cover(grid, folder=tmp_path, resume=True, progress=lambda k, n: counted.append((k, n)))
    assert again.equals(whole)
    assert counted == [(k + 1, 6) for k in range(6)]
    assert len(journal.read_text().splitlines()) == 6
    with pytest.raises(InputError, match=r"cannot resume .* seed was"):
        cover(grid, seed=1, folder=tmp_path, resume=True)
