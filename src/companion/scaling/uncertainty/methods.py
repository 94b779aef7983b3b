"""All methods of uncertainty under one name each, applied side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from companion.errors import InputError
from companion.runs import Progress, silent
from companion.scaling.fitting.curvature import with_jacobian
from companion.scaling.fitting.result import FitResult
from companion.scaling.uncertainty.profile import with_profile
from companion.scaling.uncertainty.resampling import bootstrap, jackknife, with_draws
from companion.scaling.uncertainty.sandwich import with_sandwich

METHODS = {
    "jacobian": "local curvature, log residuals",
    "jacobian_raw": "local curvature, raw-loss residuals (the paper's)",
    "sandwich": "curvature and scores of rows",
    "sandwich_shape": "curvature and scores of whole shapes",
    "profile": "likelihood with the others refitted",
    "bootstrap": "rows resampled",
    "bootstrap_shape": "whole shapes resampled",
    "jackknife": "each shape left out once",
}


def quantify(
    result: FitResult,
    generator: np.random.Generator,
    *,
    methods: Sequence[str] = tuple(METHODS),
    draws: int = 1000,
    progress: Progress = silent,
) -> FitResult:
    """The result with standard errors and 95 % intervals of every method asked for.

    Parameters
    ----------
    result : FitResult
        A fit.
    generator : numpy.random.Generator
        For the bootstraps.
    methods : sequence of str
        Names of `METHODS`.
    draws : int
        Number of bootstrap resamples.
    progress : callable
        Called with (methods done, methods in all) and the name of each before it starts.

    Raises
    ------
    InputError
        If a method is unknown.
    """
    for number, method in enumerate(methods):
        if method not in METHODS:
            raise InputError(f"method {method!r} is unknown: use some of {', '.join(METHODS)}")
        progress(number, len(methods), note=method)
        result = _apply(result, method, generator, draws)
    return result


def _apply(result: FitResult, method: str, generator, draws: int) -> FitResult:
    kind, _, variant = method.partition("_")
    if kind == "jacobian":
        return with_jacobian(result, raw=variant == "raw")
    if kind == "sandwich":
        return with_sandwich(result, by_cluster=variant == "shape")
    if kind == "profile":
        return with_profile(result)
    if kind == "jackknife":
        return with_draws(result, jackknife(result))
    refits = bootstrap(result, generator, draws=draws, by_shape=variant == "shape")
    return with_draws(result, refits)
