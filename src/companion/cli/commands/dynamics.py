"""The command `dynamics`: the same probe on the checkpoints of a training."""

from __future__ import annotations

from typing import Annotated

import typer

from companion.cli.options import Device, Dtype, Out
from companion.cli.progress import shown
from companion.runtime import Runtime


def register(app: typer.Typer) -> None:
    """Attach this module's command."""
    app.command()(dynamics)


def dynamics(
    models: Annotated[str, typer.Argument(help="Names between commas, as for `probe`.")],
    revisions: Annotated[str, typer.Option(help="In rising order, e.g. step0,step64,step512.")],
    out: Out,
    corpus: Annotated[str, typer.Option(help="As for `probe`.")] = "python-source",
    tokens: Annotated[int, typer.Option(min=1, help="Tokens read by each.")] = 32_768,
    block_length: Annotated[int, typer.Option(min=2, help="Tokens in a block.")] = 256,
    batch_size: Annotated[int, typer.Option(min=0, help="Blocks at once; 0 fits the memory.")] = 0,
    resume: Annotated[bool, typer.Option(help="Continue an interrupted call.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace what is there.")] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
) -> None:
    """Follow rotations, update correlations and losses through the training of MODELS."""
    from companion.probing.training.track import track_checkpoints

    runtime = Runtime.choose(device, dtype, seed)
    options = {"corpus": corpus, "tokens": tokens, "block_length": block_length}
    options |= {"batch_size": batch_size}
    with shown("checkpoints") as progress:
        tracked = track_checkpoints(
            models,
            revisions,
            runtime,
            out=out,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            **options,
        )
    typer.echo(tracked.attrs["alarm"])
    typer.echo(f"written to {out}")
