"""Causal tracing: which states, put right in a run that was misled, bring the answer back.

Differs from the paper's tracing (one prompt, one unseeded draw of noise, first token of the
target): many prompts, several seeded draws, whole continuations, windows that grow with depth,
and a plain statement where the model does not know the fact in the first place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import xarray as xr

from companion.files import write_netcdf
from companion.interventions.encoding import encode
from companion.interventions.facts import Fact, load_facts
from companion.interventions.restoring import (
    Tracing,
    embedding_std,
    trace_one,
)
from companion.models import Model, as_model, loaded_once, measure
from companion.provenance import provenance
from companion.runs import Output, Progress, silent
from companion.runs.shards import ask, gathered, named
from companion.runtime import Runtime

if TYPE_CHECKING:
    from distributed import Client


def trace(
    model: Model | str | Any,
    facts: Sequence[Fact] | str | Path,
    spec: Tracing | None = None,
    *,
    tokenizer: Any = None,
    runtime: Runtime | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
    client: Client | None = None,
    shards: int = 0,
) -> xr.Dataset:
    r"""Restore the clean h[layer] at one token of a corrupted run; read the target's probability.

    :math:`p = \prod_i p(t_i \mid \text{prompt}, t_{<i})` for a target of tokens t. Corrupted: the
    subject's embeddings get Gaussian noise. Restored: h[layer] (and the rest of its window) at
    one token is set to its value in the clean run.

    Parameters
    ----------
    model : Model, str or transformers model
        A loaded model, its name, or a transformers model in memory with its `tokenizer`.
    facts : sequence of Fact, or name or path of a facts file
    spec : Tracing, optional
    tokenizer : transformers tokenizer, optional
        Of a transformers model in memory.
    runtime : Runtime, optional
        For loading by name.
    out : path, optional
        Where to write the result; each fact that is done is kept beside it meanwhile.
    resume, overwrite : bool
        Go on with what is there, or replace it, see `companion.runs.Output`.
    progress : callable
        Called with (facts done, facts in all); of a client with shards.
    client : distributed.Client, optional
        Its workers trace the facts, dealt into `shards` parts (0: a part for each fact).
    shards : int

    Returns
    -------
    xarray.Dataset
        `probability` (prompt, noise, layer, token), `probability_clean` (prompt),
        `probability_corrupted` (prompt, noise), `rank` (prompt; worst of the target's tokens in
        the clean run, 1 is first), `known`, `reason` and `relation` (prompt), `token_text` and
        `role` (prompt, token). Layer 0 is the embeddings, layer ell the last block's output;
        tokens that a shorter prompt does not have are NaN. Tokens before the subject cannot
        change anything and carry the corrupted run's value.

    Raises
    ------
    InputError
        If a fact does not fit its prompt, the model has no fast tokenizer, or as `Output`.

    Notes
    -----
    Paper, section on causal tracing (figure 6); method of Meng et al. 2022.
    """
    spec = spec or Tracing()
    facts = load_facts(facts) if isinstance(facts, str | Path) else list(facts)
    if client is None:
        model = as_model(model, runtime)
        model = replace(model, tokenizer=tokenizer) if tokenizer is not None else model
    common = (named(client, model), runtime, spec)
    identity, std, about = ask(client, _about, *common, facts)
    with Output(out, identity, resume=resume, overwrite=overwrite) as output:
        if output.finished is not None:
            return output.finished
        units = {f"fact-{number}.nc": fact for number, fact in enumerate(facts, 1)}
        common = (*common, std)
        traced = gathered(client, _traced, common, units, shards, output, progress)
        result = _joined(traced).assign_attrs(about)
        output.finish(result)
    return result


def _about(
    model: Any, runtime: Runtime | None, spec: Tracing, facts: list[Fact]
) -> tuple[dict[str, Any], float, dict[str, object]]:
    """What makes two runs the same, the embedding's deviation, attributes; every fact checked."""
    loaded = _loaded(model, runtime)
    for fact in facts:
        encode(fact, loaded.tokenizer)
    std = embedding_std(loaded)
    return _identity(loaded, facts, spec), std, _attrs(loaded, facts, spec, std)


def _traced(
    model: Any,
    runtime: Runtime | None,
    spec: Tracing,
    std: float,
    facts: Sequence[Fact],
    report: Progress,
) -> list[xr.Dataset]:
    """Some facts, here or on a worker."""
    loaded, traced = _loaded(model, runtime), []
    for number, fact in enumerate(facts, 1):
        traced.append(trace_one(loaded, fact, encode(fact, loaded.tokenizer), spec, std))
        report(number, len(facts))
    return traced


def _loaded(model: Any, runtime: Runtime | None) -> Model:
    return loaded_once(model, runtime) if isinstance(model, str) else model


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    blank = {"token_text": "", "role": ""}
    result = xr.concat(parts, "prompt", join="outer", fill_value=blank)
    result = result.drop_encoding()  # parts that were kept would cut all texts to their own length
    result.probability.encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    return result


def estimate_trace(model: Model, facts: Sequence[Fact], spec: Tracing) -> float:
    """Seconds that `trace` will take on this machine, from a measurement of about a second.

    An upper bound where `spec.known_only` is set: which facts are known is not asked.
    """
    encoded = [encode(fact, model.tokenizer) for fact in facts]
    blocks = readouts = 0
    for item in encoded:
        layers = spec.places(item, model.ell)[:, 0]
        blocks += len(item.ids) * int((model.ell - layers).sum())
        readouts += len(item.target) * len(layers)
    length = sorted(len(item.ids) for item in encoded)[len(encoded) // 2]
    return measure(model, length).seconds(blocks, readouts)


def _identity(model: Model, facts: list[Fact], spec: Tracing) -> dict[str, Any]:
    """What must agree for a run to be resumed; the batch changes nothing."""
    settings = {name: value for name, value in asdict(spec).items() if name != "batch"}
    about = {"model": model.name, "weights": _total(model), "dtype": str(model.dtype)}
    return about | settings | {"seed": model.runtime.seed, "facts": [asdict(f) for f in facts]}


def _total(model: Model) -> float:
    """Sum of all weights, which tells two models of one name apart."""
    total = 0.0
    for module in model.net.modules():
        with model.present(module), torch.inference_mode():
            total += sum(float(w.sum(dtype=torch.float64)) for w in module.parameters(False))
    return total


def _attrs(model: Model, facts: list[Fact], spec: Tracing, std: float) -> dict[str, object]:
    parameters = {"model": model.name, "facts": len(facts), **asdict(spec)}
    return {
        "model": model.name,
        "ell": model.ell,
        "noise_std": std * spec.noise,
        "provenance": json.dumps(provenance(model.runtime, parameters)),
    }


def save(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a data set as NetCDF, whole or not at all."""
    write_netcdf(dataset, path)
