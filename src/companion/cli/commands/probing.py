"""The commands `probe` and `merge`: statistics of a model's layers, in files that add up."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from companion import probing
from companion.cli.options import Estimate, Json, Kept, Machine, Out, Sharding
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.errors import InputError
from companion.models import load_model
from companion.probing.settings import Probing
from companion.runs.progress import in_words

if TYPE_CHECKING:
    import xarray as xr

SHOWN = ("norm", "update_norm", "theta", "theta_dh", "cross_entropy", "cross_entropy_logit")


def register(app: typer.Typer) -> None:
    """Attach this module's commands."""
    app.command()(expanded(probe))
    app.command()(expanded(merge))


def probe(
    model: Annotated[
        str, typer.Argument(help="ladder:NAME, a folder, or a Hub id; or NAME@REVISION.")
    ],
    kept: Kept,
    how: Probing,
    machine: Machine,
    dealt: Sharding,
    corpus: Annotated[
        str, typer.Option(help="python-source, a file or folder, or hub:NAME[:CONFIG[:SPLIT]].")
    ] = "python-source",
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to read, in whole blocks.")] = 100_000,
    device_map: Annotated[
        str | None, typer.Option(help="auto: spread the model over several GPUs.")
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Write the figures alone: small, never to be merged.")
    ] = False,
    estimate: Estimate = False,
    as_json: Json = False,
) -> None:
    """Measure norms, angles, update correlations and lens losses of every layer in one pass."""
    settings: dict[str, Any] = asdict(how) | {"limit": tokens}
    if estimate:
        loaded = load_model(model, machine.runtime, device_map)
        _print_cost(probing.estimate_probe(loaded, corpus, **settings), as_json)
        return
    if dealt.shards and device_map:
        raise InputError("--device-map spreads a model for one process: it does not go with shards")
    with dealt.options() as options, shown("shards" if options else "tokens") as progress:
        runtime = machine.runtime_of(options.get("client"))
        loaded = model if options else load_model(model, runtime, device_map)
        options |= asdict(kept) | settings | {"runtime": runtime, "progress": progress}
        result = probing.probe(loaded, corpus, **options)
    if compact:
        probing.save(probing.compact(result), kept.out)
    _print(result, kept.out, as_json)


def _print_cost(cost: probing.Estimate, as_json: bool) -> None:
    if as_json:
        figures = asdict(cost) | {"seconds": cost.seconds if cost.tokens else None}
        typer.echo(json.dumps(figures, indent=1))
        return
    took = in_words(cost.seconds).removesuffix(" left") if cost.tokens else "no one knows how long"
    typer.echo(
        f"{cost.tokens or 'all'} tokens, the lenses at {100 * cost.lens_fraction:.3g} % of them: "
        f"{took} on this machine, {cost.memory / 1e9:.2g} GB of memory"
    )


def merge(
    files: Annotated[list[Path], typer.Argument(help="Probe files of different shards.")],
    to: Out,
    as_json: Json = False,
) -> None:
    """Add up probe files of different shards of one corpus."""
    result = probing.merge([probing.open(file) for file in files])
    probing.save(result, to.out)
    _print(result, to.out, as_json)
    if missing := _missing(json.loads(result.attrs["shards"])):
        typer.echo(f"note: shards not among the files: {', '.join(missing)}", err=True)


def _missing(shards: list[str]) -> list[str]:
    of = int(shards[0].partition("/")[2])
    return [text for text in (f"{index}/{of}" for index in range(of)) if text not in shards]


def _print(result: xr.Dataset, out: Path, as_json: bool) -> None:
    figures = _figures(result, out)
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    names = list(figures["layers"])
    typer.echo("layer" + "".join(f"{name:>22}" for name in names))
    for layer in range(figures["ell"] + 1):
        cells = (figures["layers"][name]["mean"][layer] for name in names)
        typer.echo(f"{layer:5d}" + "".join(f"{'' if c is None else f'{c:.4f}':>22}" for c in cells))
    text = f"{figures['tokens']} tokens of {figures['corpus']}"
    typer.echo(f"{text}, first tokens and sinks apart; {out}")
    read = json.loads(result.attrs["corpus"])
    if short := read.get("short_of"):
        cut = f"; {read['cut']} at the ends of long documents were left out" if read["cut"] else ""
        typer.echo(f"the corpus ended {short} tokens before what was asked for{cut}")


def _figures(result: xr.Dataset, out: Path) -> dict[str, Any]:
    rest = result.sel(group="rest")
    layers = {
        name: {
            statistic: [
                None if x != x else float(x) for x in rest[name].sel(statistic=statistic).values
            ]
            for statistic in ("mean", "sem", "q50")
        }
        for name in SHOWN
        if name in result
    }
    about = {key: result.attrs[key] for key in ("model", "m", "ell", "tokens", "dtype", "device")}
    corpus = result.attrs["corpus_name"]
    certificate = json.loads(result.attrs["certificate"])
    about = {key: value if isinstance(value, str) else int(value) for key, value in about.items()}
    return {
        "out": str(out),
        **about,
        "corpus": corpus,
        "certificate": certificate,
        "layers": layers,
    }
