"""`companion fit` and `companion plan`: a scaling law on a loss table, and what follows from it."""

from __future__ import annotations

from typing import Annotated

import typer

from companion.cli.options import pairs
from companion.cli.progress import shown

Table = Annotated[str, typer.Argument(help="chinchilla, gemstones, ladder, or a file")]
Law = Annotated[str, typer.Option(help="which law; an unknown name lists them")]
Drop = Annotated[int, typer.Option(help="leave out the K highest losses", min=0)]
Huber = Annotated[float, typer.Option(help="Huber threshold on log loss; 0: squares")]
Columns = Annotated[list[str] | None, typer.Option(help="our name=yours, e.g. m=d_model")]


def fit(
    table: Table,
    law: Law = "additive",
    drop_highest: Drop = 0,
    huber: Huber = 0.0,
    column: Columns = None,
    method: Annotated[list[str] | None, typer.Option(help="only these uncertainties")] = None,
    draws: Annotated[int, typer.Option(help="bootstrap resamples", min=2)] = 1000,
    seed: Annotated[int, typer.Option(help="seed of the resampling", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print figures as JSON")] = False,
) -> None:
    """Fit a scaling law to a loss table and print parameters with standard errors."""
    import json

    import numpy as np

    from companion import scaling

    result = _fitted(table, law, drop_highest, huber, column)
    generator = np.random.default_rng([seed, 0])
    methods = method or list(scaling.METHODS)
    with shown("methods") as progress:
        result = scaling.quantify(
            result, generator, methods=methods, draws=draws, progress=progress
        )
    typer.echo(json.dumps(result.to_dict(), indent=2) if as_json else _report(result))
    if not result.converged:
        raise typer.Exit(1)


def plan(
    table: Table,
    law: Law = "additive",
    drop_highest: Drop = 0,
    huber: Huber = 0.0,
    column: Columns = None,
    flops: Annotated[float, typer.Option(help="training operations, 6 N D")] = float("inf"),
    tokens: Annotated[float, typer.Option(help="training tokens at most")] = float("inf"),
    parameters: Annotated[float, typer.Option(help="parameters at most")] = float("inf"),
    latency: Annotated[float, typer.Option(help="seconds a token at most")] = float("inf"),
    draws: Annotated[int, typer.Option(help="bootstrap resamples of shapes", min=2)] = 500,
    seed: Annotated[int, typer.Option(help="seed of the resampling", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print figures as JSON")] = False,
) -> None:
    """Find the best width, depth and data within a budget, with 95 % bootstrap bands."""
    import json

    import numpy as np

    from companion import scaling
    from companion.scaling import planning

    budget = planning.Budget(flops, tokens, parameters, latency)
    result = _fitted(table, law, drop_highest, huber, column)
    generator = np.random.default_rng([seed, 0])
    refits = scaling.bootstrap(result, generator, draws=draws, by_shape=True)
    found = planning.plan(result, refits, budget).to_dict()
    typer.echo(json.dumps(found, indent=2) if as_json else _planned(found))
    if not result.converged:
        raise typer.Exit(1)


def _fitted(table: str, law: str, drop: int, huber: float, column: list[str] | None):
    import math

    from companion import scaling, tables
    from companion.errors import InputError

    if huber < 0:
        raise InputError(f"--huber {huber} must be 0 (squares) or positive")
    known = scaling.get_law(law)
    data = tables.load_table(table, pairs(column, "--column", "m=d_model"))
    return scaling.fit(data, known, drop=drop, delta=huber or math.inf)


def _planned(found: dict) -> str:
    labels = {"m": "width m", "ell": "depth ell", "D": "tokens D", "N": "parameters N"}
    labels |= {"flops": "operations", "loss": "loss (nats/token)"}
    labels |= {"deeper": "twice the depth", "deeper_same_flops": "twice the depth, same operations"}
    lines = []
    for key, label in labels.items():
        span = found["ci95"].get(key)
        band = f"   95 % {span[0]:.5g} to {span[1]:.5g}" if span else ""
        lines.append(f"{label:<34}{found[key]:<12.5g}{band}")
    return "\n".join([*lines, *(f"warning: {warning}" for warning in found["warnings"])])


def _report(result) -> str:
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
    app.command()(fit)
    app.command()(plan)
