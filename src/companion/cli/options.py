"""Options that several commands share, checked as they are read."""

from __future__ import annotations

import os
from collections.abc import Iterable
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


def pairs(given: Iterable[str] | None, option: str, example: str) -> dict[str, str]:
    """What an option that may be repeated says, by name.

    Parameters
    ----------
    given : iterable of str
        Texts that should read like "name=value".
    option, example : str
        How the option is called and what would be right, for the refusal.

    Raises
    ------
    InputError
        If a text has no name or no equals sign.
    """
    split = {text: text.partition("=") for text in given or ()}
    for text, (name, equals, _) in split.items():
        if not (name and equals):
            raise InputError(f"{option} {text!r} must read like {example}")
    return {name: value for name, _, value in split.values()}


MaybeOut = Annotated[Path | None, typer.Option(help="NetCDF file to write.", callback=_netcdf)]
Out = Annotated[Path, typer.Option(help="NetCDF file to write.", callback=_netcdf)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16, float64.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
