"""Checkpoints of the engine: weights, Adam's state and the losses so far, in one safetensors file.

Batches are functions of the step (see `draws`), so there is no generator to save, and a resumed
run gives the same bits as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from companion.errors import InputError
from companion.files import atomic
from companion.toy.training.engine import Engine

RECORD = "record."


@dataclass(frozen=True)
class Checkpoint:
    """What a run had kept: tensors by name, steps done, members in one stack."""

    tensors: dict[str, torch.Tensor]
    step: int
    group: int

    @torch.no_grad()
    def restore(self, engine: Engine) -> dict[str, np.ndarray]:
        """Put the state into an engine of the same specification; gives the losses so far."""
        for name, tensor in _state(engine):
            tensor.copy_(self.tensors[name])
        engine.step = self.step
        losses = {k: v.cpu().numpy() for k, v in self.tensors.items() if k.startswith(RECORD)}
        return {name.removeprefix(RECORD): values for name, values in losses.items()}


def save(engine: Engine, record: dict[str, np.ndarray], path: Path) -> None:
    """Write the whole state to `path`, atomically."""
    from safetensors.torch import save as serialised

    tensors = {f"{RECORD}{k}": torch.from_numpy(np.ascontiguousarray(v)) for k, v in record.items()}
    tensors |= {name: tensor.detach().contiguous() for name, tensor in _state(engine)}
    facts = {"step": str(engine.step), "group": str(engine.group)}
    with atomic(path) as temporary:
        temporary.write_bytes(serialised(tensors, facts))


def read(path: Path, device: str) -> Checkpoint:
    """Read what `save` wrote.

    Raises
    ------
    InputError
        If the file cannot be read; it is then kept aside.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=device) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Checkpoint(tensors, *(int(file.metadata()[k]) for k in ("step", "group")))
    except (SafetensorError, KeyError, TypeError) as error:
        aside = path.rename(path.with_name(path.name + ".corrupt"))
        raise InputError(f"checkpoint {str(path)!r} is corrupt, kept as {aside.name!r}") from error


def _state(engine: Engine) -> Iterator[tuple[str, torch.Tensor]]:
    for index, (stack, adam) in enumerate(zip(engine.stacks, engine.optimizers, strict=True)):
        for name, weight in stack.parameters().items():
            yield f"{index}.{name}", weight
            for key, tensor in adam.state[weight].items():
                yield f"{index}.{name}.{key}", tensor
