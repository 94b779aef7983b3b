"""Options that several commands share, checked as they are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from companion.errors import InputError


def _netcdf(out: Path | None) -> Path | None:
    """Refuse before hours are spent on it what cannot become a NetCDF file."""
    if out is None:
        return None
    if out.suffix != ".nc":
        raise InputError(f"--out {str(out)!r} must end in .nc")
    nearest = next(place for place in out.absolute().parents if place.exists())
    if out.is_dir() or not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"--out {str(out)!r} cannot be written: name a file in a folder of yours")
    return out


MaybeOut = Annotated[Path | None, typer.Option(help="NetCDF file to write.", callback=_netcdf)]
Out = Annotated[Path, typer.Option(help="NetCDF file to write.", callback=_netcdf)]
Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
