"""A second witness: the paper's question put to runs whose width and depth vary on purpose.

An ordinary shape has a ratio of width to depth within a factor of the range of Chinchilla's runs.
That range was fixed in advance; the factor was chosen after the exponent had been seen for all of
`FACTORS`, so no single cut is a test, and every one that was tried is shown.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import numpy as np

from companion.errors import InputError
from companion.evidence.claims import Claim
from companion.scaling.findings import ABOUT_ONE, measured, scope
from companion.scaling.fitting import fit
from companion.scaling.methods import quantify
from companion.scaling.result import FitResult

CHINCHILLA_ASPECT = (40.0, 110.0)
FACTORS = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
METHOD = "bootstrap_shape"
FAILING = 0.05
_STATEMENT = "On a second set of runs ({}) the depth exponent is about 1 too."
_SOURCE = "paper, section 3 (its claim, asked of other runs)"


def ordinary(table, factor: float = 1.5):
    """Rows whose m/ell is within `factor` of Chinchilla's range, 40 to 110 channels per block.

    Raises
    ------
    InputError
        If the factor is below 1 or no row is left.
    """
    if factor < 1:
        raise InputError(f"factor {factor} must be at least 1")
    low, high = CHINCHILLA_ASPECT
    aspect = table["m"] / table["ell"]
    kept = table[(aspect >= low / factor) & (aspect <= high * factor)]
    if kept.empty:
        raise InputError(f"no row has m/ell between {low / factor:g} and {high * factor:g}")
    return kept


def ask(table, law, generator: np.random.Generator, *, draws: int = 300) -> FitResult:
    """Fit with the uncertainties that take whole training runs as independent.

    Raises
    ------
    InputError
        If the rows cannot identify the law, or more than a twentieth of their resamples cannot.
    """
    methods = ("sandwich_shape", METHOD, "jackknife", "profile")
    return _resampled(table, law, generator, methods, draws)


def _resampled(table, law, generator, methods, draws: int) -> FitResult:
    result = quantify(fit(table, law), generator, methods=methods, draws=draws)
    failed = result.failures[METHOD]
    if failed > FAILING * draws:
        raise InputError(
            f"{failed} of {draws} resamples of {len(np.unique(result.clusters))} shapes cannot "
            f"identify law {result.law.name}"
        )
    return result


def vary(
    table,
    law,
    generator: np.random.Generator,
    *,
    factors: Iterable[float] = FACTORS,
    draws: int = 300,
):
    """The depth exponent while the cut of ordinary shapes is varied, and on all shapes.

    Every cut starts from the same random numbers: cuts that keep the same rows agree.

    Returns
    -------
    DataFrame
        `rows` in words, `shapes`, `n`, `estimate`, bootstrap interval over shapes `low`, `high`,
        `failed` refits, `converged`, and why a cut was `refused`, if it left too little.
    """
    import pandas as pd

    rows = [
        _after_cut(table, law, f, copy.deepcopy(generator), draws) for f in (*factors, math.inf)
    ]
    return pd.DataFrame(rows)


def _after_cut(table, law, factor: float, generator, draws: int) -> dict:
    label = "all shapes" if math.isinf(factor) else f"factor {factor:g}"
    try:
        kept = table if math.isinf(factor) else ordinary(table, factor)
        result = _resampled(kept, law, generator, (METHOD,), draws)
    except InputError as refused:
        blank = dict.fromkeys(("estimate", "low", "high"), math.nan)
        shape = {"rows": label, "shapes": 0, "n": 0, **blank, "failed": 0}
        return shape | {"converged": False, "refused": str(refused)}
    interval = result.intervals[METHOD]["alpha_ell"]
    found = {"rows": label, "shapes": len(np.unique(result.clusters)), "n": result.n}
    found |= {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return found | {
        "failed": result.failures[METHOD],
        "converged": result.converged,
        "refused": "",
    }


def ask_ordinary(
    table, factor: float, generator: np.random.Generator, *, draws: int = 300
) -> tuple[Claim, str]:
    """The claim on ordinary shapes with the additive law, and what was found in a sentence.

    Not testable, with the reason, where too few shapes remain.
    """
    rows = f"ordinary shapes, factor {factor:g}, chosen after looking"
    try:
        result = ask(ordinary(table, factor), "additive", generator, draws=draws)
    except InputError as refused:
        reason = f"Too few ordinary shapes: {refused}."
        where = {"table": table.attrs.get("name", "the table given"), "rows": rows}
        return Claim("witness-ordinary-shapes", _STATEMENT.format(rows), _SOURCE, where,
                     untestable=reason), reason  # fmt: skip
    shapes = len(np.unique(result.clusters))
    exponent = result.intervals[METHOD]["alpha_ell"]
    said = f"{shapes} ordinary shapes give a depth exponent of {exponent:.2f}."
    return claim(result, "witness-ordinary-shapes", rows), said


def claim(result: FitResult, key: str, rows: str) -> Claim:
    """The paper's claim about the depth exponent, on a second set of runs."""
    return Claim(
        key,
        _STATEMENT.format(rows),
        _SOURCE,
        scope(result) | {"shapes": str(len(np.unique(result.clusters)))},
        (measured(result, "alpha_ell", METHOD, ABOUT_ONE),),
    )


def verdict(frame, low: float = ABOUT_ONE[0], high: float = ABOUT_ONE[1]) -> str:
    """What the varied cuts say together: supported, undecided, contradicted; in a sentence."""
    inside = frame["low"].ge(low) & frame["high"].le(high)
    outside = frame["high"].lt(low) | frame["low"].gt(high)
    named = {
        "supported": frame.loc[inside, "rows"],
        "contradicted": frame.loc[outside, "rows"],
        "undecided": frame.loc[~inside & ~outside & frame["low"].notna(), "rows"],
        "not testable": frame.loc[frame["low"].isna(), "rows"],
    }
    said = [f"{word} with {', '.join(rows)}" for word, rows in named.items() if len(rows)]
    return f"An exponent of {low:g} to {high:g} is {'; '.join(said)}."
