"""A second witness: the paper's question put to runs whose width and depth vary on purpose.

What counts as an ordinary shape is stated before the fit: a ratio of width to depth within a
factor of the range of Chinchilla's runs. The factor is then varied.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from companion.claims import Claim
from companion.runtime import InputError
from companion.scaling.findings import ABOUT_ONE, measured, scope
from companion.scaling.fitting import fit
from companion.scaling.methods import quantify
from companion.scaling.result import FitResult

CHINCHILLA_ASPECT = (40.0, 110.0)
FACTORS = (1.25, 1.5, 3.0, 5.0)
METHOD = "bootstrap_shape"


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
    """Fit with the uncertainties that take whole training runs as independent."""
    methods = ("sandwich_shape", METHOD, "jackknife", "profile")
    return quantify(fit(table, law), generator, methods=methods, draws=draws)


def vary(
    table,
    law,
    generator: np.random.Generator,
    *,
    factors: Iterable[float] = FACTORS,
    draws: int = 300,
):
    """The depth exponent while the cut of ordinary shapes is varied, and on all shapes.

    Returns
    -------
    DataFrame
        `rows` in words, `shapes`, `n`, `estimate`, bootstrap interval over shapes `low`, `high`,
        `failed` refits, `converged`.
    """
    import pandas as pd

    cuts = {f"factor {f:g}": ordinary(table, f) for f in factors}
    found = []
    for label, kept in {**cuts, "all shapes": table}.items():
        result = quantify(fit(kept, law), generator, methods=(METHOD,), draws=draws)
        interval = result.intervals[METHOD]["alpha_ell"]
        found.append(
            {"rows": label, "shapes": len(np.unique(result.clusters)), "n": result.n}
            | {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
            | {"failed": result.failures[METHOD], "converged": result.converged}
        )
    return pd.DataFrame(found)


def claim(result: FitResult, key: str, rows: str) -> Claim:
    """The paper's claim about the depth exponent, on a second set of runs."""
    return Claim(
        key,
        f"On a second set of runs ({rows}) the depth exponent is about 1 too.",
        "paper, section 3 (its claim, asked of other runs)",
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
        "undecided": frame.loc[~inside & ~outside, "rows"],
    }
    said = [f"{word} with {', '.join(rows)}" for word, rows in named.items() if len(rows)]
    return f"An exponent of {low:g} to {high:g} is {'; '.join(said)}."
