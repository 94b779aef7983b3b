"""Causal tracing: which states, put right in a run that was misled, bring the answer back.

Differs from the paper's tracing (one prompt, one unseeded draw of noise, first token of the
target): many prompts, several seeded draws, whole continuations, windows that grow with depth,
and a plain statement where the model does not know the fact in the first place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from companion.files import write_netcdf
from companion.interventions.encoding import encode
from companion.interventions.facts import Fact, load_facts
from companion.interventions.restoring import (
    Tracing,
    embedding_std,
    middle_runs,
    trace_one,
)
from companion.models import Model, load_model
from companion.provenance import provenance
from companion.runs import Output, Progress, silent
from companion.runtime import Runtime


def trace(
    model: Model | str | Any,
    facts: Sequence[Fact] | str | Path,
    spec: Tracing | None = None,
    *,
    tokenizer: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
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
    out : path, optional
        Where to write the result; each fact that is done is kept beside it meanwhile.
    resume, overwrite : bool
        Go on with what is there, or replace it, see `companion.runs.Output`.
    progress : callable
        Called with (facts done, facts in all).

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
    model = _model(model, tokenizer)
    facts = load_facts(facts) if isinstance(facts, str | Path) else list(facts)
    encoded = [encode(fact, model.tokenizer) for fact in facts]
    std = embedding_std(model)
    identity = _identity(model, facts, spec) if out else {}
    traced = []
    with Output(out, identity, resume=resume, overwrite=overwrite) as output:
        if output.finished is not None:
            return output.finished
        for number, (fact, item) in enumerate(zip(facts, encoded, strict=True), 1):
            one = partial(trace_one, model, fact, item, spec, std)
            traced.append(output.kept(f"fact-{number}.nc", one))
            progress(number, len(facts))
        result = _joined(traced).assign_attrs(_attrs(model, facts, spec, std))
        output.finish(result)
    return result


def _model(model: Model | str | Any, tokenizer: Any) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, str):
        return load_model(model, Runtime.choose())
    device, dtype = model.device, str(model.dtype).removeprefix("torch.")
    return Model.of(model, Runtime.choose(str(device), dtype), tokenizer)


def _joined(parts: list[xr.Dataset]) -> xr.Dataset:
    blank = {"token_text": "", "role": ""}
    result = xr.concat(parts, "prompt", join="outer", fill_value=blank)
    result.probability.encoding = {"zlib": True, "complevel": 9, "shuffle": True}
    return result


@dataclass(frozen=True)
class Cost:
    """What tracing will cost: restored `runs` at most, and `seconds` on this machine."""

    runs: int
    seconds: float


def estimate(model: Model, facts: Sequence[Fact], spec: Tracing, *, measured: float = 1.0) -> Cost:
    """Cost of `trace`, from the restored runs of a typical fact, timed for `measured` seconds.

    Restored at the middle layer, which takes half of the blocks, as all layers do on average. An
    upper bound where `spec.known_only` is set: which facts are known is not asked.
    """
    encoded = [encode(fact, model.tokenizer) for fact in facts]
    order = sorted(range(len(facts)), key=lambda number: len(encoded[number].ids))
    typical = order[len(order) // 2]
    again = middle_runs(model, facts[typical], encoded[typical], spec)
    again()  # the first run of a model is slow
    done, began = 0, time.perf_counter()
    while not done or time.perf_counter() - began < measured:
        done += again() * len(encoded[typical].ids)
    rate = (time.perf_counter() - began) / done
    runs = [len(spec.places(item, model.ell)) for item in encoded]
    tokens = sum(count * len(one.ids) for count, one in zip(runs, encoded, strict=True))
    return Cost(sum(runs), rate * tokens)


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
