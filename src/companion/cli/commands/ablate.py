"""The command `ablate`: disturb every block of a model and read the loss."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from companion import interventions
from companion.cli.options import Estimate, Json, Machine, MaybeKept
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.errors import InputError
from companion.interventions import Ablation, Text, gain_of_depth, loss_change, middle_cost
from companion.models import Model, load_model
from companion.runs import Output
from companion.runs.progress import in_words

if TYPE_CHECKING:
    import xarray as xr


def register(app: typer.Typer) -> None:
    """Attach this module's command."""
    app.command()(expanded(ablate))


def ablate(
    model: Annotated[str, typer.Argument(help="ladder:NAME, a folder, a Hub id, an open model.")],
    text: Text,
    how: Ablation,
    kept: MaybeKept,
    machine: Machine,
    estimate: Estimate = False,
    as_json: Json = False,
) -> None:
    """Skip, swap or average each block in turn, and read how much the loss rises."""
    if kept.out is None and not estimate:
        raise InputError("give --out FILE.nc, or --estimate to hear first what it costs")
    loaded = load_model(model, machine.runtime)
    if estimate:
        _print_estimate(loaded, text, how, as_json)
        return
    same = asdict(text) | asdict(how) | {"model": model, "seed": machine.seed}
    with Output(kept.out, same, resume=kept.resume, overwrite=kept.overwrite) as output:
        result = output.finished
        if result is None:
            with shown("tokens in a block") as tell:
                options = asdict(how) | {"progress": tell, "keep": output.part("sums.nc")}
                result = interventions.ablate_text(loaded, text, **options)
            output.finish(result)
    _print(result, str(kept.out), as_json)


def _print_estimate(model: Model, text: Text, how: Ablation, as_json: bool) -> None:
    rows, length = text.tokens // text.block_length, text.block_length
    seconds = interventions.estimate_ablation(
        model, rows, length, how.kinds, read_fraction=how.read_fraction
    )
    if as_json:
        typer.echo(json.dumps({"seconds": seconds, "rows": rows, "length": length}, indent=1))
        return
    took = in_words(seconds).removesuffix(" left")
    typer.echo(f"{rows} blocks of {length} tokens: {took} on this machine")


def _figures(result: xr.Dataset, out: str) -> dict[str, Any]:
    weights = result.tokens / result.tokens.sum()
    change = loss_change(result)
    return {
        "out": out,
        "model": result.attrs["model"],
        "ell": int(result.attrs["ell"]),
        "documents": result.sizes["document"],
        "predictions": int(result.tokens.sum()),
        "loss": float((result.loss_clean * weights).sum()),
        "gain_of_depth": float(gain_of_depth(result)),
        "middle": {kind: float(middle_cost(result, kind)) for kind in result.kind.values.tolist()},
        "loss_change": {
            kind: [None if x != x else float(x) for x in change.sel(kind=kind).values]
            for kind in result.kind.values.tolist()
        },
    }


def _print(result: xr.Dataset, out: str, as_json: bool) -> None:
    figures = _figures(result, out)
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    changes = figures["loss_change"]
    typer.echo("block" + "".join(f"{kind:>12}" for kind in changes))
    for layer in range(figures["ell"]):
        cells = (changes[kind][layer] for kind in changes)
        typer.echo(f"{layer:5d}" + "".join(f"{'' if c is None else f'{c:.4f}':>12}" for c in cells))
    typer.echo(
        f"loss {figures['loss']:.4f} nats per token, rises above it by block; "
        f"{figures['predictions']} predictions of {figures['documents']} documents; {out}"
    )
