r"""Profile likelihood: the best fit while one or two parameters are held at given values.

With residual variance unknown, :math:`(V(v) - V(\hat v)) / s^2` is compared with the F quantile
of (1, n - p) degrees of freedom; for Huber's loss the robust ratio test scales V instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from companion.errors import InputError
from companion.scaling.fitting import huber
from companion.scaling.fitting.curvature import add
from companion.scaling.fitting.design import Design
from companion.scaling.fitting.result import FitResult
from companion.scaling.fitting.solver import solve
from companion.statistics.intervals import Interval

STEPS = np.array([0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 6.0, 10.0, 20.0])


@dataclass(frozen=True)
class LikelihoodProfile:
    """Deviance along held values.

    `values` (K,) or, in two dimensions, a pair of arrays; `deviance` in units of residual
    variance, 0 at the optimum; `params` the refitted parameters; `level95` the 95 % threshold.
    """

    names: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    deviance: np.ndarray
    params: dict[str, np.ndarray]
    converged: np.ndarray
    level95: float


def likelihood_profile(result: FitResult, name: str, values) -> LikelihoodProfile:
    """Refit with `name` held at each of `values`.

    Parameters
    ----------
    result : FitResult
        The unconstrained fit.
    name : str
        Any parameter of the law.
    values : array_like, shape (K,)
        In plain units.

    Returns
    -------
    LikelihoodProfile

    Raises
    ------
    InputError
        If there is no such parameter.

    Notes
    -----
    Bates and Watts 1988, section 6.1.
    """
    values = np.asarray(values, float)
    deviance, theta, ok, design = _held(result, [(name,)] * len(values), values[:, None])
    return LikelihoodProfile(
        (name,), (values,), deviance, design.to_params(theta), ok, threshold(result, 1)
    )


def joint_profile(
    result: FitResult, names: tuple[str, str], first=None, second=None, points: int = 41
) -> LikelihoodProfile:
    """Refit with two parameters held on the grid `first` x `second`; deviance of that shape.

    By default the grid is the `span` of either, with so many `points`.
    """
    first, second = (
        np.asarray(span(result, name, points) if values is None else values, float)
        for name, values in zip(names, (first, second), strict=True)
    )
    grid = np.stack(np.meshgrid(first, second, indexing="ij"), -1).reshape(-1, 2)
    deviance, theta, ok, design = _held(result, [tuple(names)] * len(grid), grid)
    shape = (len(first), len(second))
    params = {k: v.reshape(shape) for k, v in design.to_params(theta).items()}
    limit = threshold(result, 2)
    return LikelihoodProfile(
        names, (first, second), deviance.reshape(shape), params, ok.reshape(shape), limit
    )


def span(result: FitResult, name: str, points: int = 41, widths: float = 4.0) -> np.ndarray:
    """Values around the estimate to hold a parameter at: so many standard errors each way.

    Jacobian standard errors, or the estimate's own size where there are none; inside the bounds.
    """
    estimate, reach = result.params[name], widths * _step(result, name)
    low, high = (float(b[result.design.index(name)]) for b in result.design.bounds())
    return np.linspace(max(estimate - reach, low), min(estimate + reach, high), points)


def threshold(result: FitResult, dimensions: int) -> float:
    """Deviance below which held values are in the 95 % confidence region."""
    from scipy.special import fdtri

    return dimensions * float(fdtri(dimensions, result.dof, 0.95))


def deviance_scale(result: FitResult) -> float:
    """What turns twice the rise of the solver's objective into a deviance."""
    r, delta = result.residuals, result.delta
    return huber.variance(r, result.dof, delta) * float(huber.inside(r, delta).mean())


def with_profile(result: FitResult, names: tuple[str, ...] = ()) -> FitResult:
    """Add profile intervals of `names` (by default all that are neither fixed nor 0) as "profile".

    A side on which the deviance never reaches the threshold is open: it ends at the bound of the
    parameter, infinite where there is none. Ends whose refit did not converge are counted in
    `failures` and warned of.
    """
    names = names or tuple(n for n in result.params if not _settled(result, n))
    sides = [(name, sign) for name in names for sign in (-1.0, 1.0)]
    ends = dict(zip(sides, _crossings(result, sides), strict=True))
    intervals = {
        name: Interval(
            result.params[name], float(ends[name, -1.0]), float(ends[name, 1.0]), method="profile"
        )
        for name in names
    }
    closed = [side for side in sides if math.isfinite(ends[side])]
    _, met = _held_alone(result, closed, np.array([ends[side] for side in closed]))
    failed = int((~met).sum())
    note = (f"{failed} of {len(sides)} ends of profile did not converge",) if failed else ()
    result = replace(
        result,
        failures={**result.failures, "profile": failed},
        warnings=(*result.warnings, *note),
    )
    return add(result, "profile", dict.fromkeys(result.params, math.nan), intervals)


def _settled(result: FitResult, name: str) -> bool:
    unused = _is_coefficient(result, name) and result.params[name] == 0
    return unused or name in result.certificate.fixed


def _step(result: FitResult, name: str) -> float:
    """The Jacobian standard error, or half the estimate where a bound leaves none."""
    estimate, stderr = result.params[name], result.stderr["jacobian"][name]
    return stderr if math.isfinite(stderr) else max(abs(estimate), 0.1) / 2


def _crossings(result: FitResult, sides) -> np.ndarray:
    """Where the root of the deviance meets the root of the threshold, for each side."""
    target = math.sqrt(threshold(result, 1))
    inner, outer = np.zeros(len(sides)), np.full(len(sides), np.nan)
    g_inner, g_outer = np.full(len(sides), -target), np.full(len(sides), np.nan)
    for step in STEPS:
        todo = np.flatnonzero(np.isnan(outer))
        if not len(todo):
            break
        g = _root(result, [sides[i] for i in todo], np.full(len(todo), step)) - target
        beyond = g > 0
        outer[todo[beyond]], g_outer[todo[beyond]] = step, g[beyond]
        inner[todo[~beyond]], g_inner[todo[~beyond]] = step, g[~beyond]
    closed = np.flatnonzero(~np.isnan(outer))
    for _ in range(6):
        a, b = inner[closed], outer[closed]
        middle = (a * g_outer[closed] - b * g_inner[closed]) / (g_outer[closed] - g_inner[closed])
        g = _root(result, [sides[i] for i in closed], middle) - target
        up, down = closed[g > 0], closed[g <= 0]
        outer[up], g_outer[up] = middle[g > 0], g[g > 0]
        inner[down], g_inner[down] = middle[g <= 0], g[g <= 0]
    steps = np.where(np.isnan(outer), np.inf, np.where(-g_inner < g_outer, inner, outer))
    return np.array([_place(result, s, t) for s, t in zip(sides, steps, strict=True)])


def _place(result: FitResult, side: tuple[str, float], step: float) -> float:
    """The value `step` standard errors to one side: of ln c for coefficients, within bounds."""
    name, sign = side
    estimate, stderr = result.params[name], _step(result, name)
    low, high = (float(b[result.design.index(name)]) for b in result.design.bounds())
    if _is_coefficient(result, name) and estimate > 0:
        return estimate * math.exp(min(sign * step * min(stderr / estimate, 3.0), 600.0))
    return min(max(estimate + sign * step * stderr, low), high if math.isfinite(step) else math.inf)


def _root(result: FitResult, sides, steps: np.ndarray) -> np.ndarray:
    values = np.array([_place(result, s, t) for s, t in zip(sides, steps, strict=True)])
    return np.sqrt(np.maximum(_held_alone(result, sides, values)[0], 0.0))


def _held_alone(result: FitResult, sides, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Deviance with one parameter held at each of `values`, and which of these refits converged.

    Coefficients are held in plain units and the others in those of the fit: two designs.
    """
    deviance, converged = np.zeros(len(sides)), np.zeros(len(sides), bool)
    plain = np.array([_is_coefficient(result, name) for name, _ in sides], bool)
    for kind in (True, False):
        picked = np.flatnonzero(plain == kind)
        if len(picked):
            names = [(sides[i][0],) for i in picked]
            deviance[picked], _, converged[picked], _ = _held(result, names, values[picked, None])
    return deviance, converged


def _is_coefficient(result: FitResult, name: str) -> bool:
    return any(t.coefficient == name for t in result.law.terms)


def _held(result: FitResult, groups, values: np.ndarray):
    """Deviance of each row of `values`, shape (K, d), with the names of `groups` held there."""
    unknown = {n for g in groups for n in g} - set(result.params)
    if unknown:
        known = ", ".join(result.params)
        raise InputError(f"no parameter {sorted(unknown)[0]!r}: use one of {known}")
    plain = any(_is_coefficient(result, n) for g in groups for n in g)
    design = Design(result.law, result.table, centred=False) if plain else result.design
    optimum = design.to_theta(result.params)
    low, high = (np.tile(b, (len(values), 1)) for b in design.bounds())
    for name in result.certificate.fixed:
        i = design.index(name)
        low[:, i] = high[:, i] = optimum[i]
    rows = [[design.index(n) for n in g] for g in groups]
    for i, (held, value) in enumerate(zip(rows, values, strict=True)):
        low[i, held] = high[i, held] = value
    start = _predict(result, design, optimum, rows, values)
    refits = solve(design, result.y, start, low=low, high=high, delta=result.delta)
    least = result.total / huber.as_objective(result.delta)
    deviance = 2 * (refits.objective - least) / deviance_scale(result)
    return deviance, refits.theta, refits.converged, design


def _predict(result: FitResult, design: Design, optimum, rows, values) -> np.ndarray:
    """Guess of the other parameters, linear in exponents and in logs of coefficients."""
    J = design.evaluate(optimum[None])[1][0].copy()
    logged = [
        design.index(t.coefficient)
        for t in result.law.terms
        if optimum[design.index(t.coefficient)] > 0
    ]
    J[logged] *= optimum[logged, None]
    covariance = np.linalg.pinv(J @ J.T, hermitian=True, rcond=1e-14)
    u = optimum.copy()
    u[logged] = np.log(optimum[logged])
    start = np.tile(u, (len(values), 1))
    for i, (held, value) in enumerate(zip(rows, values, strict=True)):
        target = [np.log(v) if h in logged else v for h, v in zip(held, value, strict=True)]
        block = np.linalg.pinv(covariance[np.ix_(held, held)], hermitian=True)
        start[i] += covariance[:, held] @ block @ (np.array(target) - u[held])
    start[:, logged] = np.exp(np.clip(start[:, logged], -300, 300))
    return start
