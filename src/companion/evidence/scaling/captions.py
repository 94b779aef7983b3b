"""What figures of fits show, one sentence a caption, made from what they draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.scaling.fit import ABOUT_ONE
from companion.ladder.analysis import SCALED
from companion.scaling.fitting.result import FitResult, FitSummary
from companion.scaling.uncertainty.profile import LikelihoodProfile
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

CRITERIA = ("aic", "bic", "cv_shape", "cv_largest")


def of_methods(fit: FitSummary, name: str = "alpha_ell") -> str:
    """How many intervals hold the whole of about one, none of it, or its edge; and their widths."""
    spans = [ranges[name] for ranges in fit.intervals.values() if name in ranges]
    widths = sorted(span.high - span.low for span in spans)
    return (
        f"{_beside_one([span.low for span in spans], [span.high for span in spans])}; the widest "
        f"is {_times(widths[-1], widths[0])} the narrowest."
    )


def _beside_one(lows, highs) -> str:
    low, high = ABOUT_ONE
    lows, highs = np.asarray(lows, float), np.asarray(highs, float)
    inside = int(((lows >= low) & (highs <= high)).sum())
    outside = int(((highs < low) | (lows > high)).sum())
    return f"Of {len(lows)} intervals {inside} lie in about 1 and {outside} outside of it"


def _times(wide: float, narrow: float) -> str:
    return f"{wide / narrow:.1f} times as wide as" if math.isfinite(wide) else "unbounded, unlike"


def of_shapes(r: float) -> str:
    """How width and depth of the rows go together, from the correlation of their logs."""
    if abs(r) < 0.3:
        return f"Width and depth vary apart in these rows (correlation {r:.2f})."
    how = "are" if abs(r) >= 0.7 else "tend to be"
    deep = "deep" if r > 0 else "shallow"
    return f"Wide models {how} {deep} in these rows (correlation {r:.2f})."


def of_terms(result: FitResult) -> str:
    """How far each variable's terms move the fitted loss over the rows."""
    moved = {v: _moved(result, v) for v in result.law.variables}
    words = {"m": "width", "ell": "depth", "D": "data"}
    spans = ", ".join(f"that of {words.get(v, v)} by {span:.3f}" for v, span in moved.items())
    return f"Over these rows the fitted terms move the loss, in nats per token: {spans}."


def _moved(result: FitResult, variable: str) -> float:
    law = result.law
    own = {t.coefficient for t in law.terms if any(v == variable for v, _ in t.exponents)}
    rest = {name: 0.0 for name in law.coefficients if name not in own}
    return float(np.ptp(law.predict(dict(result.params) | rest, result.table)))


def of_path(early: Mapping[int, float], optimum: FitSummary) -> str:
    """Where the published optimiser's depth exponent was when published runs stopped."""
    alphas = " and ".join(f"{alpha:.2f} after {steps:,} steps" for steps, alpha in early.items())
    return (
        f"The depth exponent of the published optimiser was {alphas}; the optimum is at "
        f"{optimum.params['alpha_ell']:.2f}."
    )


def of_valley(interval: Interval, swept: pd.DataFrame) -> str:
    """How wide the profile is, and how far the cut moves the estimate."""
    return (
        f"Depth exponents from {interval.low:.2f} to {interval.high:.2f} fit these rows within the "
        f"threshold; with the number of losses left out the estimate moves from "
        f"{swept['estimate'].min():.2f} to {swept['estimate'].max():.2f}."
    )


def of_trades(exponents: LikelihoodProfile, floor: LikelihoodProfile) -> str:
    """How the depth exponent goes with the width exponent and with the floor, in joint regions.

    Parameters
    ----------
    exponents, floor : LikelihoodProfile
        Over (alpha_m, alpha_ell), and over (alpha_ell, L_0).
    """
    return (
        f"With a larger depth exponent rows take {_trade(exponents)} width exponent and "
        f"{_trade(floor)} floor."
    )


def _trade(profile: LikelihoodProfile) -> str:
    inside = np.argwhere(profile.deviance <= profile.level95)
    if len(inside) < 3 or np.ptp(inside, axis=0).min() == 0:
        return "much the same"
    r = float(np.asarray(np.corrcoef(inside.T))[0, 1])
    return "much the same" if abs(r) < 0.3 else f"a {'larger' if r > 0 else 'smaller'}"


def of_ranking(compared: pd.DataFrame) -> str:
    """Whether one law is best by every measure, from `compare_laws`."""
    best = {str(compared[c].idxmin()) for c in CRITERIA if len(compared[c].dropna())}
    if len(best) == 1:
        return f"One law is best by every measure: {best.pop()}."
    return f"No law is best by every measure: first places go to {', '.join(sorted(best))}."


def of_widths(frame: pd.DataFrame) -> str:
    """How wide the interval is with the fewest shapes that were fitted, and with the most."""
    rows = frame.dropna(subset=["low", "high"]).sort_values("shapes")
    if rows.empty:
        return "No cut leaves enough shapes for an exponent."
    few, many = rows.iloc[0], rows.iloc[-1]
    return (
        f"From {few.shapes} shapes to {many.shapes} the width of the interval goes from "
        f"{few.high - few.low:.2f} to {many.high - many.low:.2f}. "
        f"{_beside_one(rows['low'], rows['high'])}."
    )


def of_stages(stages: Mapping[str, pd.DataFrame]) -> str:
    """What the apparent exponents of all stages of training leave open."""
    import pandas as pd

    known = pd.concat(list(stages.values())).dropna()
    without = sum(map(len, stages.values())) - len(known)
    more = f" In {without} stages deeper models are not better." if without else ""
    return f"{_beside_one(known['low'], known['high'])}, one for each stage of training.{more}"


def of_depths(table: pd.DataFrame) -> str:
    """In how many steps of depth the deeper model is better, at the longest common training."""
    longest = min(one["D"].max() for _, one in table.groupby("m"))
    last = table.loc[(table["D"] == longest) & (table["seed"] == table["seed"].min())]
    steps = last.sort_values("ell").groupby("m")["loss"].diff().dropna()
    return f"Deeper models are better in {(steps < 0).sum()} of {len(steps)} steps of depth."


def of_speed(curves: Mapping[int, pd.DataFrame], smooth: int = 20) -> str:
    """Which depth has the lowest training loss after a tenth of the tokens, and at the end."""
    early, late = (
        min(curves, key=lambda ell: _near(curves[ell], share, smooth)) for share in (0.1, 1.0)
    )
    return (
        f"After a tenth of the tokens the lowest training loss is that of {early} blocks, at the "
        f"end that of {late}."
    )


def _near(curve: pd.DataFrame, share: float, smooth: int) -> float:
    at = max(int(share * len(curve)), smooth)
    return float(curve["loss"].iloc[at - smooth : at].mean())


def of_rates(sweep: pd.DataFrame) -> str:
    """Whether one learning rate is best at all depths, for each start of the branches."""
    clauses = []
    for scale, rows in sweep.groupby("branch_scale"):
        best = rows.pivot_table("loss", "ell", "learning_rate").idxmin(axis=1)
        rates = sorted(set(best))
        how = "one rate is best at all depths," if len(rates) == 1 else "the best rates are"
        named = "that start smaller where deep" if scale == SCALED else "that start alike"
        clauses.append(f"with branches {named} {how} {' and '.join(f'{rate:g}' for rate in rates)}")
    return f"{'; '.join(clauses)}.".capitalize()
