"""`probe`: certify, measure, keep checkpoints, and label the result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from companion.errors import InputError
from companion.models import Model, find_parts, load_model
from companion.probing import dataset as files
from companion.probing.certificate import certify
from companion.probing.checkpoint import Checkpoint, identity
from companion.probing.lens import reduce_logits
from companion.probing.measure import path_values
from companion.probing.memory import blocks_at_once
from companion.probing.noise import measure_noise
from companion.probing.quantities import GEOMETRY, PARTS
from companion.probing.settings import Settings
from companion.probing.source import Shard, Source, open_source
from companion.probing.state import CLUSTERS, Batch, State
from companion.probing.sweep import Progress, Sweep
from companion.provenance import provenance
from companion.runtime import Runtime
from companion.statistics.streaming import cluster_of


def probe(
    model: Model | str,
    tokens: Any,
    *,
    runtime: Runtime | None = None,
    block_length: int | None = None,
    limit: int | None = None,
    batch_size: int | None = None,
    shard: str = "0/1",
    compile: bool = False,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> xr.Dataset:
    """All per-layer statistics of a model on a text, in one pass and in constant memory.

    Parameters
    ----------
    model : Model or str
        A loaded model, or the name of one.
    tokens : integer tensor (block, position), corpus, or name of a corpus
        Each row of a tensor counts as a document of its own.
    runtime : Runtime, optional
        For loading by name; `Runtime.choose()` without it.
    block_length, limit : int, optional
        Tokens in a block and tokens in all, for a corpus given by name.
    batch_size : int, optional
        Blocks at once; by default what fits into memory. Halved when memory runs out.
    shard : str
        "I/N" with 0 <= I < N: only each N-th block, starting with the I-th. Every shard reads and
        tokenises the whole text; for many of them, tokenise once and give the tensor.
    compile : bool
        Fuse the reduction of logits with torch.compile.
    out : path, optional
        Where to write the result; a checkpoint lies beside it meanwhile.
    resume : bool
        Go on from the checkpoint of a run with the same parameters; a result that is complete is
        returned as it is, with a warning that says so.
    progress : callable, optional
        Called with (tokens done, tokens in all or None).
    **settings
        lens : "last_block" (default), "logit", "both" or "none".
        lens_fraction : share of the tokens whose lens is read, drawn at random in each block.
        sink_ratio : tokens whose norm exceeds that many medians count as attention sinks.
        paper_compat : the published choices (last state normed, bfloat16 cosines, sinks pooled).
        noise_batches : batches repeated in float32 where the model runs in less.
        until_sem : {quantity: standard error} at which to stop.

    Returns
    -------
    xarray.Dataset
        Variables (group, layer, statistic), see the chapter on notation; it carries the state of
        its accumulators, so that `merge` is exact.

    Raises
    ------
    InputError
        Where model, corpus or parameters do not fit together.
    """
    chosen = Settings(**settings)
    if isinstance(model, str):
        model = load_model(model, runtime or Runtime.choose())
    source = open_source(tokens, model, block_length, limit)
    part = Shard.parse(shard)
    kept = Checkpoint(out, identity(model, source, chosen), part)
    if resume and (done := kept.finished()) is not None:
        return done
    certificate = certify(model, model.runtime.seed)
    under_way = _begin(model, source, chosen, part, batch_size, compile)
    with torch.no_grad():
        if not (resume and kept.take_up(under_way)):
            under_way.state = measure_noise(under_way, chosen.noise_batches)
        under_way.run(progress, kept.write)
    about = {"certificate": json.dumps(certificate), **kept.about}
    result = files.to_dataset(under_way.state, _attributes(under_way) | about)
    kept.finish(result)
    return result


def _begin(
    model: Model, source: Source, settings: Settings, shard: Shard, at_once: int | None, fuse: bool
) -> Sweep:
    if at_once is not None and at_once < 1:
        raise InputError(f"batch size {at_once} is out of range: use at least 1 block")
    device = "cpu" if model.device.type == "mps" else str(model.device)
    parts = find_parts(model)
    quantities = settings.quantities + (PARTS if parts else ())
    state = State.empty(quantities, model.ell, device)
    rows = len(state.distribution.bins)
    at_once = at_once or blocks_at_once(model, settings, rows, source.facts["length"])
    reduce = torch.compile(reduce_logits, dynamic=True) if fuse else reduce_logits
    return Sweep(model, source, settings, shard, state, at_once, parts, reduce)


def _attributes(sweep: Sweep) -> dict[str, Any]:
    """What was measured on what, for the dataset."""
    model, settings = sweep.model, sweep.settings
    manifest = sweep.source.manifest()
    placement = getattr(model.net, "hf_device_map", {"": model.device})
    stamp = provenance(model.runtime, asdict(settings) | {"shard": str(sweep.shard)})
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
