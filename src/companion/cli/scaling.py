"""`companion fit`: a scaling law on a loss table, with its uncertainties."""

from __future__ import annotations

from typing import Annotated

import typer


def fit(
    table: Annotated[str, typer.Argument(help="chinchilla, gemstones, ladder, or a file")],
    law: Annotated[str, typer.Option(help="which law; an unknown name lists them")] = "additive",
    drop_highest: Annotated[int, typer.Option(help="leave out the K highest losses", min=0)] = 0,
    huber: Annotated[float, typer.Option(help="Huber threshold on log loss; 0: squares")] = 0.0,
    column: Annotated[list[str] | None, typer.Option(help="our name=yours, e.g. m=d_model")] = None,
    method: Annotated[list[str] | None, typer.Option(help="only these uncertainties")] = None,
    draws: Annotated[int, typer.Option(help="bootstrap resamples", min=2)] = 1000,
    seed: Annotated[int, typer.Option(help="seed of the resampling", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print figures as JSON")] = False,
) -> None:
    """Fit a scaling law to a loss table and print parameters with standard errors."""
    import json
    import math

    import numpy as np

    from companion import scaling, tables
    from companion.runtime import InputError

    if huber < 0:
        raise InputError(f"--huber {huber} must be 0 (squares) or positive")
    data = tables.load_table(table, _columns(column or []))
    result = scaling.fit(data, law, drop=drop_highest, delta=huber or math.inf)
    generator = np.random.default_rng([seed, 0])
    methods = method or list(scaling.METHODS)
    result = scaling.quantify(result, generator, methods=methods, draws=draws, progress=_tell)
    typer.echo(json.dumps(result.to_dict(), indent=2) if as_json else _report(result))
    if not result.converged:
        raise typer.Exit(1)


def _columns(pairs: list[str]) -> dict[str, str]:
    from companion.runtime import InputError

    split = [pair.partition("=") for pair in pairs]
    for pair, (ours, _, theirs) in zip(pairs, split, strict=True):
        if not (ours and theirs):
            raise InputError(f"--column {pair!r} must read like m=d_model")
    return {ours: theirs for ours, _, theirs in split}


def _tell(method: str) -> None:
    import sys

    if sys.stderr.isatty():
        typer.echo(f"  {method} ...", err=True)


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
