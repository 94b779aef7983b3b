"""The command `dynamics`: the same probe on the checkpoints of a training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from companion.cli.options import Kept, Machine, Sharding
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.evidence.probes.training_dynamics import alarm_sentence
from companion.probing.settings import Reading
from companion.probing.training.track import track_checkpoints


def register(app: typer.Typer) -> None:
    """Attach this module's command."""
    app.command()(expanded(dynamics))


def dynamics(
    models: Annotated[str, typer.Argument(help="Names between commas, as for `probe`.")],
    revisions: Annotated[str, typer.Option(help="In rising order, e.g. step0,step64,step512.")],
    text: Reading,
    kept: Kept,
    machine: Machine,
    dealt: Sharding,
) -> None:
    """Follow rotations, update correlations and losses through the training of MODELS."""
    options = asdict(text) | asdict(kept)
    with dealt.options() as workers, shown("shards" if workers else "checkpoints") as progress:
        runtime = machine.runtime_of(workers.get("client"))
        tracked = track_checkpoints(
            models, revisions, runtime, progress=progress, **options, **workers
        )
    typer.echo(alarm_sentence(tracked))
    typer.echo(f"written to {kept.out}")
