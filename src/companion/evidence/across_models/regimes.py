"""The calibrated reading of every model: which regimes its statistics leave possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from companion.evidence.across_models.comparison import Comparison
from companion.evidence.across_models.report import error_band, label
from companion.evidence.across_models.row import UNTRAINED, Row
from companion.evidence.calibration.verdict import WORDS, listed, verdict_for

if TYPE_CHECKING:
    import pandas as pd

BANDS = {
    "evenness of rotation": "evenness",
    "neighbour cosine": "cosine of neighbours",
    "swap / skip": "swap / skip",
    "parallel / skip": "parallel / skip",
}
"""Statistics of the calibration whose error by quantisation is known, by their names here."""


def table(c: Comparison, errors: Mapping[str, Any]) -> pd.DataFrame:
    """Regimes that are left possible, what excludes the others, and the same within the band.

    The last column moves every statistic to either end of quantisation's error band, in every
    combination, and names all regimes that one of them leaves possible.
    """
    import pandas as pd

    rows = {label(r): _cells(r, errors) for r in c.rows if r.kind != UNTRAINED}
    return pd.DataFrame.from_dict(rows, orient="index")


def sentence(c: Comparison, errors: Mapping[str, Any]) -> str:
    """What the calibrated reading says of the real models."""
    told = []
    for r in c.real:
        verdict, within = verdict_for(r.calibrated, r.ell), _within(r, errors)
        moved = set(within) - set(verdict.possible)
        more = f", and within quantisation's error also {_named(moved)}" if moved else ""
        told.append(f"{r.name}: {verdict.words}{more}")
    return f"The calibrated reading leaves possible, of {'; of '.join(told)}." if told else ""


def _cells(r: Row, errors: Mapping[str, Any]) -> dict[str, str]:
    verdict = verdict_for(r.calibrated, r.ell)
    return {
        "left possible": verdict.words,
        "by": listed(verdict.used) or verdict.silence or "nothing that speaks",
        "outside of calibration": listed(verdict.outside) or "none",
        "within quantisation's error": _named(_within(r, errors)),
    }


def _named(regimes: set[str] | tuple[str, ...]) -> str:
    names = [WORDS[one] for one in WORDS if one in regimes]
    return " or ".join(names) or "none of the calibrated regimes"


def _within(r: Row, errors: Mapping[str, Any]) -> tuple[str, ...]:
    """Regimes that some combination of the bands' ends leaves possible."""
    left = {one for moved in _moved(r, errors) for one in verdict_for(moved, r.ell).possible}
    return tuple(one for one in WORDS if one in left)


def _moved(r: Row, errors: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    """The statistics as they are, and with every combination of the ends of their bands."""
    yield dict(r.calibrated)
    bands = {name: error_band(errors, r, own) for name, own in BANDS.items()}
    known = {name: band for name, band in bands.items() if band and name in r.calibrated}
    for ends in product(*known.values()):
        yield {**r.calibrated, **dict(zip(known, ends, strict=True))}
