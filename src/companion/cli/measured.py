"""What commands share that measure into one file, part after part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

from companion.cli.options import Kept
from companion.cli.progress import shown
from companion.runs import Keep, Output, Progress

if TYPE_CHECKING:
    import xarray as xr


def measure_into(
    kept: Kept,
    settings: Mapping[str, Any],
    unit: str,
    measure: Callable[[Progress, Keep], xr.Dataset],
) -> None:
    """Write what is measured to `kept.out`, going on from the parts of an interrupted run.

    Parameters
    ----------
    kept : Kept
        Where the result goes, and what becomes of what is there.
    settings : mapping
        What makes two runs the same.
    unit : str
        Of the progress.
    measure : callable
        Given the progress and what keeps parts.
    """
    output = Output(kept.out, settings, resume=kept.resume, overwrite=kept.overwrite)
    with shown(unit) as progress, output:
        if output.finished is None:
            output.finish(measure(progress, output.kept))
        else:
            typer.echo(f"{str(kept.out)!r} is complete already")
