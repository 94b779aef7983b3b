"""The result of a fit: parameters, uncertainties, and the certificate of convergence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from companion.scaling.design import Design
from companion.scaling.laws import ScalingLaw
from companion.statistics.intervals import Interval


@dataclass(frozen=True)
class Certificate:
    """Evidence that a fit is at the best optimum.

    Parameters
    ----------
    gradient : float
        Largest cosine between residuals and a free column of the Jacobian (0 at an optimum).
    at_bound : tuple of str
        Parameters that rest on a bound, each with the gradient pressing them against it.
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
    at_bound: tuple[str, ...]
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
            f"gradient {self.gradient:.1e} is not zero": self.gradient > 1e-6,
            f"{', '.join(self.stuck)} should leave 0": bool(self.stuck),
            "only one start reached the best objective": self.agreeing < 2 <= self.starts,
            "the Hessian is not positive": not self.curvature > 0,
        }
        return tuple(reason for reason, failed in checks.items() if failed)


@dataclass(frozen=True)
class FitResult:
    """A fitted law in plain units: m in channels, ell in blocks, D in tokens.

    `params` name to value; `stderr` and `intervals` method to name to value; `objective` the
    mean over rows of the squared (or Huber) log residual; `converged` whether the certificate
    has nothing against it; `warnings` what a reader should know before using the numbers.
    """

    law: ScalingLaw
    params: Mapping[str, float]
    objective: float
    n: int
    certificate: Certificate
    delta: float = math.inf
    warnings: tuple[str, ...] = ()
    stderr: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    table: Any = field(kw_only=True, repr=False)
    design: Design = field(kw_only=True, repr=False)
    theta: np.ndarray = field(kw_only=True, repr=False)
    clusters: np.ndarray = field(kw_only=True, repr=False)

    @property
    def converged(self) -> bool:
        """Whether the certificate gives no reason against the fit."""
        return not self.certificate.reasons

    @property
    def total(self) -> float:
        """The objective summed over rows, as Epoch AI and Gemstones report it."""
        return self.objective * self.n

    @property
    def y(self) -> np.ndarray:
        """Logs of the observed losses, shape (n,)."""
        return np.log(np.asarray(self.table["loss"], float))

    @property
    def residuals(self) -> np.ndarray:
        """Log residuals ln L - ln L_hat, shape (n,)."""
        return self.y - self.design.evaluate(self.theta[None])[0][0]

    @property
    def stddev(self) -> float:
        """Residual standard deviation of log loss, with n - p degrees of freedom."""
        return math.sqrt(np.sum(self.residuals**2) / (self.n - int(self.free.sum())))

    @property
    def free(self) -> np.ndarray:
        """Which parameters are inside their bounds and matter, shape (p,) of bool."""
        at = {name.split()[0] for name in self.certificate.at_bound}
        dead = dead_exponents(self.law, self.params)
        return np.array([n not in at and n not in dead for n in self.design.names])

    def predict(self, table) -> np.ndarray:
        """Predicted loss, nats per token, for each row of `table`."""
        return self.law.predict(self.params, table)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what a method cannot give is null."""
        params = {
            name: {
                "estimate": value,
                "se": {k: _plain(v[name]) for k, v in self.stderr.items()},
                "ci95": {
                    k: [_plain(v[name].low), _plain(v[name].high)]
                    for k, v in self.intervals.items()
                    if name in v
                },
            }
            for name, value in self.params.items()
        }
        evidence = {k: _plain(v) for k, v in vars(self.certificate).items()}
        return {
            "law": self.law.name,
            "n": self.n,
            "objective": self.objective,
            "loss": "squared" if math.isinf(self.delta) else f"huber:{self.delta:g}",
            "converged": self.converged,
            "params": params,
            "certificate": evidence | {"reasons": list(self.certificate.reasons)},
            "failures": dict(self.failures),
            "warnings": list(self.warnings),
        }

    def frame(self):
        """Estimates beside standard errors and intervals of every method, as text to be read."""
        import pandas as pd

        frame = pd.DataFrame({"estimate": {k: f"{v:.4g}" for k, v in self.params.items()}})
        for method, errors in self.stderr.items():
            known = {k: f"{v:.4g}" for k, v in errors.items() if math.isfinite(v)}
            if known:
                frame[f"se {method}"] = pd.Series(known)
        for method, found in self.intervals.items():
            frame[f"95% {method}"] = pd.Series(
                {k: f"{v.low:.4g} to {v.high:.4g}" for k, v in found.items()}
            )
        return frame


def dead_exponents(law: ScalingLaw, params: Mapping[str, float]) -> set[str]:
    """Exponents that only occur in terms whose coefficient is 0: nothing depends on them."""
    alive = {
        e
        for t in law.terms
        if params[t.coefficient] != 0
        for _, e in t.exponents
        if isinstance(e, str)
    }
    return set(law.exponents) - alive


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return list(value) if isinstance(value, tuple) else value
