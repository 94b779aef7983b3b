"""The state as a labelled dataset, on disk, and back; merging of files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from companion.errors import InputError
from companion.files import read_netcdf, write_netcdf
from companion.probing.quantities import GEOMETRY, PARTS, Quantity, lens_quantities
from companion.probing.sweep.state import GROUPS, State, pairs
from companion.statistics.streaming import STATISTICS

STATE = "state_"
MOST_BINS = 160
PACKING = {"zlib": True, "complevel": 1}
KEPT_HISTOGRAMS = ("norm", "theta", "theta_dh")
DIMENSIONS = {
    "counts": ("row", "group", "cluster"),
    "sums": ("row", "group", "cluster"),
    "squares": ("row", "group"),
    "low": ("row", "group"),
    "high": ("row", "group"),
    "histogram": ("row", "group", "fine_bin"),
    "correlation_counts": ("pair", "group", "cluster"),
    "correlation_sums": ("pair", "group", "cluster"),
    "noise": ("row", "noise_sum"),
}
BY_NAME = {q.name: q for q in (*GEOMETRY, *PARTS, *lens_quantities("both"))}


def to_dataset(state: State, attrs: Mapping[str, Any]) -> xr.Dataset:
    """The dataset of a state: statistics, histograms, correlations, and the state itself."""
    dataset = xr.Dataset(
        coords={
            "group": list(GROUPS),
            "layer": np.arange(state.ell + 1),
            "statistic": list(STATISTICS),
            "layer_i": np.arange(state.ell),
            "layer_j": np.arange(state.ell),
        },
    )
    statistics = state.distribution.statistics()
    for quantity in state.quantities:
        rows = state.rows()[quantity.name]
        _put_statistics(dataset, quantity, statistics[rows], state)
        _put_histogram(dataset, quantity, rows, state)
    _put_correlation(dataset, state)
    clusters = int((state.distribution.clusters.counts[0, 0] > 0).sum())
    kept = state_dataset(state, {**attrs, "clusters": clusters})
    return _packed(dataset.assign(kept.data_vars).assign_attrs(kept.attrs))


def state_dataset(state: State, attrs: Mapping[str, Any]) -> xr.Dataset:
    """The bare state, as in a checkpoint."""
    about = {**attrs, "ell": state.ell, "quantities": json.dumps(list(state.rows()))}
    arrays = {
        STATE + name: (tuple(STATE + d for d in DIMENSIONS[name]), array)
        for name, array in state.arrays().items()
    }
    return _packed(xr.Dataset(arrays, attrs=about))


def _packed(dataset: xr.Dataset) -> xr.Dataset:
    """The same, to be compressed wherever it is written."""
    for values in dataset.values():
        if values.size > 1000:
            values.encoding |= PACKING
    return dataset


def _put_statistics(
    dataset: xr.Dataset, quantity: Quantity, table: np.ndarray, state: State
) -> None:
    """Statistics (layer, group, statistic), layers without a value NaN; noise if measured."""
    about = {
        "units": quantity.unit,
        "long_name": quantity.meaning,
        "quantile_error": quantity.resolution(state.distribution.bins.number),
    }
    sums = state.noise[state.rows()[quantity.name]].numpy()
    if quantity.missing_layers is None:
        dataset[quantity.name] = (("group", "statistic"), table[0], about)
        return
    full = np.full((len(GROUPS), state.ell + 1, len(STATISTICS)), np.nan)
    full[:, : len(table)] = table.swapaxes(0, 1)
    dataset[quantity.name] = (("group", "layer", "statistic"), full, about)
    if sums[:, 1].any():
        noise = np.full(state.ell + 1, np.nan)
        noise[: len(table)] = np.sqrt(sums[:, 0] / sums[:, 1])
        about = {"units": quantity.unit, "long_name": "rms difference to a float32 repeat"}
        dataset[f"{quantity.name}_noise"] = ("layer", noise, about)


def _put_histogram(dataset: xr.Dataset, quantity: Quantity, rows: slice, state: State) -> None:
    """Counts of group "rest" by layer and bin, over the range in which there are any."""
    counts = state.distribution.histogram[rows, 0].cpu().numpy()
    if quantity.missing_layers is None or not counts.any():
        return
    inside = np.flatnonzero(counts[:, 1:-1].any(0))
    first, last = (inside[0], inside[-1] + 1) if len(inside) else (0, 1)
    step = -(-(last - first) // MOST_BINS)
    starts = np.arange(first, last, step)
    edges = state.distribution.bins.edges(rows.start)[np.append(starts, last)]
    full = np.zeros((state.ell + 1, len(starts)), np.int64)
    full[: len(counts)] = np.add.reduceat(counts[:, 1 + first : 1 + last], starts - first, axis=1)
    outside = counts.sum() - full.sum()
    about = {"long_name": f"tokens by {quantity.name}, group rest", "outside": int(outside)}
    dataset[f"{quantity.name}_histogram"] = (("layer", f"{quantity.name}_bin"), full, about)
    unit = {"units": quantity.unit, "logarithmic": int(quantity.logarithmic)}
    dataset[f"{quantity.name}_edges"] = (f"{quantity.name}_edge", edges, unit)


def _put_correlation(dataset: xr.Dataset, state: State) -> None:
    mean, sem = state.correlation.mean[:, 0], state.correlation.sem[:, 0]
    for name, values, diagonal in (("", mean, 1.0), ("_sem", sem, 0.0)):
        i, j = pairs(state.ell)
        matrix = np.full((state.ell, state.ell), diagonal)
        matrix[i, j] = matrix[j, i] = values.cpu().numpy()
        about = {
            "units": "1",
            "long_name": "mean cosine of dh_i and dh_j" + name.replace("_", ", "),
        }
        dataset[f"update_correlation{name}"] = (("layer_i", "layer_j"), matrix, about)


def to_state(dataset: xr.Dataset, device: str = "cpu") -> State:
    """The state that a dataset carries."""
    quantities = [BY_NAME[name] for name in json.loads(dataset.attrs["quantities"])]
    arrays = {name: dataset[STATE + name].values for name in DIMENSIONS}
    return State.from_arrays(quantities, int(dataset.attrs["ell"]), arrays, device)


def save(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a probe file (NetCDF): whole or not at all."""
    write_netcdf(_packed(dataset), path)


def open(path: str | Path) -> xr.Dataset:
    """Read a probe file into memory.

    Raises
    ------
    InputError
        If the file is missing or no probe file.
    """
    dataset = read_netcdf(path)
    if "quantities" not in dataset.attrs:
        raise InputError(f"{str(path)!r} is not a probe file: make one with companion probe")
    return dataset


def compact(dataset: xr.Dataset) -> xr.Dataset:
    """All figures without the state behind them, in float32: small, and not to be merged further.

    Of the histograms only those of `KEPT_HISTOGRAMS` stay.
    """
    gone = [name for name in map(str, dataset.data_vars) if _is_bulk(name)]
    small = dataset.drop_vars(gone)
    for name, values in small.items():
        if values.dtype == np.float64:
            small[name] = values.astype(np.float32)
    return small.assign_attrs(compact=1)


def _is_bulk(name: str) -> bool:
    shown = name.removesuffix("_histogram").removesuffix("_edges")
    return name.startswith(STATE) or (name != shown and shown not in KEPT_HISTOGRAMS)


def merge(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """The dataset of all shards together, exact but for the rounding of float64 sums.

    Raises
    ------
    InputError
        If they are of different models, corpora or settings, or share a shard.
    """
    return completed(merge_states(datasets))


def completed(bare: xr.Dataset) -> xr.Dataset:
    """The dataset with all figures of a bare state."""
    return to_dataset(to_state(bare), bare.attrs)


def bare(dataset: xr.Dataset) -> xr.Dataset:
    """The state alone: a sixth of the variables to write and to read where many are merged."""
    return dataset[[STATE + name for name in DIMENSIONS]]


def merge_states(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """As `merge`, but the `bare` state."""
    if not datasets:
        raise InputError("nothing to merge: give at least one probe file")
    first, *rest = datasets
    if any("compact" in d.attrs for d in datasets):
        raise InputError("a compact file has no state to merge: keep the whole one for that")
    if any("next_block" in d.attrs for d in datasets):
        raise InputError("a checkpoint (state.nc) cannot be merged: let its run end, --resume")
    needed = ("settings", "shards", "provenance", "tokens", "blocks")
    if any(name not in d.attrs for d in datasets for name in needed):
        raise InputError("only files of companion probe can be merged, not summaries of paths")
    for other in rest:
        _check_same(first, other)
    shards = [shard for d in datasets for shard in json.loads(d.attrs["shards"])]
    _check_shards(shards)
    state = reduce(State.merge, (to_state(d) for d in datasets))
    stamps = {_but_time(p): p for d in datasets for p in json.loads(d.attrs["provenance"])}
    attrs = dict(first.attrs) | {
        "shards": json.dumps(sorted(shards)),
        "tokens": sum(int(d.attrs["tokens"]) for d in datasets),
        "blocks": sum(int(d.attrs["blocks"]) for d in datasets),
        "provenance": json.dumps(list(stamps.values())),
    }
    return state_dataset(state, attrs)


def _but_time(stamp: Mapping[str, Any]) -> str:
    """What a stamp says besides its time and shard: of runs that are alike the last one stays."""
    of_one = {"shard": None}
    return json.dumps({**stamp, "time": None, "parameters": {**stamp["parameters"], **of_one}})


def _check_shards(shards: list[str]) -> None:
    """Each at most once, and all of one division: otherwise blocks would count twice."""
    twice = sorted(shard for shard, count in Counter(shards).items() if count > 1)
    if twice:
        raise InputError(f"shard {twice[0]} is in two of the files: each shard may come once")
    divisions = sorted({shard.partition("/")[2] for shard in shards}, key=int)
    if len(divisions) > 1:
        raise InputError(
            f"shards of {' and of '.join(divisions)} cannot be merged: their blocks overlap"
        )


def _check_same(first: xr.Dataset, other: xr.Dataset) -> None:
    ours, theirs = (json.loads(d.attrs["settings"]) for d in (first, other))
    for key in ours:
        if ours[key] != theirs.get(key):
            raise InputError(
                f"files with different {key} cannot be merged: {ours[key]} and {theirs.get(key)}"
            )
    if first.attrs["quantities"] != other.attrs["quantities"]:
        raise InputError("files with different quantities cannot be merged")
