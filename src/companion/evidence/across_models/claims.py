"""Do real models look like the ladder? The chapter's claims, tables and sentences.

What an untrained network of the same architecture passes is no evidence: such a measurement is
named in the scope and does not enter the verdict. The ranges are fixed here, with their reasons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from companion.evidence.across_models.comparison import Comparison
from companion.evidence.across_models.row import LensNumbers, Row
from companion.evidence.claims import NOT_REPRODUCED, REPRODUCED, Claim, Measurement
from companion.evidence.probes.depth_report import EVEN, WEAK
from companion.evidence.probes.geometry import FEWEST_DEPTHS, INVERSE, PLACE
from companion.evidence.probes.scope import FEWEST_MIDDLE
from companion.probing.beside.resampling import LENSES
from companion.probing.summaries import middle_layers
from companion.statistics.intervals import Interval, log_slope

if TYPE_CHECKING:
    pass

OURS = "our test of the paper's ensemble averaging"
SMALL = 0.5
"""A rotation up to this many radians (29 degrees) is small: 0.88 of the direction is kept."""

SOME = 0.25
"""Half of the even share 1/2: from this share on, the middle layers take part in the loss."""

OTHER_CAUSES = 1.2
"""Factor in rotation between two models that any cause but depth might well make."""

Measure = Callable[[Row], list[Measurement]]


def judge(c: Comparison) -> list[Claim]:
    """All claims of the chapter, the paper's first."""
    return [
        rotation_falls_inversely(c),
        rotations_are_small_and_even(c),
        updates_are_weakly_correlated(c),
        *(loss_falls_gradually(c, lens) for lens in LENSES),
        middle_blocks_are_alike(c),
    ]


def rotation_falls_inversely(c: Comparison) -> Claim:
    """Mean middle rotation ~ ell^-1 across pretrained models: exponent in [-1.25, -0.75].

    Judged from three depths on, over all models and within each family that has as many; the
    interval comes from the scatter about the line.
    """
    families = {r.family: [other for other in c.real if other.family == r.family] for r in c.real}
    groups = {"all models": list(c.real)} | (families if len(families) > 1 else {})
    groups = {name: group for name, group in groups.items() if _depths(group) >= FEWEST_DEPTHS}
    told = [_measured(f"exponent, {name}", exponent(g), *INVERSE) for name, g in groups.items()]
    statement = "Across pretrained models the mean middle rotation falls as one over the depth."
    reason = "" if told else two_points(c)
    return Claim("across-rotation-inverse-depth", statement, PLACE, _scope(c), tuple(told), reason)


def exponent(group: Iterable[Row]) -> Interval:
    """Exponent of the mean middle rotation against depth, over models of three depths or more."""
    group = list(group)
    return log_slope([r.ell for r in group], [r.rotation.estimate for r in group])


def two_points(c: Comparison) -> str:
    """Why the real models at hand give no exponent, in words."""
    count = _depths(c.real)
    few = f"an exponent takes models of {FEWEST_DEPTHS} depths, these have {count}"
    if count != 2:
        return few
    shallow, *_, deep = sorted(c.real, key=lambda r: r.ell)
    reach = math.log(deep.ell / shallow.ell)
    through = math.log(deep.rotation.estimate / shallow.rotation.estimate) / reach
    return (
        f"{few}; {shallow.name} ({shallow.ell} blocks, width {shallow.m}) and {deep.name} "
        f"({deep.ell} blocks, width {deep.m}) differ in more than depth: the line through both has "
        f"exponent {through:.2f}, and {OTHER_CAUSES - 1:.0%} more rotation from any other cause "
        f"moves it by {math.log(OTHER_CAUSES) / reach:.2f}"
    )


def rotations_are_small_and_even(c: Comparison) -> Claim:
    """Middle rotations below half a radian, and shared by at least half of the middle layers."""

    def measure(r: Row) -> list[Measurement]:
        even = _measured("evenness", r.evenness, EVEN, 1.0)
        return [even, _measured("middle rotation (rad)", r.rotation, 0.0, SMALL)]

    return _judged(
        "across-rotations-small-and-even",
        "Tokens move evenly through the middle layers of pretrained models, by small rotations.",
        c,
        measure,
        needs_twin=True,
    )


def updates_are_weakly_correlated(c: Comparison) -> Claim:
    """Mean cosine of neighbouring middle updates within 1/4 of zero."""

    def measure(r: Row) -> list[Measurement]:
        return [_measured("cosine of neighbours", r.cosine, -WEAK, WEAK)] if r.cosine else []

    return _judged(
        "across-updates-weakly-correlated",
        "Consecutive updates in the middle of pretrained models are weakly correlated.",
        c,
        measure,
        needs_twin=True,
    )


def loss_falls_gradually(c: Comparison, lens: str) -> Claim:
    """The middle adds at least half of its even share, at most all there is, and evenly.

    How a fall is shared is only asked where there is one. Contradicted where the middle raises
    the loss, where a few layers do it all, or where it removes more than the model knows, since
    the lens then began below a blind guess. This upper end was set after a first look at 2,048
    tokens of Gemma; all other ranges came before any data.
    """

    def measure(r: Row) -> list[Measurement]:
        n = r.lenses.get(lens, LensNumbers(None, None, None))
        if n.share is None or n.evenness is None:
            return []
        share = _measured(f"middle share, {lens}", n.share, SOME, 1.0)
        if share.verdict == NOT_REPRODUCED:
            return [share]
        return [share, _measured(f"evenness of the fall, {lens}", n.evenness, EVEN, 1.0)]

    name = lens.removesuffix(" lens")
    return _judged(
        f"across-loss-falls-gradually-{name}",
        f"Read through the {lens}, the loss of pretrained models falls gradually over the middle "
        "layers.",
        c,
        measure,
        source=PLACE if name == "last-block" else "the same statement, read through another lens",
    )


def middle_blocks_are_alike(c: Comparison) -> Claim:
    """A middle block costs at most its equal share, and order less than presence."""

    def measure(r: Row) -> list[Measurement]:
        told = {"skip / equal share": r.skip, "swap / skip": r.swap}
        return [_measured(name, i, high=1.0) for name, i in told.items() if i is not None]

    return _judged(
        "across-middle-blocks-alike",
        "Middle blocks of pretrained models are interchangeable: to skip one costs no more than "
        "its equal share of what all gain, to swap two costs less than to skip one.",
        c,
        measure,
        source=OURS,
    )


def _judged(
    key: str,
    statement: str,
    c: Comparison,
    measure: Measure,
    source: str = PLACE,
    needs_twin: bool = False,
) -> Claim:
    """The claim on the real models; what their untrained twins pass as well is set aside.

    With `needs_twin` so is what nothing untrained stands beside.
    """
    told, idle, alone = [], [], []
    for r in _with_middle(c.real):
        twin = c.untrained.get(r.name)
        passed = {m.name for m in measure(twin) if m.verdict == REPRODUCED} if twin else set()
        for m in measure(r):
            where = told
            if m.verdict == REPRODUCED:
                where = idle if m.name in passed else alone if needs_twin and not twin else told
            where.append(replace(m, name=f"{m.name}, {r.name}"))
    aside = {
        "untrained networks of the same architecture are in range too": _listed(idle),
        "no untrained network stands beside these": _listed(alone),
    }
    aside = {why: what for why, what in aside.items() if what}
    reason = "; ".join(f"{why}: {what}" for why, what in aside.items())
    reason = reason or "no real model of this run has these numbers"
    scope = _scope(c) | ({"no evidence": reason} if aside else {})
    return Claim(key, statement, source, scope, tuple(told), "" if told else reason)


def _listed(measured: Iterable[Measurement]) -> str:
    return ", ".join(f"{m.name} ({m.estimate:.2f})" for m in measured)


def _scope(c: Comparison) -> dict[str, str]:
    counts = sorted({r.tokens for r in c.real})
    return {
        "models": ", ".join(r.name for r in c.real) or "none",
        "data": ", ".join(sorted({r.corpus for r in c.real})),
        "size": ", ".join(f"{n:,}" for n in counts) + " tokens a model",
        "beside": ", ".join(r.name for r in c.ladder),
    }


def _measured(
    name: str, found: Interval, low: float = -math.inf, high: float = math.inf
) -> Measurement:
    return Measurement(name, found.estimate, found.low, found.high, low, high)


def _with_middle(chosen: Iterable[Row]) -> list[Row]:
    return [r for r in chosen if len(middle_layers(r.ell)) >= FEWEST_MIDDLE]


def _depths(chosen: Iterable[Row]) -> int:
    return len({r.ell for r in chosen})
