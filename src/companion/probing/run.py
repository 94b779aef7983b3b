"""`probe`: certify, measure, keep checkpoints, and label the result."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from companion.models import Model, find_parts, load_model
from companion.probing import dataset as files
from companion.probing.certificate import certify
from companion.probing.lens import reduce_logits
from companion.probing.measure import path_values
from companion.probing.noise import measure_noise
from companion.probing.quantities import GEOMETRY, PARTS
from companion.probing.settings import Settings
from companion.probing.source import Shard, Source, blocks_at_once, open_source
from companion.probing.state import CLUSTERS, Batch, State
from companion.probing.sweep import Progress, Sweep
from companion.runtime import InputError, Runtime, provenance
from companion.statistics.streaming import cluster_of

CHECKPOINT_SECONDS = 30.0


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
        "I/N" with 0 <= I < N: only each N-th block, starting with the I-th.
    compile : bool
        Fuse the reduction of logits with torch.compile.
    out : path, optional
        Where to write the result; a checkpoint lies beside it meanwhile.
    resume : bool
        Go on from the checkpoint of a run with the same parameters.
    progress : callable, optional
        Called with (tokens done, tokens in all or None).
    **settings
        lens : "last_block" (default), "logit", "both" or "none".
        lens_fraction : share of the tokens whose lens is read, drawn at random in each block.
        sink_ratio : tokens whose norm exceeds that many medians count as attention sinks.
        paper_compat : the published scripts' choices (normed last state, bfloat16 cosines).
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
    certificate = certify(model, model.runtime.seed)
    under_way = _begin(model, source, chosen, Shard.parse(shard), batch_size, compile)
    keep = _keeper(under_way, out)
    with torch.no_grad():
        if not (resume and _take_up(under_way, out)):
            under_way.state = measure_noise(under_way, chosen.noise_batches)
        under_way.run(progress, keep)
    result = _result(under_way, certificate)
    if out is not None:
        files.save(result, out)
        _partial(out).unlink(missing_ok=True)
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
    at_once = at_once or blocks_at_once(model, source.facts["length"])
    reduce = torch.compile(reduce_logits, dynamic=True) if fuse else reduce_logits
    return Sweep(model, source, settings, shard, state, at_once, parts, reduce)


def _identity(sweep: Sweep) -> dict[str, Any]:
    """What must agree for files to be merged or a run to be resumed."""
    settings = asdict(sweep.settings)
    return {
        "model": sweep.model.name,
        "weights": fingerprint(sweep.model),
        "corpus": sweep.source.facts,
        "dtype": _dtype(sweep.model),
        "seed": sweep.model.runtime.seed,
        **settings,
    }


def _dtype(model: Model) -> str:
    return str(model.dtype).removeprefix("torch.")


def fingerprint(model: Model) -> str:
    """A hash of the configuration and of the first numbers of each weight: tells models apart."""
    digest = hashlib.sha256()
    for path, module in model.net.named_modules():
        with model.present(module):
            for name, weight in module.named_parameters(path, recurse=False):
                head = weight.detach().flatten()[:8].float().cpu().numpy()
                digest.update(f"{name} {tuple(weight.shape)}".encode() + head.tobytes())
    return digest.hexdigest()[:16]


def _partial(out: str | Path) -> Path:
    """Where the checkpoint of a run lies."""
    out = Path(out)
    return out.with_name(f"{out.stem}.partial.nc")


def _keeper(sweep: Sweep, out: str | Path | None) -> Callable[[Sweep], None]:
    """Writes a checkpoint now and then: the state and the next block, in one atomic file."""
    if out is None:
        return lambda sweep: None
    last = time.monotonic()
    identity = json.dumps(_identity(sweep))

    def keep(sweep: Sweep) -> None:
        nonlocal last
        if time.monotonic() - last >= CHECKPOINT_SECONDS:
            cursor = {name: getattr(sweep, name) for name in CURSOR}
            about = {"settings": identity, "shards": str(sweep.shard), **cursor}
            files.save(files.state_dataset(sweep.state, about), _partial(out))
            last = time.monotonic()

    return keep


CURSOR = ("next_block", "blocks", "tokens", "at_once")


def _take_up(sweep: Sweep, out: str | Path | None) -> bool:
    """Set a sweep to where its checkpoint was; False, and nothing done, where there is none."""
    if out is None:
        raise InputError("resume needs `out`: the checkpoint lies beside it")
    if not _partial(out).exists():
        return False
    kept = files.open(_partial(out))
    ours = _identity(sweep) | {"shard": str(sweep.shard)}
    theirs = json.loads(kept.attrs["settings"]) | {"shard": kept.attrs["shards"]}
    for key in ours:
        if json.loads(json.dumps(ours[key])) != theirs.get(key):
            raise InputError(
                f"cannot resume {str(out)!r}: {key} was {theirs.get(key)}, now {ours[key]}"
            )
    sweep.state = files.to_state(kept, str(sweep.state.distribution.squares.device))
    for name in CURSOR:
        setattr(sweep, name, int(kept.attrs[name]))
    return True


def _result(sweep: Sweep, certificate: dict[str, Any]) -> xr.Dataset:
    model, settings = sweep.model, sweep.settings
    manifest = sweep.source.manifest()
    stamp = provenance(model.runtime, asdict(settings) | {"shard": str(sweep.shard)})
    attrs = {
        "model": model.name,
        "m": model.m,
        "V": model.V,
        "family": model.family,
        "corpus": json.dumps(manifest),
        "corpus_name": manifest["corpus"],
        "tokens": sweep.tokens,
        "blocks": sweep.blocks,
        "dtype": _dtype(model),
        "device": model.runtime.device_name,
        "certificate": json.dumps(certificate),
        "lens": settings.lens,
        "settings": json.dumps(_identity(sweep)),
        "shards": json.dumps([str(sweep.shard)]),
        "provenance": json.dumps([stamp]),
    }
    return files.to_dataset(sweep.state, attrs)


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
