"""What cuts, other laws and planted truths say of a loss table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from companion.errors import InputError
from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge, of
from companion.evidence.scaling.fit import ABOUT_ONE, scope
from companion.scaling.comparison.criteria import unconverged
from companion.scaling.fitting.result import FitSummary
from companion.scaling.uncertainty.coverage import stored_coverage
from companion.statistics.intervals import Interval

LEVEL = 0.95  # of the intervals whose coverage was studied


def robust_depth(frame, table_name: str) -> Claim:
    """That the depth exponent does not depend on how many of the highest losses are left out.

    Judged by the range of the estimates, and by the interval of the cut that lies farthest off:
    a range alone grows with the noise of the estimates.
    """
    estimates = frame["estimate"]
    ends = (float(estimates.median()), float(estimates.min()), float(estimates.max()))
    cuts = f"{frame['dropped'].min()} to {frame['dropped'].max()}"
    return judge(
        "depth-exponent-robust",
        [Measurement("depth exponent over all cuts", *ends, spread=True), _farthest(frame)],
        {"table": table_name, "highest losses left out": cuts},
        data=table_name,
        size=len(frame),
    )


def _farthest(frame) -> Measurement:
    middle = sum(ABOUT_ONE) / 2
    off = np.maximum(frame["low"] - middle, middle - frame["high"])
    cut = frame.loc[off.idxmax()]
    name = f"depth exponent without the {cut['dropped']:.0f} highest losses, the farthest off"
    return Measurement(name, float(cut["estimate"]), float(cut["low"]), float(cut["high"]))


def additivity(
    additive: FitSummary, held_out: Mapping[str, Interval], key: str = "additivity"
) -> Claim:
    """That an additive law predicts held-out shapes no worse than laws with an interaction.

    There is a claim for each table, so that a chapter judges its own: `key`. `held_out` as from
    `held_out_differences`.
    """
    bounded = [
        of(above, f"held-out error above that of {law}, as a share")
        for law, above in held_out.items()
    ]
    return judge(
        key,
        bounded,
        scope(additive) | {"held out": "each (m, ell) shape in turn"},
        data=additive.table_name,
        reason="" if bounded else "these rows cannot identify a law with an interaction",
        size=additive.n,
    )


def inflation_sentence(data: Mapping[str, float]) -> str:
    """What the correlation of width and depth costs, from `describe_data`."""
    r, inflation = data["correlation"], data["inflation"]
    if abs(r) < 0.3:
        how = "vary nearly independently"
    else:
        how = "rise together" if r > 0 else "go against each other"
    return (
        f"Width and depth of these rows {how} (correlation {r:.2f}); the variance of an effect of "
        f"depth is inflated {inflation:.1f} times."
    )


def cuts_sentence(frame) -> str:
    """How the exponent moves from cut to cut, from `drop_sweep`."""
    excluding = int((frame["low"].gt(1) | frame["high"].lt(1)).sum())
    refused = int(frame["refused"].ne("").sum())
    note = f" {refused} cuts leave too little to fit." if refused else ""
    return (
        f"From cut to cut the estimate moves between {frame['estimate'].min():.2f} and "
        f"{frame['estimate'].max():.2f}, and at {excluding} of {len(frame)} cuts the interval "
        f"excludes 1.{note}"
    )


def laws_sentence(kept: list[str], refused: list[str]) -> str:
    """Which laws the rows cannot identify, and why."""
    if not refused:
        return f"These rows can identify all {len(kept)} laws."
    return f"Not fitted, because these rows cannot identify them: {'; '.join(refused)}."


def preference_sentence(frame) -> str:
    """Which law each criterion prefers, from `compare_laws`."""
    names = {"aic": "AIC", "bic": "BIC", "cv_shape": "held-out shapes"}
    names |= {"cv_largest": "the largest models"}
    best = [
        f"{label} favour{'' if column > 'c' else 's'} {frame[column].idxmin()}"
        for column, label in names.items()
        if frame[column].notna().any()
    ]
    failed = unconverged(frame)
    note = f" Fits or held-out refits did not all converge: {', '.join(failed)}." if failed else ""
    return f"{', '.join(best)}.{note}"


def coverage_study(name: str = "scaling_coverage.json"):
    """The stored study and a sentence on it; empty, with how to run it, where it is missing."""
    import pandas as pd

    try:
        frame = stored_coverage(name)
    except InputError:
        columns = ["method", "parameter", "coverage", "low", "high", "case"]
        missing = "The long study has not been run yet; `python benchmarks/coverage.py` runs it."
        return pd.DataFrame(columns=columns), missing
    stamp = frame.attrs["provenance"]
    size = stamp["parameters"]
    return frame, (
        f"Stored study: {size['repeats']} planted tables a case, {size['draws']} bootstrap "
        f"resamples each, run on {stamp['device']} at {stamp['time']}, commit {stamp['commit']}."
    )


def coverage_sentence(frame, name: str) -> str:
    """Which methods cover the truth as often as they say, in a sentence per case.

    A method falls short, or covers too often, if the simulation's own 95 % interval says so.
    """
    cases = frame[frame["parameter"] == name].groupby("case", sort=False)
    sentences = [f"With {case}, {_promises(rows)}." for case, rows in cases]
    return f"The 95 % intervals of {name}. {' '.join(sentences or ['Not studied.'])}"


def _promises(rows) -> str:
    groups = {
        "too few contain the truth": rows["high"] < LEVEL,
        "too many": rows["low"] > LEVEL,
        "as many as promised": rows["low"].le(LEVEL) & rows["high"].ge(LEVEL),
    }
    lists = {
        label: ", ".join(
            f"{r.method.replace('_', ' ')} ({r.coverage:.1%})" for r in rows[members].itertuples()
        )
        for label, members in groups.items()
    }
    return "; ".join(f"{label}: {names}" for label, names in lists.items() if names)
