"""`companion calibrate train | measure | averaging | shapes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from companion.cli.options import Device, Out, Overwrite, Resume
from companion.cli.progress import shown

calibrate = typer.Typer(help="Train networks whose regime is known, and try every reading on them.")
Spec = Annotated[str, typer.Argument(help="YAML file, or a name such as calibration-quick.")]
Estimate = Annotated[bool, typer.Option("--estimate", help="Only say how long it will take.")]
SEED = 0


def register(app: typer.Typer) -> None:
    """Attach the commands of this module."""
    app.add_typer(calibrate, name="calibrate")


@calibrate.command()
def train(
    spec: Spec,
    out: Annotated[Path, typer.Option(help="Folder for the weights.")],
    resume: Resume = False,
    overwrite: Overwrite = False,
    estimate: Estimate = False,
    device: Device = "auto",
) -> None:
    """Train the students of SPEC: OUT/<regime>-m<width>.safetensors."""
    from companion.runtime import Runtime
    from companion.toy.calibration import design, training

    chosen = design.design(spec)
    runtime = Runtime.choose(device, "float32", chosen.seed)
    if estimate:
        typer.echo(f"about {training.estimate(chosen, runtime) / 60:.1f} min")
        return
    with shown("steps") as progress:
        kept = {"resume": resume, "overwrite": overwrite, "progress": progress}
        for path in training.train(chosen, out, runtime, **kept):
            typer.echo(str(path))


@calibrate.command()
def measure(
    folder: Annotated[Path, typer.Argument(help="Folder of `companion calibrate train`.")],
    out: Out,
    device: Device = "auto",
) -> None:
    """Read every student of FOLDER, and find what each statistic is worth."""
    from companion.evidence import calibration
    from companion.evidence.calibration import study
    from companion.files import write_netcdf
    from companion.runtime import Runtime

    runtime = Runtime.choose(device, "float32", SEED)
    chosen, networks = study.in_folder(folder, runtime)
    found = study.study(networks, chosen, runtime)
    write_netcdf(found, out)
    typer.echo(calibration.table(found).to_string())


@calibrate.command()
def averaging(
    spec: Spec,
    out: Out,
    resume: Resume = False,
    overwrite: Overwrite = False,
    estimate: Estimate = False,
    device: Device = "auto",
) -> None:
    """What students of one teacher have in common: which part of the loss an average removes."""
    from companion.toy.calibration import averaging as core

    _measured(core, spec, out, resume, overwrite, estimate, device)


@calibrate.command()
def shapes(
    spec: Spec,
    out: Out,
    resume: Resume = False,
    overwrite: Overwrite = False,
    estimate: Estimate = False,
    device: Device = "auto",
) -> None:
    """Equal parameters, traded between depth and the width of a block."""
    from companion.toy.calibration import shapes as core

    _measured(core, spec, out, resume, overwrite, estimate, device)


def _measured(core, spec, out, resume, overwrite, estimate, device) -> None:
    import json

    from companion.provenance import provenance
    from companion.runs import Output
    from companion.runtime import Runtime
    from companion.toy.calibration import design

    chosen = design.design(spec)
    runtime = Runtime.choose(device, "float32", chosen.seed)
    if estimate:
        typer.echo(f"about {core.estimate(chosen, runtime) / 60:.1f} min")
        return
    with (
        shown("steps") as progress,
        Output(out, chosen.to_dict(), resume=resume, overwrite=overwrite) as output,
    ):
        if output.finished is not None:
            typer.echo(f"{str(out)!r} is complete already")
            return
        found = core.measure(chosen, runtime, progress=progress, kept=output.kept)
        stamp = json.dumps(provenance(runtime, chosen.to_dict()))
        output.finish(found.assign_attrs(name=chosen.name, provenance=stamp))
