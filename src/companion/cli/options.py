"""Options that several commands share, checked as they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from companion.runtime import InputError


def _netcdf(out: Path) -> Path:
    if out.suffix != ".nc":
        raise InputError(f"--out {str(out)!r} must end in .nc")
    return out


Out = Annotated[Path, typer.Option(help="NetCDF file to write.", callback=_netcdf)]
Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
