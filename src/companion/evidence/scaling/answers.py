"""What stands first in a chapter: its answer in one or two sentences, made from its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companion.evidence.claims import Claim
from companion.evidence.scaling.fit import ABOUT_ONE
from companion.scaling.comparison.cuts import RESAMPLED
from companion.scaling.fitting.result import FitSummary
from companion.scaling.planning import Plan
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd


def of_fit(fit: FitSummary) -> str:
    """The depth exponent of a fit, and what all methods of uncertainty leave open together."""
    exponent = fit.intervals[RESAMPLED]["alpha_ell"]
    spans = [ranges["alpha_ell"] for ranges in fit.intervals.values() if "alpha_ell" in ranges]
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    return (
        f"On {fit.n} rows of the {fit.table_name} table the loss due to depth falls with an "
        f"exponent of {exponent:.2f}, {_about_one(exponent)}. Taken together, {len(spans)} kinds "
        f"of error bar leave {low:.2f} to {high:.2f} open."
    )


def of_subsets(fit: FitSummary, frame: pd.DataFrame) -> str:
    """The depth exponent of a fit, and how far it moves as rows are left out.

    Parameters
    ----------
    fit : FitSummary
    frame : DataFrame
        Columns estimate, low, high, one row a subset; NaN where it was refused.
    """
    exponent = fit.intervals[RESAMPLED]["alpha_ell"]
    subsets = frame.dropna(subset="estimate")
    holds = sum(low <= 1 <= high for low, high in zip(subsets["low"], subsets["high"], strict=True))
    return (
        f"On all {fit.n} rows of the {fit.table_name} table the depth exponent is {exponent:.2f}, "
        f"{_about_one(exponent)}. As unusual shapes are left out it moves from "
        f"{subsets['estimate'].min():.2f} to {subsets['estimate'].max():.2f}, and {holds} of "
        f"{len(subsets)} intervals hold 1."
    )


def of_profile(profile: Interval, inflation: float, swept: pd.DataFrame) -> str:
    """How well rows know the depth exponent: inflation, interval, and the cut of outliers."""
    return (
        f"Only loosely: as width and depth go together in these rows, the variance of the depth "
        f"exponent is inflated {inflation:.0f} times, and its estimate is {profile:.2f}. With the "
        f"number of highest losses left out it moves from {swept['estimate'].min():.2f} to "
        f"{swept['estimate'].max():.2f}."
        if inflation >= 2
        else f"Width and depth vary apart in these rows (variance inflated {inflation:.1f} times): "
        f"the depth exponent is {profile:.2f}."
    )


def of_ladder(longest: Claim, fit: FitSummary) -> str:
    """The depth exponent at the longest training, and that of a fit over all lengths."""
    every = fit.intervals[RESAMPLED]["alpha_ell"]
    pooled = f"A fit over all lengths of training gives {every:.2f}."
    if not longest.measurements:
        return f"With width and depth apart it is not known yet: {longest.untestable}. {pooled}"
    (measurement,) = longest.measurements
    exponent = Interval(measurement.estimate, measurement.low, measurement.high)
    return (
        f"With width and depth apart, these small models have a depth exponent of {exponent:.2f} "
        f"({measurement.name.removeprefix('exponent ')}), {_about_one(exponent)}. {pooled}"
    )


def of_plan(plan: Plan) -> str:
    """The best shape for a budget, and what twice its depth is worth."""
    ell, m = plan.choice["ell"], plan.choice["m"]
    paid = plan.deeper_same_flops
    worth = "still pays" if paid.high < 0 else "costs" if paid.low > 0 else "may pay or not"
    return (
        f"With {plan.flops:.0e} operations: {ell:.0f} blocks of width {m:.0f} (with 95 % "
        f"intervals). Twice the depth at the same cost changes the loss by {paid:.4f} nats per "
        f"token, so it {worth}."
    )


def _about_one(exponent: Interval) -> str:
    low, high = ABOUT_ONE
    if low <= exponent.low and exponent.high <= high:
        return "about 1 as claimed"
    if exponent.high < low or exponent.low > high:
        return "not about 1"
    return "so that 1 is neither shown nor excluded" if 1 in exponent else "at the edge of about 1"
