"""What quantisation may have moved: the calibrated reading within the error band of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from companion.errors import InputError
from companion.evidence.calibration.verdict import WORDS, verdict_for
from companion.files import stored

BANDS = {
    "evenness of rotation": "rotation_evenness",
    "neighbour cosine": "cosine",
    "swap / skip": "swap_over_skip",
    "parallel / skip": "parallel_over_skip",
}
"""Statistics of the calibration by their names in the stored errors."""
RELATIVE = {"middle_rotation", "swap_over_skip", "parallel_over_skip"}
"""Of those names the ones whose shift is a share of the value."""


def errors() -> dict[str, Any]:
    """The stored errors that quantising the ladder makes; empty where there is no such file."""
    try:
        return json.loads(stored("quantisation.json").read_text("utf-8"))
    except InputError:
        return {}


def band(
    known: Mapping[str, Any], model: str, value: float, key: str
) -> tuple[float, float] | None:
    """How far the quantisation of a model's file may have moved a statistic: low and high end.

    The largest shift that the same scheme makes in any of the ladder's models, either way; None
    where the scheme or the statistic is not among the stored errors.

    Parameters
    ----------
    known : mapping
        From `errors`.
    model : str
    value : float
        The statistic of that model.
    key : str
        Its name in the stored errors.
    """
    schemes = [s for s, about in known.get("schemes", {}).items() if about["model"] == model]
    shifts = known["bands"][schemes[0]].get(key) if schemes else None
    if shifts is None:
        return None
    shift = abs(value) * shifts["largest_relative"] if key in RELATIVE else shifts["largest"]
    return value - shift, value + shift


def within(
    statistics: Mapping[str, float], ell: int, model: str, known: Mapping[str, Any]
) -> tuple[str, ...]:
    """Regimes that some combination of the ends of the bands leaves possible."""
    moved = _moved(statistics, model, known)
    left = {one for values in moved for one in verdict_for(values, ell).possible}
    return tuple(one for one in WORDS if one in left)


def sentence(statistics: Mapping[str, float], ell: int, model: str) -> str:
    """What the error of a model's quantised weights does to its reading; empty if not known."""
    known = errors()
    if not any(about["model"] == model for about in known.get("schemes", {}).values()):
        return ""
    moved = set(within(statistics, ell, model, known))
    more = moved - set(verdict_for(statistics, ell).possible)
    if not more:
        return "The error of its quantised weights changes nothing in this."
    return f"Within the error of its quantised weights {named(more)} would be possible, too."


def named(regimes: set[str] | tuple[str, ...]) -> str:
    """Regimes in words."""
    names = [WORDS[one] for one in WORDS if one in regimes]
    return " or ".join(names) or "none of the calibrated regimes"


def _moved(
    statistics: Mapping[str, float], model: str, known: Mapping[str, Any]
) -> Iterator[dict[str, float]]:
    """The statistics as they are, and with every combination of the ends of their bands."""
    yield dict(statistics)
    here = {name: statistics[name] for name in BANDS if name in statistics}
    bands = {name: band(known, model, value, BANDS[name]) for name, value in here.items()}
    ends = {name: edges for name, edges in bands.items() if edges}
    for corner in product(*ends.values()):
        yield {**statistics, **dict(zip(ends, corner, strict=True))}
