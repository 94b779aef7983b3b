"""The calibrated reading of every model: which regimes its statistics leave possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from companion.evidence.across_models.comparison import Comparison
from companion.evidence.across_models.report import label
from companion.evidence.across_models.row import UNTRAINED, Row
from companion.evidence.calibration.quantised import named, within
from companion.evidence.calibration.verdict import listed, verdict_for

if TYPE_CHECKING:
    import pandas as pd


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
    models = []
    for r in c.real:
        verdict = verdict_for(r.calibrated, r.ell)
        moved = set(within(r.calibrated, r.ell, r.name, errors)) - set(verdict.possible)
        more = f", and within quantisation's error also {named(moved)}" if moved else ""
        models.append(f"{r.name}: {verdict.words}{more}")
    return f"The calibrated reading leaves possible, of {'; of '.join(models)}." if models else ""


def _cells(r: Row, errors: Mapping[str, Any]) -> dict[str, str]:
    verdict = verdict_for(r.calibrated, r.ell)
    return {
        "left possible": verdict.words,
        "by": listed(verdict.used) or verdict.silence or "nothing that speaks",
        "outside of calibration": listed(verdict.outside) or "none",
        "within quantisation's error": named(within(r.calibrated, r.ell, r.name, errors)),
    }
