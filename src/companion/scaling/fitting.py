r"""Fit a loss law: many starts, exact coefficients, and a certificate.

Minimises the mean of :math:`(\ln L_i - \ln \hat L_i)^2`, or of its Huber version, over all rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from companion.errors import InputError
from companion.scaling.checks import check_table, outlying
from companion.scaling.design import EXPONENT_RANGE, Design
from companion.scaling.laws import ScalingLaw, get_law
from companion.scaling.result import Certificate, FitResult, dead_exponents
from companion.scaling.solver import Solution, solve
from companion.scaling.starts import starting_points
from companion.scaling.uncertainty import with_jacobian
from companion.tables import clusters, drop_highest, load_table

AGREEMENT = 1e-8


def fit(
    table,
    law: str | ScalingLaw = "additive",
    *,
    drop: int = 0,
    delta: float = math.inf,
    starts: int | None = None,
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
    starts : int, optional
        Number of starting points; 4, or 24 for laws of more than 7 parameters.
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
    count = starts or (4 if len(design.names) <= 7 else 24)
    found = solve(design, y, starting_points(design, y, count), low=low, high=high, delta=delta)
    best = int(np.argmin(found.objective))
    theta, params = found.theta[best], _params(design, found.theta[best])
    certificate = _certify(design, y, found, best, (low, high), delta)
    result = FitResult(
        law,
        params,
        mean_objective(float(found.objective[best]), len(y), delta),
        len(y),
        certificate,
        delta,
        (*table.attrs.get("warnings", ()), *warnings, *_remarks(law, params, certificate)),
        table=table,
        design=design,
        theta=theta,
        clusters=clusters(table),
    )
    return with_jacobian(replace(result, warnings=(*result.warnings, *outlying(result))))


def mean_objective(total, n: int, delta: float):
    """Mean squared log residual, or mean Huber loss, from the solver's sum."""
    return (2 if math.isinf(delta) else 1) * total / n


def _params(design: Design, theta: np.ndarray) -> dict[str, float]:
    return {name: float(value[0]) for name, value in design.to_params(theta[None]).items()}


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


def _certify(design, y, found: Solution, best: int, bounds, delta: float) -> Certificate:
    theta = found.theta[best]
    value = found.objective[best]
    close = found.objective <= value * (1 + AGREEMENT) + 1e-24
    others = found.objective[~close & found.converged]
    gradient, H = objective_derivatives(design, y, theta, delta)
    at, free = _at_bounds(design, theta, gradient, bounds)
    scale = np.sqrt(np.maximum(np.abs(np.diag(H)), 1e-300))
    eigenvalues = np.linalg.eigvalsh((H / np.outer(scale, scale))[np.ix_(free, free)])
    return Certificate(
        gradient=float(found.gradient[best]),
        at_bound=at,
        stuck=_stuck(design, y, theta, delta),
        starts=len(found.objective),
        agreeing=int(close.sum()),
        runner_up=mean_objective(float(others.min(initial=np.inf)), design.n, delta),
        condition=float(eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else math.inf,
        curvature=float(eigenvalues[0]),
        iterations=int(found.iterations[best]),
    )


def objective_derivatives(design: Design, y, theta, delta: float):
    """Gradient (p,) and exact Hessian (p, p) of the solver's objective at one theta."""
    f, J = design.evaluate(theta[None])
    r = y - f[0]
    inside = np.abs(r) <= delta
    pull = np.clip(r, -delta, delta)
    gauss = (J[0] * inside) @ J[0].T
    return -J[0] @ pull, gauss - design.curvature(theta[None], J, pull[None])[0]


def _at_bounds(design, theta, gradient, bounds) -> tuple[tuple[str, ...], np.ndarray]:
    low, high = bounds
    params = _params(design, theta)
    notes, free = [], np.ones(len(theta), bool)
    for i, name in enumerate(design.names):
        if low[i] == high[i]:
            notes.append(f"{name} fixed at {theta[i]:g}")
        elif theta[i] <= low[i]:
            notes.append(f"{name} at its lower bound {low[i]:g}, gradient {gradient[i]:.2g}")
        elif theta[i] >= high[i]:
            notes.append(f"{name} at its upper bound {high[i]:g}, gradient {gradient[i]:.2g}")
        elif name not in dead_exponents(design.law, params):
            continue
        free[i] = False
    return tuple(notes), free


def _stuck(design: Design, y, theta, delta: float) -> tuple[str, ...]:
    """Coefficients at 0 that would lower the objective with some other exponent."""
    found = []
    dead = dead_exponents(design.law, _params(design, theta))
    for term in design.law.terms:
        row = design.index(term.coefficient)
        names = [e for _, e in term.exponents if isinstance(e, str) and e in dead]
        if theta[row] != 0 or term.signed or not names:
            continue
        trial = np.tile(theta, (60, 1))
        for name in names:
            trial[:, design.index(name)] = np.linspace(*EXPONENT_RANGE, 60)
        f, J = design.evaluate(trial)
        pull = np.clip(y - f, -delta, delta)
        norm = np.linalg.norm(J[:, row], axis=1) * np.linalg.norm(pull, axis=1)
        if np.any((J[:, row] * pull).sum(1) > 1e-6 * norm):
            found.append(term.coefficient)
    return tuple(found)


def _remarks(law: ScalingLaw, params, certificate: Certificate) -> list[str]:
    dead = dead_exponents(law, params)
    remarks = [f"{name} is not identified: its coefficient is 0" for name in sorted(dead)]
    remarks += [n for n in certificate.at_bound if "bound" in n]
    if certificate.condition > 1e8:
        remarks.append(f"the rows barely identify this law: condition {certificate.condition:.1e}")
    return remarks + [f"not converged: {reason}" for reason in certificate.reasons]
