"""`probe`: certify, measure, keep checkpoints, and label the result."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from companion.errors import InputError
from companion.models import Model, as_model, find_parts, loaded_once
from companion.probing import dataset as files
from companion.probing.lens.certificate import certify
from companion.probing.lens.readout import Readout
from companion.probing.quantities import GEOMETRY, PARTS
from companion.probing.settings import Probing, Settings
from companion.probing.sweep import checkpoint
from companion.probing.sweep.batch import path_values
from companion.probing.sweep.checkpoint import identity
from companion.probing.sweep.loop import Sweep
from companion.probing.sweep.memory import blocks_at_once
from companion.probing.sweep.noise import measure_noise
from companion.probing.sweep.shards import probe_shards
from companion.probing.sweep.state import CLUSTERS, Batch, State
from companion.probing.sweep.tokens import Shard, TokenBlocks, open_source
from companion.provenance import provenance
from companion.runs import Output, Progress, silent
from companion.runs.identity import plain
from companion.runs.output import ATTRIBUTE
from companion.runtime import Runtime
from companion.statistics.streaming import cluster_of

if TYPE_CHECKING:
    from distributed import Client
    from transformers import PreTrainedModel


def probe(
    model: Model | str | PreTrainedModel,
    tokens: Any,
    *,
    runtime: Runtime | None = None,
    limit: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    client: Client | None = None,
    shards: int = 0,
    **settings: Any,
) -> xr.Dataset:
    """All per-layer statistics of a model on a text, in one pass and in constant memory.

    Parameters
    ----------
    model : Model, str, or transformers.PreTrainedModel
        A loaded model, the name of one, or a transformers model that is in memory already.
    tokens : integer tensor (block, position), corpus, or name of a corpus
        Each row of a tensor counts as a document of its own.
    runtime : Runtime, optional
        For loading by name; `Runtime.choose()` without it.
    limit : int, optional
        Tokens in all; without it the whole text.
    out : path, optional
        Where to write the result; a checkpoint lies beside it meanwhile.
    resume : bool
        Go on from the checkpoint of a run with the same parameters; a result that is complete is
        returned as it is, with a warning that says so.
    overwrite : bool
        Replace what is there; without it and without `resume` it is refused.
    progress : companion.runs.Progress
        Called with (tokens done, tokens in all or None); of a client with shards.
    client : distributed.Client, optional
        Its workers do the work, in shards that are merged; they find names and files by themselves.
    shards : int
        For a client: into how many parts the text is dealt, by default one for each worker. The
        number decides in which order sums are taken, and so their last bits.
    **settings
        Fields of `companion.probing.settings.Probing`: lens, lens_fraction, sink_ratio,
        paper_compat, noise_batches, until_sem; block_length (of a corpus given by name),
        batch_size, shard, compile. Every shard reads and tokenises the whole text; for many of
        them, tokenise once and give the tensor.

    Returns
    -------
    xarray.Dataset
        Variables (group, layer, statistic), see the chapter on notation; it carries the state of
        its accumulators, so that `merge` is exact.

    Raises
    ------
    InputError
        Where model, corpus or parameters do not fit together, or as `companion.runs.Output`.
    """
    if client is not None:
        kept = {"path": out, "resume": resume, "overwrite": overwrite}
        return probe_shards(
            client, _shard, model, tokens, runtime, limit, settings, shards, progress, **kept
        )
    asked = Probing(**settings)
    loaded = as_model(model, runtime)
    source, part = open_source(tokens, loaded, asked.block_length, limit), Shard.parse(asked.shard)
    definite = asked.resolved(loaded, source.facts["length"])
    same = identity(loaded, source, definite)
    with Output(out, same | {"shard": str(part)}, resume=resume, overwrite=overwrite) as output:
        if output.finished is not None:
            warnings.warn(f"{str(out)!r} is complete: there is nothing to do", stacklevel=2)
            return output.finished
        certificate = certify(loaded, loaded.runtime.seed)
        readout = Readout.of(loaded, certificate, asked.compile)
        sweep = begin(loaded, source, definite, part, asked.batch_size, readout)
        file = output.part(checkpoint.FILE)
        with torch.no_grad():
            if not checkpoint.take_up(sweep, file):
                sweep.state = measure_noise(sweep, asked.noise_batches)
            sweep.run(progress, checkpoint.keeper(file))
        about = {"certificate": json.dumps(certificate), "settings": json.dumps(same)}
        about |= {"shards": json.dumps([str(part)]), ATTRIBUTE: json.dumps(plain(output.settings))}
        result = files.to_dataset(sweep.state, _attributes(sweep, asked) | about)
        output.finish(result)
    return result


def _shard(
    model: str,
    tokens: Any,
    runtime: Runtime | None,
    limit: int | None,
    settings: dict[str, Any],
    shard: str,
    report: Progress,
) -> xr.Dataset:
    """One shard, on a worker: its bare state."""
    asked = {**settings, "shard": shard}
    loaded = loaded_once(model, runtime)
    return files.bare(probe(loaded, tokens, limit=limit, progress=report, **asked))


def begin(
    model: Model,
    source: TokenBlocks,
    settings: Settings,
    shard: Shard,
    at_once: int,
    readout: Readout,
) -> Sweep:
    """A sweep that has read nothing yet, of settings that are `resolved`."""
    parts = find_parts(model)
    device = "cpu" if model.device.type == "mps" else str(model.device)
    state = State.empty(settings.quantities + (PARTS if parts else ()), model.ell, device)
    rows = len(state.distribution.bins)
    length = source.facts["length"]
    at_once = at_once or blocks_at_once(model, settings, rows, length, readout.columns)
    return Sweep(model, source, settings, shard, state, at_once, readout, parts)


def _attributes(sweep: Sweep, asked: Probing) -> dict[str, Any]:
    """What was measured on what, for the dataset."""
    model, settings = sweep.model, sweep.settings
    manifest = sweep.source.manifest()
    placement = getattr(model.net, "hf_device_map", {"": model.device})
    stamp = provenance(model.runtime, asdict(asked))
    return {
        "model": model.name,
        "m": model.m,
        "V": model.V,
        "family": model.family,
        "corpus": json.dumps(manifest),
        "corpus_name": manifest["corpus"],
        "tokens": sweep.tokens,
        "blocks": sweep.blocks,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.runtime.device_name,
        "device_map": json.dumps({part: str(where) for part, where in placement.items()}),
        "lens": settings.lens,
        "lens_fraction": settings.share,
        "provenance": json.dumps([stamp]),
    }


def summarise(
    batches: Iterable[tuple[torch.Tensor, Any]], *, attrs: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """The geometry of paths that do not come from a language model, by the same accumulators.

    Parameters
    ----------
    batches : iterable of (h, documents)
        h : Tensor, shape (ell + 1, token, m); documents : int, shape (token,). All tokens count
        as group "rest".
    attrs : mapping, optional
        Goes into the dataset.

    Returns
    -------
    xarray.Dataset
        As of `probe`, without what needs a language model.
    """
    state, tokens = None, 0
    for h, documents in batches:
        cluster = torch.from_numpy(cluster_of(np.asarray(documents), CLUSTERS)).to(h.device)
        group = torch.zeros_like(cluster)
        state = state or State.empty(GEOMETRY, len(h) - 1, str(h.device))
        values, correlation = path_values(h, group, cluster)
        state = state.add(Batch(values, correlation, group, cluster))
        tokens += h.shape[1]
    if state is None:
        raise InputError("there are no states to summarise: give at least one batch")
    return files.to_dataset(state, {"tokens": tokens, **(attrs or {})})
