"""What a probe will take on this machine, from about a second of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from companion.models import Model
from companion.probing.lens.certificate import certify
from companion.probing.lens.readout import Readout
from companion.probing.settings import Probing
from companion.probing.sweep.loop import Sweep
from companion.probing.sweep.memory import block_bytes, logit_bytes
from companion.probing.sweep.run import begin
from companion.probing.sweep.tokens import Shard, open_source

SECONDS = 1.0


@dataclass(frozen=True)
class Estimate:
    """What a run costs.

    Parameters
    ----------
    seconds : float
        Of the whole run, its certificate included; NaN where the text does not say how long it is.
    memory : int
        Bytes at the peak: weights, one batch, and the logits that exist at once.
    tokens : int or None
        Tokens to read, if known.
    lens_fraction : float
        Share of them that the lenses read.
    batch_size : int
        Blocks at once.
    """

    seconds: float
    memory: int
    tokens: int | None
    lens_fraction: float
    batch_size: int


def estimate_probe(
    model: Model,
    tokens: Any,
    *,
    limit: int | None = None,
    **settings: Any,
) -> Estimate:
    """Time single blocks of the text for about a second; parameters as of `probe`."""
    asked = Probing(**settings)
    source, part = open_source(tokens, model, asked.block_length, limit), Shard.parse(asked.shard)
    length = source.facts["length"]
    definite = asked.resolved(model, length)
    began = time.perf_counter()
    readout = Readout.of(model, certify(model, model.runtime.seed))
    sweep = begin(model, source, definite, part, asked.batch_size, readout)
    before = time.perf_counter() - began
    blocks = source.total and len(range(part.index, source.total, part.of))
    seconds = before + blocks * _seconds_a_block(sweep) if blocks else float("nan")
    return Estimate(
        seconds=seconds,
        memory=_memory(sweep, length),
        tokens=blocks and blocks * length,
        lens_fraction=definite.share,
        batch_size=sweep.at_once,
    )


def _seconds_a_block(sweep: Sweep) -> float:
    """Mean time of the blocks that fit into `SECONDS`, but for the first: it warms up."""
    spent = []
    with torch.no_grad():
        for item in islice(sweep.source.items(sweep.shard, 0, sweep.model), 100):
            began = time.perf_counter()
            sweep.state = sweep.state.add(sweep.measure([item]))
            spent.append(time.perf_counter() - began)
            if len(spent) > 1 and sum(spent) >= SECONDS:
                break
    return sum(spent[1:]) / len(spent[1:]) if spent[1:] else spent[0]


def _memory(sweep: Sweep, length: int) -> int:
    model, settings = sweep.model, sweep.settings
    weights = sum(weight.nbytes for weight in model.net.parameters() if not weight.is_meta)
    rows = len(sweep.state.distribution.bins)
    batch = sweep.at_once * block_bytes(model, settings, rows, length)
    kept = sum(tensor.nbytes for tensor in sweep.state.tensors().values())
    return weights + kept + batch + logit_bytes(model, settings, sweep.readout.columns)
