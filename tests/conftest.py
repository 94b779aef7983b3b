"""What tests of several rooms share: a ladder's grid and its text, disturbances of known cost."""

import numpy as np
import pytest
import xarray as xr

FACTORS = {"skip": 1.0, "swap": 0.1, "average": 1.2}


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
def planted():
    """A function of depth and costs by kind that gives an ablation of just those costs."""
    return ablation_of


@pytest.fixture
def planted_ladder():
    """Costs that fall as depth to the -2, swap a tenth of skip, average 1.2 of it."""
    return {
        f"ell{ell}": ablation_of(ell, {k: f * ell**-2.0 for k, f in FACTORS.items()})
        for ell in (2, 4, 8, 16)
    }
