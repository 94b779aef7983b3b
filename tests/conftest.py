"""What tests of several rooms share: a ladder's grid, known costs, loss tables, a browser.

Published tables are read where `COMPANION_DATA` names their folder; tests never download.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

FACTORS = {"skip": 1.0, "swap": 0.1, "average": 1.2}

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

TRUTH = {
    "c_m": 250.0, "alpha_m": 0.9, "c_ell": 3.0, "alpha_ell": 1.0, "c_D": 400.0,
    "alpha_D": 0.3, "L_0": 1.7,
}  # fmt: skip


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


def ablation_of(ell, costs, documents=40, empty=2.0):
    """An ablation with given cost of every kind at every layer, plus noise between documents."""
    generator = np.random.default_rng(ell)
    clean = 3 + generator.normal(0, 0.1, documents)
    noise = generator.normal(1, 0.1, (1, ell, documents))
    rise = np.array([costs[kind] for kind in costs])[:, None, None] * noise
    return xr.Dataset(
        {
            "loss": (("kind", "layer", "document"), clean + rise),
            "loss_clean": ("document", clean),
            "loss_empty": ("document", clean + empty),
            "tokens": ("document", generator.integers(5, 50, documents)),
        },
        coords={"kind": list(costs), "layer": np.arange(ell), "document": np.arange(documents)},
        attrs={"model": f"ell{ell}", "ell": ell, "corpus": "planted"},
    )


@pytest.fixture
def planted_ablation():
    """A function of depth and costs by kind that gives an ablation of just those costs."""
    return ablation_of


@pytest.fixture
def planted_ladder():
    """Costs that fall as depth to the -2, swap a tenth of skip, average 1.2 of it."""
    return {
        f"ell{ell}": ablation_of(ell, {k: f * ell**-2.0 for k, f in FACTORS.items()})
        for ell in (2, 4, 8, 16)
    }


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
    import pandas as pd

    m, ell, D = np.meshgrid([256, 512, 1024, 2048], [4, 8, 16, 32], [1e9, 4e9, 1.6e10])
    table = pd.DataFrame({"m": m.ravel(), "ell": ell.ravel(), "D": D.ravel()}, dtype=float)
    table["N"] = 12 * table["m"] ** 2 * table["ell"]
    return table


@pytest.fixture(scope="session")
def planted(grid):
    """The additive law `TRUTH` on the grid, with noise of 0.3 %."""
    from companion import scaling

    noise = 0.003 * np.random.default_rng(0).standard_normal(len(grid))
    return grid.assign(loss=scaling.LAWS["additive"].predict(TRUTH, grid) * np.exp(noise))


@pytest.fixture
def chinchilla(data_folder):
    from companion import tables

    return tables.load_table("chinchilla")


@pytest.fixture
def gemstones(data_folder):
    from companion import tables

    return tables.load_table("gemstones")


@pytest.fixture
def planted_trace():
    """Make a trace of facts of three tokens, whose answer changes place at layer 2 of 4."""

    def made(known=(True, True), prompts=("a b c", "d e f"), relations=None):
        n = len(prompts)
        grid = np.full((n, 2, 5, 3), 0.1)
        grid[:, :, :2, 1] = 0.9
        grid[:, :, 2:, 2] = 0.9
        grid[:, :, 2, 1] = 0.4
        role = np.array([["before", "end of subject", "last"]] * n, object)
        return xr.Dataset(
            {
                "probability": (("prompt", "noise", "layer", "token"), grid),
                "role": (("prompt", "token"), role),
                "token_text": (("prompt", "token"), role),
                "probability_clean": ("prompt", np.full(n, 0.9)),
                "probability_corrupted": (("prompt", "noise"), np.full((n, 2), 0.1)),
                "known": ("prompt", np.array(known)),
                "reason": ("prompt", np.where(known, "", "because").astype(object)),
                "rank": ("prompt", np.ones(n, int)),
                "target": ("prompt", np.array([" x"] * n, object)),
                "relation": ("prompt", np.array(relations or [""] * n, object)),
            },
            coords={"prompt": list(prompts), "layer": range(5)},
            attrs={"model": "EleutherAI/pythia-70m", "ell": 4},
        )

    return made


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """A headless Chromium; without one the browser tests are skipped, but never in CI."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        said = f"no browser here (looked for {', '.join(BROWSERS)}): install Debian's chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield running
        running.close()
