"""What a fit of a loss table says: the depth exponent, the optimum, others' numbers."""

from __future__ import annotations

import math
from dataclasses import replace

from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge, of
from companion.evidence.registry import ranges
from companion.scaling.comparison.cuts import RESAMPLED
from companion.scaling.fitting.result import FitSummary
from companion.scaling.publications.refits import THERE, TOTAL, Refit

WORDS = {"alpha_m": "width exponent", "alpha_ell": "depth exponent", "alpha_D": "data exponent"}
ABOUT_ONE = (ranges()["about one"].low, ranges()["about one"].high)


def scope(fit: FitSummary) -> dict[str, str]:
    """Law, table and rows of a fit, for a claim's scope."""
    return {
        "table": fit.table_name,
        "rows": str(fit.n),
        "law": fit.law.name,
        "loss": "squared log residual" if math.isinf(fit.delta) else f"Huber {fit.delta:g}",
    }


def measured(fit: FitSummary, name: str, method: str) -> Measurement:
    """One parameter with the interval of one method, as a `Measurement`."""
    label = f"{WORDS.get(name, name)} ({fit.table_name}, {_words(method)})"
    return of(fit.intervals[method][name], label)


def inverse_depth(
    fit: FitSummary, key: str = "depth-exponent", stored: Refit | None = None
) -> Claim:
    """The claim that loss falls as 1/ell, on the table that it is about.

    The verdict rests on the bootstrap over shapes: rows of one shape are not independent. On
    another table `stored` is told, our fit of the right one.
    """
    claim = judge(
        key,
        [measured(fit, "alpha_ell", RESAMPLED)],
        scope(fit),
        data=fit.table_name,
        size=fit.n,
    )
    if not claim.untestable or stored is None:
        return claim
    return replace(claim, untestable=f"{claim.untestable}; {stored_sentence(stored)}")


def published_optimum(refit: Refit) -> Claim:
    """That the paper's parameters are the least-squares optimum, to a thousandth of the objective.

    Not testable here where the table could not be had; what was stored is then told.
    """
    name = "objective above the optimum, as a share"
    above = Measurement(name, refit.excess, refit.excess, refit.excess)
    reason = ""
    if refit.stored:
        reason = (
            f"the {refit.publication.table} table could not be had; {_fit_of(refit)} has the "
            f"published parameters {100 * refit.excess:.2f} % above its optimum"
        )
    return judge("published-optimum", [above], scope(refit.summary), reason=reason)


def stored_sentence(refit: Refit) -> str:
    """What our fit of a publication's rows found, with when it was made."""
    fit = refit.summary
    interval = fit.intervals.get(RESAMPLED, fit.intervals["jacobian"])["alpha_ell"]
    certified = "is" if fit.converged else "is not"
    return f"{_fit_of(refit)} gives a depth exponent of {interval:.2f}, and {certified} certified"


def _fit_of(refit: Refit) -> str:
    when = f"stored on {refit.stored[:10]}" if refit.stored else "made here"
    return f"the fit of {refit.summary.n} rows of {refit.summary.table_name}, {when},"


def rows_sentence(table) -> str:
    """Which table these rows are from, and why not from another."""
    attrs = table.attrs
    if not attrs.get("stands_in_for"):
        source = f"The table of this run: {attrs['name']}, {len(table)} rows"
        return ", ".join(filter(None, [source, attrs.get("citation")])) + "."
    out = f", {attrs['left_out']} rows that the law cannot take left out" * bool(attrs["left_out"])
    return (
        f"This run uses the {attrs['name']} table ({len(table)} rows{out}; no loss is dropped) in "
        f"place of {attrs['stands_in_for']}, which is not on this machine and could not be fetched."
    )


def design_sentence(r: float) -> str:
    """How width and depth of the rows go together, from the correlation of their logs."""
    if abs(r) < 0.3:
        how = "width and depth vary nearly independently, so that a fit can tell them apart"
    elif abs(r) < 0.7:
        how = f"wide models tend to be {_deep(r)}, which a fit has to disentangle"
    else:
        how = (
            f"wide models are {_deep(r)}; the nearer the correlation is to {math.copysign(1, r):g},"
            " the more a fit has to guess which of the two lowered the loss"
        )
    return f"In these rows {how}: ln m and ln ell have the correlation {r:.2f}."


def _deep(r: float) -> str:
    return "deep" if r > 0 else "shallow"


def convergence_sentence(fit: FitSummary) -> str:
    """The certificate in a sentence."""
    c = fit.certificate
    if not fit.converged:
        return f"The fit did not converge: {'; '.join(c.reasons)}."
    bound = f" On a bound: {'; '.join(map(str, c.at_bound))}." if c.at_bound else ""
    return (
        f"The fit is certified: {c.agreeing} of {c.starts} starts met at one optimum, the gradient "
        f"is {c.gradient:.0e} (as a cosine), the Hessian is positive with condition number "
        f"{c.condition:.0f}.{bound}"
    )


def warnings_sentence(fit: FitSummary) -> str:
    """The warnings of a fit in a sentence."""
    if not fit.warnings:
        return "The fit gives no warnings."
    return f"Warnings of the fit: {'; '.join(fit.warnings)}."


def intervals_sentence(fit: FitSummary) -> str:
    """Which depth exponents the methods of uncertainty leave open."""
    spans = {m: v["alpha_ell"] for m, v in fit.intervals.items() if "alpha_ell" in v}
    around_one = [m for m, span in spans.items() if 1.0 in span]
    return (
        f"{len(around_one)} of {len(spans)} methods have 1 inside their 95 % interval; together "
        f"they leave {min(s.low for s in spans.values()):.2f} to "
        f"{max(s.high for s in spans.values()):.2f} open."
    )


def scatter_sentence(full, stopped) -> str:
    """Spread of the depth exponent over resamples: at their optima, and where Adam was stopped."""
    at_optimum, early = float(full.std()), float(stopped.std())
    less = "narrower" if early < at_optimum else "no narrower"
    return (
        f"Refitted to the optimum the exponents scatter by {at_optimum:.3f} (standard deviation "
        f"over {len(full)} resamples), stopped early by {early:.3f} over {len(stopped)}: {less}."
    )


def held_out_sentence(frame) -> str:
    """What held-out runs stopped early could see of the depth exponent (`adam_held_out`)."""
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


def reproduction_sentence(frame) -> str:
    """Which published numbers are met to every digit, and why the others are not."""
    given = frame["quantity"] != THERE
    lines = [
        f"Of {int(given.sum())} published numbers {int(frame['digits'][given].sum())} are met to "
        "every digit."
    ]
    lines += [_why(label, rows) for label, rows in frame.groupby("fit", sort=False)]
    if frame.attrs["stored"]:
        times = sorted({time[:10] for time in frame.attrs["stored"].values()})
        names = " and ".join(frame.attrs["stored"])
        when = " and ".join(times)
        lines.append(f"The tables of {names} could not be had: those fits were stored on {when}.")
    return " ".join(lines)


def _why(label: str, rows) -> str:
    total = rows["quantity"].isin([TOTAL, THERE])
    excess = -float(rows.loc[total, "difference %"].iloc[0])
    off = rows[~rows["digits"] & ~total]
    if off.empty:
        return f"{label}: all of them."
    if (rows["digits"] & total).any():
        reason = "the objectives agree to every published digit, so the fit is flat that way"
    elif excess > 0:
        reason = f"the published point lies {excess:.3f} % above our optimum in the objective"
    else:
        reason = f"our objective is {-excess:.3f} % higher, so our fit is the worse one"
    names, most = ", ".join(map(_spoken, off["quantity"])), off["difference %"].abs().max()
    return f"{label}: {names} differ by up to {most:.2g} %, because {reason}."


def _spoken(quantity: str) -> str:
    """A parameter of a published law in words, e.g. "exponent of N" for alpha_N."""
    kind, _, of = quantity.rpartition("_")
    kinds = {"alpha": "exponent", "c": "coefficient", "ln c": "log coefficient"}
    return f"{kinds[kind]} of {of}" if kind in kinds else "floor" if kind == "L" else quantity


def _words(method: str) -> str:
    return method.replace("_", ", ")
