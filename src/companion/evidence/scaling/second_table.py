"""What runs say whose width and depth were varied on purpose, on all and on usual shapes."""

from __future__ import annotations

from companion.evidence.claims import Claim, Measurement
from companion.evidence.scaling.fit import ABOUT_ONE, measured, on_table, scope
from companion.scaling.comparison.cuts import RESAMPLED
from companion.scaling.fitting.result import FitResult
from companion.tables import clusters

_STATEMENT = "On a second set of runs ({}) the depth exponent is about 1 too."
_SOURCE = "paper, section 3 (its claim, asked of other runs)"


def second_table(fit: FitResult, key: str, rows: str) -> Claim:
    """The paper's claim about the depth exponent, on the rows of Gemstones."""
    claim = Claim(
        key,
        _STATEMENT.format(rows),
        _SOURCE,
        scope(fit) | {"shapes": str(fit.shapes)},
        (measured(fit, "alpha_ell", RESAMPLED, ABOUT_ONE),),
    )
    return on_table(claim, "gemstones")


def usual_shapes(frame, factor: float) -> Claim:
    """The claim on usual shapes, from the line of `aspect_sweep` that has this factor.

    Not testable, with the reason, where too few shapes remain.
    """
    line = frame.set_index("rows").loc[f"factor {factor:g}"]
    rows = f"ordinary shapes, factor {factor:g}, chosen after looking"
    where = {"table": frame.attrs["table"], "rows": str(line["n"]), "law": frame.attrs["law"]}
    refused = f"too few ordinary shapes: {line['refused']}" if line["refused"] else ""
    label = f"alpha_ell ({frame.attrs['table']}, bootstrap, shape)"
    span = (line["estimate"], line["low"], line["high"])
    claim = Claim(
        "witness-ordinary-shapes",
        _STATEMENT.format(rows),
        _SOURCE,
        where | {"loss": "squared log residual", "shapes": str(line["shapes"])},
        () if refused else (Measurement(label, *span, *ABOUT_ONE),),
        untestable=refused,
    )
    return on_table(claim, "gemstones")


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
    told = [f"{word} with {', '.join(rows)}" for word, rows in groups.items() if len(rows)]
    return f"An exponent of {low:g} to {high:g} is {'; '.join(told)}."
