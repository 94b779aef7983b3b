"""Numbers that others published, and the rows, law and loss that each of them is about.

Sources: the paper, section 3 and appendix B, and its public code; Besiroglu et al. 2024 (Epoch AI);
McLeish et al. 2025 (Gemstones).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from companion.scaling.fitting import huber
from companion.scaling.fitting.fit import fit
from companion.scaling.fitting.laws import get_law
from companion.scaling.fitting.result import FitResult

PAPER = {
    "c_m": 333.38, "alpha_m": 0.9769, "c_ell": 1284.4, "alpha_ell": 1.2014,
    "c_D": 8.4867, "alpha_D": 0.2991, "L_0": 1.7503,
}  # fmt: skip
PAPER_STDERR = {"alpha_m": 0.083, "alpha_ell": 0.269, "alpha_D": 0.0139, "L_0": 0.0256}
PAPER_OBJECTIVE = 3.0681e-5
PAPER_SHIFTED = {"alpha_m": 0.9599, "alpha_ell": 1.0661, "alpha_D": 0.2989, "L_0": 1.7442}
PAPER_UNITS = {"m": 1.0, "ell": 100.0, "D": 1e-6}
EPOCH = {
    "c_N": 482.01, "alpha_N": 0.34781, "c_D": 2085.43, "alpha_D": 0.36585, "L_0": 1.81686,
}  # fmt: skip
EPOCH_STDERR = {
    "c_N": 124.52, "alpha_N": 0.01540, "c_D": 1293.28, "alpha_D": 0.02060, "L_0": 0.02566,
}  # fmt: skip
GEMSTONES = {
    1e-3: {"alpha_m": 0.26065, "alpha_ell": 0.14165, "alpha_D": 0.53096, "L_0": 0.0}
    | {"ln c_m": 2.11446, "ln c_ell": 0.73076, "ln c_D": 11.28412},
    1e-4: {"alpha_m": 0.26077, "alpha_ell": 0.14180, "alpha_D": 0.54206},
}
GEMSTONES_OBJECTIVE = {1e-3: 0.0038782174, 1e-4: 0.0004199462}


@dataclass(frozen=True)
class Publication:
    """A published fit: who, of which rows, under which law and loss, and its parameters.

    `total` is the summed objective where they published it; `params` may be some only, as printed.
    """

    label: str
    table: str
    law: str = "additive"
    drop: int = 0
    delta: float = math.inf
    params: Mapping[str, float] = field(default_factory=dict)
    total: float = math.nan

    def fit(self) -> FitResult:
        """Our fit of the same rows under the same law and loss.

        Raises
        ------
        TableUnavailable
            If the table cannot be had.
        """
        return fit(self.table, self.law, drop=self.drop, delta=self.delta)


PUBLICATIONS = {
    "additive": Publication("the paper", "chinchilla", drop=40, params=PAPER),
    "additive-shifted": Publication(
        "the paper, two blocks less", "chinchilla", "additive-shifted", 40, params=PAPER_SHIFTED
    ),
    "epoch": Publication("Epoch AI", "chinchilla", "chinchilla", 5, 1e-3, EPOCH),
    "gemstones": Publication("Gemstones, least squares (ours)", "gemstones"),
    **{
        f"gemstones-{delta:g}": Publication(
            f"Gemstones, Huber {delta:g}",
            "gemstones",
            delta=delta,
            params=params,
            total=GEMSTONES_OBJECTIVE[delta],
        )
        for delta, params in GEMSTONES.items()
    },
}


def paper_params() -> dict[str, float]:
    """The paper's published parameters in channels, blocks and tokens."""
    return to_plain(PAPER)


def to_plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """From the paper's units (ell x 100, D / 10^6) to plain ones: only coefficients change."""
    plain = dict(params)
    for v, unit in PAPER_UNITS.items():
        plain[f"c_{v}"] = params[f"c_{v}"] * unit ** -params[f"alpha_{v}"]
    return plain


def published_objective(publication: Publication, result: FitResult) -> float:
    """The objective of a fit's rows at what was published for its law; NaN where nothing was.

    The paper published no coefficients of the shifted law: they are refitted, so that this is the
    least that the objective can have been.

    Raises
    ------
    InputError
        If the rows cannot identify the law.
    """
    if not math.isnan(publication.total):
        return publication.total / result.n
    if publication.params is PAPER:
        return objective_at(result, paper_params())
    if publication.params is PAPER_SHIFTED:
        return fit(result.table, result.law, fixed=PAPER_SHIFTED).objective
    return objective_at(result, publication.params) if publication.params else math.nan


def objective_at(result: FitResult, params) -> float:
    """The objective of `result`'s law and rows at other parameters, in plain units."""
    r = result.y - np.log(get_law(result.law).predict(params, result.table))
    return float(huber.mean_objective(huber.loss(r, result.delta).sum(), len(r), result.delta))
