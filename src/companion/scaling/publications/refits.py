"""Our fits of the published rows: made here where the tables can be had, else as they were stored.

The store holds estimates, intervals, objectives and certificates with their provenance, never rows;
``python benchmarks/published.py --out book/results/scaling-published.json`` makes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from companion.files import stored
from companion.scaling.fitting.result import FitResult, FitSummary
from companion.scaling.publications.adam import AdamPath
from companion.scaling.publications.numbers import (
    PUBLICATIONS,
    Publication,
    published_objective,
)
from companion.scaling.uncertainty.methods import METHODS, quantify
from companion.tables import TableUnavailable

STORE = "scaling-published.json"
DECIMALS = {"c_N": 2, "c_D": 2}  # that were printed; 5 of all others, 10 of objectives
TOTAL = "summed objective"
THERE = "summed objective at their point"  # computed by us: they did not publish it


@dataclass(frozen=True)
class Refit:
    """Our fit of a publication's rows; `stored` is when it was made, empty if just now.

    `published_objective` is the objective at the published parameters, NaN where there are none.
    """

    publication: Publication
    summary: FitSummary
    published_objective: float
    stored: str = ""

    @property
    def excess(self) -> float:
        """How far the published point lies above our optimum, as a share of the objective."""
        return self.published_objective / self.summary.objective - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        known = math.isfinite(self.published_objective)
        return {
            "table": self.publication.table,
            "drop": self.publication.drop,
            "published_objective": self.published_objective if known else None,
            "fit": self.summary.to_dict(),
        }


def refit_published(
    key: str, generator: np.random.Generator | None = None, draws: int = 1000
) -> Refit:
    """Fit the rows of `PUBLICATIONS[key]`; with a generator, by every method of uncertainty.

    Raises
    ------
    TableUnavailable
        If the table cannot be had.
    """
    publication = PUBLICATIONS[key]
    result = publication.fit()
    objective = published_objective(publication, result)
    if generator is not None:
        result = quantify(result, generator, methods=tuple(METHODS), draws=draws)
    return Refit(publication, result, objective)


def stored_refit(key: str) -> Refit:
    """The fit of `PUBLICATIONS[key]` as it was stored.

    Raises
    ------
    InputError
        If nothing is stored.
    """
    record = stored_record()
    found, publication = record["fits"][key], PUBLICATIONS[key]
    objective = found["published_objective"]
    return Refit(
        publication,
        FitSummary.from_dict(found["fit"], found["table"]),
        math.nan if objective is None else objective,
        record["provenance"]["time"],
    )


def stored_record() -> Mapping[str, Any]:
    """The whole store: `fits` by key, and the `provenance` of the run that made them."""
    return json.loads(stored(STORE).read_text(encoding="utf-8"))


def refit_or_stored(key: str) -> Refit:
    """`refit_published` where the table can be had, else `stored_refit`."""
    try:
        return refit_published(key)
    except TableUnavailable:
        return stored_refit(key)


def stored_frame(name: str = "alpha_ell"):
    """All stored fits, one line each, with one parameter's estimate and intervals, as text.

    Returns
    -------
    DataFrame
        Indexed by whose fit it repeats: `table`, `rows`, `law`, `loss`, the parameter by several
        methods, `published` (what they had), `excess %` of their point, `converged`.
    """
    import pandas as pd

    lines = {}
    for key in stored_record()["fits"]:
        refit = stored_refit(key)
        if name in refit.summary.params:
            lines[refit.publication.label] = _stored_line(refit, name)
    return pd.DataFrame.from_dict(lines, "index")


def _stored_line(refit: Refit, name: str) -> dict[str, Any]:
    fit = refit.summary
    methods = ("jacobian", "profile", "bootstrap", "bootstrap_shape")
    spans = {m.replace("_", ", "): fit.intervals[m].get(name) for m in methods}
    return {
        "table": fit.table_name,
        "rows": fit.n,
        "law": fit.law.name,
        "loss": "squares" if math.isinf(fit.delta) else f"Huber {fit.delta:g}",
        **{m: "none" if span is None else f"{span:.2f}" for m, span in spans.items()},
        "published": _text(refit.publication.params.get(name, math.nan)),
        "excess %": _text(100 * refit.excess),
        "converged": fit.converged,
    }


def _text(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.4f}"


def optimisers(refit: Refit, path: AdamPath, result: FitResult):
    """Published point, optimum of its rows, and where Adam and our solver end on `result`'s rows.

    Returns
    -------
    DataFrame
        A line each, with its exponents, L_0 and `above the optimum %`.
    """
    import pandas as pd

    names = [n for n in (*refit.summary.law.exponents, refit.summary.law.constant) if n]
    theirs, here = refit.publication.table, f"the rows here ({result.table_name})"
    end = {n: float(values[-1]) for n, values in path.params.items()}
    lines = {
        f"published, {theirs}": (refit.publication.params, refit.excess),
        f"optimum, {theirs}": (refit.summary.params, 0.0),
        f"Adam, {here}": (end, float(path.objective[-1]) / result.objective - 1),
        f"optimum, {here}": (result.params, 0.0),
    }
    return pd.DataFrame(
        {label: [*(p[n] for n in names), 100 * above] for label, (p, above) in lines.items()},
        index=[*names, "above the optimum %"],
    ).T


def reproductions():
    """Published fits of others beside ours, as a DataFrame.

    One row for each parameter and for the summed objective, which for Epoch AI is taken at their
    published point. `digits` says whether ours rounds to every published digit; `attrs["stored"]`
    maps the fits whose table could not be had to when ours was stored.
    """
    import pandas as pd

    others = {key: p for key, p in PUBLICATIONS.items() if p.params and p.delta < math.inf}
    refits = [refit_or_stored(key) for key in others]
    rows = [row for refit in refits for row in _beside(refit)]
    frame = pd.DataFrame(rows, columns=["fit", "quantity", "published", "ours", "digits"])
    change = (
        100
        * (frame["ours"] - frame["published"])
        / frame["published"].where(frame["published"] != 0, 1.0)
    )
    frame.insert(4, "difference %", change)
    frame.attrs["stored"] = {r.publication.label: r.stored for r in refits if r.stored}
    return frame


def _beside(refit: Refit) -> list[tuple]:
    theirs, fit = refit.publication.params, refit.summary
    ours = dict(fit.params) | {f"ln {n}": math.log(v) for n, v in fit.params.items() if v > 0}
    rows = [(name, value, ours[name], DECIMALS.get(name, 5)) for name, value in theirs.items()]
    label = THERE if math.isnan(refit.publication.total) else TOTAL
    rows.append((label, refit.published_objective * fit.n, fit.total, 10))
    return [
        (refit.publication.label, *row[:3], round(row[2], row[3]) == round(row[1], row[3]))
        for row in rows
    ]
