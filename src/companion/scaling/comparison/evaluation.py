"""The depth exponent of any table by the same methods: fit, intervals, test of 1, other laws.

One call fits, quantifies, tests and compares; several tables stand side by side. Nothing in it
depends on whose table it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from companion.errors import InputError
from companion.scaling.comparison.criteria import (
    Test,
    compare_laws,
    held_out_differences,
    likelihood_ratio,
    test_value,
    unconverged,
)
from companion.scaling.comparison.cuts import CLUSTERED, RESAMPLED
from companion.scaling.fitting.checks import describe_data, identifiable
from companion.scaling.fitting.fit import fit
from companion.scaling.fitting.result import FitResult
from companion.scaling.uncertainty.methods import quantify
from companion.statistics.intervals import Interval
from companion.tables import TableUnavailable, load_table

if TYPE_CHECKING:
    import pandas as pd

LAWS = ("additive", "chinchilla", "additive-size", "multiplicative", "width-depth", "depth-data")
INTERACTIONS = ("width-depth", "depth-data")


@dataclass(frozen=True)
class Evaluation:
    """What one table says about the depth exponent.

    `result` is the additive fit with the intervals of `CLUSTERED`; `one` the F test of
    alpha_ell = 1, rows taken as independent; `laws` the comparison with other laws on the same
    rows, `refused` why the rows cannot identify others; `interactions` the likelihood ratio tests
    of the laws with an interaction, and `held_out` how much the additive law's error on held-out
    shapes is above theirs.
    """

    result: FitResult
    one: Test
    laws: pd.DataFrame
    refused: list[str]
    interactions: dict[str, Test]
    held_out: dict[str, Interval]


def evaluate(
    table,
    generator: np.random.Generator,
    *,
    drop: int = 0,
    draws: int = 300,
    methods: Sequence[str] = CLUSTERED,
    laws: Sequence[str] = LAWS,
) -> Evaluation:
    """Everything this package can say about the depth exponent of one table.

    Parameters
    ----------
    table : DataFrame, str or Path
        What `load_table` takes.
    generator : numpy.random.Generator
        For the bootstrap.
    drop : int
        How many of the highest losses are left out.
    draws : int
        Bootstrap resamples.
    methods : sequence of str
        Names of `companion.scaling.METHODS`.
    laws : sequence of str
        Laws to compare, the interactions among them if they are to be tested.

    Raises
    ------
    InputError
        If the rows cannot identify the additive law, or the table cannot be had.
    """
    result = quantify(fit(table, drop=drop), generator, methods=methods, draws=draws)
    names, refused = identifiable(result.table, laws)
    crossed = [fit(result.table, name) for name in names if name in INTERACTIONS]
    return Evaluation(
        result,
        test_value(result, "alpha_ell", 1.0),
        compare_laws(result.table, names),
        refused,
        {r.law.name: likelihood_ratio(result, r) for r in crossed},
        held_out_differences(result, crossed),
    )


def evaluate_tables(
    cases: Mapping[str, tuple], generator: np.random.Generator, *, draws: int = 300
):
    """The evaluations of several tables, one line each.

    Parameters
    ----------
    cases : mapping
        Label to (table, drop), the table being what `load_table` takes.
    generator : numpy.random.Generator
        For the bootstraps.
    draws : int
        Bootstrap resamples of each.

    Returns
    -------
    DataFrame
        `rows` the label, `n`, `shapes`, `correlation` of ln m and ln ell, `estimate` of
        alpha_ell with its bootstrap interval over shapes `low`, `high`, the other intervals in
        words, `p` of alpha_ell = 1, which law AIC and held-out shapes favour, `converged` (the
        additive fit and all its refits), the laws that did not, and why a table was `refused`.
    """
    import pandas as pd

    return pd.DataFrame(
        [_line(label, table, drop, generator, draws) for label, (table, drop) in cases.items()]
    )


def _line(label: str, table, drop: int, generator, draws: int) -> dict:
    try:
        evaluation = evaluate(load_table(table), generator, drop=drop, draws=draws)
    except InputError as reason:
        kind = "not here" if isinstance(reason, TableUnavailable) else "refused"
        blank = dict.fromkeys(("estimate", "low", "high"), math.nan)
        return {"rows": label, **blank, "converged": False, "refused": f"{kind}: {reason}"}
    result, data = evaluation.result, describe_data(evaluation.result.table)
    spans = {m: v["alpha_ell"] for m, v in result.intervals.items() if "alpha_ell" in v}
    best = spans.pop(RESAMPLED)
    words = {m: f"{span.low:.2f} to {span.high:.2f}" for m, span in spans.items()}
    return {
        "rows": label,
        "n": result.n,
        "shapes": data["shapes"],
        "correlation": data["correlation"],
        "estimate": result.params["alpha_ell"],
        "low": best.low,
        "high": best.high,
        **words,
        "p": evaluation.one.p,
        "AIC favours": evaluation.laws["aic"].idxmin(),
        "held-out shapes favour": evaluation.laws["cv_shape"].idxmin(),
        "converged": result.converged and not any(result.failures.values()),
        "laws not converged": ", ".join(unconverged(evaluation.laws)),
        "refused": "",
    }
