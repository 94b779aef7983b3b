"""Train small language models on a grid of width, depth and data, and export them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from companion.cli.group import Group
from companion.cli.measured import measure_into
from companion.cli.options import Device, Estimate, Kept, Overwrite, Resume, Sharding
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.runs import Keep, Progress
from companion.runs.shards import ask

if TYPE_CHECKING:
    import xarray as xr

ladder = typer.Typer(
    cls=Group, help="Train small language models on a grid of width, depth and data."
)


def register(app: typer.Typer) -> None:
    """Attach the commands of this module."""
    app.add_typer(ladder, name="ladder")


@ladder.callback()
def _group() -> None:
    pass


def train(
    grid: Annotated[Path, typer.Argument(help="YAML file of the grid.")],
    dealt: Sharding,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, models and the table.")],
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    dtype: Annotated[
        str,
        typer.Option(help="float32, bfloat16 (masters float32); auto: the latter on GPUs with it."),
    ] = "auto",
    jobs: Annotated[int, typer.Option(help="Runs at the same time, a process each.")] = 1,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    graph: Annotated[
        bool, typer.Option(help="Replay each step as one CUDA graph; not run on a GPU yet.")
    ] = False,
    estimate: Estimate = False,
    rates_of: Annotated[
        Path | None, typer.Option(help="Folder or table of a sweep: each depth at its best rate.")
    ] = None,
) -> None:
    """Train every model of GRID and write OUT/table.csv."""
    from companion.ladder import grid as grids
    from companion.ladder import runner
    from companion.runtime import Runtime

    specification, notes = grids.read_grid(grid), ()
    if rates_of:
        specification, notes = grids.tuned(specification, rates_of)
    for note in notes:
        typer.echo(f"warning: {note}", err=True)
    if estimate:
        seconds = runner.estimate(specification, Runtime.choose(device, dtype))
        typer.echo(f"about {seconds / 60:.1f} min, one run after another")
        return
    with dealt.options() as workers, shown("steps") as progress:
        client = workers.get("client")
        table = runner.train(
            specification,
            out,
            ask(client, Runtime.choose, device, dtype),
            resume=resume,
            overwrite=overwrite,
            compiled=compiled,
            graph=graph,
            jobs=jobs,
            progress=progress,
            client=client,
        )
    typer.echo(table.to_string(index=False))


ladder.command()(expanded(train))


@ladder.command()
@expanded
def average(
    trained: Annotated[Path, typer.Argument(help="Folder of a finished `ladder train`.")],
    kept: Kept,
    estimate: Estimate = False,
    device: Device = "auto",
) -> None:
    """Held-out loss of the averaged logits of every set of seeds, at each depth."""
    from companion.ladder import averaging
    from companion.provenance import provenance
    from companion.runtime import Runtime
    from companion.settings import to_record

    grid, stamp = averaging.finished(trained)
    runtime, settings = Runtime.choose(device, "float32"), to_record(grid)
    if estimate:
        typer.echo(f"about {averaging.estimate(trained, runtime) / 60:.1f} min")
        return

    def measure(progress: Progress, keep: Keep) -> xr.Dataset:
        measured = averaging.measure(trained, runtime, progress, keep)
        about = {"trained": stamp, "averaged": provenance(runtime, settings)}
        return measured.assign_attrs(provenance=json.dumps(about))

    measure_into(kept, settings, "blocks", measure)


@ladder.command()
def export(
    trained: Annotated[list[Path], typer.Argument(help="Folders of finished `ladder train`.")],
    out: Annotated[Path, typer.Option(help="Where the models and the table go.")],
    width: Annotated[int, typer.Option(help="Width m of the models to export.")] = 128,
    series: Annotated[int | None, typer.Option(help="Width m whose kept steps to export.")] = None,
    sweep: Annotated[list[Path] | None, typer.Option(help="Folder of a finished sweep.")] = None,
) -> None:
    """Copy the first grid's models with their cards, and the tables of all grids."""
    from companion.ladder import export as exports

    for name in exports.export(trained, out, width, series, sweep or ()):
        typer.echo(name)
