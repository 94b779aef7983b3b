r"""Scaling laws as data: sums of power terms that share one machinery.

A law reads :math:`L = \left(\sum_k c_k \prod_v (v - v_0)^{-\alpha_{kv}} + L_0\right)^s`.
What is unusual: laws hold no code. Prediction, Jacobian, starting points and bounds follow from
the list of terms, so that a new law is a few lines in `LAWS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from companion.errors import InputError

UNITS = {"m": "channels", "ell": "blocks", "D": "tokens", "N": "parameters"}


@dataclass(frozen=True)
class Term:
    """One power term: coefficient times the product of variables to minus their exponents.

    `exponents` pairs each variable with the name of its exponent, or with a fixed number. Two
    terms may share an exponent by naming the same. A `signed` coefficient may be negative.
    """

    coefficient: str
    exponents: tuple[tuple[str, str | float], ...]
    signed: bool = False


@dataclass(frozen=True)
class ScalingLaw:
    """A loss law: its terms, constant, depth shift and outer power.

    Parameters
    ----------
    name, title, formula, source : str
        Key, description, LaTeX and where the law comes from.
    terms : tuple of Term
    constant : str
        Name of the irreducible loss; empty for none.
    shift : tuple
        Pairs (variable, number) for a fixed v_0, (variable, name) for a fitted one.
    power : str
        Name of the outer exponent s; empty for 1.
    """

    name: str
    title: str
    formula: str
    source: str
    terms: tuple[Term, ...]
    constant: str = "L_0"
    shift: tuple[tuple[str, str | float], ...] = ()
    power: str = ""

    @property
    def exponents(self) -> tuple[str, ...]:
        """Names of the free exponents, each once."""
        names = [e for t in self.terms for _, e in t.exponents if isinstance(e, str)]
        return tuple(dict.fromkeys(names))

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the linear coefficients, with the constant last."""
        return (*(t.coefficient for t in self.terms), *filter(None, [self.constant]))

    @property
    def shifts(self) -> tuple[str, ...]:
        """Names of the fitted shifts."""
        return tuple(s for _, s in self.shift if isinstance(s, str))

    @property
    def parameters(self) -> tuple[str, ...]:
        """All free parameters, in the order in which they are reported."""
        pairs = [n for t in self.terms for n in (t.coefficient, *_free(t))]
        return tuple(
            dict.fromkeys([*pairs, *self.shifts, *filter(None, [self.constant, self.power])])
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the table that the law needs."""
        return tuple(dict.fromkeys(v for t in self.terms for v, _ in t.exponents))

    def predict(self, params: Mapping[str, Any], table) -> np.ndarray:
        """Loss in nats per token for each row of `table` (a mapping with the law's variables).

        Parameters
        ----------
        params : mapping
            One number (or array, broadcast against the columns) for each of `parameters`.
        table : mapping
            Columns m (channels), ell (blocks), D (tokens), N (parameters) as the law needs.

        Returns
        -------
        ndarray, shape of the columns
        """
        offset = {v: params[s] if isinstance(s, str) else s for v, s in self.shift}
        total = params[self.constant] if self.constant else 0.0
        for term in self.terms:
            value = params[term.coefficient]
            for v, e in term.exponents:
                base = np.asarray(table[v], float) - offset.get(v, 0.0)
                value = value * base ** -(params[e] if isinstance(e, str) else e)
            total = total + value
        return total ** (params[self.power] if self.power else 1.0)


def _free(term: Term) -> tuple[str, ...]:
    return tuple(e for _, e in term.exponents if isinstance(e, str))


def _power(variable: str) -> Term:
    return Term(f"c_{variable}", ((variable, f"alpha_{variable}"),))


_WIDTH, _DEPTH, _DATA, _SIZE = _power("m"), _power("ell"), _power("D"), _power("N")
_SPLIT = (_WIDTH, _DEPTH, _DATA)
_WIDTH_DEPTH = Term("c_m_ell", (("m", "alpha_m"), ("ell", "alpha_ell")), signed=True)
_DEPTH_DATA = Term("c_ell_D", (("ell", "alpha_ell"), ("D", "alpha_D")), signed=True)
_ADD = r"c_m m^{-\alpha_m} + c_\ell \ell^{-\alpha_\ell} + c_D D^{-\alpha_D} + L_0"
_SHIFTED = _ADD.replace(r"\ell^{-", r"(\ell - \ell_0)^{-")

LAWS = {
    law.name: law
    for law in (
        ScalingLaw("additive", "width, depth and data add up", _ADD, "paper, section 3", _SPLIT),
        ScalingLaw(
            "additive-shifted",
            "additive, two blocks do not count",
            _SHIFTED.replace(r"\ell_0", "2"),
            "published code of the paper",
            _SPLIT,
            shift=(("ell", 2.0),),
        ),
        ScalingLaw(
            "additive-shift-fitted",
            "additive, with a fitted number of blocks that do not count",
            _SHIFTED,
            "generalises the shifted law",
            _SPLIT,
            shift=(("ell", "ell_0"),),
        ),
        ScalingLaw(
            "chinchilla",
            "parameters and data add up",
            r"c_N N^{-\alpha_N} + c_D D^{-\alpha_D} + L_0",
            "Hoffmann et al. 2022, equation 2",
            (_SIZE, _DATA),
        ),
        ScalingLaw(
            "kaplan",
            "parameters and data inside one power, beta = alpha_N / alpha_D",
            r"(c_N N^{-\beta} + c_D / D)^{\alpha_D}",
            "Kaplan et al. 2020, equation 1.5",
            (Term("c_N", (("N", "beta"),)), Term("c_D", (("D", 1.0),))),
            constant="",
            power="alpha_D",
        ),
        ScalingLaw(
            "additive-size",
            "width, depth, parameters and data add up",
            _ADD.replace(" + c_D", r" + c_N N^{-\alpha_N} + c_D"),
            "McLeish et al. 2025",
            (_WIDTH, _DEPTH, _SIZE, _DATA),
        ),
        ScalingLaw(
            "multiplicative",
            "width and depth multiply, data add",
            r"c_{m\ell}\, m^{-\alpha_m} \ell^{-\alpha_\ell} + c_D D^{-\alpha_D} + L_0",
            "alternative without additivity",
            (Term("c_m_ell", (("m", "alpha_m"), ("ell", "alpha_ell"))), _DATA),
        ),
        ScalingLaw(
            "width-depth",
            "additive with a width times depth interaction",
            _ADD.replace(" + L_0", r" + c_{m\ell}\, m^{-\alpha_m} \ell^{-\alpha_\ell} + L_0"),
            "alternative without additivity",
            (*_SPLIT, _WIDTH_DEPTH),
        ),
        ScalingLaw(
            "depth-data",
            "additive with a depth times data interaction",
            _ADD.replace(" + L_0", r" + c_{\ell D}\, \ell^{-\alpha_\ell} D^{-\alpha_D} + L_0"),
            "alternative without additivity",
            (*_SPLIT, _DEPTH_DATA),
        ),
    )
}


def dead_exponents(law: ScalingLaw, params: Mapping[str, float]) -> set[str]:
    """Exponents that only occur in terms whose coefficient is 0: nothing depends on them."""
    alive = {e for t in law.terms if params[t.coefficient] != 0 for e in _free(t)}
    return set(law.exponents) - alive


def get_law(law: str | ScalingLaw) -> ScalingLaw:
    """The law itself, or the one of that name.

    Raises
    ------
    InputError
        If there is no law of that name.
    """
    if isinstance(law, ScalingLaw):
        return law
    if law not in LAWS:
        raise InputError(f"law {law!r} is unknown: use one of {', '.join(LAWS)}")
    return LAWS[law]
