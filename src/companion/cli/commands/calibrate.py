"""`companion calibrate train | measure | averaging | shapes`."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from companion.cli.measured import measure_into
from companion.cli.options import Device, Estimate, Kept, Out, Overwrite, Resume
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.provenance import provenance
from companion.runs import Keep, Progress
from companion.runtime import Runtime
from companion.toy.calibration import averaging, design, shapes, training

if TYPE_CHECKING:
    import xarray as xr

calibrate = typer.Typer(help="Train networks whose regime is known, and try every reading on them.")
Spec = Annotated[str, typer.Argument(help="YAML file, or a name such as calibration-quick.")]
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
@expanded
def measure(
    folder: Annotated[Path, typer.Argument(help="Folder of `companion calibrate train`.")],
    to: Out,
    device: Device = "auto",
) -> None:
    """Read every student of FOLDER, and find what each statistic is worth."""
    from companion.evidence import calibration
    from companion.evidence.calibration import study
    from companion.files import write_netcdf

    runtime = Runtime.choose(device, "float32", SEED)
    chosen, networks = study.in_folder(folder, runtime)
    measured = study.study(networks, chosen, runtime)
    write_netcdf(measured, to.out)
    typer.echo(calibration.table(measured).to_string())


def _experiment(core: ModuleType, about: str) -> None:
    """Attach a command that trains the students of a design and measures them as `core` does."""

    @calibrate.command(core.__name__.rpartition(".")[2], help=about)
    @expanded
    def experiment(
        spec: Spec, kept: Kept, estimate: Estimate = False, device: Device = "auto"
    ) -> None:
        chosen = design.design(spec)
        runtime = Runtime.choose(device, "float32", chosen.seed)
        if estimate:
            typer.echo(f"about {core.estimate(chosen, runtime) / 60:.1f} min")
            return
        settings = chosen.to_dict()

        def measure(progress: Progress, keep: Keep) -> xr.Dataset:
            measured = core.measure(chosen, runtime, progress=progress, kept=keep)
            stamp = json.dumps(provenance(runtime, settings))
            return measured.assign_attrs(name=chosen.name, provenance=stamp)

        measure_into(kept, settings, "steps", measure)


_experiment(averaging, "What students of one teacher share: the loss that an average removes.")
_experiment(shapes, "Equal parameters, traded between depth and the width of a block.")
