"""`companion fit` and `companion plan`: a scaling law on a loss table, and what follows from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
import typer
from pydantic import Field

from companion import scaling, tables
from companion.cli.options import Json
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.scaling import planning
from companion.scaling.planning import Budget
from companion.settings import Number, Whole, settings

Table = Annotated[str, typer.Argument(help="chinchilla, gemstones, ladder, or a file")]
Draws = Annotated[int, typer.Option(help="Bootstrap resamples.", min=2)]
Seed = Annotated[int, typer.Option(help="Seed of the resampling.", min=0)]


@settings("fit")
class Fitting:
    """How a law is fitted to a table.

    Parameters
    ----------
    law : str
        Which law; an unknown name lists them.
    drop_highest : int
        Leave out that many of the highest losses.
    huber : float
        Huber threshold on log loss; 0: squares.
    column : mapping of str to str
        Our name of a column with the table's, e.g. m=d_model.
    """

    law: str = "additive"
    drop_highest: Annotated[Whole, Field(ge=0)] = 0
    huber: Annotated[Number, Field(ge=0)] = 0.0
    column: Mapping[str, str] = Field(default_factory=dict)

    def fitted(self, table: str) -> scaling.FitResult:
        """The fit to a table, by its name or file."""
        law = scaling.get_law(self.law)
        data = tables.load_table(table, self.column)
        if taken := tables.columns_sentence(data):
            typer.echo(f"note: {taken}", err=True)
        return scaling.fit(data, law, drop=self.drop_highest, delta=self.huber or math.inf)


def fit(
    table: Table,
    how: Fitting,
    method: Annotated[list[str] | None, typer.Option(help="Only these uncertainties.")] = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to a loss table and print parameters with standard errors."""
    generator, methods = np.random.default_rng([seed, 0]), method or list(scaling.METHODS)
    result = how.fitted(table)
    with shown("methods") as progress:
        result = scaling.quantify(
            result, generator, methods=methods, draws=draws, progress=progress
        )
    typer.echo(json.dumps(result.to_dict(), indent=2) if as_json else _report(result))
    if not result.converged:
        raise typer.Exit(1)


def plan(
    table: Table,
    how: Fitting,
    budget: Budget,
    draws: Draws = 500,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Find the best width, depth and data within a budget, with 95 % bootstrap bands."""
    result = how.fitted(table)
    generator = np.random.default_rng([seed, 0])
    refits = scaling.bootstrap(result, generator, draws=draws, by_shape=True)
    best = planning.plan(result, refits, budget).to_dict()
    typer.echo(json.dumps(best, indent=2) if as_json else _planned(best))
    if not result.converged:
        raise typer.Exit(1)


def _planned(best: dict) -> str:
    labels = {"m": "width m", "ell": "depth ell", "D": "tokens D", "N": "parameters N"}
    labels |= {"flops": "operations", "loss": "loss (nats/token)"}
    labels |= {"deeper": "twice the depth", "deeper_same_flops": "twice the depth, same operations"}
    lines = []
    for key, label in labels.items():
        span = best["ci95"].get(key)
        band = f"   95 % {span[0]:.5g} to {span[1]:.5g}" if span else ""
        lines.append(f"{label:<34}{best[key]:<12.5g}{band}")
    return "\n".join([*lines, *(f"warning: {warning}" for warning in best["warnings"])])


def _report(result: scaling.FitResult) -> str:
    lines = [
        f"law {result.law.name}: {result.law.title}",
        f"rows {result.n}, objective {result.objective:.6e}, "
        f"converged {'yes' if result.converged else 'NO'} "
        f"({result.certificate.agreeing} of {result.certificate.starts} starts agree, "
        f"gradient {result.certificate.gradient:.1e})",
    ]
    for name, value in result.params.items():
        lines += ["", f"{name} = {value:.6g}"]
        for kind, errors in result.stderr.items():
            interval = result.intervals[kind].get(name)
            span = f"95 % {interval.low:.4g} to {interval.high:.4g}" if interval else "no interval"
            lines.append(f"  {kind:<16} se {errors[name]:<10.4g} {span}")
    lines += ["", *(f"warning: {warning}" for warning in result.warnings)]
    return "\n".join(lines).rstrip()


def register(app: typer.Typer) -> None:
    """Attach the commands of this module."""
    app.command()(expanded(fit))
    app.command()(expanded(plan))
