"""One exponent while rows are taken out: the highest losses, or shapes far from the usual ones.

A usual shape has a ratio of width to depth within a factor of the range of Chinchilla's runs. That
range was fixed in advance; the default factor was chosen after the exponent had been seen for all
of `FACTORS`, so no single cut is a test, and every one that was tried is shown.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import numpy as np

from companion.errors import InputError
from companion.scaling.fitting.fit import fit
from companion.scaling.fitting.result import FitResult
from companion.scaling.uncertainty.methods import quantify
from companion.scaling.uncertainty.resampling import jackknife, with_draws

CHINCHILLA_ASPECT = (40.0, 110.0)  # channels per block
FACTORS = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
CLUSTERED = ("sandwich_shape", "bootstrap_shape", "jackknife", "profile")
RESAMPLED = "bootstrap_shape"
FAILING = 0.05  # share of resamples that may fail before the interval means nothing


def within_aspect(table, factor: float = 1.5):
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


def fit_clustered(
    table,
    law,
    generator: np.random.Generator,
    *,
    methods: Sequence[str] = CLUSTERED,
    draws: int = 300,
) -> FitResult:
    """Fit with the uncertainties that take whole shapes or training runs as independent.

    Raises
    ------
    InputError
        If the rows cannot identify the law, or more than a twentieth of their resamples cannot.
    """
    result = quantify(fit(table, law), generator, methods=methods, draws=draws)
    failed = result.failures[RESAMPLED]
    if failed > FAILING * draws:
        raise InputError(
            f"{failed} of {draws} resamples of {result.shapes} shapes cannot "
            f"identify law {result.law.name}"
        )
    return result


def aspect_sweep(
    table,
    law,
    generator: np.random.Generator,
    *,
    factors: Iterable[float] = FACTORS,
    draws: int = 300,
):
    """The depth exponent while the cut of usual shapes is varied, and on all shapes.

    Every cut starts from the same random numbers: cuts that keep the same rows agree.

    Returns
    -------
    DataFrame
        `rows` in words, `shapes`, `n`, `estimate`, bootstrap interval over shapes `low`, `high`,
        `failed` refits, `converged`, and why a cut was `refused`, if it left too little.
    """
    import pandas as pd

    def cut(factor: float) -> FitResult:
        kept = table if math.isinf(factor) else within_aspect(table, factor)
        methods = (RESAMPLED,)
        return fit_clustered(kept, law, copy.deepcopy(generator), methods=methods, draws=draws)

    frame = pd.DataFrame(
        [
            {"rows": "all shapes" if math.isinf(factor) else f"factor {factor:g}"}
            | _line(lambda factor=factor: cut(factor), "alpha_ell", RESAMPLED)
            for factor in (*sorted(factors), math.inf)
        ]
    )
    frame.attrs = {"table": table.attrs.get("name", "the table given"), "law": str(law)}
    return frame


def drop_sweep(table, law, drops: Sequence[int], name: str):
    """One exponent, refitted while more of the highest losses are left out.

    Returns
    -------
    DataFrame
        `dropped` asked for, then as `aspect_sweep`, with the jackknife over shapes: beside the
        bootstrap the one interval that keeps its promise where rows of a shape share their error.
    """
    import pandas as pd

    def cut(k: int) -> FitResult:
        result = fit(table, law, drop=k)
        return with_draws(result, jackknife(result))

    return pd.DataFrame(
        [{"dropped": k} | _line(lambda k=k: cut(k), name, "jackknife") for k in map(int, drops)]
    )


def _line(cut, name: str, method: str) -> dict:
    """What the fit made by `cut` says of one parameter, or why there is none."""
    try:
        result = cut()
    except InputError as reason:
        blank = dict.fromkeys(("estimate", "low", "high"), math.nan)
        unfitted = {"shapes": 0, "n": 0, **blank, "failed": 0, "converged": False}
        return unfitted | {"refused": str(reason)}
    estimate, low, high = result.intervals[method][name]
    return {
        "shapes": result.shapes,
        "n": result.n,
        "estimate": estimate,
        "low": low,
        "high": high,
        "failed": result.failures[method],
        "converged": result.converged,
        "refused": "",
    }
