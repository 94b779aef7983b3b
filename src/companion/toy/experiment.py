"""From a specification to a labelled result: train, test at logarithmic times, save, resume."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from companion import geometry
from companion.provenance import provenance
from companion.runs import Every, Output, Progress, silent
from companion.runtime import Runtime
from companion.toy.networks.teachers import Teachers
from companion.toy.shards import run_parts
from companion.toy.specification import Specification, specification
from companion.toy.training import checkpoint as checkpoints
from companion.toy.training.engine import Engine, mean_entropy
from companion.toy.training.graphs import GraphedEngine

if TYPE_CHECKING:
    from distributed import Client

DIMS = ("teacher", "temperature", "seed", "depth", "step")
SAVE_EVERY = 60.0


def run_toy(
    spec: Specification | str | Path,
    runtime: Runtime | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    graph: bool = False,
    client: Client | None = None,
    shards: int = 0,
) -> xr.Dataset:
    """Train all students of a specification and test them at logarithmic times.

    Parameters
    ----------
    spec : Specification, or the name or file of one
        What to train.
    runtime : Runtime, optional
        Device and dtype, float32 by default. The seed is the specification's.
    out : path, optional
        NetCDF file of the result; until it is there, the state is kept beside it every minute.
    resume, overwrite : bool
        Go on with what is there, or replace it, see `companion.runs.Output`.
    progress : callable
        Called about once a second with (steps done, steps in all) and the loss at each depth.
    graph : bool
        Replay each step as one CUDA graph, see `companion.toy.training.graphs`.
    client : distributed.Client, optional
        Its workers train parts of the experiment, about `shards` (0: one for each temperature).
    shards : int

    Returns
    -------
    xarray.Dataset
        `test_loss`, `test_sem`, `train_loss` (teacher, temperature, seed, depth, step), in nats or
        squared units; `entropy` (teacher, temperature) in nats; `diverged`; per layer of the
        trained students `theta`, `theta_dh` (radians), and `update_correlation` by lag.

    Raises
    ------
    InputError
        If the specification, dtype or device does not fit, a checkpoint is damaged, or as `Output`.
    """
    spec = spec if isinstance(spec, Specification) else specification(spec)
    runtime = runtime or Runtime.choose("auto", "float32", spec.seed)
    settings = spec.to_dict() | {"numbers": numbers_of(runtime)}
    with Output(out, settings, resume=resume, overwrite=overwrite) as output:
        if output.finished is not None:
            return output.finished
        if client is not None:
            whole = partial(run_toy, graph=graph)
            result = run_parts(client, whole, spec, runtime, shards, output, progress)
            output.finish(result)
            return result
        path = output.part("checkpoint.safetensors")
        begun = checkpoints.read(path, runtime.device) if path and path.exists() else None
        engine = (GraphedEngine if graph else Engine)(spec, runtime, begun and begun.group)
        record = begun.restore(engine) if begun else _empty(spec)
        _train(engine, record, path, progress)
        result = _labelled(engine, record, runtime)
        output.finish(result)
    return result


def numbers_of(runtime: Runtime) -> str:
    """Where and how a run's numbers are made: batches and rounding depend on both."""
    return f"{runtime.device.split(':')[0]} {runtime.dtype}"


def times(spec: Specification) -> np.ndarray:
    """Steps after which the students are tested: 0, then logarithmically spaced to the last."""
    spaced = np.geomspace(1, spec.steps, spec.times).round().astype(int)
    return np.unique(np.concatenate([[0], spaced]))


def target_entropy(
    spec: Specification, runtime: Runtime, temperatures: Sequence[float]
) -> xr.DataArray:
    """Mean entropy of the targets in nats, (teacher, temperature); trains nothing."""
    spec = dataclasses.replace(spec, temperatures=tuple(temperatures))
    teachers = Teachers(spec, runtime.device, runtime.torch_dtype)
    coords = {k: v for k, v in _coordinates(spec).items() if k not in ("seed", "depth", "step")}
    return xr.DataArray(mean_entropy(teachers, spec), coords, ("teacher", "temperature"))


def _empty(spec: Specification) -> dict[str, np.ndarray]:
    shape = (len(times(spec)), len(spec.depths), spec.members)
    return {name: np.full(shape, np.nan) for name in ("test_loss", "test_sem", "train_loss")}


def _train(engine: Engine, record: dict, path: Path | None, progress: Progress) -> None:
    spec, marks = engine.spec, {int(t): i for i, t in enumerate(times(engine.spec))}
    report_due, save_due = Every(1.0, at_once=True), Every(SAVE_EVERY)
    if engine.step == 0:
        _test(engine, record, 0)
    with engine.workers():
        while engine.step < spec.steps:
            losses = engine.advance()
            if engine.step in marks:
                _write(engine, record["train_loss"], marks[engine.step], losses)
                _test(engine, record, marks[engine.step])
            if report_due.due() or engine.step == spec.steps:
                progress(engine.step, spec.steps, note=_by_depth(engine, losses))
            if path and save_due.due():
                checkpoints.save(engine, record, path)


def _test(engine: Engine, record: dict, index: int) -> None:
    test = engine.test()
    record["test_loss"][index], record["test_sem"][index] = test.mean, test.sem


def _write(engine: Engine, into: np.ndarray, index: int, losses: list[torch.Tensor]) -> None:
    for (_, place), values in zip(engine.places(), losses, strict=True):
        into[index][place] = values.cpu().double().numpy()


def _by_depth(engine: Engine, losses: list[torch.Tensor]) -> str:
    """Mean training loss at each depth, in words."""
    each: dict[int, list[float]] = {}
    for stack, values in zip(engine.stacks, losses, strict=True):
        each.setdefault(stack.ell, []).append(float(values.mean()))
    means = (f"{ell}:{sum(of) / len(of):.3g}" for ell, of in sorted(each.items()))
    return f"loss {' '.join(means)}"


def _labelled(engine: Engine, record: dict, runtime: Runtime) -> xr.Dataset:
    spec = engine.spec
    unit = "nats" if spec.loss == "kl" else "squared units per channel"
    data = xr.Dataset(
        {name: (DIMS, _axes(spec, np.moveaxis(v, 0, -1))) for name, v in record.items()},
        coords=_coordinates(spec),
        attrs=_attributes(engine, runtime),
    )
    for name in record:
        data[name].attrs["units"] = unit
    data["entropy"] = (("teacher", "temperature"), engine.entropy(), {"units": "nats"})
    data["diverged"] = _diverged(data["test_loss"])
    return data.merge(_paths(engine))


def _axes(spec: Specification, values: np.ndarray) -> np.ndarray:
    """(depth, member, ...) -> (teacher, temperature, seed, depth, ...)."""
    shape = (len(spec.rho) * spec.teachers, len(spec.temperatures), spec.seeds)
    return np.moveaxis(values.reshape(len(spec.depths), *shape, *values.shape[2:]), 0, 3)


def _coordinates(spec: Specification) -> dict[str, Any]:
    return {
        "teacher": np.arange(len(spec.rho) * spec.teachers),
        "rho": ("teacher", np.repeat(spec.rho, spec.teachers)),
        "replicate": ("teacher", np.tile(np.arange(spec.teachers), len(spec.rho))),
        "temperature": list(spec.temperatures),
        "seed": np.arange(spec.seeds),
        "depth": list(spec.depths),
        "step": times(spec),
    }


def _attributes(engine: Engine, runtime: Runtime) -> dict[str, Any]:
    stamp = provenance(runtime, engine.spec.to_dict())
    return {
        "name": engine.spec.name,
        "specification": json.dumps(engine.spec.to_dict()),
        "members_per_stack": engine.group,
        "provenance": json.dumps(stamp),
    }


def _diverged(loss: xr.DataArray) -> xr.DataArray:
    """Whether a student's loss stopped being finite or ended above where it began."""
    last, first = loss.isel(step=-1), loss.isel(step=0)
    bad = last.isnull() | (last > first)
    return bad.drop_vars("step", errors="ignore").assign_attrs(
        long_name="loss not finite at the end, or above that of the untrained student"
    )


def _paths(engine: Engine) -> xr.Dataset:
    """Geometry of the trained students by the code that serves language models."""
    spec, deepest = engine.spec, max(engine.spec.depths)
    shape = (len(spec.depths), spec.members, deepest)
    means = {k: np.full(shape, np.nan) for k in ("theta", "theta_dh", "update_correlation")}
    for stack, (depth, part) in engine.places():
        if stack.ell > 1:
            for name, values in _means(engine.hidden_states(stack)).items():
                means[name][depth, part, : values.shape[1]] = values
    axes = {"theta": "layer", "theta_dh": "layer", "update_correlation": "lag"}
    units = {"theta": "rad", "theta_dh": "rad", "update_correlation": "1"}
    return xr.Dataset(
        {k: ((*DIMS[:4], axes[k]), _axes(spec, v), {"units": units[k]}) for k, v in means.items()},
        coords={"layer": np.arange(deepest), "lag": np.arange(1, deepest + 1)},
    )


def _means(h: torch.Tensor) -> dict[str, np.ndarray]:
    """Means over samples of h (member, layer, sample, m): each (member, layer or lag)."""
    path = geometry.trajectory(h.transpose(0, 1))
    ell = h.shape[1] - 1
    correlation = [geometry.update_cosines(one).mean(0) for one in h]
    lags = [[float(c.diagonal(lag).mean()) for lag in range(1, ell)] for c in correlation]
    return {
        "theta": path["theta"].mean(-1).T.cpu().numpy(),
        "theta_dh": path["theta_dh"].mean(-1).T.cpu().numpy(),
        "update_correlation": np.array(lags),
    }
