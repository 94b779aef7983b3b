"""The command `trace`: causal tracing of facts through a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from companion.cli.options import Device, Dtype, Json, Out, Overwrite, Resume
from companion.cli.progress import shown
from companion.runs.progress import in_words
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr


def register(app: typer.Typer) -> None:
    """Attach this module's command."""
    app.command()(trace)


def trace(
    model: Annotated[str, typer.Argument(help="ladder:NAME, a folder, or a Hub id.")],
    facts: Annotated[str, typer.Option(help="YAML or JSONL file, or packaged: python, world.")],
    out: Out,
    noise: Annotated[float, typer.Option(help="Noise, in deviations of the embedding.")] = 3.0,
    draws: Annotated[int, typer.Option(help="Draws of noise per fact.")] = 4,
    window: Annotated[float, typer.Option(help="Layers restored, as a share of depth.")] = 0.1,
    max_rank: Annotated[int, typer.Option(help="Known means: among that many first.")] = 1,
    batch: Annotated[int, typer.Option(help="Runs at once.")] = 128,
    known_only: Annotated[
        bool, typer.Option("--known-only", help="Restore nothing where the fact is not known.")
    ] = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    only_estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it will cost on this machine; no more.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: Json = False,
) -> None:
    """Corrupt the subject of each fact, restore one state at a time, read the target."""
    from companion.interventions import Tracing, estimate_trace, load_facts
    from companion.interventions import trace as traced
    from companion.models import load_model

    spec = Tracing(noise, draws, window, max_rank, batch, known_only)
    listed = load_facts(facts)
    loaded = load_model(model, Runtime.choose(device, dtype, seed))
    if only_estimate:
        _tell_cost(estimate_trace(loaded, listed, spec), len(listed), as_json)
        return
    with shown("facts") as tell:
        result = traced(
            loaded, listed, spec, out=out, resume=resume, overwrite=overwrite, progress=tell
        )
    rows = [_summary(result.isel(prompt=index)) for index in range(result.sizes["prompt"])]
    _print(rows, str(out), as_json)


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
