"""What runs say whose width and depth were varied on purpose, on all and on usual shapes."""

from __future__ import annotations

from companion.evidence.claims import Claim
from companion.evidence.judging import judge
from companion.evidence.scaling.fit import ABOUT_ONE, measured, scope
from companion.scaling.comparison.cuts import RESAMPLED
from companion.scaling.fitting.result import FitResult
from companion.tables import clusters


def second_table(fit: FitResult) -> Claim:
    """The claim about the depth exponent, on all shapes of Gemstones."""
    return judge(
        "depth-exponent-gemstones",
        [measured(fit, "alpha_ell", RESAMPLED)],
        scope(fit) | {"shapes": str(fit.shapes)},
        data=fit.table_name,
        size=fit.n,
    )


def usual_shapes_sentence(frame, factor: float) -> str:
    """The exponent on usual shapes, or why there is none."""
    line = frame.set_index("rows").loc[f"factor {factor:g}"]
    if line["refused"]:
        return f"Too few ordinary shapes: {line['refused']}."
    return (
        f"{line['shapes']} ordinary shapes give a depth exponent of {line['estimate']:.2f} "
        f"[{line['low']:.2f}, {line['high']:.2f}]."
    )


def clusters_sentence(table) -> str:
    """What the rows share, and so what the unit of an interval is."""
    n = len(set(clusters(table)))
    if "run" in table:
        return (
            f"The {len(table)} rows are checkpoints of {n} training runs, so they are anything "
            "but independent: whole runs are the unit of every interval"
        )
    return f"The {len(table)} rows are of {n} shapes, which are the unit of every interval"


def subsets_sentence(frame) -> str:
    """What varied rows say together of an exponent of `ABOUT_ONE`."""
    low, high = ABOUT_ONE
    inside = frame["low"].ge(low) & frame["high"].le(high)
    outside = frame["high"].lt(low) | frame["low"].gt(high)
    groups = {
        "supported": frame.loc[inside, "rows"],
        "contradicted": frame.loc[outside, "rows"],
        "undecided": frame.loc[~inside & ~outside & frame["low"].notna(), "rows"],
        "not testable": frame.loc[frame["low"].isna(), "rows"],
    }
    verdicts = [f"{word} with {', '.join(rows)}" for word, rows in groups.items() if len(rows)]
    return f"An exponent of {low:g} to {high:g} is {'; '.join(verdicts)}."
