r"""A law on given rows: predictions and analytic Jacobian for many parameter vectors at once.

Inside, coefficients are taken at the geometric mean of the rows,
:math:`a_k = c_k \prod_v \bar v^{-\alpha_{kv}}`, an exact change of variables that leaves the
optimum where it is and makes the search well conditioned; `to_params` undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from companion.scaling.fitting.laws import ScalingLaw

EXPONENT_RANGE = (0.0, 12.0)
POWER_RANGE = (0.01, 2.0)


class Design:
    """Rows (n) of a table seen by one law with p parameters; theta has shape (B, p)."""

    def __init__(self, law: ScalingLaw, table, *, centred: bool = True) -> None:
        self.law = law
        self.names = law.parameters
        self.columns = {v: np.asarray(table[v], float) for v in law.variables}
        self.n = len(next(iter(self.columns.values())))
        self.log_reference = {
            v: float(np.mean(np.log(x))) if centred else 0.0 for v, x in self.columns.items()
        }
        fixed = {v: s for v, s in law.shift if not isinstance(s, str)}
        self._shift = {v: self.index(s) for v, s in law.shift if isinstance(s, str)}
        self._log = {
            v: np.log(x - fixed.get(v, 0.0)) - self.log_reference[v]
            for v, x in self.columns.items()
        }
        self._power = self.index(law.power) if law.power else None

    def index(self, name: str) -> int:
        """Position of a parameter in theta."""
        return self.names.index(name)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds, shape (p,): coefficients are at least 0 unless signed."""
        low, high = np.zeros(len(self.names)), np.full(len(self.names), np.inf)
        for term in self.law.terms:
            if term.signed:
                low[self.index(term.coefficient)] = -np.inf
        for name in self.law.exponents:
            low[self.index(name)], high[self.index(name)] = EXPONENT_RANGE
        for v, position in self._shift.items():
            low[position], high[position] = 0.0, self.columns[v].min() * (1 - 1e-6)
        if self._power is not None:
            low[self._power], high[self._power] = POWER_RANGE
        return low, high

    def features(self, theta: np.ndarray) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """Each term without its coefficient, (B, n), and the centred log of each variable."""
        logs = {v: self._log_of(v, theta) for v in self.columns}
        values = []
        for term in self.law.terms:
            exponent = 0.0
            for v, e in term.exponents:
                value = theta[:, self.index(e), None] if isinstance(e, str) else e
                exponent = exponent - value * logs[v]
            values.append(np.exp(exponent))
        return values, logs

    def _log_of(self, variable: str, theta: np.ndarray) -> np.ndarray:
        if variable not in self._shift:
            return self._log[variable]
        base = self.columns[variable] - theta[:, self._shift[variable], None]
        return np.log(base) - self.log_reference[variable]

    def evaluate(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log of the predicted loss, shape (B, n), and its Jacobian, shape (B, p, n).

        Rows whose terms sum to something not positive give NaN.
        """
        features, logs = self.features(theta)
        J = np.zeros((len(theta), len(self.names), self.n))
        total = np.zeros((len(theta), self.n))
        for term, phi in zip(self.law.terms, features, strict=True):
            coefficient = self.index(term.coefficient)
            J[:, coefficient] = phi
            value = theta[:, coefficient, None] * phi
            total += value
            for i, slope in self._slopes(term, logs, theta)[0]:
                J[:, i] += value * slope
        if self.law.constant:
            J[:, self.index(self.law.constant)] = 1.0
            total += theta[:, self.index(self.law.constant), None]
        with np.errstate(invalid="ignore", divide="ignore"):
            log_total = np.where(total > 0, np.log(total), np.nan)
            J /= total[:, None]
        if self._power is None:
            return log_total, J
        s = theta[:, self._power, None]
        J *= s[:, None]
        J[:, self._power] = log_total
        return s * log_total, J

    def _slopes(self, term, logs, theta: np.ndarray):
        """First and second derivatives of ln phi by exponents and shifts, as (i, u), (i, j, u)."""
        first, second = [], []
        for v, e in term.exponents:
            if isinstance(e, str):
                first.append((self.index(e), -logs[v]))
            if v in self._shift:
                shift = self._shift[v]
                inverse = np.exp(-logs[v] - self.log_reference[v])
                alpha = theta[:, self.index(e), None] if isinstance(e, str) else e
                first.append((shift, alpha * inverse))
                second.append((shift, shift, alpha * inverse**2))
                if isinstance(e, str):
                    second += [(self.index(e), shift, inverse), (shift, self.index(e), inverse)]
        return first, second

    def curvature(self, theta: np.ndarray, J: np.ndarray, pull: np.ndarray) -> np.ndarray:
        r"""Sum over rows of pull times the Hessian of log loss, shape (B, p, p).

        From the Jacobian: with S the sum of terms,
        :math:`\nabla^2 \ln S = \nabla^2 S / S - \nabla \ln S \nabla \ln S^T`.
        """
        B, p, _ = J.shape
        s = np.asarray(1.0 if self._power is None else theta[:, self._power, None])
        logs = {v: self._log_of(v, theta) for v in self.columns}
        C = np.zeros((B, p, p))
        for term in self.law.terms:
            row = self.index(term.coefficient)
            base = pull * J[:, row]
            first, second = self._slopes(term, logs, theta)
            for i, slope_i in first:
                cross = (base * slope_i).sum(1)
                C[:, row, i] += cross
                C[:, i, row] += cross
                for j, slope_j in first:
                    C[:, i, j] += theta[:, row] * (base * slope_i * slope_j).sum(1)
            for i, j, slope in second:
                C[:, i, j] += theta[:, row] * (base * slope).sum(1)
        if self._power is None:
            return C - (J * pull[:, None]) @ J.transpose(0, 2, 1)
        rest = J / s[:, None]
        rest[:, self._power] = 0.0
        C -= s[:, None] * ((rest * pull[:, None]) @ rest.transpose(0, 2, 1))
        cross = (rest @ pull[:, :, None])[:, :, 0]
        C[:, self._power] += cross
        C[:, :, self._power] += cross
        return C

    def to_params(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters in plain units (channels, blocks, tokens), each of shape (B,)."""
        params = {name: theta[:, i] for i, name in enumerate(self.names)}
        for term in self.law.terms:
            params[term.coefficient] = params[term.coefficient] * np.exp(self._lift(term, theta))
        return params

    def params_at(self, theta: np.ndarray) -> dict[str, float]:
        """`to_params` for one theta, shape (p,), as plain numbers."""
        return {name: float(value[0]) for name, value in self.to_params(theta[None]).items()}

    def to_theta(self, params: Mapping[str, float]) -> np.ndarray:
        """The inverse of `to_params` for one set of parameters, shape (p,)."""
        theta = np.array([[float(params[name]) for name in self.names]])
        for term in self.law.terms:
            theta[:, self.index(term.coefficient)] *= np.exp(-self._lift(term, theta))
        return theta[0]

    def _lift(self, term, theta: np.ndarray) -> np.ndarray:
        parts = (
            (theta[:, self.index(e)] if isinstance(e, str) else e) * self.log_reference[v]
            for v, e in term.exponents
        )
        return sum(parts, np.zeros(len(theta)))

    def plain_jacobian(self, theta: np.ndarray) -> np.ndarray:
        """d params / d theta for one theta, shape (p, p): carries covariances to plain units."""
        G = np.eye(len(self.names))
        for term in self.law.terms:
            row = self.index(term.coefficient)
            lift = float(np.exp(np.ravel(self._lift(term, theta[None])))[0])
            G[row, row] = lift
            for v, e in term.exponents:
                if isinstance(e, str):
                    G[row, self.index(e)] += theta[row] * lift * self.log_reference[v]
        return G
