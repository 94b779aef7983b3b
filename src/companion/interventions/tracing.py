"""Causal tracing: which states, put right in a run that was misled, bring the answer back.

Differs from the paper's tracing (one prompt, one unseeded draw of noise, first token of the
target): many prompts, several seeded draws, whole continuations, windows that grow with depth,
and a plain statement where the model does not know the fact in the first place.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from companion.errors import InputError
from companion.files import write_netcdf
from companion.interventions.encoding import encode
from companion.interventions.facts import Fact, load_facts
from companion.interventions.restoring import (
    Tracing,
    embedding_std,
    middle_runs,
    runs_of,
    trace_one,
)
from companion.models import Model, load_model
from companion.provenance import provenance
from companion.runtime import Runtime

Progress = Callable[[int, int], None]


def trace(
    model: Model | str | Any,
    facts: Sequence[Fact] | str | Path,
    spec: Tracing | None = None,
    *,
    tokenizer: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
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
        Where to write the result; after each fact a checkpoint lies beside it.
    resume : bool
        Go on from the checkpoint of a run with the same parameters; a result that is complete is
        returned as it is, with a warning that says so.
    progress : callable, optional
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
        If a fact does not fit its prompt, the model has no fast tokenizer, or a checkpoint is of
        another run.

    Notes
    -----
    Paper, section on causal tracing (figure 6); method of Meng et al. 2022.
    """
    spec = spec or Tracing()
    model = _model(model, tokenizer)
    facts = load_facts(facts) if isinstance(facts, str | Path) else list(facts)
    encoded = [encode(fact, model.tokenizer) for fact in facts]
    std = embedding_std(model)
    kept = _Checkpoint(out, _identity(model, facts, spec) if out else {})
    traced = kept.traced() if resume else []
    begun = sum(part.sizes["prompt"] for part in traced)
    for number in range(begun, len(facts)):
        traced = [_join([*traced, trace_one(model, facts[number], encoded[number], spec, std)])]
        if number + 1 < len(facts):
            kept.write(traced[0])
        if progress:
            progress(number + 1, len(facts))
    return kept.finish(traced[0].assign_attrs(_attrs(model, facts, spec, std)), begun)


def _model(model: Model | str | Any, tokenizer: Any) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, str):
        return load_model(model, Runtime.choose())
    device, dtype = model.device, str(model.dtype).removeprefix("torch.")
    return Model.of(model, Runtime.choose(str(device), dtype), tokenizer)


def _join(parts: list[xr.Dataset]) -> xr.Dataset:
    blank = {"token_text": "", "role": ""}
    return xr.concat(parts, "prompt", join="outer", fill_value=blank)


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
    runs = [runs_of(item, model.ell, spec) for item in encoded]
    tokens = sum(count * len(one.ids) for count, one in zip(runs, encoded, strict=True))
    return Cost(sum(runs), rate * tokens)


class _Checkpoint:
    """The files of one run: its result and, beside it, the facts that are done."""

    def __init__(self, out: str | Path | None, identity: dict[str, Any]) -> None:
        self.out = None if out is None else Path(out)
        self.identity = json.dumps(identity)

    def traced(self) -> list[xr.Dataset]:
        """What an earlier run with the same parameters has traced, at most one data set."""
        if self.out is None:
            raise InputError("resume needs `out`: the checkpoint lies beside it")
        there = [path for path in (self._partial, self.out) if path.exists()]
        if not there:
            return []
        with xr.open_dataset(there[0], engine="h5netcdf") as stored:
            found = stored.load()
        theirs, ours = json.loads(found.attrs.get("identity", "{}")), json.loads(self.identity)
        for key, value in ours.items():
            if theirs.get(key) != value:
                raise InputError(f"cannot resume {str(there[0])!r}: its {key} is another one")
        return [found]

    def write(self, traced: xr.Dataset) -> None:
        if self.out is not None:
            save(traced.assign_attrs(identity=self.identity), self._partial)

    def finish(self, traced: xr.Dataset, begun: int) -> xr.Dataset:
        """The result, written if it is new; the checkpoint has done its work."""
        if self.out is None:
            return traced
        result = traced.assign_attrs(identity=self.identity)
        if begun == traced.sizes["prompt"]:
            warnings.warn(f"{str(self.out)!r} is complete: nothing was traced", stacklevel=3)
        else:
            save(result, self.out)
        self._partial.unlink(missing_ok=True)
        return result

    @property
    def _partial(self) -> Path:
        assert self.out is not None
        return self.out.with_name(f"{self.out.stem}.partial.nc")


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
    """Write a data set as NetCDF, compressed, whole or not at all."""
    packed = {"probability": {"zlib": True, "complevel": 9, "shuffle": True}}
    write_netcdf(dataset, path, encoding=packed)
