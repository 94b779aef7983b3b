"""Causal tracing: which states, put right in a run that was misled, bring the answer back.

Differs from the paper's tracing (one prompt, one unseeded draw of noise, first token of the
target): many prompts, several seeded draws, whole continuations, windows that grow with depth,
and a plain statement where the model does not know the fact in the first place.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from companion.errors import InputError
from companion.files import write_netcdf
from companion.interventions.encoding import Encoded, encode
from companion.interventions.facts import Fact, load_facts
from companion.models import Model, Stream, capture, load_model, patched, started_at
from companion.provenance import provenance
from companion.runtime import Runtime

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tracing:
    """How to trace.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise on the subject, in that of the embedding's values.
    draws : int
        Draws of noise per fact.
    window : float
        How many layers to restore at once, as a share of the depth; at least one layer.
    max_rank : int
        A fact counts as known only if every token of its target is among that many first.
    batch : int
        Runs at once.
    """

    noise: float = 3.0
    draws: int = 4
    window: float = 0.1
    max_rank: int = 1
    batch: int = 128

    def __post_init__(self) -> None:
        if not self.noise > 0:
            raise InputError(f"noise {self.noise} must be positive")
        if not 0 <= self.window <= 1:
            raise InputError(f"window {self.window} must be a share of the depth, 0 to 1")
        if min(self.draws, self.max_rank, self.batch) < 1:
            raise InputError("draws, max_rank and batch must be at least 1")

    def layers(self, layer: int, ell: int) -> range:
        """The layers of h restored around `layer`, cut off at 0 and at ell."""
        width = max(1, round(self.window * ell))
        first = layer - (width - 1) // 2
        return range(max(first, 0), min(first + width, ell + 1))


def trace(
    model: Model | str,
    facts: Sequence[Fact] | str | Path,
    spec: Tracing | None = None,
    *,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Restore the clean h[layer] at one token of a corrupted run; read the target's probability.

    :math:`p = \prod_i p(t_i \mid \text{prompt}, t_{<i})` for a target of tokens t. Corrupted: the
    subject's embeddings get Gaussian noise. Restored: h[layer] (and the rest of its window) at
    one token is set to its value in the clean run.

    Parameters
    ----------
    model : Model or str
        A loaded model, or its name.
    facts : sequence of Fact, or name or path of a facts file
    spec : Tracing, optional
    progress : callable, optional
        Called with (facts done, facts in all).

    Returns
    -------
    xarray.Dataset
        `probability` (prompt, noise, layer, token), `probability_clean` (prompt),
        `probability_corrupted` (prompt, noise), `rank` (prompt; worst of the target's tokens in
        the clean run, 1 is first), `known` and `reason` (prompt), `token_text` and `role`
        (prompt, token). Layer 0 is the embeddings, layer ell the last block's output; tokens
        that a shorter prompt does not have are NaN. Tokens before the subject cannot change
        anything and carry the corrupted run's value.

    Raises
    ------
    InputError
        If a fact does not fit its prompt, or the model has no fast tokenizer.

    Notes
    -----
    Paper, section on causal tracing (figure 6); method of Meng et al. 2022.
    """
    spec = spec or Tracing()
    model = load_model(model, Runtime.choose()) if isinstance(model, str) else model
    facts = load_facts(facts) if isinstance(facts, str | Path) else list(facts)
    encoded = [encode(fact, model.tokenizer) for fact in facts]
    std = embedding_std(model)
    traced = []
    for number, (fact, item) in enumerate(zip(facts, encoded, strict=True), 1):
        traced.append(_trace_one(model, fact, item, spec, std))
        if progress:
            progress(number, len(facts))
    blank = {"token_text": "", "role": ""}
    joined = xr.concat(traced, "prompt", join="outer", fill_value=blank)
    return joined.assign_attrs(_attrs(model, facts, spec, std))


def embedding_std(model: Model) -> float:
    """Standard deviation of what the embedding puts out, over its whole vocabulary.

    That of the weights, times the factor by which some families scale them.
    """
    embedding = model.net.get_input_embeddings()
    some = torch.arange(min(256, len(embedding.weight)), device=embedding.weight.device)
    with torch.inference_mode():
        scale = embedding(some).float().std() / embedding.weight[some].float().std()
        return float(embedding.weight.float().std() * scale)


@torch.inference_mode()
def _trace_one(model: Model, fact: Fact, item: Encoded, spec: Tracing, std: float) -> xr.Dataset:
    ids = torch.tensor([item.ids], device=model.device)
    clean = capture(model, ids)
    noise = _noise(model, fact, item, spec) * (spec.noise * std)
    corrupted = capture(model, ids.expand(spec.draws, -1), noise=noise)
    given, lost = (model.readout(run.h[-1][:, -len(item.target) :]) for run in (clean, corrupted))
    low = _probability(lost, item)
    grid = np.repeat(low[:, None, None], model.ell + 1, 1).repeat(len(item.prompt), 2)
    for layer in range(model.ell + 1):
        rows = _restored(model, ids, item, clean, corrupted, layer, spec)
        grid[:, layer, item.subject.start :] = np.concatenate(list(rows)).reshape(spec.draws, -1)
    rank = _rank(given[0], item)
    high = _probability(given, item)[0]
    return _labelled(fact, item, grid, high, low, rank, _why_unknown(high, low, rank, spec))


def _noise(model: Model, fact: Fact, item: Encoded, spec: Tracing) -> Tensor:
    """Standard normal noise (draw, token, width) on the subject, zero elsewhere.

    Drawn on the CPU and named by the fact, so that neither the device nor the other facts of a
    file change it.
    """
    weight = model.net.get_input_embeddings().weight
    stream = zlib.crc32(f"{fact.text}\n{fact.target}".encode())
    generator = model.runtime.torch_generator(stream, device="cpu")
    noise = torch.zeros(spec.draws, len(item.ids), weight.shape[1])
    shape = (spec.draws, len(item.subject), weight.shape[1])
    noise[:, item.subject] = torch.randn(shape, generator=generator)
    return noise.to(weight)


def _restored(
    model: Model,
    ids: Tensor,
    item: Encoded,
    clean: Stream,
    corrupted: Stream,
    layer: int,
    spec: Tracing,
) -> Iterator[np.ndarray]:
    """Probabilities with the window about `layer` restored; rows run over draws, then tokens."""
    window = spec.layers(layer, model.ell)
    tokens = torch.arange(item.subject.start, len(item.prompt))
    pairs = torch.cartesian_prod(torch.arange(spec.draws), tokens).to(ids.device)
    for draw, token in (chunk.T for chunk in pairs.split(spec.batch)):
        own = torch.arange(len(draw), device=ids.device)

        def put_right(h: Tensor, at: int, own=own, token=token) -> Tensor:
            h = h.clone()
            h[own, token] = clean.h[at, 0, token]
            return h

        start = put_right(corrupted.h[window[0]][draw], window[0])
        later = {at: lambda h, at=at, put=put_right: put(h, at) for at in window[1:]}
        with started_at(model, window[0], start, corrupted), patched(model, later):
            logits = model.logits(ids.expand(len(draw), -1), len(item.target))
        yield _probability(logits, item)


def _probability(logits: Tensor, item: Encoded) -> np.ndarray:
    """Probability (B,) of the whole target, from logits (B, target token, V)."""
    target = torch.tensor(item.target, device=logits.device)
    logs = logits.float().log_softmax(-1).gather(-1, target.expand(len(logits), -1)[..., None])
    return logs.sum((1, 2)).cpu().double().exp().numpy()


def _rank(logits: Tensor, item: Encoded) -> int:
    """Worst rank among the target's tokens, 1 for the model's first choice throughout."""
    target = torch.tensor(item.target, device=logits.device)[:, None]
    return int((logits > logits.gather(-1, target)).sum(-1).max()) + 1


def _why_unknown(clean: float, corrupted: np.ndarray, rank: int, spec: Tracing) -> str:
    if rank > spec.max_rank:
        return f"the target is choice {rank}, not among the first {spec.max_rank}"
    if clean <= corrupted.max():
        return "corrupting the subject does not always lower the target's probability"
    return ""


def _labelled(fact, item, grid, clean, corrupted, rank, reason) -> xr.Dataset:
    count = {"token": np.arange(len(item.prompt))}
    tokens = xr.Dataset(
        {
            "probability": (("noise", "layer", "token"), grid),
            "token_text": ("token", np.array(item.texts, object)),
            "role": ("token", np.array(item.roles, object)),
        },
        coords=count,
    )
    facts = {"target": fact.target, "subject": fact.subject, "reason": reason}
    return tokens.assign(
        probability_clean=clean,
        probability_corrupted=("noise", corrupted),
        rank=rank,
        known=not reason,
        **facts,
    ).assign_coords(prompt=fact.text)


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
