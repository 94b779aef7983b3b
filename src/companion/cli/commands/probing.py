"""The commands `probe` and `merge`: statistics of a model's layers, in files that add up."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from companion.cli.options import Device, Dtype, Json, Out, Overwrite, Resume, pairs
from companion.cli.progress import shown
from companion.errors import InputError
from companion.runs.progress import in_words
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr

    from companion.probing import Estimate

SHOWN = ("norm", "update_norm", "theta", "theta_dh", "cross_entropy", "cross_entropy_logit")


def register(app: typer.Typer) -> None:
    """Attach this module's commands."""
    app.command()(probe)
    app.command()(merge)


def probe(
    model: Annotated[
        str, typer.Argument(help="ladder:NAME, a folder, or a Hub id; or NAME@REVISION.")
    ],
    out: Out,
    corpus: Annotated[
        str, typer.Option(help="python-source, a file or folder, or hub:NAME[:CONFIG[:SPLIT]].")
    ] = "python-source",
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to read, in whole blocks.")] = 100_000,
    block_length: Annotated[
        int | None, typer.Option(min=2, help="Tokens in a block; the context, at most 1024.")
    ] = None,
    lens: Annotated[str, typer.Option(help="last_block, logit, both or none.")] = "last_block",
    lens_fraction: Annotated[
        str, typer.Option(help="Share of the tokens whose lens is read; auto: what costs a pass.")
    ] = "1.0",
    shard: Annotated[str, typer.Option(help="I/N with 0 <= I < N: every N-th block.")] = "0/1",
    resume: Resume = False,
    overwrite: Overwrite = False,
    until_sem: Annotated[
        list[str] | None,
        typer.Option(help="QUANTITY=ERROR: stop once reached at every layer. May be repeated."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Blocks at once; by default what memory holds.")
    ] = None,
    sink_ratio: Annotated[
        float, typer.Option(help="Norms beyond that many medians are attention sinks.")
    ] = 10.0,
    paper_compat: Annotated[
        bool, typer.Option("--paper-compat", help="The published scripts' choices.")
    ] = False,
    noise_batches: Annotated[
        int,
        typer.Option(min=0, help="Batches repeated in float32 under a bfloat16 or float16 run."),
    ] = 2,
    fuse: Annotated[
        bool, typer.Option("--compile", help="Fuse the lens reduction with torch.compile.")
    ] = False,
    device_map: Annotated[
        str | None, typer.Option(help="auto: spread the model over several GPUs.")
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the lens' choice of tokens.")] = 0,
    compact: Annotated[
        bool, typer.Option("--compact", help="Write the figures alone: small, never to be merged.")
    ] = False,
    only_estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it will cost on this machine; no more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure norms, angles, update correlations and lens losses of every layer in one pass."""
    settings: dict[str, Any] = {
        "block_length": block_length,
        "limit": tokens,
        "batch_size": batch_size,
        "shard": shard,
        "lens": lens,
        "lens_fraction": lens_fraction,
        "sink_ratio": sink_ratio,
        "paper_compat": paper_compat,
        "noise_batches": noise_batches,
        "until_sem": _targets(until_sem),
    }
    from companion import models, probing

    loaded = models.load_model(model, Runtime.choose(device, dtype, seed), device_map)
    if only_estimate:
        _print_cost(probing.estimate_probe(loaded, corpus, **settings), as_json)
        return
    with shown("tokens") as progress:
        result = probing.probe(
            loaded,
            corpus,
            compile=fuse,
            out=out,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            **settings,
        )
    if compact:
        probing.save(probing.compact(result), out)
    _print(result, out, as_json)


def _print_cost(cost: Estimate, as_json: bool) -> None:
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
    out: Out,
    as_json: Json = False,
) -> None:
    """Add up probe files of different shards of one corpus."""
    from companion import probing

    result = probing.merge([probing.open(file) for file in files])
    probing.save(result, out)
    _print(result, out, as_json)
    if missing := _missing(json.loads(result.attrs["shards"])):
        typer.echo(f"note: shards not among the files: {', '.join(missing)}", err=True)


def _missing(shards: list[str]) -> list[str]:
    of = int(shards[0].partition("/")[2])
    return [text for text in (f"{index}/{of}" for index in range(of)) if text not in shards]


def _targets(given: list[str] | None) -> dict[str, float]:
    named = pairs(given, "--until-sem", "cross_entropy=0.01")
    try:
        return {name: float(value) for name, value in named.items()}
    except ValueError as error:
        raise InputError(f"--until-sem needs numbers as errors: {error}") from None


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
