"""What a plan says, and what it cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping

from companion.scaling.fitting.result import FitResult, FitSummary
from companion.scaling.planning import Plan, reach

_FORMATS = {"m": ".0f", "ell": ".0f", "D": ".3g"}


def efficiency_sentence(fit: FitSummary, plan: Plan) -> str:
    """What twice the depth buys at the best shape, and why no plan can call depth inefficient."""
    above = plan.loss.estimate - fit.params.get(fit.law.constant, 0.0)
    return (
        f"At the best shape for {plan.flops:.2g} operations, {plan.m:g} x {plan.ell:g}, twice the "
        f"depth with data kept changes the loss by {plan.deeper:.4f} nats per token, of "
        f"{above:.3f} above the floor. But at a best shape the last operation buys as much in "
        "depth as in width or data, whatever the law: no plan can call depth inefficient, and "
        "so this conclusion of the paper is no claim that a plan could test."
    )


def plan_row(plan: Plan) -> dict[str, str]:
    """A plan as a row of a table: estimates with their intervals."""
    spans = {name: f"{interval:{_FORMATS[name]}}" for name, interval in plan.choice.items()}
    return {**spans, "N": f"{plan.N:.3g}", "loss": f"{plan.loss:.4f}"}


def reach_sentence(fit: FitResult, plans: Mapping[str, Plan]) -> str:
    """The budgets that the rows of the fit cover, and which plans leave the rows."""
    low, high = reach(fit.table)
    beyond = [label for label, plan in plans.items() if any("extra" in w for w in plan.warnings)]
    verdict = f"extrapolated: {'; '.join(beyond)}" if beyond else "none is extrapolated"
    return f"Its rows took {low:.1g} to {high:.1g} operations. Of the plans below, {verdict}."


def shape_sentence(plan: Plan) -> str:
    """Whether a plan's loss or its depth is the better known."""
    depth, loss = plan.choice["ell"], plan.loss
    factors = {name: i.high / i.low for name, i in (("depth", depth), ("loss", loss))}
    wider = max(factors, key=lambda name: factors[name])
    better = "loss" if wider == "depth" else "depth"
    if math.isclose(factors["depth"], factors["loss"]):
        return "Best depth and best loss are equally well known."
    return (
        f"The best {better} is better known than the best {wider}: the ends of its interval differ "
        f"by a factor of {factors[better]:.3g}, those of the {wider} by {factors[wider]:.3g}."
    )


def warnings_of(plan: Plan) -> str:
    """The warnings of a plan, or "none"."""
    return "; ".join(plan.warnings) or "none"
