"""`probe` in shards on the workers of a Dask client, merged as they come."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from companion.errors import InputError
from companion.models import loaded_once
from companion.probing.dataset import completed, merge_states
from companion.probing.settings import Probing
from companion.probing.sweep.checkpoint import identity
from companion.probing.sweep.tokens import open_source
from companion.runs import Output, Progress
from companion.runs.identity import plain
from companion.runs.output import ATTRIBUTE
from companion.runs.shards import ask, held, named, reduced
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client


def probe_shards(
    client: Client,
    task: Callable[..., xr.Dataset],
    model: Any,
    tokens: Any,
    runtime: Runtime | None,
    limit: int | None,
    settings: Mapping[str, Any],
    shards: int,
    progress: Progress,
    **kept: Any,
) -> xr.Dataset:
    """As `probe`, each shard by `task`; `kept` is where the result goes and what becomes
    of what is there.

    The workers load the model, each once, and read the text; this process does neither.
    """
    shards = shards or len(client.scheduler_info(n_workers=-1)["workers"])
    _check(Probing(**settings))
    common = (named(client, model), held(client, tokens), runtime, limit)
    same, share = ask(client, _about, *common, settings)
    settings = {**settings, "lens_fraction": share}
    with Output(settings=same | {"shards": shards}, **kept) as output:
        if output.finished is not None:
            warnings.warn(f"{str(output.path)!r} is complete: nothing is to do", stacklevel=3)
            return output.finished
        common = (*common, settings)
        result = reduced(client, task, common, shards, merge_states, output, progress)
        result = completed(result)
        result.attrs[ATTRIBUTE] = json.dumps(plain(output.settings))
        output.finish(result)
    return result


def _check(asked: Probing) -> None:
    if asked.shard != "0/1":
        raise InputError(f"shard {asked.shard} cannot be cut into shards: give one or the other")
    if asked.until_sem:
        raise InputError("until_sem stops a run by its own errors: it does not go with shards")


def _about(
    model: str, tokens: Any, runtime: Runtime | None, limit: int | None, settings: dict[str, Any]
) -> tuple[dict[str, Any], float]:
    """What makes two runs the same, and the lens' share as a number, from a worker."""
    asked, loaded = Probing(**settings), loaded_once(model, runtime)
    source = open_source(tokens, loaded, asked.block_length, limit)
    definite = asked.resolved(loaded, source.facts["length"])
    return identity(loaded, source, definite), definite.share
