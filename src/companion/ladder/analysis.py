"""What the ladder's tables say, in numbers: losses, the cost of a rate, the spread over seeds.

A table has the columns m, ell, D, seed, loss (nats/token); a sweep ell, learning_rate, loss,
branch_scale.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SCALED, ALIKE = "inverse-sqrt-depth", "one"


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """Loss (nats/token) of the first seed: a row for each (m, ell), a column for each D."""
    first = table[table["seed"] == table["seed"].min()]
    whole = first.astype(dict.fromkeys(("m", "ell", "D"), int))
    return whole.pivot(index=["m", "ell"], columns="D", values="loss")


def rate_costs(sweep: pd.DataFrame, used: float) -> pd.DataFrame:
    """What the rate `used` costs each depth against the best of the sweep, with scaled branches.

    Returns
    -------
    DataFrame
        Index ell; columns best (learning rate) and cost (nats/token).
    """
    scaled = sweep[sweep["branch_scale"] == SCALED]
    by_rate = scaled.pivot_table("loss", "ell", "learning_rate")
    at = by_rate.loc[:, np.isclose(by_rate.columns.to_numpy(), used)].squeeze(axis=1)
    return pd.DataFrame({"best": by_rate.idxmin(axis=1), "cost": at - by_rate.min(axis=1)})


def branch_losses(sweep: pd.DataFrame) -> pd.DataFrame:
    """Loss (nats/token) of each depth at its best rate: a row an ell, a column a branch_scale."""
    return sweep.pivot_table("loss", "ell", "branch_scale", aggfunc="min")


def at_best_rate(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of each (ell, parallel) at the rate whose mean loss over seeds is lowest."""
    shape = ["ell", "parallel"]
    mean = table.groupby([*shape, "learning_rate"], as_index=False).agg(loss=("loss", "mean"))
    best = mean.sort_values("loss").drop_duplicates(shape)
    return table.merge(best.drop(columns="loss"), on=[*shape, "learning_rate"])


def seed_noise(table: pd.DataFrame) -> pd.DataFrame:
    """Spread over seeds of the loss at each (m, ell, D) that was trained with more than one.

    Returns
    -------
    DataFrame
        Index (m, ell, D); columns seeds (how many), mean and deviation of the loss (nats/token).
    """
    groups = table.groupby(["m", "ell", "D"])["loss"]
    spread = groups.agg(seeds="size", mean="mean", deviation="std")
    return spread.loc[spread["seeds"] > 1]


def pooled_deviation(noise: pd.DataFrame) -> float:
    """Deviation from seed to seed (nats/token), pooled over the cells of `seed_noise`."""
    freedom = noise["seeds"] - 1
    return float(np.sqrt((freedom * noise["deviation"] ** 2).sum() / freedom.sum()))


def doubling_gains(noise: pd.DataFrame) -> np.ndarray:
    """What each doubling of depth gains (nats/token) in the mean over seeds of `seed_noise`."""
    return -np.diff(np.asarray(noise["mean"].unstack("ell")), axis=1)
