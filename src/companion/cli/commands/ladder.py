"""Train small language models on a grid of width, depth and data, and export them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from companion.cli.group import Group
from companion.cli.options import Device
from companion.cli.progress import shown
from companion.runs import Progress

ladder = typer.Typer(
    cls=Group, help="Train small language models on a grid of width, depth and data."
)


def register(app: typer.Typer) -> None:
    """Attach the commands of this module."""
    app.add_typer(ladder, name="ladder")


@ladder.callback()
def _group() -> None:
    pass


@ladder.command()
def train(
    grid: Annotated[Path, typer.Argument(help="YAML file of the grid.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, models and the table.")],
    resume: Annotated[bool, typer.Option(help="Continue an interrupted training.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Remove what OUT holds, start anew.")] = False,
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16 (masters float32).")] = "bfloat16",
    jobs: Annotated[int, typer.Option(help="Runs at the same time, a process each.")] = 1,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
) -> None:
    """Train every model of GRID and write OUT/table.csv."""
    from companion.ladder import grid as grids
    from companion.ladder import runner
    from companion.runtime import Runtime

    specification = grids.read_grid(grid)
    runtime = Runtime.choose(device, dtype)
    with shown("steps") as progress:
        table = runner.train(
            specification,
            out,
            runtime,
            resume=resume,
            overwrite=overwrite,
            compiled=compiled,
            jobs=jobs,
            progress=_Reporter(runtime.matmul_peak(), progress),
        )
    typer.echo(table.to_string(index=False))


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


class _Reporter:
    """The callback of a training: losses, tokens a second, and the share of the device's peak.

    `peak` is the device's rate of large matrix products in flops a second; the fraction is that of
    all runs together.
    """

    def __init__(self, peak: float, progress: Progress) -> None:
        self.peak, self.progress = peak, progress
        self.latest: dict[str, tuple[float, float]] = {}

    def __call__(
        self, name: str, step: int, steps: int, loss: float, speed: float, flops: float
    ) -> None:
        share = self._fraction(name, flops)
        note = f"loss {loss:.3f}, {speed:,.0f} tokens/s, {share:.0%} of peak"
        self.progress(step, steps, note=note, task=name)

    def _fraction(self, name: str, flops: float) -> float:
        """Share of the peak that the runs which reported within a minute reach together."""
        now = time.monotonic()
        self.latest[name.split()[0]] = now, flops
        return sum(rate for at, rate in self.latest.values() if now - at < 60) / self.peak
