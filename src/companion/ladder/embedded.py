"""Read what the package carries of its ladder: provenance, loss tables, training curves."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from companion.models.sources.load import LADDER

DATA = LADDER.parent


def stamp() -> dict[str, Any]:
    """Provenance of the embedded models, with their corpora and n-gram baselines (nats/token)."""
    return json.loads((DATA / "ladder.json").read_text(encoding="utf-8"))[0]


def table(name: str) -> pd.DataFrame:
    """A table that lies beside `ladder.csv`: "trunk" (kept steps) or "sweep" (learning rates)."""
    return pd.read_csv(DATA / f"ladder-{name}.csv")


def curves(width: int) -> dict[int, pd.DataFrame]:
    """Training log of each embedded model of `width`, by depth ell.

    Returns
    -------
    dict of DataFrame
        Columns step, tokens, loss (nats/token of that step's batch), gradient_norm, rate.
    """
    record = stamp()["parameters"]
    logs = {}
    for log in LADDER.glob(f"m{width}-ell*/loss.csv"):
        frame = pd.read_csv(log)
        frame["tokens"] = frame["step"] * record["batch"] * record["context"]
        logs[int(log.parent.name.split("ell")[1])] = frame
    return dict(sorted(logs.items()))
