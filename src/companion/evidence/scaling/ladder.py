"""Sentences about the ladder, for its chapter; all of them computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from companion.ladder import analysis


def origin(stamp: Mapping[str, Any], table: pd.DataFrame) -> dict[str, str | float]:
    """What a chapter cites of the embedded models: where and on what they were trained.

    Parameters
    ----------
    stamp : mapping
        Provenance, from `ladder.embedded.stamp`.
    table : DataFrame
        Column loss, nats/token.
    """
    train, held_out = stamp["corpus"]["train"], stamp["corpus"]["held_out"]
    return {
        **stamp["baselines"],
        "trained-on": f"{stamp['device']}, {stamp['runtime']['dtype']}",
        "train-tokens": f"{train['tokens']:,}",
        "held-tokens": f"{held_out['tokens']:,}",
        "best": float(np.min(table["loss"])),
    }


def tuning_sentence(sweep: pd.DataFrame, used: float) -> str:
    """What the used learning rate costs each depth against the best of the sweep, in words."""
    costs = analysis.rate_costs(sweep, used)
    each = ", ".join(
        f"{ell} blocks {rate:g} ({cost:.3f} nats/token better)"
        for ell, rate, cost in costs.itertuples()
    )
    spread = costs["cost"].max() - costs["cost"].min()
    return (
        f"The suite uses {used:g}. With scaled branches the best rates of the sweep are: {each}. "
        f"What {used:g} costs differs by {spread:.3f} nats/token between depths."
    )


def branches_sentence(sweep: pd.DataFrame) -> str:
    """What branches that start alike at all depths cost each, at its best rate, in words."""
    best = analysis.branch_losses(sweep)
    alike, scaled = best[analysis.ALIKE], best[analysis.SCALED]
    each = ", ".join(f"{ell} blocks {extra:+.3f}" for ell, extra in (alike - scaled).items())
    return (
        "Branches that start alike change the loss of each depth, at its own best rate, by: "
        f"{each} nats/token. The lowest loss of the sweep is then that of {alike.idxmin()} "
        f"blocks, with scaled branches that of {scaled.idxmin()}."
    )


def noise_sentence(noise: pd.DataFrame) -> str:
    """The pooled deviation over seeds beside what doubling the depth gains, in words."""
    if noise.empty:
        return "No shape was trained with several seeds."
    gains = analysis.doubling_gains(noise)
    return (
        f"The loss of one shape deviates by {analysis.pooled_deviation(noise):.3f} nats/token from "
        f"seed to seed (pooled over {len(noise)} cells); a doubling of depth gains "
        f"{gains.min():.3f} to {gains.max():.3f} in the mean over seeds."
    )
