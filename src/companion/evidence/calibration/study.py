"""A whole calibration: read every student of a folder, and find what each statistic is worth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from companion.errors import InputError
from companion.evidence.calibration.separation import separate
from companion.evidence.calibration.statistics import (
    STATISTICS,
    doses,
    read_ablation,
    read_probe,
)
from companion.interventions import ablate
from companion.interventions.blocks import KINDS
from companion.models import capture
from companion.provenance import provenance
from companion.runs import Progress, silent
from companion.runs.output import SETTINGS
from companion.runtime import Runtime
from companion.toy.calibration.design import Design, design, tasks
from companion.toy.calibration.students import (
    LENGTH,
    ROWS,
    Student,
    of_engine,
    students,
    untrained,
)
from companion.toy.calibration.training import trained

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
    plan = design(json.loads(mark.read_text("utf-8")))
    paths = [Path(folder) / f"{task.name}.safetensors" for task in tasks(plan)]
    if missing := [path.name for path in paths if not path.exists()]:
        raise InputError(f"{str(folder)!r} lacks {', '.join(missing)}: train on with --resume")
    return plan, _chained((students(path, runtime) for path in paths), plan, runtime)


def anew(plan: Design, runtime: Runtime, progress: Progress = silent) -> Iterator[Student]:
    """Students trained now and kept nowhere, then untrained networks."""
    engines = (of_engine(trained(task, runtime, progress), task, runtime) for task in tasks(plan))
    return _chained(engines, plan, runtime)


def study(networks: Iterable[Student], plan: Design, runtime: Runtime) -> xr.Dataset:
    """All statistics of all networks, and what each is worth.

    Returns
    -------
    xarray.Dataset
        `measured_table` and `separation.separate` together, with provenance.
    """
    table = measured_table(networks)
    together = table.merge(separate(table, runtime.numpy_generator()), compat="no_conflicts")
    stamp = provenance(runtime, plan.to_dict())
    return together.assign_attrs(name=plan.name, provenance=json.dumps(stamp))


def probe_of(student: Student) -> xr.Dataset:
    """The dataset of a student by the accumulators of language models; rows are documents."""
    from companion.probing import summarise

    stream = capture(student.model, student.tokens)
    documents = np.repeat(np.arange(ROWS), LENGTH)
    attrs = {"model": student.name, "m": student.model.m, "ell": student.model.ell}
    return summarise([(stream.h.flatten(1, 2), documents)], attrs=attrs)


def ablation_of(student: Student) -> xr.Dataset:
    """The dataset of `ablate`, with the student's own loss."""
    kinds = (*KINDS, *doses(student.model.ell))
    return ablate(student.model, student.tokens, kinds, loss=student.loss)


def measured(student: Student) -> dict[str, float]:
    """All statistics of one network; NaN where one has no meaning."""
    return read_probe(probe_of(student)) | read_ablation(ablation_of(student))


def measured_table(networks: Iterable[Student]) -> xr.Dataset:
    """All statistics of many networks.

    Returns
    -------
    xarray.Dataset
        `value` (network, statistic), `explained` (network), with coordinates regime, m, ell,
        teacher, gain, rho of each network.
    """
    import xarray as xr

    rows: list[Mapping[str, float]] = []
    facts: dict[str, list] = {}
    for student in networks:
        rows.append(measured(student))
        for name, value in _facts(student).items():
            facts.setdefault(name, []).append(value)
    values = np.array([[row[name] for name in STATISTICS] for row in rows])
    return xr.Dataset(
        {"value": (("network", "statistic"), values)},
        coords={"statistic": list(STATISTICS)} | {k: ("network", v) for k, v in facts.items()},
    )


def _facts(student: Student) -> dict[str, str | int | float]:
    with torch.inference_mode():
        explained = student.explained()
    return {
        "regime": student.regime,
        "m": student.model.m,
        "ell": student.model.ell,
        "teacher": student.teacher,
        "gain": student.gain,
        "rho": student.rho,
        "explained": explained,
    }


def _chained(
    trained: Iterable[Iterator[Student]], plan: Design, runtime: Runtime
) -> Iterator[Student]:
    for networks in trained:
        yield from networks
    for task in tasks(plan):
        if task.regime == UNTRAINED_AS:
            yield from untrained(task, runtime)
