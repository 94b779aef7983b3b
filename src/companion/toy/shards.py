"""A toy experiment in parts: some of its temperatures, and some of its depths, each.

Every draw is fixed by its own address, so that a student of a part is that of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import xarray as xr

from companion.runs import Output, Progress
from companion.runs.shards import gathered
from companion.runtime import Runtime
from companion.toy.specification import Specification

if TYPE_CHECKING:
    from distributed import Client


def run_parts(
    client: Client,
    run: Callable[..., xr.Dataset],
    spec: Specification,
    runtime: Runtime,
    shards: int,
    output: Output,
    progress: Progress,
) -> xr.Dataset:
    """The result of a specification, from parts that workers train by `run`.

    Temperatures are dealt out first. Where there are more shards, depths are too, although each
    part then asks its teachers anew.
    """
    temperatures = _dealt(spec.temperatures, shards or len(spec.temperatures))
    depths = _dealt(spec.depths, max(1, shards // len(temperatures)))
    parts = [replace(spec, temperatures=t, depths=d) for t in temperatures for d in depths]
    mark = f"{len(temperatures)}x{len(depths)}"
    units = {f"part-{index}-of-{mark}.nc": part for index, part in enumerate(parts)}
    found = gathered(client, _part, (run, runtime), units, 0, output, progress)
    rows = [
        _joined(found[first : first + len(depths)], "depth")
        for first in range(0, len(found), len(depths))
    ]
    whole = _joined(rows, "temperature")
    whole = whole.sel(temperature=list(spec.temperatures), depth=list(spec.depths))
    return whole.assign_attrs(_attributes(spec, found[0]))


def _dealt(values: tuple[Any, ...], parts: int) -> list[tuple[Any, ...]]:
    parts = min(parts, len(values))
    return [values[index::parts] for index in range(parts)]


def _part(
    run: Callable[..., xr.Dataset],
    runtime: Runtime,
    parts: Sequence[Specification],
    report: Progress,
) -> list[xr.Dataset]:
    """On a worker."""
    return [run(part, runtime, progress=report) for part in parts]


def _joined(parts: list[xr.Dataset], along: str) -> xr.Dataset:
    options: dict[str, Any] = {"data_vars": "minimal", "coords": "minimal", "compat": "override"}
    return xr.concat(parts, along, join="outer", combine_attrs="override", **options)


def _attributes(spec: Specification, part: xr.Dataset) -> dict[str, Any]:
    stamp = json.loads(part.attrs["provenance"]) | {"parameters": spec.to_dict()}
    return {"specification": json.dumps(spec.to_dict()), "provenance": json.dumps(stamp)}
