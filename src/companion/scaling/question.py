"""The paper's question put to any table by the same methods: is the depth exponent about 1?

One call fits, quantifies, tests and compares; several tables are asked side by side. Nothing in
it depends on whose table it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from companion.errors import InputError
from companion.evidence.claims import Claim
from companion.scaling import findings
from companion.scaling.checks import describe_data, identifiable
from companion.scaling.comparison import Test, compare, likelihood_ratio, test_value, unconverged
from companion.scaling.fitting import fit
from companion.scaling.methods import quantify
from companion.scaling.result import FitResult
from companion.tables import TableUnavailable, load_table

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("sandwich_shape", "bootstrap_shape", "jackknife", "profile")
LAWS = ("additive", "chinchilla", "additive-size", "multiplicative", "width-depth", "depth-data")
INTERACTIONS = ("width-depth", "depth-data")


@dataclass(frozen=True)
class Answer:
    """What one table says about the depth exponent.

    `result` is the additive fit with the intervals of `METHODS`; `one` the F test of
    alpha_ell = 1, rows taken as independent; `laws` the comparison with other laws on the same
    rows, `left_out` a sentence on those that the rows cannot identify; `interactions` the
    likelihood ratio tests of the laws with an interaction, and `additivity` the claim that none
    is needed, judged on held-out shapes.
    """

    result: FitResult
    one: Test
    laws: pd.DataFrame
    left_out: str
    interactions: dict[str, Test]
    additivity: Claim


def ask(
    table,
    generator: np.random.Generator,
    *,
    drop: int = 0,
    draws: int = 300,
    methods: Sequence[str] = METHODS,
    laws: Sequence[str] = LAWS,
) -> Answer:
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
    names, left_out = identifiable(result.table, laws)
    crossed = [fit(result.table, name) for name in names if name in INTERACTIONS]
    return Answer(
        result,
        test_value(result, "alpha_ell", 1.0),
        compare(result.table, names),
        left_out,
        {r.law.name: likelihood_ratio(result, r) for r in crossed},
        findings.additivity(result, crossed),
    )


def beside(cases: Mapping[str, tuple], generator: np.random.Generator, *, draws: int = 300):
    """The answers of several tables, one line each.

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
        answer = ask(load_table(table), generator, drop=drop, draws=draws)
    except InputError as reason:
        kind = "not here" if isinstance(reason, TableUnavailable) else "refused"
        blank = dict.fromkeys(("estimate", "low", "high"), math.nan)
        return {"rows": label, **blank, "converged": False, "refused": f"{kind}: {reason}"}
    result, data = answer.result, describe_data(answer.result.table)
    spans = {m: v["alpha_ell"] for m, v in result.intervals.items() if "alpha_ell" in v}
    best = spans.pop("bootstrap_shape")
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
        "p": answer.one.p,
        "AIC favours": answer.laws["aic"].idxmin(),
        "held-out shapes favour": answer.laws["cv_shape"].idxmin(),
        "converged": result.converged and not any(result.failures.values()),
        "laws not converged": ", ".join(unconverged(answer.laws)),
        "refused": "",
    }
