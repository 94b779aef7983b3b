"""A whole calibration: read every student of a folder, and find what each statistic is worth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from companion.calibration.design import Design, design, tasks
from companion.calibration.measure import table
from companion.calibration.separation import separate
from companion.calibration.students import Student, of_engine, students, untrained
from companion.calibration.training import trained
from companion.errors import InputError
from companion.provenance import provenance
from companion.runs import Progress, silent
from companion.runs.output import SETTINGS
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr

UNTRAINED_AS = "ensemble"
"""Untrained networks are judged by the teachers of this regime."""


def in_folder(folder: str | Path, runtime: Runtime) -> tuple[Design, Iterator[Student]]:
    """The design of a folder of `training.train`, and its students, then untrained networks.

    Raises
    ------
    InputError
        If the folder is none, or not all of its students have been trained.
    """
    mark = Path(folder) / SETTINGS
    if not mark.is_file():
        raise InputError(
            f"{str(folder)!r} holds no students: `companion calibrate train` makes some"
        )
    chosen = design(json.loads(mark.read_text("utf-8")))
    paths = [Path(folder) / f"{task.name}.safetensors" for task in tasks(chosen)]
    if missing := [path.name for path in paths if not path.exists()]:
        raise InputError(f"{str(folder)!r} lacks {', '.join(missing)}: train on with --resume")
    return chosen, _chained((students(path, runtime) for path in paths), chosen, runtime)


def anew(chosen: Design, runtime: Runtime, progress: Progress = silent) -> Iterator[Student]:
    """Students trained now and kept nowhere, then untrained networks."""
    engines = (of_engine(trained(task, runtime, progress), task, runtime) for task in tasks(chosen))
    return _chained(engines, chosen, runtime)


def study(networks: Iterable[Student], chosen: Design, runtime: Runtime) -> xr.Dataset:
    """All statistics of all networks, and what each is worth.

    Returns
    -------
    xarray.Dataset
        `measure.table` and `separation.separate` together, with provenance.
    """
    found = table(networks)
    together = found.merge(separate(found, runtime.numpy_generator()), compat="no_conflicts")
    stamp = provenance(runtime, chosen.to_dict())
    return together.assign_attrs(name=chosen.name, provenance=json.dumps(stamp))


def _chained(
    trained: Iterable[Iterator[Student]], chosen: Design, runtime: Runtime
) -> Iterator[Student]:
    for networks in trained:
        yield from networks
    for task in tasks(chosen):
        if task.regime == UNTRAINED_AS:
            yield from untrained(task, runtime)
