"""The rounding noise under a bfloat16 or float16 run, from a float32 repeat of a few batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from companion.errors import InputError
from companion.models.memory import out_of_memory
from companion.probing.sweep.loop import Sweep
from companion.probing.sweep.state import State
from companion.probing.sweep.tokens import Item

LOW = (torch.bfloat16, torch.float16)


def measure_noise(sweep: Sweep, batches: int) -> State:
    """An empty state but for the noise of the first batches; unchanged for wider dtypes.

    noise^2 = mean (x - x_32)^2 over tokens of group "rest", for every quantity and layer, with x
    of the run's dtype and x_32 of a repeat with the same weights widened to float32.
    """
    if sweep.model.dtype not in LOW:
        return sweep.state
    items = sweep.source.items(sweep.shard, 0, sweep.model)
    noise = sweep.state.noise
    for _ in range(batches):
        # In float32 every state takes twice the memory.
        if batch := list(islice(items, max(1, sweep.at_once // 2))):
            noise = noise + _affordable(sweep, batch)
    return replace(sweep.state, noise=noise)


def _affordable(sweep: Sweep, batch: list[Item]) -> Tensor:
    try:
        return _squares(sweep, batch)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise InputError(
            f"memory does not suffice to repeat {len(batch)} blocks in float32, twice the size of "
            f"{sweep.model.dtype}: use a smaller batch size, or noise_batches=0 to do without"
        ) from error


def _squares(sweep: Sweep, batch: list[Item]) -> Tensor:
    """Sums of squared differences and their counts, (row, 2)."""
    low = sweep.measure(batch)
    with widened(sweep.model.net):
        wide = sweep.measure(batch)
    names = [q.name for q in sweep.state.quantities]
    away = torch.cat([low.values[name].double() - wide.values[name] for name in names])
    there = ~away.isnan() & (low.group == 0) & (wide.group == 0)
    squares = away.square().where(there, 0).sum(1)
    return torch.stack([squares, there.sum(1).double()], 1).cpu()


@contextmanager
def widened(net: nn.Module) -> Iterator[None]:
    """The same weights as float32; put back on leaving, without loss.

    Weights on disk have no numbers between two uses: only their type is changed, and what is read
    is cast to it. They are new objects after each use, so all are found by name.
    """
    kept = {name: t.data for name, t in _tensors(net) if t.dtype in LOW}
    try:
        for tensor in (t for name, t in _tensors(net) if name in kept):
            tensor.data = tensor.data.float()
        yield
    finally:
        for name, tensor in _tensors(net):
            if name in kept:
                tensor.data = kept[name]


def _tensors(net: nn.Module) -> list[tuple[str, Tensor]]:
    parameters = net.named_parameters(remove_duplicate=False)
    return [*parameters, *net.named_buffers(remove_duplicate=False)]
