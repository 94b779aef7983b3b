r"""Levenberg-Marquardt for a batch of fits: many starts, resamples or fixed values at once.

Minimises :math:`\sum_i w_i \rho_\delta(\ln L_i - \ln \hat L_i)` within bounds, with the analytic
Jacobian of `Design`; :math:`\rho` is Huber's function, half the square for infinite delta. What is
unusual: all fits of a batch advance together by vectorised linear algebra, and each one carries
its own damping, active bounds and convergence test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from companion.scaling.fitting import huber
from companion.scaling.fitting.design import Design

TOLERANCE = 1e-8  # cosine of gradient and residuals at which a fit is done
SLACK = 10  # a fit that can move no more counts as converged at so many times the tolerance
NEAR = 0.02  # below this the exact Hessian is used, above it Gauss-Newton's
CHUNK = 128  # fits advanced together: their Jacobians stay in the cache
FIRST_DAMPING = 1e-3  # nearly a Gauss-Newton step, since starts have solved coefficients
LEAST_DAMPING = 1e-12  # so that two columns which are equal at a bound leave no singular step
MOST_DAMPING = 1e14  # the step is then below the rounding of theta: no step goes down any more
FASTEST_RELIEF = 0.1  # damping falls at most tenfold a step, where Nielsen has threefold
OUTSIDE = 1e-3  # curvature left to residuals beyond delta, so that no direction is ever flat
ROUNDING = 1e-7  # residuals of noiseless rows: below this a gradient is rounding only
TINY = 1e-300  # keeps a division from 0 / 0; below every number that occurs


@dataclass(frozen=True)
class Solution:
    """A batch of B fits.

    `theta` (B, p); `objective` (B,), the sum of weighted Huber losses; `gradient` (B,), the
    largest cosine between the residuals and a free column of the Jacobian; `converged` (B,).
    """

    theta: np.ndarray
    objective: np.ndarray
    gradient: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray


@dataclass
class _State:
    theta: np.ndarray
    y: np.ndarray
    w: np.ndarray
    low: np.ndarray
    high: np.ndarray
    damping: np.ndarray
    growth: np.ndarray
    r: np.ndarray
    J: np.ndarray
    value: np.ndarray

    def take(self, keep: np.ndarray) -> _State:
        return _State(**{k: v[keep] for k, v in vars(self).items()})


def solve(
    design: Design,
    y: np.ndarray,
    start: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    delta: float = np.inf,
    limit: int = 300,
) -> Solution:
    """Fit a batch from its starts; equal bounds hold a parameter fixed.

    Parameters
    ----------
    design : Design
        The law on n rows.
    y : ndarray, shape (n,) or (B, n)
        Logs of the observed losses (nats per token).
    start : ndarray, shape (B, p)
        Starting points, moved inside the bounds.
    weights : ndarray, shape (n,) or (B, n), optional
        Weights of the rows, e.g. how often a bootstrap resample holds each.
    low, high : ndarray, shape (p,) or (B, p), optional
        Bounds; the law's own by default.
    delta : float
        Huber's threshold on log residuals; infinite for least squares.
    limit : int
        Most iterations.

    Returns
    -------
    Solution

    Notes
    -----
    Damping after Nielsen 1999 (IMM-REP-1999-05); scaling after Marquardt 1963.
    """
    B, p = start.shape
    default_low, default_high = design.bounds()
    full = [
        np.broadcast_to(a, (B, k))
        for a, k in (
            (y, design.n),
            (np.ones(design.n) if weights is None else weights, design.n),
            (default_low if low is None else low, p),
            (default_high if high is None else high, p),
        )
    ]
    parts = [
        _solve_chunk(design, start[i : i + CHUNK], [a[i : i + CHUNK] for a in full], delta, limit)
        for i in range(0, B, CHUNK)
    ]
    return Solution(*map(np.concatenate, zip(*parts, strict=True)))


def _solve_chunk(design, start, problem, delta, limit):
    y, w, low, high = problem
    state = _begin(design, start, y, w, low, high, delta)
    B = len(start)
    theta, value = state.theta.copy(), state.value.copy()
    cosine, count = np.full(B, np.inf), np.full(B, limit)
    index = np.arange(B)
    for iteration in range(limit + 1):
        g, H, scale, measure = _derivatives(design, state, delta)
        done = (measure <= TOLERANCE) | (state.damping > MOST_DAMPING) | (iteration == limit)
        if done.any():
            at = index[done]
            theta[at], value[at] = state.theta[done], state.value[done]
            cosine[at], count[at] = measure[done], iteration
            if done.all():
                break
            index, state = index[~done], state.take(~done)
            g, H, scale = g[~done], H[~done], scale[~done]
        state = _advance(design, state, g, H, scale, delta)
    return theta, value, cosine, cosine <= SLACK * TOLERANCE, count


def _begin(design, start, y, w, low, high, delta) -> _State:
    theta = np.clip(start, low, high)
    f, J = design.evaluate(theta)
    r = y - f
    ones = np.ones(len(theta))
    return _State(theta, y, w, low, high, FIRST_DAMPING * ones, 2 * ones, r, J, _value(r, w, delta))


def _value(r: np.ndarray, w: np.ndarray, delta: float) -> np.ndarray:
    return np.einsum("bn,bn->b", w, huber.loss(r, delta))


def _derivatives(design: Design, state: _State, delta: float):
    """Gradient, model Hessian, its damping scale and the convergence measure, per fit."""
    pull, inside = _forces(state.r, state.w, delta)
    J = state.J
    g = -(J @ pull[:, :, None])[:, :, 0]
    norm = np.sqrt((J**2 @ state.w[:, :, None])[:, :, 0])
    frozen = (state.theta <= state.low) & (g > 0) | (state.theta >= state.high) & (g < 0)
    frozen |= (state.low == state.high) | (norm == 0)
    g = np.where(frozen, 0.0, g)
    force = np.sqrt((pull**2 / np.maximum(state.w, TINY)).sum(1))
    floor = ROUNDING * np.sqrt(state.w.sum(1))
    measure = np.max(np.abs(g) / np.where(norm > 0, norm, 1), axis=1) / np.maximum(force, floor)
    H = (J * inside[:, None]) @ J.transpose(0, 2, 1)
    scale = np.diagonal(H, axis1=1, axis2=2).copy()
    near = (measure < NEAR)[:, None, None]
    if near.any():
        H = np.where(near, H - design.curvature(state.theta, J, pull), H)
    free = ~frozen
    scale = np.where(free & (scale > 0), scale, 1.0)
    H *= free[:, :, None] & free[:, None, :]
    H[:, np.arange(len(scale[0])), np.arange(len(scale[0]))] += np.where(free, 0.0, scale)
    return g, H, scale, measure


def _forces(r: np.ndarray, w: np.ndarray, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of the weighted Huber loss by each residual."""
    if np.isinf(delta):
        return w * r, w
    beyond = OUTSIDE * delta / np.maximum(np.abs(r), TINY)
    return w * huber.pull(r, delta), w * np.where(huber.inside(r, delta), 1.0, beyond)


def _advance(design, state: _State, g, H, scale, delta) -> _State:
    damped = H + np.einsum("b,bp,pq->bpq", state.damping, scale, np.eye(H.shape[1]))
    step = -np.linalg.solve(damped, g[:, :, None])[:, :, 0]
    theta = np.clip(state.theta + step, state.low, state.high)
    f, J = design.evaluate(theta)
    r = state.y - f
    value = _value(r, state.w, delta)
    move = theta - state.theta
    model = -np.einsum("bp,bp->b", g, move) - 0.5 * np.einsum("bp,bpq,bq->b", move, H, move)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = (state.value - value) / np.maximum(model, TINY)
    better = np.isfinite(value) & (value <= state.value) & (model > 0)
    shrink = np.maximum(FASTEST_RELIEF, 1 - (2 * np.where(better, np.minimum(gain, 2), 0) - 1) ** 3)
    damping = np.where(better, state.damping * shrink, state.damping * state.growth)
    damping = np.maximum(damping, LEAST_DAMPING)
    growth = np.where(better, 2.0, 2 * state.growth)
    moved = _State(theta, state.y, state.w, state.low, state.high, damping, growth, r, J, value)
    return moved if better.all() else _kept_where_worse(moved, state, better)


def _kept_where_worse(moved: _State, state: _State, better: np.ndarray) -> _State:
    """The new state, with the old point back in those fits that the step did not improve."""
    for name in ("theta", "r", "J", "value"):
        old, new = getattr(state, name), getattr(moved, name)
        pick = better.reshape(-1, *[1] * (new.ndim - 1))
        setattr(moved, name, np.where(pick, new, old))
    return moved


def objective_derivatives(design: Design, y, theta, delta: float):
    """Gradient (p,) and exact Hessian (p, p) of the solver's objective at one theta."""
    f, J = design.evaluate(theta[None])
    r = y - f[0]
    pull = huber.pull(r, delta)
    gauss = (J[0] * huber.inside(r, delta)) @ J[0].T
    return -J[0] @ pull, gauss - design.curvature(theta[None], J, pull[None])[0]
