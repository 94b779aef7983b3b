"""Tables and sentences about the ladder, for its chapter; all of them computed."""

from __future__ import annotations

import numpy as np
import pandas as pd


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """Loss (nats/token) of the first seed: a row for each (m, ell), a column for each D."""
    first = table[table["seed"] == table["seed"].min()]
    whole = first.astype(dict.fromkeys(("m", "ell", "D"), int))
    return whole.pivot(index=["m", "ell"], columns="D", values="loss")


def tuning_sentence(sweep: pd.DataFrame, used: float) -> str:
    """What the used learning rate costs each depth against the best of the sweep, in words.

    Parameters
    ----------
    sweep : DataFrame
        Columns ell, learning_rate, loss (nats/token), branch_scale.
    used : float
        The rate of the suite.
    """
    scaled = sweep[sweep["branch_scale"] == "inverse-sqrt-depth"]
    by_rate = scaled.pivot_table("loss", "ell", "learning_rate")
    at = by_rate.loc[:, np.isclose(by_rate.columns.to_numpy(), used)].squeeze(axis=1)
    best, cost = by_rate.idxmin(axis=1), at - by_rate.min(axis=1)
    told = ", ".join(
        f"{ell} blocks {rate:g} ({cost[ell]:.3f} nats/token better)" for ell, rate in best.items()
    )
    return (
        f"The suite uses {used:g}. With scaled branches the best rates of the sweep are: {told}. "
        f"What {used:g} costs differs by {cost.max() - cost.min():.3f} nats/token between depths."
    )


def branches_sentence(sweep: pd.DataFrame) -> str:
    """What it costs each depth, at its best rate, if branches start alike at all depths, in words.

    Parameters
    ----------
    sweep : DataFrame
        Columns ell, learning_rate, loss (nats/token), branch_scale.
    """
    best = sweep.pivot_table("loss", "ell", "branch_scale", aggfunc="min")
    alike, scaled = best["one"], best["inverse-sqrt-depth"]
    told = ", ".join(f"{ell} blocks {extra:+.3f}" for ell, extra in (alike - scaled).items())
    return (
        "Branches that start alike change the loss of each depth, at its own best rate, by: "
        f"{told} nats/token. The lowest loss of the sweep is then that of {alike.idxmin()} "
        f"blocks, with scaled branches that of {scaled.idxmin()}."
    )


def seed_noise(table: pd.DataFrame) -> pd.DataFrame:
    """Spread over seeds of the loss at each (m, ell, D) that was trained with several.

    Returns
    -------
    DataFrame
        Index (m, ell, D); columns seeds (how many), mean and deviation of the loss (nats/token).
    """
    groups = table.groupby(["m", "ell", "D"])["loss"]
    spread = groups.agg(seeds="size", mean="mean", deviation="std")
    return spread.loc[spread["seeds"] > 1]


def noise_sentence(noise: pd.DataFrame) -> str:
    """The pooled deviation over seeds beside what doubling the depth gains, in words."""
    if noise.empty:
        return "No shape was trained with several seeds."
    freedom = noise["seeds"] - 1
    pooled = float(np.sqrt((freedom * noise["deviation"] ** 2).sum() / freedom.sum()))
    gains = -np.diff(np.asarray(noise["mean"].unstack("ell")), axis=1)
    return (
        f"The loss of one shape deviates by {pooled:.3f} nats/token from seed to seed (pooled over "
        f"{len(noise)} cells); a doubling of depth gains {gains.min():.3f} to "
        f"{gains.max():.3f} in the mean over seeds."
    )
