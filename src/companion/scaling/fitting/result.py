"""The result of a fit: figures that can be kept without the rows, and the fit with its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from companion.scaling.fitting.certificate import Certificate
from companion.scaling.fitting.design import Design
from companion.scaling.fitting.laws import ScalingLaw, dead_exponents, get_law
from companion.statistics.intervals import Interval


@dataclass(frozen=True)
class FitSummary:
    """The figures of a fitted law in plain units: m in channels, ell in blocks, D in tokens.

    `params` name to value; `stderr` and `intervals` method to name to value; `objective` the
    mean over rows of the squared (or Huber) log residual; `converged` whether the certificate
    has nothing against it; `warnings` what a reader should know before using the numbers;
    `table_name` which rows, `n` how many.
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
    table_name: str = ""

    @property
    def converged(self) -> bool:
        """Whether the certificate gives no reason against the fit."""
        return not self.certificate.reasons

    @property
    def total(self) -> float:
        """The objective summed over rows, as Epoch AI and Gemstones report it."""
        return self.objective * self.n

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what a method cannot give is null."""
        return {
            "law": self.law.name,
            "n": self.n,
            "objective": self.objective,
            "loss": "squared" if math.isinf(self.delta) else f"huber:{self.delta:g}",
            "converged": self.converged,
            "params": {name: self._figures(name) for name in self.params},
            "certificate": self.certificate.to_dict(),
            "failures": dict(self.failures),
            "warnings": list(self.warnings),
        }

    def _figures(self, name: str) -> dict[str, Any]:
        return {
            "estimate": self.params[name],
            "se": {method: _finite(v[name]) for method, v in self.stderr.items()},
            "ci95": {
                method: [_finite(v[name].low), _finite(v[name].high)]
                for method, v in self.intervals.items()
                if name in v
            },
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], table_name: str = "") -> FitSummary:
        """The inverse of `to_dict`, for a stored fit; the rows do not come back."""
        figures, loss = record["params"], record["loss"]
        methods = list(next(iter(figures.values()))["se"])
        return cls(
            get_law(record["law"]),
            {name: found["estimate"] for name, found in figures.items()},
            record["objective"],
            record["n"],
            Certificate.from_dict(record["certificate"]),
            math.inf if loss == "squared" else float(loss.removeprefix("huber:")),
            tuple(record["warnings"]),
            {m: {n: _or(v["se"][m], math.nan) for n, v in figures.items()} for m in methods},
            {m: _intervals(figures, m) for m in methods},
            record["failures"],
            table_name,
        )

    def frame(self):
        """Estimates beside standard errors and intervals of every method, as text to be read."""
        import pandas as pd

        frame = pd.DataFrame({"estimate": {k: f"{v:.4g}" for k, v in self.params.items()}})
        for method, errors in self.stderr.items():
            known = {k: f"{v:.4g}" for k, v in errors.items() if math.isfinite(v)}
            if known:
                frame[f"se {method}"] = pd.Series(known)
        for method, intervals in self.intervals.items():
            frame[f"95% {method}"] = pd.Series(
                {k: f"{v.low:.4g} to {v.high:.4g}" for k, v in intervals.items()}
            )
        return frame


@dataclass(frozen=True)
class FitResult(FitSummary):
    """A fit with its rows: what resampling, profiles and predictions start from."""

    table: Any = field(kw_only=True, repr=False)
    design: Design = field(kw_only=True, repr=False)
    theta: np.ndarray = field(kw_only=True, repr=False)
    clusters: np.ndarray = field(kw_only=True, repr=False)

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
        """Residual standard deviation of log loss, with `dof` degrees of freedom."""
        return math.sqrt(np.sum(self.residuals**2) / self.dof)

    @property
    def free(self) -> np.ndarray:
        """Which parameters are inside their bounds and matter, shape (p,) of bool."""
        settled = {bound.name for bound in self.certificate.at_bound}
        settled |= dead_exponents(self.law, self.params)
        return np.array([name not in settled for name in self.design.names])

    @property
    def dof(self) -> int:
        """Degrees of freedom of the residuals: rows less free parameters."""
        return self.n - int(self.free.sum())

    @property
    def shapes(self) -> int:
        """Number of clusters: distinct (m, ell) shapes, or training runs where known."""
        return len(np.unique(self.clusters))

    def predict(self, table) -> np.ndarray:
        """Predicted loss, nats per token, for each row of `table`."""
        return self.law.predict(self.params, table)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or(value: float | None, missing: float) -> float:
    return missing if value is None else value


def _intervals(figures: Mapping[str, Any], method: str) -> dict[str, Interval]:
    """Intervals of one method as stored; an open side is null there and infinite here."""
    return {
        name: Interval(
            found["estimate"],
            _or(found["ci95"][method][0], -math.inf),
            _or(found["ci95"][method][1], math.inf),
            _or(found["se"][method], math.nan),
            method=method,
        )
        for name, found in figures.items()
        if method in found["ci95"]
    }
