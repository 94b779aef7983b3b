"""What the ladder says: its depth exponent at the longest training, and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from companion.evidence.claims import Claim
from companion.evidence.judging import judge, of
from companion.files import stored
from companion.ladder import analysis
from companion.scaling.comparison.cuts import RESAMPLED
from companion.scaling.comparison.effective import effective_exponent
from companion.scaling.fitting.result import FitSummary


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


SEEDS, DEPTHS = 3, 4
"""What an exponent of one length of training is judged from: so many seeds at so many depths."""


def tuned_rows() -> pd.DataFrame:
    """The stored runs of one width with each depth at its best rate; seeds of three depths or more.

    A training that was interrupted lacks rows, and a seed of two depths has no exponent.
    """
    table = pd.read_csv(stored("ladder-long.csv"))
    whole = _distinct(table, "ell", ["D", "seed"]) >= 3
    return table.loc[whole].reset_index(drop=True)


def longest_complete(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the largest D at which `DEPTHS` depths have `SEEDS` seeds; else of the largest D.

    Chosen by what is finished, never by what came out.
    """
    for D in sorted(table["D"].unique(), reverse=True):
        rows = table.loc[table["D"] == D]
        whole = rows.loc[_distinct(rows, "seed", ["ell"]) >= SEEDS]
        if len(set(whole["ell"])) >= DEPTHS:
            return whole
    return table.loc[table["D"] == table["D"].max()]


def _distinct(table: pd.DataFrame, column: str, within: list[str]) -> np.ndarray:
    """For each row, how many values a column has within the row's group."""
    return np.asarray(table.groupby(within)[column].transform("nunique"))


def inverse_depth_at_the_end(table: pd.DataFrame) -> Claim:
    """The claim about models that differ in depth alone, at the largest annealed D of a table.

    Parameters
    ----------
    table : DataFrame
        Columns m, ell, D, seed, loss (nats/token), learning_rate; one width.
    """
    last = longest_complete(table)
    seeds, depths = len(set(last["seed"])), sorted(map(int, last["ell"].unique()))
    exponent = effective_exponent(last)
    known = bool(np.isfinite(exponent.estimate))
    name = f"exponent at {int(max(last['D'])):,} tokens, {seeds} seeds"
    return judge(
        "depth-exponent-ladder",
        [of(exponent, name)] if known else [],
        {
            "models": f"width {', '.join(str(m) for m in sorted(last['m'].unique()))}, depths "
            f"{', '.join(map(str, depths))}, rates tuned by depth",
            "data": "held-out Python source",
        },
        data="ladder",
        met={"depths": len(depths), "seeds": seeds},
        reason="" if known else "deeper models are not better here",
        size=len(last),
    )


def seeds_sentence(table: pd.DataFrame) -> str:
    """How many seeds each depth has at the largest D, from `tuned_rows`."""
    last = table.loc[table["D"] == table["D"].max()]
    listed = ", ".join(f"{ell} blocks {len(rows)}" for ell, rows in last.groupby("ell"))
    return f"Runs at {int(max(last['D'])):,} tokens: {listed}."


def exponents_sentence(exponents: pd.DataFrame) -> str:
    """How the depth exponent moves with training, from `effective_exponents`."""
    known = exponents.dropna(subset="estimate")
    if known.empty:
        return "At no training length are deeper models better, so there is no exponent."
    estimates = [
        f"{estimate:.2f} [{low:.2f}, {high:.2f}] at {D / 1e6:.1f} million tokens"
        for D, estimate, low, high in known[["estimate", "low", "high"]].itertuples()
    ]
    first, last = known.iloc[0], known.iloc[-1]
    apart = first.low > last.high or first.high < last.low
    moves = "It moves with training" if apart else "The intervals overlap"
    pooled = "a fit over all lengths mixes" if apart else "a fit over all lengths may mix"
    return f"The depth exponent is {'; '.join(estimates)}. {moves}: {pooled} what belongs to each."


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
        f"blocks, with scaled branches that of {scaled.idxmin()}. Without the scaling the deepest "
        f"end {'behind' if alike.iloc[-1] > alike.iloc[0] else 'ahead of'} the shallowest."
    )


def of_deepest(every: FitSummary, fewer: FitSummary, table: pd.DataFrame) -> dict[str, str]:
    """What the deepest shapes do to the exponent, and where they end behind the next, to publish:
    both intervals and a sentence."""
    with_it, without = (one.intervals[RESAMPLED]["alpha_ell"] for one in (every, fewer))
    moved = abs(with_it.estimate - without.estimate)
    apart = with_it.low > without.high or with_it.high < without.low
    more = "more" if moved > without.stderr else "less"
    *_, next_deepest, deepest = sorted(table["ell"].unique())
    short = analysis.losses(table).iloc[:, 0].unstack("ell")[[next_deepest, deepest]].dropna()
    behind = int((short[deepest] > short[next_deepest]).sum())
    sentence = (
        f"The intervals {'exclude one another' if apart else 'overlap'}, and the estimate moves by "
        f"{more} than a standard error. At the smallest $D$ {deepest:.0f} blocks end behind "
        f"{next_deepest:.0f} at {behind} of {len(short)} widths."
    )
    intervals = {"without-deepest": f"{without:.2f}", "with-deepest": f"{with_it:.2f}"}
    return intervals | {"deepest": sentence}


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
