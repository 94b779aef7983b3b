"""The evidence that a fit is at the best optimum: gradient, bounds, Hessian, agreeing starts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from companion.scaling.fitting import huber
from companion.scaling.fitting.design import EXPONENT_RANGE, Design
from companion.scaling.fitting.laws import dead_exponents
from companion.scaling.fitting.solver import TINY, Solution, objective_derivatives

AGREEMENT = 1e-8  # relative difference of two objectives that count as one optimum
ROUNDING = 1e-24  # objectives this close are equal: noiseless rows leave nothing else
STATIONARY = 1e-6  # largest cosine of the residuals with a column that counts as zero
TRIALS = 60  # exponents at which a coefficient of 0 is tried


@dataclass(frozen=True)
class Bound:
    """A parameter that rests on a bound: `side` is "fixed", "lower" or "upper".

    `gradient` is that of the objective, which presses the parameter against the bound.
    """

    name: str
    side: str
    value: float
    gradient: float

    def __str__(self) -> str:
        if self.side == "fixed":
            return f"{self.name} fixed at {self.value:g}"
        return f"{self.name} at its {self.side} bound {self.value:g}, gradient {self.gradient:.2g}"


@dataclass(frozen=True)
class Certificate:
    """Evidence that a fit is at the best optimum.

    Parameters
    ----------
    gradient : float
        Largest cosine between residuals and a free column of the Jacobian (0 at an optimum).
    at_bound : tuple of Bound
        Parameters that rest on a bound.
    stuck : tuple of str
        Coefficients at 0 which some exponent would raise: the fit is then not optimal.
    starts, agreeing : int
        Number of starts, and of those that reached the best objective.
    runner_up : float
        Objective of the best other optimum that was met, infinite for none.
    condition : float
        Condition number of the Hessian, scaled to unit diagonal.
    curvature : float
        Smallest eigenvalue of that Hessian; positive at a strict minimum.
    iterations : int
        Steps taken from the best start.
    """

    gradient: float
    at_bound: tuple[Bound, ...]
    stuck: tuple[str, ...]
    starts: int
    agreeing: int
    runner_up: float
    condition: float
    curvature: float
    iterations: int

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the fit does not count as converged; empty if it does."""
        checks = {
            f"gradient {self.gradient:.1e} is not zero": self.gradient > STATIONARY,
            f"{', '.join(self.stuck)} should leave 0": bool(self.stuck),
            "only one start reached the best objective": self.agreeing < 2 <= self.starts,
            "the Hessian is not positive": not self.curvature > 0,
        }
        return tuple(reason for reason, failed in checks.items() if failed)

    @property
    def fixed(self) -> tuple[str, ...]:
        """Parameters that were held at a value."""
        return tuple(bound.name for bound in self.at_bound if bound.side == "fixed")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; infinite numbers are null."""
        record = asdict(self) | {"reasons": list(self.reasons)}
        return {k: None if isinstance(v, float) and math.isinf(v) else v for k, v in record.items()}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Certificate:
        """The inverse of `to_dict`."""
        values: dict[str, Any] = {k: math.inf if v is None else v for k, v in record.items()}
        values["at_bound"] = tuple(Bound(**bound) for bound in values["at_bound"])
        values["stuck"] = tuple(values["stuck"])
        del values["reasons"]
        return cls(**values)


def certify(design: Design, y, solution: Solution, best: int, bounds, delta: float) -> Certificate:
    """The certificate of the `best` of several starts, under `bounds` (low, high), each (p,)."""
    theta, value = solution.theta[best], solution.objective[best]
    close = solution.objective <= value * (1 + AGREEMENT) + ROUNDING
    others = solution.objective[~close & solution.converged]
    gradient, H = objective_derivatives(design, y, theta, delta)
    resting = _at_bounds(design, theta, gradient, bounds)
    eigenvalues = _eigenvalues(design, theta, H, {bound.name for bound in resting})
    return Certificate(
        gradient=float(solution.gradient[best]),
        at_bound=resting,
        stuck=_stuck(design, y, theta, delta),
        starts=len(solution.objective),
        agreeing=int(close.sum()),
        runner_up=huber.mean_objective(float(others.min(initial=np.inf)), design.n, delta),
        condition=float(eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else math.inf,
        curvature=float(eigenvalues[0]),
        iterations=int(solution.iterations[best]),
    )


def _at_bounds(design: Design, theta, gradient, bounds) -> tuple[Bound, ...]:
    low, high = bounds
    sides = {
        "fixed": low == high,
        "lower": (theta <= low) & (low != high),
        "upper": (theta >= high) & (low != high),
    }
    at = {int(i): side for side, where in sides.items() for i in np.flatnonzero(where)}
    return tuple(
        Bound(design.names[i], at[i], float(theta[i]), float(gradient[i])) for i in sorted(at)
    )


def _eigenvalues(design: Design, theta, H: np.ndarray, resting: set[str]) -> np.ndarray:
    """Of the Hessian over free parameters, scaled to unit diagonal, in ascending order."""
    settled = resting | dead_exponents(design.law, design.params_at(theta))
    free = np.array([name not in settled for name in design.names])
    scale = np.sqrt(np.maximum(np.abs(np.diag(H)), TINY))
    return np.linalg.eigvalsh((H / np.outer(scale, scale))[np.ix_(free, free)])


def _stuck(design: Design, y, theta, delta: float) -> tuple[str, ...]:
    """Coefficients at 0 that would lower the objective with some other exponent."""
    dead = dead_exponents(design.law, design.params_at(theta))
    return tuple(
        term.coefficient
        for term in design.law.terms
        if theta[design.index(term.coefficient)] == 0
        and not term.signed
        and _would_rise(design, y, theta, delta, term, dead)
    )


def _would_rise(design: Design, y, theta, delta: float, term, dead: set[str]) -> bool:
    names = [e for _, e in term.exponents if isinstance(e, str) and e in dead]
    if not names:
        return False
    row, trial = design.index(term.coefficient), np.tile(theta, (TRIALS, 1))
    for name in names:
        trial[:, design.index(name)] = np.linspace(*EXPONENT_RANGE, TRIALS)
    f, J = design.evaluate(trial)
    pull = huber.pull(y - f, delta)
    norm = np.linalg.norm(J[:, row], axis=1) * np.linalg.norm(pull, axis=1)
    return bool(np.any((J[:, row] * pull).sum(1) > STATIONARY * norm))
