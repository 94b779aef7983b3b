"""The same probe on the checkpoints of a training: how does the use of depth come about?

A checkpoint is a revision of a model ("NAME@step64", see `load_model`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.errors import InputError
from companion.probing.summaries import (
    depth,
    evenness,
    middle_layers,
    middle_mean,
    own_loss,
    profile,
    update_cosine,
)
from companion.probing.training.revisions import digest, path, sketch
from companion.provenance import provenance
from companion.runs import Output, Progress, silent
from companion.runs.shards import ask, gathered
from companion.runtime import Runtime
from companion.statistics.intervals import Interval

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

PROFILES = ("norm", "theta", "theta_dh", "cross_entropy")
BOUNDS = ("estimate", "low", "high")


def steps(revisions: str) -> dict[str, int]:
    """Training step of each revision of a list such as "step0,step8,step64".

    The step is the number after the word "step", or else the first number of the name.

    Raises
    ------
    InputError
        If a revision has no number in its name, or the numbers do not rise.
    """
    at = {}
    for name in filter(None, (part.strip() for part in revisions.split(","))):
        number = re.search(r"step\D?(\d+)", name) or re.search(r"(\d+)", name)
        if number is None:
            raise InputError(f"revision {name!r} has no step in its name: use names like step1000")
        at[name] = int(number.group(1))
    if not at or sorted(set(at.values())) != list(at.values()):
        raise InputError(f"revisions {revisions!r} must be steps in rising order, each once")
    return at


def track_checkpoints(
    models: str,
    revisions: str,
    runtime: Runtime,
    *,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    client: Client | None = None,
    shards: int = 0,
    **options: Any,
) -> xr.Dataset:
    """Probe every revision of every model on the same text.

    Parameters
    ----------
    models : str
        Names between commas, without revisions.
    revisions : str
        As for `steps`.
    runtime : Runtime
    out : Path, optional
        NetCDF file for the result. Until it is complete, the checkpoints that are done lie in a
        folder beside it. The sketches are large and are left out; `moved` and `detour` remember
        what they said.
    resume, overwrite : bool
        Continue what an interrupted call left there; or replace what is there.
    progress : companion.runs.Progress
        Told before each probe how many checkpoints are done; its note is the next one's name.
    client : distributed.Client, optional
        Its workers probe the checkpoints, dealt into `shards` parts (0: a part for each).
    shards : int
    **options
        As for `companion.probing.compare_models.probe_one`.

    Returns
    -------
    Dataset
        Dims model, step, and layer for profiles (means over tokens; NaN beyond a model's depth).
        `rotation`, `participation`, `cosine` and `loss` (nats/token) have a dim `bound` of
        estimate, low, high (95 %). `digest`, `sketch`, `moved` and `detour` tell checkpoints
        apart, see `companion.probing.training.revisions`.

    Raises
    ------
    InputError
        As `companion.runs.Output` and `probe_one`.
    """
    import xarray as xr

    from companion.probing.compare_models import model_names

    at = steps(revisions)
    names = model_names(models)
    given = {"models": names, "revisions": list(at), **options}
    given |= {"dtype": runtime.dtype, "seed": runtime.seed}
    with Output(out, given, resume=resume, overwrite=overwrite) as output:
        if output.finished is not None:
            return output.finished
        checkpoints = [f"{name}@{revision}" for name in names for revision in at]
        units = {f"{re.sub(r'[^A-Za-z0-9@.-]', '_', one)}.nc": one for one in checkpoints}
        common = (runtime, options)
        found = gathered(client, _records, common, units, shards, output, progress)
        rows = [
            xr.concat(found[first : first + len(at)], "step", join="outer")
            for first in range(0, len(found), len(at))
        ]
        result = xr.concat(rows, "model", join="outer")
        result = result.assign_coords(step=list(at.values()), model=names)
        result = result.assign(path(result))
        result.attrs = {"provenance": json.dumps(ask(client, provenance, runtime, given))}
        output.finish(result.drop_vars("sketch"))
    return result


def _records(
    runtime: Runtime, options: Mapping[str, Any], checkpoints: Sequence[str], report: Progress
) -> list[xr.Dataset]:
    """Some checkpoints, here or on a worker."""
    records = []
    for number, one in enumerate(checkpoints, 1):
        records.append(_record(one, runtime, options))
        report(number, len(checkpoints))
    return records


def _record(checkpoint: str, runtime: Runtime, options: Mapping[str, Any]) -> xr.Dataset:
    import xarray as xr

    from companion.models import load_model
    from companion.probing.compare_models import probe_loaded

    model = load_model(checkpoint, runtime)
    probed = probe_loaded(model, **options)
    generator = runtime.numpy_generator()
    summaries = {
        "rotation": middle_mean(probed),
        "participation": evenness(probed, generator),
        "cosine": _cosine(probed),
        "loss": own_loss(probed),
    }
    some = sketch(model.net)
    return xr.Dataset(
        {name: ("bound", [i.estimate, i.low, i.high]) for name, i in summaries.items()}
        | {name: ("layer", profile(probed, name)) for name in PROFILES}
        | {"sketch": ("entry", some), "digest": digest(model.net)}
        | {"ell": model.ell, "m": model.m},
        coords={
            "bound": list(BOUNDS),
            "layer": np.arange(model.ell + 1),
            "entry": np.arange(len(some)),
        },
    )


def _cosine(probed: xr.Dataset) -> Interval:
    if len(middle_layers(depth(probed))) < 2:
        return Interval(np.nan, np.nan, np.nan)
    return update_cosine(probed)
