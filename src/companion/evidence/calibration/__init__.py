"""Which statistics may speak about regimes, and what is left possible.

`statistics`, `separation`, `study`: every statistic of every network, and what it is worth;
`verdict`: what passed, and what the values of one network exclude; `report`: tables and names;
`core`: the theory's core, shared errors and traded shapes, as claims.
"""

from companion.evidence.calibration.report import checked, confusion, mixtures, summary, table
from companion.evidence.calibration.verdict import (
    RIGHT,
    Verdict,
    against,
    calibrated,
    passes,
    separates,
    verdict_for,
    why_no_test,
)

__all__ = [
    "RIGHT",
    "Verdict",
    "against",
    "calibrated",
    "checked",
    "confusion",
    "mixtures",
    "passes",
    "separates",
    "summary",
    "table",
    "verdict_for",
    "why_no_test",
]
