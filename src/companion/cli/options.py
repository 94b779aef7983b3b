"""Options that several commands share, checked as they are read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import AfterValidator, Field

from companion.errors import InputError
from companion.runs.shards import ask, connected
from companion.runtime import Runtime
from companion.settings import Whole, settings


def _netcdf(out: Path) -> Path:
    """Refuse before hours are spent on it what cannot become a NetCDF file."""
    if out.suffix != ".nc":
        raise InputError("must end in .nc")
    nearest = next(place for place in out.absolute().parents if place.exists())
    if out.is_dir() or not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError("cannot be written: name a file in a folder of yours")
    return out


NetCDF = Annotated[Path, AfterValidator(_netcdf)]


@settings("output")
class Out:
    """Where a result goes.

    Parameters
    ----------
    out : Path
        NetCDF file to write.
    """

    out: NetCDF


@settings("output")
class Kept(Out):
    """Where a result goes, and what happens to what is there already.

    Parameters
    ----------
    resume : bool
        Go on with an interrupted run.
    overwrite : bool
        Replace what is there.
    """

    resume: bool = False
    overwrite: bool = False


@settings("output")
class MaybeKept(Kept):
    """The same for a command that may also write nothing."""

    out: NetCDF | None = None


@settings("machine")
class Machine:
    """Where a command computes, in which numbers, and from which seed.

    Parameters
    ----------
    device : str
        auto, cpu, mps, cuda or cuda:N.
    dtype : str
        auto, float32, bfloat16, float16, float64.
    seed : int
        Seed of everything random.
    """

    device: str = "auto"
    dtype: str = "auto"
    seed: Annotated[Whole, Field(ge=0)] = 0

    @property
    def runtime(self) -> Runtime:
        """What was asked for, checked against what is there."""
        return Runtime.choose(self.device, self.dtype, self.seed)

    def runtime_of(self, client: Any) -> Runtime:
        """What was asked for, as a worker of `client` chooses it; here where there is none."""
        if client is None:
            return self.runtime
        return ask(client, Runtime.choose, self.device, self.dtype, self.seed)


@settings("shards")
class Sharding:
    """Whether Dask's workers do the work, and which.

    Parameters
    ----------
    shards : int
        Deal the work out in that many parts, by Dask; 0: this process does it all.
    scheduler : str
        local, or the address of a Dask scheduler, e.g. tcp://node7:8786.
    workers : int
        Processes of the local scheduler, by default one a core.
    """

    shards: Annotated[Whole, Field(ge=0)] = 0
    scheduler: str = "local"
    workers: Annotated[Whole, Field(ge=1)] | None = None

    @contextlib.contextmanager
    def options(self) -> Iterator[dict[str, Any]]:
        """The `client` and `shards` of an instrument; nothing where no shards are asked for."""
        if not self.shards:
            if self.scheduler != "local" or self.workers:
                raise InputError("--scheduler and --workers need --shards: say how many")
            yield {}
            return
        workers = min(self.workers or os.cpu_count() or 1, self.shards)
        with connected(self.scheduler, workers) as client:
            yield {"client": client, "shards": self.shards}


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


Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")]
Estimate = Annotated[
    bool, typer.Option("--estimate", help="Say what it will cost on this machine; no more.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
