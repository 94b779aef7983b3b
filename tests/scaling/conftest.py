"""Planted tables, and the published ones where `COMPANION_DATA` names their folder."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from companion import scaling, tables

TRUTH = {
    "c_m": 250.0, "alpha_m": 0.9, "c_ell": 3.0, "alpha_ell": 1.0, "c_D": 400.0,
    "alpha_D": 0.3, "L_0": 1.7,
}  # fmt: skip


@pytest.fixture
def data_folder():
    """The folder of the published tables; tests never download."""
    folder = os.environ.get("COMPANION_DATA")
    if not folder or not (Path(folder) / "chinchilla.csv").is_file():
        pytest.skip("COMPANION_DATA names no folder with the published tables")
    return Path(folder)


@pytest.fixture(scope="session")
def grid():
    """A designed table: width, depth and data vary independently, with N = 12 m² ell."""
    m, ell, D = np.meshgrid([256, 512, 1024, 2048], [4, 8, 16, 32], [1e9, 4e9, 1.6e10])
    table = pd.DataFrame({"m": m.ravel(), "ell": ell.ravel(), "D": D.ravel()}, dtype=float)
    table["N"] = 12 * table["m"] ** 2 * table["ell"]
    return table


@pytest.fixture(scope="session")
def planted(grid):
    """The additive law `TRUTH` on the grid, with noise of 0.3 %."""
    noise = 0.003 * np.random.default_rng(0).standard_normal(len(grid))
    return grid.assign(loss=scaling.LAWS["additive"].predict(TRUTH, grid) * np.exp(noise))


@pytest.fixture
def chinchilla(data_folder):
    return tables.load_table("chinchilla")


@pytest.fixture
def gemstones(data_folder):
    return tables.load_table("gemstones")
