r"""Fit a loss law: many starts, exact coefficients, and a certificate.

Minimises the mean of :math:`(\ln L_i - \ln \hat L_i)^2`, or of its Huber version, over all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from companion.errors import InputError
from companion.scaling.fitting import huber
from companion.scaling.fitting.certificate import Certificate, certify
from companion.scaling.fitting.checks import check_table, outlying
from companion.scaling.fitting.curvature import with_jacobian
from companion.scaling.fitting.design import Design
from companion.scaling.fitting.laws import ScalingLaw, dead_exponents, get_law
from companion.scaling.fitting.result import FitResult
from companion.scaling.fitting.solver import solve
from companion.scaling.fitting.starts import starting_points
from companion.tables import clusters, drop_highest, load_table

FEW_STARTS, MANY_STARTS, SIMPLE = 4, 24, 7  # laws of more than 7 parameters have more optima
ILL_CONDITIONED = 1e8  # half of the digits of a double are then lost


def fit(
    table,
    law: str | ScalingLaw = "additive",
    *,
    drop: int = 0,
    delta: float = math.inf,
    fixed: Mapping[str, float] | None = None,
) -> FitResult:
    r"""Fit `law` to a loss table; Jacobian standard errors included.

    Parameters
    ----------
    table : DataFrame, str or Path
        A table as from `load_table`, or what `load_table` takes.
    law : str or ScalingLaw
        One of `LAWS`, or a law of your own.
    drop : int
        How many of the highest losses are left out (ties with the last one too).
    delta : float
        Huber's threshold on the log residual; infinite for least squares.
    fixed : mapping, optional
        Exponents, constant or shift held at a value, e.g. ``{"alpha_ell": 1.0}``.

    Returns
    -------
    FitResult
        `converged` is False, with the reasons, if the certificate does not hold.

    Raises
    ------
    InputError
        If the table cannot identify the law.

    Notes
    -----
    Equation and objective: paper, section 3; the optimiser is ours, because the published one
    stops before the optimum. Huber's loss: Hoffmann et al. 2022, section 3.3.
    """
    law = get_law(law)
    if not delta > 0:
        raise InputError(f"delta {delta} must be positive")
    table = drop_highest(load_table(table), drop)
    warnings = check_table(table, law)
    design = Design(law, table)
    y = np.log(np.asarray(table["loss"], float))
    low, high = _hold(design, fixed or {})
    count = FEW_STARTS if len(design.names) <= SIMPLE else MANY_STARTS
    solution = solve(design, y, starting_points(design, y, count), low=low, high=high, delta=delta)
    best = int(np.argmin(solution.objective))
    params = design.params_at(solution.theta[best])
    certificate = certify(design, y, solution, best, (low, high), delta)
    result = FitResult(
        law,
        params,
        huber.mean_objective(float(solution.objective[best]), len(y), delta),
        len(y),
        certificate,
        delta,
        (*table.attrs.get("warnings", ()), *warnings, *_remarks(law, params, certificate)),
        table_name=table.attrs["name"],
        table=table,
        design=design,
        theta=solution.theta[best],
        clusters=clusters(table),
    )
    return with_jacobian(replace(result, warnings=(*result.warnings, *outlying(result))))


def _hold(design: Design, fixed: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    low, high = design.bounds()
    coefficients = [t.coefficient for t in design.law.terms]
    for name, value in fixed.items():
        if name not in design.names or name in coefficients:
            allowed = [n for n in design.names if n not in coefficients]
            raise InputError(f"cannot fix {name!r}: use one of {', '.join(allowed)}")
        position = design.index(name)
        if not low[position] <= value <= high[position]:
            raise InputError(
                f"cannot fix {name} at {value}: use {low[position]:g} to {high[position]:g}"
            )
        low[position] = high[position] = value
    return low, high


def _remarks(law: ScalingLaw, params, certificate: Certificate) -> list[str]:
    dead = dead_exponents(law, params)
    remarks = [f"{name} is not identified: its coefficient is 0" for name in sorted(dead)]
    remarks += [str(bound) for bound in certificate.at_bound if bound.side != "fixed"]
    if certificate.condition > ILL_CONDITIONED:
        remarks.append(f"the rows barely identify this law: condition {certificate.condition:.1e}")
    return remarks + [f"not converged: {reason}" for reason in certificate.reasons]
