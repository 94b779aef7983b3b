"""The command `trace`: causal tracing of facts through a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from companion.cli.options import Device, Dtype, Json, Out
from companion.cli.progress import shown
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr


def register(app: typer.Typer) -> None:
    """Attach this module's command."""
    app.command()(trace)


def trace(
    model: Annotated[str, typer.Argument(help="ladder:NAME, a folder, or a Hub id.")],
    facts: Annotated[str, typer.Option(help="YAML or JSONL file, or a packaged list: python.")],
    out: Out,
    noise: Annotated[float, typer.Option(help="Noise, in deviations of the embedding.")] = 3.0,
    draws: Annotated[int, typer.Option(help="Draws of noise per fact.")] = 4,
    window: Annotated[float, typer.Option(help="Layers restored, as a share of depth.")] = 0.1,
    max_rank: Annotated[int, typer.Option(help="Known means: among that many first.")] = 1,
    batch: Annotated[int, typer.Option(help="Runs at once.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: Json = False,
) -> None:
    """Corrupt the subject of each fact, restore one state at a time, read the target."""
    from companion.interventions import Tracing, load_facts, save
    from companion.interventions import trace as traced
    from companion.models import load_model

    spec = Tracing(noise, draws, window, max_rank, batch)
    listed = load_facts(facts)
    loaded = load_model(model, Runtime.choose(device, dtype, seed))
    with shown("facts") as progress:
        result = traced(loaded, listed, spec, progress=progress)
    save(result, out)
    rows = [_summary(result.isel(prompt=index)) for index in range(result.sizes["prompt"])]
    _print(rows, str(out), as_json)


def _summary(fact: xr.Dataset) -> dict[str, Any]:
    """The figures of one fact, with the place where restoring helps most."""
    mean = fact.probability.mean("noise")
    best = mean.stack(place=("layer", "token")).idxmax().item()
    return {
        "prompt": str(fact.prompt.values),
        "target": str(fact.target.values),
        "known": bool(fact.known),
        "reason": str(fact.reason.values),
        "rank": int(fact["rank"]),
        "clean": float(fact.probability_clean),
        "corrupted": float(fact.probability_corrupted.mean()),
        "best": {"layer": best[0], "token": best[1], "probability": float(mean.max())},
    }


def _print(rows: list[dict[str, Any]], out: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"out": out, "facts": rows}, indent=1))
        return
    for row in rows:
        verdict = "known" if row["known"] else f"not known: {row['reason']}"
        figures = f"clean {row['clean']:.4f}, corrupted {row['corrupted']:.4f}"
        typer.echo(f"{row['prompt']!r} -> {row['target']!r}: {figures}; {verdict}")
    typer.echo(f"{sum(row['known'] for row in rows)} of {len(rows)} facts known; written to {out}")
