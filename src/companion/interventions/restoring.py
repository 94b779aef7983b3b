"""One fact through one model: the clean run, the corrupted ones, and those with a state restored.

Only what is read is computed: the states below a restored one are those of the corrupted run, the
vocabulary is scored where a token of the target is predicted, and a state that nothing reads (the
last layer's, but for the last token's) keeps the corrupted run's probability without a run. Runs
of neighbouring layers share a batch, which each of them enters where its state is restored.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch
import xarray as xr
from pydantic import Field
from torch import Tensor

from companion.interventions.encoding import Encoded
from companion.interventions.facts import Fact
from companion.models import Model, Stream, capture, patched, started_at
from companion.settings import Number, Whole, settings

_SCORES = 2**25
"""Numbers of logits held at once: 128 MB in float32, so that a large vocabulary fits."""


@settings("tracing")
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

    noise: Annotated[Number, Field(gt=0)] = 3.0
    draws: Annotated[Whole, Field(ge=1)] = 4
    window: Annotated[Number, Field(ge=0, le=1)] = 0.1
    max_rank: Annotated[Whole, Field(ge=1)] = 1
    batch: Annotated[Whole, Field(ge=1)] = 128
    known_only: bool = False

    def layers(self, layer: int, ell: int) -> range:
        """The layers of h restored around `layer`, cut off at 0 and at ell."""
        width = max(1, round(self.window * ell))
        first = layer - (width - 1) // 2
        return range(max(first, 0), min(first + width, ell + 1))

    def places(self, item: Encoded, ell: int) -> np.ndarray:
        """Rows (layer, draw, token) of the restored runs that one fact takes, by layer."""
        begin, end = item.subject.start, len(item.prompt)
        return np.array(
            [
                (layer, draw, token)
                for layer in range(ell + 1)
                for draw in range(self.draws)
                for token in range(end - 1 if self.layers(layer, ell)[0] == ell else begin, end)
            ]
        )


def embedding_std(model: Model) -> float:
    """Standard deviation of what the embedding puts out, over its whole vocabulary.

    That of the weights, times the factor by which some families scale them.
    """
    embedding = model.net.get_input_embeddings()
    some = torch.arange(min(256, len(embedding.weight)), device=embedding.weight.device)
    with torch.inference_mode():
        scale = embedding(some).float().std() / embedding.weight[some].float().std()
        return float(embedding.weight.float().std() * scale)


def trace_one(model: Model, fact: Fact, item: Encoded, spec: Tracing, std: float) -> xr.Dataset:
    """Trace one fact; a data set as of `trace`, with one prompt."""
    run = _Runs.of(model, fact, item, spec, spec.noise * std)
    given, lost = run.scores(run.clean), run.scores(run.corrupted)
    low, high, rank = _probability(lost, item), _probability(given, item)[0], _rank(given[0], item)
    reason = _why_unknown(high, low, rank, spec)
    grid = np.repeat(low[:, None, None], model.ell + 1, 1).repeat(len(item.prompt), 2)
    places = spec.places(item, model.ell)
    if spec.known_only and reason:
        places, grid[:] = places[:0], np.nan
    for start in range(0, len(places), run.at_once):
        some = places[start : start + run.at_once]
        layer, draw, token = some.T
        grid[draw, layer, token] = run.restored(some)
    return _labelled(fact, item, grid, high, low, rank, reason)


@dataclass(frozen=True)
class _Runs:
    """The clean and the corrupted runs of a fact, and those that are made of both."""

    model: Model
    item: Encoded
    spec: Tracing
    ids: Tensor
    clean: Stream
    corrupted: Stream

    @classmethod
    @torch.inference_mode()
    def of(cls, model: Model, fact: Fact, item: Encoded, spec: Tracing, std: float) -> _Runs:
        ids = torch.tensor([item.ids], device=model.device)
        noise = _noise(model, fact, item, spec) * std
        clean = capture(model, ids)
        corrupted = capture(model, ids.expand(spec.draws, -1), noise=noise)
        return cls(model, item, spec, ids, clean, corrupted)

    @property
    def at_once(self) -> int:
        """Runs whose logits fit into memory, at most a batch."""
        return min(self.spec.batch, max(1, _SCORES // (self.model.V * len(self.item.target))))

    @torch.inference_mode()
    def restored(self, places: np.ndarray) -> np.ndarray:
        """Probability (n,) of the target with the state at each of `places` (n, 3) restored."""
        _, draw, token = torch.tensor(places, device=self.ids.device).T
        windows = [self.spec.layers(int(layer), self.model.ell) for layer in places[:, 0]]
        begin, end = (
            torch.tensor([getattr(one, side) for one in windows], device=self.ids.device)
            for side in ("start", "stop")
        )

        def put_right(h: Tensor, at: int) -> Tensor:
            enter, here = begin == at, (begin <= at) & (at < end)
            h = h.clone()
            h[enter] = self.corrupted.h[at][draw[enter]]
            h[here, token[here]] = self.clean.h[at][0, token[here]]
            return h

        first, stop = int(begin.min()), int(end.max())
        start = put_right(self.corrupted.h[first][draw], first)
        later = {at: partial(put_right, at=at) for at in range(first + 1, stop)}
        rows = self.ids.expand(len(places), -1)
        with started_at(self.model, first, start, self.corrupted), patched(self.model, later):
            return _probability(self.model.logits(rows, len(self.item.target)), self.item)

    @torch.inference_mode()
    def scores(self, run: Stream) -> Tensor:
        """Logits (B, target token, V) of one of the two runs."""
        return self.model.readout(run.h[-1][:, -len(self.item.target) :])


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
