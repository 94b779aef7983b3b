"""The same probe on the checkpoints of a training: how does the use of depth come about?

Floor 2. A checkpoint is a revision of a model ("NAME@step64", see `load_model`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.claims import Claim, Measurement
from companion.probing.findings import INVERSE
from companion.probing.revisions import alarm_sentence, digest, sketch
from companion.probing.several import short
from companion.probing.summaries import (
    evenness,
    middle_layers,
    middle_mean,
    profile,
    update_cosine,
)
from companion.runtime import InputError, Runtime, atomic, provenance
from companion.statistics.intervals import Interval, around, log_slope

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

PROFILES = ("norm", "theta", "theta_dh", "cross_entropy")
BOUNDS = ("estimate", "low", "high")
Progress = Callable[[str, int, int], None]
"""Called before each probe with the checkpoint's name, how many are done, how many there are."""


def steps(revisions: str) -> dict[str, int]:
    """Training step of each revision of a list such as "step0,step8,step64".

    Raises
    ------
    InputError
        If a revision has no number in its name, or the numbers do not rise.
    """
    found = {}
    for name in filter(None, (part.strip() for part in revisions.split(","))):
        number = re.search(r"\d+", name)
        if number is None:
            raise InputError(f"revision {name!r} has no step in its name: use names like step1000")
        found[name] = int(number.group())
    if not found or sorted(set(found.values())) != list(found.values()):
        raise InputError(f"revisions {revisions!r} must be steps in rising order, each once")
    return found


def follow(
    models: str,
    revisions: str,
    runtime: Runtime,
    *,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
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
        folder beside it. The sketches are large and are left out; the attribute `alarm` remembers
        what they said.
    resume : bool
        Continue what an interrupted call left there.
    progress : callable, optional
        See `Progress`.
    **options
        As for `companion.probing.several.probe_one`.

    Returns
    -------
    Dataset
        Dims model, step, and layer for profiles (means over tokens; NaN beyond a model's depth).
        `rotation`, `participation`, `cosine` and `loss` (nats/token) have a dim `bound` of
        estimate, low, high (95 %). `digest` and `sketch` tell checkpoints apart, see
        `companion.probing.revisions`.

    Raises
    ------
    InputError
        If `out` is there already, the parts beside it are of another call, or as `probe_one` does.
    """
    import xarray as xr

    from companion.probing.several import listing

    at = steps(revisions)
    names = listing(models)
    given = {"models": names, "revisions": list(at), **options}
    parts = _parts(out, given, resume) if out else None
    tell = progress or (lambda *_: None)
    rows = []
    for name in names:
        row = []
        for revision in at:
            tell(f"{name}@{revision}", len(rows) * len(at) + len(row), len(names) * len(at))
            row.append(_kept(f"{name}@{revision}", parts, runtime, options))
        rows.append(xr.concat(row, "step", join="outer"))
    result = xr.concat(rows, "model", join="outer")
    result = result.assign_coords(step=list(at.values()), model=names)
    result.attrs = {"provenance": json.dumps(provenance(runtime, given))}
    result.attrs["alarm"] = alarm_sentence(result)
    if out and parts:
        save(result.drop_vars("sketch"), out)
        _discard(parts)
    return result


def _parts(out: Path, given: Mapping[str, Any], resume: bool) -> Path:
    parts, record = out.with_suffix(".parts"), json.dumps(given)
    if out.exists():
        raise InputError(f"{str(out)!r} is there already: choose another name or remove it")
    if parts.exists():
        if not resume:
            raise InputError(f"{str(parts)!r} holds an unfinished call: add --resume, or remove it")
        if (parts / "call.json").read_text(encoding="utf-8") != record:
            raise InputError(f"{str(parts)!r} is of a call with other parameters: remove it")
        return parts
    parts.mkdir(parents=True)
    with atomic(parts / "call.json") as temporary:
        temporary.write_text(record, encoding="utf-8")
    return parts


def _discard(parts: Path) -> None:
    for file in parts.iterdir():
        file.unlink()
    parts.rmdir()


def _kept(
    checkpoint: str, parts: Path | None, runtime: Runtime, options: Mapping[str, Any]
) -> xr.Dataset:
    """The record of one checkpoint, from its file if an earlier call left one."""
    if parts is None:
        return _record(checkpoint, runtime, options)
    file = parts / f"{re.sub(r'[^A-Za-z0-9@.-]', '_', checkpoint)}.nc"
    if not file.exists():
        save(_record(checkpoint, runtime, options), file)
    return load(file)


def save(dataset: xr.Dataset, path: str | Path) -> None:
    """Write to NetCDF, atomically."""
    with atomic(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")


def load(path: str | Path) -> xr.Dataset:
    """Read what `save` wrote."""
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as stored:
        return stored.load()


def _record(checkpoint: str, runtime: Runtime, options: Mapping[str, Any]) -> xr.Dataset:
    import xarray as xr

    from companion.models import load_model
    from companion.probing.several import probe_loaded

    model = load_model(checkpoint, runtime)
    probed = probe_loaded(model, **options)
    generator = runtime.numpy_generator()
    summaries = {
        "rotation": middle_mean(probed),
        "participation": evenness(probed, generator),
        "cosine": _cosine(probed),
        "loss": _last(probed),
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
    if len(middle_layers(int(probed.attrs["ell"]))) < 2:
        return Interval(np.nan, np.nan, np.nan)
    return update_cosine(probed)


def _last(probed: xr.Dataset) -> Interval:
    """The model's own loss: where the last-block lens reads, that block really follows."""
    values = (profile(probed, "cross_entropy", name)[-2] for name in ("mean", "sem"))
    return around(*map(float, values), method="clustered by document")


def rotation_exponents(followed: xr.Dataset) -> pd.DataFrame:
    """Exponent of the mean middle rotation against depth, with its interval, at each step.

    Returns
    -------
    DataFrame
        Index step; columns estimate, low, high. Needs models of three depths.
    """
    import pandas as pd

    ell = followed["ell"].isel(step=0).values
    rows = {}
    for step in followed["step"].values:
        found = log_slope(ell, followed["rotation"].sel(step=step, bound="estimate").values)
        rows[int(step)] = dict(zip(BOUNDS, (found.estimate, found.low, found.high), strict=True))
    return pd.DataFrame.from_dict(rows, "index").rename_axis("step")


def by_width(followed: xr.Dataset) -> dict[str, xr.Dataset]:
    """The models of each width m, narrow ones first, e.g. under "m = 64"."""
    m = followed["m"].isel(step=0).values
    return {f"m = {width}": followed.isel(model=m == width) for width in np.unique(m)}


def onset(frame: pd.DataFrame, low: float, high: float) -> int | None:
    """First step from which on the estimate lies in [low, high] to the end, None if never."""
    inside = frame["estimate"].between(low, high)
    if not inside.iloc[-1]:
        return None
    outside = np.flatnonzero(~inside)
    return int(frame.index[outside[-1] + 1 if len(outside) else 0])


START = (-0.75, 0.25)


def training_brings_the_inverse_law(followed: xr.Dataset) -> Claim:
    """Exponent of the mean middle rotation: near -1/2 or above at the start, near -1 at the end.

    Independent updates whose size does not depend on depth give 0, scaled by ell^(-1/2) they give
    -1/2; the range of the start reaches a quarter beyond both, up to where that of -1 begins.
    """
    frame = rotation_exponents(followed)
    given = json.loads(followed.attrs["provenance"])["parameters"]
    ends = [(frame.index[0], START), (frame.index[-1], INVERSE)]
    return Claim(
        "rotation-through-training",
        "It is training that makes the mean middle rotation fall as one over the depth; at the "
        "start it falls more slowly.",
        "open in the paper, which names training dynamics as a limit; our test",
        {
            "models": ", ".join(short(name) for name in followed["model"].values),
            "data": str(given["corpus"]),
            "size": f"{given['tokens']:,} tokens a checkpoint",
        },
        tuple(
            _measured(f"exponent at step {step}", frame.loc[step], expected)
            for step, expected in ends
        ),
    )


def _measured(name: str, found: pd.Series, expected: tuple[float, float]) -> Measurement:
    estimate, low, high = (float(found[bound]) for bound in BOUNDS)
    return Measurement(name, estimate, low, high, *expected)


def onset_sentence(frame: pd.DataFrame) -> str:
    """From which step on the estimated exponent stays in the range of an inverse law."""
    step = onset(frame, *INVERSE)
    last = frame.iloc[-1]
    told = f"At the last checkpoint the exponent is {last.estimate:.2f} ({last.low:.2f} to "
    told += f"{last.high:.2f})"
    if step is None:
        return f"{told}: outside the range of an inverse law, {INVERSE[0]} to {INVERSE[1]}."
    return f"{told}; its estimate stays between {INVERSE[0]} and {INVERSE[1]} from step {step} on."


def origin(followed: xr.Dataset) -> str:
    """Where and on what a stored result was measured, in words."""
    stamp = json.loads(followed.attrs["provenance"])
    given = stamp["parameters"]
    return (
        f"{followed.sizes['model']} models at {followed.sizes['step']} steps, "
        f"{given['tokens']:,} tokens of {given['corpus']} each, on {stamp['device']}, "
        f"{stamp['time'][:10]}, commit {stamp['commit']}. {followed.attrs['alarm']}"
    )
