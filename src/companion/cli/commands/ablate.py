"""The command `ablate`: disturb every block of a model and read the loss."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from companion.cli.options import Device, Dtype, Json, MaybeOut
from companion.errors import InputError
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr

    from companion.interventions import Text
    from companion.models import Model

LINE_SECONDS = 10.0


def register(app: typer.Typer) -> None:
    """Attach this module's command."""
    app.command()(ablate)


def ablate(
    model: Annotated[str, typer.Argument(help="ladder:NAME, a folder, a Hub id, an open model.")],
    out: MaybeOut = None,
    corpus: Annotated[
        str, typer.Option(help="english, python-source, a file or folder, or hub:NAME.")
    ] = "python-source",
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to run, in whole blocks.")] = 2048,
    block_length: Annotated[int, typer.Option(min=2, help="Tokens in a block of text.")] = 128,
    every: Annotated[
        int, typer.Option(min=1, help="Take one block in this many, for more documents.")
    ] = 8,
    kinds: Annotated[
        str, typer.Option(help="Between commas: skip, swap, repeat, average, parallel.")
    ] = "skip,swap,average",
    read_fraction: Annotated[
        float, typer.Option(help="Share of the predictions whose loss is read.")
    ] = 1.0,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Blocks of text at once; by default what fits.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would cost here, and stop.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the predictions read.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: Json = False,
) -> None:
    """Skip, swap or average each block in turn, and read how much the loss rises."""
    _check_out(out, estimate, overwrite)
    from companion import interventions
    from companion.files import write_netcdf
    from companion.models import load_model

    listed = [kind.strip() for kind in kinds.split(",")]
    text = interventions.Text(corpus, tokens, block_length, every)
    loaded = load_model(model, Runtime.choose(device, dtype, seed))
    if estimate:
        _print_estimate(loaded, text, listed, read_fraction, as_json)
        return
    options = {"read_fraction": read_fraction, "batch_size": batch_size}
    with _progress() as tell:
        result = interventions.ablate_text(loaded, text, listed, progress=tell, **options)
    write_netcdf(result, str(out))
    _print(result, str(out), as_json)


def _check_out(out: Path | None, estimate: bool, overwrite: bool) -> None:
    if estimate:
        return
    if out is None:
        raise InputError("give --out FILE.nc, or --estimate to hear first what it costs")
    if out.exists() and not overwrite:
        raise InputError(f"--out {str(out)!r} is there already: name another, or say --overwrite")


def _print_estimate(
    model: Model, text: Text, kinds: list[str], read_fraction: float, as_json: bool
) -> None:
    from companion.interventions import estimate_ablation

    rows = text.tokens // text.length
    seconds = estimate_ablation(model, rows, text.length, kinds, read_fraction=read_fraction)
    if as_json:
        print(json.dumps({"seconds": seconds, "rows": rows, "length": text.length}, indent=1))
        return
    print(f"about {_clock(seconds)} here, for {rows} blocks of {text.length} tokens")


def _figures(result: xr.Dataset, out: str) -> dict[str, Any]:
    from companion.interventions import gain_of_depth, loss_change, middle_cost

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
        print(json.dumps(figures, indent=1))
        return
    changes = figures["loss_change"]
    print("block" + "".join(f"{kind:>12}" for kind in changes))
    for layer in range(figures["ell"]):
        cells = (changes[kind][layer] for kind in changes)
        print(f"{layer:5d}" + "".join(f"{'' if c is None else f'{c:.4f}':>12}" for c in cells))
    print(
        f"loss {figures['loss']:.4f} nats per token, rises above it by block; "
        f"{figures['predictions']} predictions of {figures['documents']} documents; {out}"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left on a terminal; a line every ten seconds elsewhere."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("disturbing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines() -> Callable[[int, int], None]:
    last = begun = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            left = _clock((now - begun) * (total - done) / done)
            print(f"{done / total:.0%}, {left} left", file=sys.stderr, flush=True)

    return tell
