"""The command `trace`: causal tracing of facts through a model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from companion import interventions
from companion.cli.options import Estimate, Json, Kept, Machine, Sharding
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.interventions import Tracing
from companion.models import load_model
from companion.runs.progress import in_words

if TYPE_CHECKING:
    import xarray as xr


def register(app: typer.Typer) -> None:
    """Attach this module's command."""
    app.command()(expanded(trace))


def trace(
    model: Annotated[str, typer.Argument(help="ladder:NAME, a folder, or a Hub id.")],
    facts: Annotated[str, typer.Option(help="YAML or JSONL file, or packaged: python, world.")],
    how: Tracing,
    kept: Kept,
    machine: Machine,
    dealt: Sharding,
    estimate: Estimate = False,
    as_json: Json = False,
) -> None:
    """Corrupt the subject of each fact, restore one state at a time, read the target."""
    listed = interventions.load_facts(facts)
    if estimate:
        loaded = load_model(model, machine.runtime)
        _tell_cost(interventions.estimate_trace(loaded, listed, how), len(listed), as_json)
        return
    with dealt.options() as options, shown("shards" if options else "facts") as progress:
        options |= asdict(kept) | {"runtime": machine.runtime_of(options.get("client"))}
        result = interventions.trace(model, listed, how, progress=progress, **options)
    rows = [_summary(result.isel(prompt=index)) for index in range(result.sizes["prompt"])]
    _print(rows, str(kept.out), as_json)


def _tell_cost(seconds: float, facts: int, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"facts": facts, "seconds": seconds}))
        return
    took = in_words(seconds).removesuffix(" left")
    typer.echo(f"{facts} facts: {took} on this machine")


def _summary(fact: xr.Dataset) -> dict[str, Any]:
    """The figures of one fact, with the place where restoring helps most."""
    return {
        "prompt": str(fact.prompt.values),
        "target": str(fact.target.values),
        "known": bool(fact.known),
        "reason": str(fact.reason.values),
        "rank": int(fact["rank"]),
        "clean": float(fact.probability_clean),
        "corrupted": float(fact.probability_corrupted.mean()),
        "best": _best(fact.probability.mean("noise")),
    }


def _best(mean: xr.DataArray) -> dict[str, Any] | None:
    """The place where restoring helps most; None where nothing was restored."""
    if mean.isnull().all():
        return None
    layer, token = mean.stack(place=("layer", "token")).idxmax().item()
    return {"layer": layer, "token": token, "probability": float(mean.max())}


def _print(rows: list[dict[str, Any]], out: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"out": out, "facts": rows}, indent=1))
        return
    for row in rows:
        verdict = "known" if row["known"] else f"not known: {row['reason']}"
        figures = f"clean {row['clean']:.4f}, corrupted {row['corrupted']:.4f}"
        typer.echo(f"{row['prompt']!r} -> {row['target']!r}: {figures}; {verdict}")
    typer.echo(f"{sum(row['known'] for row in rows)} of {len(rows)} facts known; written to {out}")
