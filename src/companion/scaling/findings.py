"""What a fit says, in claims and sentences: computed, never written by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from companion.evidence.claims import Claim, Measurement
from companion.scaling.comparison import held_out_difference, unconverged
from companion.scaling.result import FitResult

ABOUT_ONE = (0.8, 1.25)
SOURCE = "paper, section 3 and figure 2f"


def measured(result: FitResult, name: str, method: str, expected=(-math.inf, math.inf)):
    """One parameter with the interval of one method, as a `Measurement`."""
    interval = result.intervals[method][name]
    label = f"{name} ({result.table.attrs['name']}, {method.replace('_', ', ')})"
    return Measurement(label, interval.estimate, interval.low, interval.high, *expected)


def scope(result: FitResult) -> dict[str, str]:
    """Law, table and rows of a fit, for a claim's scope."""
    return {
        "table": result.table.attrs["name"],
        "rows": str(result.n),
        "law": result.law.name,
        "loss": "squared log residual" if math.isinf(result.delta) else f"Huber {result.delta:g}",
    }


def inverse_depth(result: FitResult, key: str = "depth-exponent") -> Claim:
    """The paper's claim that loss falls as 1/ell, with alpha_ell expected in `ABOUT_ONE`.

    The verdict rests on the bootstrap over shapes: rows of one shape are not independent.
    """
    return Claim(
        key,
        "The loss due to finite depth falls about as 1/ell: the depth exponent is about 1.",
        SOURCE,
        scope(result),
        (measured(result, "alpha_ell", "bootstrap_shape", ABOUT_ONE),),
    )


def at_optimum(result: FitResult, published: float, tolerance: float = 1e-3) -> Claim:
    """That published parameters are the least-squares optimum, to a thousandth of the objective."""
    excess = published / result.objective - 1
    found = Measurement(
        "objective above the optimum, as a share", excess, excess, excess, 0, tolerance
    )
    return Claim(
        "published-optimum",
        "The published parameters minimise the mean squared log residual.",
        "paper, appendix B",
        scope(result),
        (found,),
    )


def convergence(result: FitResult) -> str:
    """The certificate in a sentence."""
    c = result.certificate
    if not result.converged:
        return f"The fit did not converge: {'; '.join(c.reasons)}."
    bound = f" On a bound: {'; '.join(c.at_bound)}." if c.at_bound else ""
    return (
        f"The fit is certified: {c.agreeing} of {c.starts} starts met at one optimum, the gradient "
        f"is {c.gradient:.0e} (as a cosine), the Hessian is positive with condition number "
        f"{c.condition:.0f}.{bound}"
    )


def depth_verdict(result: FitResult) -> str:
    """Which exponents the methods of `result` leave open, in a sentence."""
    found = {m: v["alpha_ell"] for m, v in result.intervals.items() if "alpha_ell" in v}
    inside = [m.replace("_", ", ") for m, i in found.items() if 1.0 in i]
    low = min(i.low for i in found.values())
    high = max(i.high for i in found.values())
    return (
        f"{len(inside)} of {len(found)} methods have 1 inside their 95 % interval; together they "
        f"leave {low:.2f} to {high:.2f} open."
    )


def held_out_reach(frame) -> str:
    """What held-out runs stopped early could see of the depth exponent, from `reenact.held_out`."""
    better = int((frame["error_optimum"] < frame["error_stopped"]).sum())
    low, high = frame.min(), frame.max()
    return (
        f"Over {len(frame)} random splits the depth exponent was stopped at values from "
        f"{low['alpha_stopped']:.3f} to {high['alpha_stopped']:.3f}, while the optima of the same "
        f"rows lie from {low['alpha_optimum']:.2f} to {high['alpha_optimum']:.2f}. On the rows "
        f"held out the mean error is {frame['error_stopped'].mean():.5f} where it was stopped and "
        f"{frame['error_optimum'].mean():.5f} at the optimum, which predicts better in {better} of "
        f"{len(frame)} splits."
    )


def warned(result: FitResult) -> str:
    """The warnings of a fit in a sentence."""
    if not result.warnings:
        return "The fit gives no warnings."
    return f"Warnings of the fit: {'; '.join(result.warnings)}."


def robust_depth(frame, name: str) -> Claim:
    """That the depth exponent does not depend on how many of the highest losses are left out."""
    spread = Measurement(
        "alpha_ell over all cuts",
        float(frame["estimate"].median()),
        float(frame["estimate"].min()),
        float(frame["estimate"].max()),
        *ABOUT_ONE,
        level=1.0,
    )
    return Claim(
        "depth-exponent-robust",
        "The depth exponent stays about 1 whichever number of the highest losses is left out.",
        "paper, appendix B",
        {
            "table": name,
            "highest losses left out": f"{frame['dropped'].min()} to {frame['dropped'].max()}",
        },
        (spread,),
    )


def additivity(additive: FitResult, others: Iterable[FitResult]) -> Claim:
    """That an additive law predicts held-out shapes no worse than laws with an interaction.

    No worse: its mean squared error is above theirs by at most 5 %. Not testable without others.
    """
    found = tuple(
        Measurement(
            f"held-out error above that of {o.law.name}, as a share", d.estimate, d.low, d.high
        )
        for o in others
        for d in [held_out_difference(additive, o)]
    )
    bounded = tuple(replace(m, expected_high=0.05) for m in found)
    reason = "" if found else "these rows cannot identify a law with an interaction"
    return Claim(
        "additivity",
        "Width, depth and data contribute to the loss additively, without interactions.",
        "paper, section 3 (assumed) and limitations",
        scope(additive) | {"held out": "each (m, ell) shape in turn"},
        bounded,
        untestable=reason,
    )


def preference(frame) -> str:
    """Which law each criterion prefers, in a sentence."""
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


def kept_promises(frame, name: str, level: float = 0.95) -> str:
    """Which methods cover the truth as often as they say, in a sentence per case.

    A method falls short, or covers too often, if the simulation's own 95 % interval says so.
    """
    said = [
        f"With {case}, {_judged(rows, level)}."
        for case, rows in frame[frame["parameter"] == name].groupby("case", sort=False)
    ]
    return f"The 95 % intervals of {name}. {' '.join(said)}"


def _judged(rows, level: float) -> str:
    groups = {
        "too few contain the truth": rows["high"] < level,
        "too many": rows["low"] > level,
        "as many as promised": rows["low"].le(level) & rows["high"].ge(level),
    }
    lists = {
        label: ", ".join(
            f"{r.method.replace('_', ' ')} ({r.coverage:.1%})" for r in rows[chosen].itertuples()
        )
        for label, chosen in groups.items()
    }
    return "; ".join(f"{label}: {names}" for label, names in lists.items() if names)
