"""One fact through one model: the clean run, the corrupted ones, and those with a state restored.

Only what is read is computed: the states below a restored one are those of the corrupted run, the
vocabulary is scored where a token of the target is predicted, and a state that nothing reads (the
last layer's, but for the last token's) keeps the corrupted run's probability without a run.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from companion.errors import InputError
from companion.interventions.encoding import Encoded
from companion.interventions.facts import Fact
from companion.interventions.passage import Passage, edited, forward, record, resume
from companion.models import Model

_SCORES = 2**25
"""Numbers of logits held at once: 128 MB in float32, so that a large vocabulary fits."""


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
        Runs at once, at most.
    known_only : bool
        Restore nothing for a fact that is not known: its probabilities there are NaN.
    """

    noise: float = 3.0
    draws: int = 4
    window: float = 0.1
    max_rank: int = 1
    batch: int = 128
    known_only: bool = False

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

    def tokens(self, item: Encoded, layer: int, ell: int) -> range:
        """Tokens whose restored state around `layer` can change what is read."""
        last = len(item.prompt)
        first = last - 1 if self.layers(layer, ell)[0] == ell else item.subject.start
        return range(first, last)


def runs_of(item: Encoded, ell: int, spec: Tracing) -> int:
    """How many restored runs one fact takes."""
    return spec.draws * sum(len(spec.tokens(item, layer, ell)) for layer in range(ell + 1))


def embedding_std(model: Model) -> float:
    """Standard deviation of what the embedding puts out, over its whole vocabulary.

    That of the weights, times the factor by which some families scale them.
    """
    embedding = model.net.get_input_embeddings()
    some = torch.arange(min(256, len(embedding.weight)), device=embedding.weight.device)
    with torch.inference_mode():
        scale = embedding(some).float().std() / embedding.weight[some].float().std()
        return float(embedding.weight.float().std() * scale)


def middle_runs(model: Model, fact: Fact, item: Encoded, spec: Tracing) -> Callable[[], int]:
    """The runs of one fact with a state about the middle layer restored, to be timed.

    Each call makes them anew and gives how many they were.
    """
    ids = torch.tensor([item.ids], device=model.device)
    noise = _noise(model, fact, item, spec)
    with torch.inference_mode():
        clean = record(model, ids, len(item.target))
        corrupted = record(model, ids.expand(spec.draws, -1), len(item.target), noise)

    @torch.inference_mode()
    def again() -> int:
        rows = _restored(model, ids, item, clean, corrupted, model.ell // 2, spec)
        return sum(map(len, rows))

    return again


@torch.inference_mode()
def trace_one(model: Model, fact: Fact, item: Encoded, spec: Tracing, std: float) -> xr.Dataset:
    """Trace one fact; a data set as of `trace`, with one prompt."""
    ids = torch.tensor([item.ids], device=model.device)
    clean = record(model, ids, len(item.target))
    noise = _noise(model, fact, item, spec) * (spec.noise * std)
    corrupted = record(model, ids.expand(spec.draws, -1), len(item.target), noise)
    low, high = _probability(corrupted.logits, item), _probability(clean.logits, item)[0]
    rank = _rank(clean.logits[0], item)
    reason = _why_unknown(high, low, rank, spec)
    if spec.known_only and reason:
        grid = np.full((spec.draws, model.ell + 1, len(item.prompt)), np.nan, np.float32)
    else:
        grid = _grid(model, ids, item, clean, corrupted, low, spec)
    return _labelled(fact, item, grid, high, low, rank, reason)


def _grid(
    model: Model,
    ids: Tensor,
    item: Encoded,
    clean: Passage,
    corrupted: Passage,
    low: np.ndarray,
    spec: Tracing,
) -> np.ndarray:
    """Probability (draw, layer, token) with each state restored."""
    grid = np.repeat(low[:, None, None], model.ell + 1, 1).repeat(len(item.prompt), 2)
    for layer in range(model.ell + 1):
        tokens = spec.tokens(item, layer, model.ell)
        rows = _restored(model, ids, item, clean, corrupted, layer, spec)
        grid[:, layer, tokens.start :] = np.concatenate(list(rows)).reshape(spec.draws, -1)
    return grid


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
    clean: Passage,
    corrupted: Passage,
    layer: int,
    spec: Tracing,
) -> Iterator[np.ndarray]:
    """Probabilities with the window about `layer` restored; rows run over draws, then tokens."""
    window, tokens = spec.layers(layer, model.ell), spec.tokens(item, layer, model.ell)
    pairs = torch.cartesian_prod(torch.arange(spec.draws), torch.tensor(tokens)).to(ids.device)
    at_once = min(spec.batch, max(1, _SCORES // (model.V * len(item.target))))
    for draw, token in (chunk.T for chunk in pairs.split(at_once)):
        own = torch.arange(len(draw), device=ids.device)

        def put_right(h: Tensor, at: int, own=own, token=token) -> Tensor:
            h = h.clone()
            h[own, token] = clean.states[at][0, token]
            return h

        start = put_right(corrupted.states[window[0]][draw], window[0])
        later = {at: lambda h, at=at, put=put_right: put(h, at) for at in window[1:]}
        with resume(model, window[0], start, corrupted), edited(model, later):
            logits = forward(model, ids.expand(len(draw), -1), len(item.target))
        yield _probability(logits, item)


def _probability(logits: Tensor, item: Encoded) -> np.ndarray:
    """Probability (B,) of the whole target, from logits (B, target token, V)."""
    target = torch.tensor(item.target, device=logits.device)
    logits = logits.float()
    own = logits.gather(-1, target.expand(len(logits), -1)[..., None])[..., 0]
    logs = own - logits.logsumexp(-1)
    return logs.sum(1).exp().cpu().numpy()


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
    texts = {name: getattr(fact, name) for name in ("target", "subject", "relation")}
    one = tokens.assign(
        probability_clean=clean,
        probability_corrupted=("noise", corrupted),
        rank=rank,
        known=not reason,
        reason=reason,
        **texts,
    )
    return one.assign_coords(prompt=fact.text).expand_dims("prompt")
