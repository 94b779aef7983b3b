"""`companion ladder train | export`."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from companion.cli.options import Device

ladder = typer.Typer(help="Train small language models on a grid of width, depth and data.")


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
    with _Reporter(runtime.matmul_peak()) as report:
        table = runner.train(
            specification,
            out,
            runtime,
            resume=resume,
            compiled=compiled,
            jobs=jobs,
            progress=report,
        )
    print(table.to_string(index=False))


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
        print(name)


@ladder.command("ship", hidden=True)
@functools.wraps(export)
def ship(**options: Any) -> None:
    typer.echo("warning: `companion ladder ship` is called `companion ladder export`", err=True)
    export(**options)


class _Reporter:
    """A bar a run on a terminal; elsewhere a line each half minute. Both with speed and losses.

    `peak` is the device's rate of large matrix products in flops a second; the fraction is that of
    all runs together.
    """

    def __init__(self, peak: float) -> None:
        self.peak = peak
        self.latest: dict[str, tuple[float, float]] = {}
        self.tasks: dict[str, Any] = {}
        self.said = 0.0

    def __enter__(self) -> _Reporter:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True)
        columns = ("{task.description}", BarColumn(), "{task.completed}/{task.total}")
        more = TextColumn("{task.fields[said]}")
        self.bars = Progress(*columns, more, TimeRemainingColumn(), console=self.console)
        if self.console.is_terminal:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def __call__(
        self, name: str, step: int, steps: int, loss: float, speed: float, flops: float
    ) -> None:
        said = f"loss {loss:.3f}, {speed:,.0f} tokens/s, {self._fraction(name, flops):.0%} of peak"
        if not self.console.is_terminal:
            return self._line(f"{name}: step {step}/{steps}, {said}")
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(name, total=steps, said=said)
        self.bars.update(self.tasks[name], completed=step, said=said)
        return None

    def _fraction(self, name: str, flops: float) -> float:
        """Share of the peak that the runs which reported within a minute reach together."""
        now = time.monotonic()
        self.latest[name.split()[0]] = now, flops
        return sum(rate for at, rate in self.latest.values() if now - at < 60) / self.peak

    def _line(self, text: str) -> None:
        if time.monotonic() - self.said > 30:
            self.said = time.monotonic()
            self.console.print(text, highlight=False, soft_wrap=True)
