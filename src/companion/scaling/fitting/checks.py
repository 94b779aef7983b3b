"""Can these rows identify this law at all? Refusals and stated warnings before a fit."""

from __future__ import annotations

import numpy as np

from companion.errors import InputError
from companion.scaling.fitting.laws import ScalingLaw, get_law

DISTINCT = 3
OUTLYING = 4.0  # robust standard deviations
ROUNDING = 1e-7  # of log residuals of noiseless rows
COLLINEAR = 0.9


def check_table(table, law: ScalingLaw) -> tuple[str, ...]:
    """Refuse a table that cannot identify `law`; warn where it barely can.

    A power term and a constant need three distinct values of a variable: two leave the exponent
    free. However many rows a shape has, the part of the loss that its size explains is one value:
    there must be as many distinct shapes as parameters in that part.

    Returns
    -------
    tuple of str
        Warnings.

    Raises
    ------
    InputError
        If a column is missing, rows are fewer than parameters plus one, a variable has fewer
        than three distinct values, or there are too few distinct shapes.
    """
    absent = [v for v in law.variables if v not in table]
    if absent:
        raise InputError(f"law {law.name} needs column {', '.join(absent)}: the table has none")
    p = len(law.parameters)
    if len(table) <= p:
        raise InputError(f"{len(table)} rows cannot fit the {p} parameters of law {law.name}")
    for v in law.variables:
        values = np.unique(np.asarray(table[v], float))
        if len(values) < DISTINCT:
            raise InputError(
                f"law {law.name} cannot be identified: {v} takes {len(values)} distinct "
                f"value{'s' * (len(values) > 1)} ({', '.join(f'{x:g}' for x in values)}), "
                f"at least {DISTINCT} are needed"
            )
    _check_shapes(table, law)
    _check_shift(table, law)
    return _warnings(table, law)


def resolved(table, law: ScalingLaw, weights: np.ndarray) -> np.ndarray:
    """Which resamples keep enough distinct values and shapes to identify the law.

    Parameters
    ----------
    table : DataFrame
        The n rows of the fit.
    law : ScalingLaw
    weights : ndarray, shape (R, n)
        How often each resample holds each row.

    Returns
    -------
    ndarray of bool, shape (R,)
    """
    members = [(np.unique(np.asarray(table[v]), return_inverse=True)[1], DISTINCT)
               for v in law.variables]  # fmt: skip
    members.append((_shapes(table, law), _size_parameters(law)))
    kept = weights > 0
    counts = [(kept @ np.eye(label.max() + 1)[label] > 0).sum(1) for label, _ in members]
    return np.all([c >= least for c, (_, least) in zip(counts, members, strict=True)], axis=0)


def _shapes(table, law: ScalingLaw) -> np.ndarray:
    """A number for each row's size, shape (n,): rows of one (m, ell), or N, share it."""
    sized = [np.asarray(table[v], float) for v in law.variables if v != "D"]
    rows = np.stack(sized or [np.ones(len(table))])
    return np.unique(rows, axis=1, return_inverse=True)[1].ravel()


def _size_parameters(law: ScalingLaw) -> int:
    """The terms without data, the constant and the shifts make one number for each shape."""
    static = [t for t in law.terms if all(v != "D" for v, _ in t.exponents)]
    inside = {n for t in static for n in (t.coefficient, *(e for _, e in t.exponents))}
    return len({n for n in (*inside, law.constant, *law.shifts) if n and isinstance(n, str)})


def _check_shapes(table, law: ScalingLaw) -> None:
    sized = [v for v in law.variables if v != "D"]
    shapes, needed = _shapes(table, law).max() + 1, _size_parameters(law)
    if sized and shapes < needed:
        raise InputError(
            f"law {law.name} cannot be identified: {shapes} distinct shapes ({', '.join(sized)}) "
            f"for {needed} parameters that depend on size alone"
        )


def identifiable(table, laws) -> tuple[list[str], list[str]]:
    """Names of the laws that the table can identify, and why it cannot identify the others."""
    kept, refused = [], []
    for name in laws:
        try:
            check_table(table, get_law(name))
        except InputError as reason:
            refused.append(str(reason))
        else:
            kept.append(name)
    return kept, refused


def _check_shift(table, law: ScalingLaw) -> None:
    for v, shift in law.shift:
        smallest = float(np.min(table[v]))
        if not isinstance(shift, str) and smallest <= shift:
            raise InputError(f"law {law.name} needs {v} above {shift:g}, a row has {smallest:g}")


def _warnings(table, law: ScalingLaw) -> tuple[str, ...]:
    warnings = []
    if {"m", "ell"} <= set(law.variables):
        r = correlation(table)
        if abs(r) > COLLINEAR:
            warnings.append(
                f"ln m and ln ell are correlated ({r:.2f}): width and depth are hard to tell apart"
            )
        shapes = len(set(zip(*(np.asarray(table[v]).tolist() for v in ("m", "ell")), strict=True)))
        if shapes <= len(law.parameters):
            warnings.append(f"only {shapes} distinct (m, ell) shapes for this law")
    return tuple(warnings)


def correlation(table) -> float:
    """Correlation of ln m and ln ell over the rows."""
    return float(
        np.corrcoef(np.log(np.asarray(table["m"])), np.log(np.asarray(table["ell"])))[0, 1]
    )


def describe_data(table) -> dict[str, float]:
    """Rows, shapes, spans and collinearity of a table: what it could tell at best.

    `inflation` is the variance inflation factor 1/(1 - r^2) of m against ell.
    """
    r = correlation(table)
    shapes = {*zip(table["m"], table["ell"], strict=True)}
    spans = {f"span_{v}": float(np.max(table[v]) / np.min(table[v])) for v in ("m", "ell", "D")}
    aspect = np.asarray(table["m"]) / np.asarray(table["ell"])
    return {
        "rows": len(table),
        "shapes": len(shapes),
        **spans,
        "span_aspect": float(aspect.max() / aspect.min()),
        "correlation": r,
        "inflation": 1 / (1 - r * r),
    }


def outliers(result, threshold: float = OUTLYING):
    """Rows whose log residual is beyond `threshold` robust standard deviations, worst first.

    They are reported, never dropped. The scale is 1.4826 times the median absolute residual, at
    least 1e-7: below that only rounding is left.

    Returns
    -------
    DataFrame
        Rows of the fit's table with `residual` (log of observed over predicted loss) and
        `deviations` (in units of the scale).
    """
    r, scale, order = _far(result, threshold)
    return result.table.iloc[order].assign(residual=r[order], deviations=r[order] / scale)


def _far(result, threshold: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Residuals, their robust scale, and the positions of outlying rows, worst first."""
    r = result.residuals
    scale = max(1.4826 * float(np.median(np.abs(r - np.median(r)))), ROUNDING)
    far = np.flatnonzero(np.abs(r) > threshold * scale)
    return r, scale, far[np.argsort(-np.abs(r[far]))]


def outlying(result) -> list[str]:
    """A warning of the outliers of a fit, if there are any."""
    _, _, far = _far(result, OUTLYING)
    if not len(far):
        return []
    worst = {v: result.table[v].to_numpy()[far[0]] for v in (*result.law.variables, "loss")}
    where = ", ".join(f"{v} = {value:g}" for v, value in worst.items())
    return [
        f"{len(far)} row{'s lie' if len(far) > 1 else ' lies'} beyond {OUTLYING:g} robust standard "
        f"deviations of the fit, the worst at {where}: reported, not dropped"
    ]
