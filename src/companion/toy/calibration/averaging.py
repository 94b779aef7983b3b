r"""What students of one teacher have in common: are a network's errors a draw, or its share?

With errors :math:`e_i = \hat h_i - y` of M students of one teacher, the loss splits into a common
part, which no average over students removes, and a part that differs from student to student,

.. math:: L_i = \langle |e_i|^2 \rangle / m, \qquad
          C = \overline{\langle e_i \cdot e_j \rangle}_{i \ne j} / m, \qquad V = \bar L - C,

so that the mean of M students has the loss C + V/M. If every block were an independent estimate of
the same update, V would fall as 1/ell, and students of different seeds would share no error.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from companion.errors import InputError
from companion.runs import Keep, Progress, computed, silent
from companion.runtime import Runtime
from companion.statistics.intervals import Interval
from companion.toy.analysis import over_replicates
from companion.toy.calibration.design import Design, Task, by_regime, tasks
from companion.toy.calibration.students import held_out
from companion.toy.calibration.training import CalibrationEngine, seconds, trained

if TYPE_CHECKING:
    import xarray as xr

APART = ("other seed", "other data", "both")
"""In what two students of one teacher differ: initial weights, training data, or both."""


def errors(engine: CalibrationEngine, task: Task, runtime: Runtime) -> Tensor:
    """Errors of all students on held-out samples, (ell, teacher, seed, sample, m)."""
    x, target = held_out(task, runtime)
    by_depth: dict[int, list[Tensor]] = {}
    with torch.no_grad():
        for stack in engine.stacks:
            error = stack.final(x[stack.teacher]) - target[stack.teacher]
            by_depth.setdefault(stack.ell, []).append(error)
    count = len(task.spec.rho) * task.spec.teachers
    each = [torch.cat(by_depth[ell]).unflatten(0, (count, -1)) for ell in task.spec.depths]
    return torch.stack(each).double()


def products(e: Tensor, f: Tensor) -> np.ndarray:
    """Mean products per channel of errors, (..., seed, seed); of shape (..., seed, sample, m)."""
    a, b = e.flatten(-2), f.flatten(-2)
    return (a @ b.transpose(-1, -2) / a.shape[-1]).cpu().numpy()


def split(loss: np.ndarray, common: np.ndarray) -> dict[str, np.ndarray]:
    """Loss, common and varying part (loss = common + varying), correlation of the errors."""
    return {
        "loss": loss,
        "common": common,
        "varying": loss - common,
        "correlation": common / loss,
    }


def off_diagonal(table: np.ndarray) -> np.ndarray:
    """Mean of the entries of (..., n, n) that are not on the diagonal."""
    n = table.shape[-1]
    return (table.sum((-2, -1)) - np.trace(table, axis1=-2, axis2=-1)) / (n * (n - 1))


def gain(parts: xr.Dataset, students: int) -> xr.DataArray:
    """Loss of the mean of so many students over the loss of one, (C + V/M) / L; 1/M if apart."""
    return (parts["common"] + parts["varying"] / students) / parts["loss"]


def measure(
    chosen: Design,
    runtime: Runtime,
    seeds: int = 3,
    progress: Progress = silent,
    kept: Keep = computed,
) -> xr.Dataset:
    """Train several students of every teacher, on the same and on other data, and compare errors.

    Parameters
    ----------
    chosen : Design
    runtime : Runtime
    seeds : int
        Students of each teacher and depth that see the same data, at least 2; as many see other
        data from the same initial weights.
    progress : callable
    kept : callable
        Keeps what is finished, see `runs.Output.kept`.

    Returns
    -------
    xarray.Dataset
        `loss`, `common`, `varying`, `correlation` (regime, apart, ell, teacher); see the module.
    """

    if seeds < 2:
        raise InputError(f"{seeds} students of a teacher cannot be compared: use 2 or more")
    every = tasks(chosen)
    parts = [
        kept(f"{task.name}.nc", partial(_compared, task, runtime, seeds, progress))
        for task in every
    ]
    return by_regime(parts, every)


def exponent(parts: xr.Dataset, part: str, regime: str, apart: str = "both") -> Interval:
    """Exponent a of a part of the loss, ell^-a, one line for each teacher: mean, Student's t.

    Parameters
    ----------
    parts : xarray.Dataset
        From `measure`.
    part : str
        "loss", "common" or "varying".
    regime, apart : str

    Raises
    ------
    InputError
        Where a part is not positive and has no exponent.
    """
    rows = parts[part].sel(regime=regime, apart=apart).transpose("ell", "teacher")
    if float(rows.min()) <= 0:
        raise InputError(f"the {part} part of {regime} is not positive: it has no exponent")
    slopes = np.polyfit(np.log(rows["ell"].values), np.log(rows.values), 1)[0]
    return over_replicates(-slopes)


def correlation(parts: xr.Dataset, regime: str, ell: int, apart: str = "both") -> Interval:
    """Correlation of the errors of two students at a depth, over teachers."""
    return over_replicates(parts["correlation"].sel(regime=regime, ell=ell, apart=apart).values)


def estimate(chosen: Design, runtime: Runtime, seeds: int = 3) -> float:
    """Seconds that `measure` will take on this machine."""
    counts = [seeds] + [1] * (seeds - 1)
    return sum(seconds(_of(task, n), runtime) for task in tasks(chosen) for n in counts)


def _of(task: Task, seeds: int) -> Task:
    return replace(task, spec=replace(task.spec, seeds=seeds))


def _compared(task: Task, runtime: Runtime, seeds: int, progress: Progress) -> xr.Dataset:
    """Everything about one regime."""
    import xarray as xr

    def of(count: int, data: int) -> Tensor:
        one = _of(task, count)
        return errors(trained(one, runtime, progress, data), one, runtime)

    seeded = of(seeds, 0)
    fed = torch.cat([seeded[:, :, :1], *(of(1, data) for data in range(1, seeds))], 2)
    by_seed, by_data = products(seeded, seeded), products(fed, fed)
    parts = [
        split(np.diagonal(by_seed, axis1=-2, axis2=-1).mean(-1), off_diagonal(by_seed)),
        split(np.diagonal(by_data, axis1=-2, axis2=-1).mean(-1), off_diagonal(by_data)),
    ]
    # The first student of either is the same one; all others differ in seed and in data.
    between = products(seeded[:, :, 1:], fed[:, :, 1:]).mean((-2, -1))
    parts.append(split((parts[0]["loss"] + parts[1]["loss"]) / 2, between))
    variables = {
        k: (("apart", "ell", "teacher"), np.array([p[k] for p in parts])) for k in parts[0]
    }
    return xr.Dataset(variables, coords={"apart": list(APART), "ell": list(task.spec.depths)})
