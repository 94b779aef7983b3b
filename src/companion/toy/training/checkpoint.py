"""Checkpoints of the engine: weights, Adam's state and the losses so far, in one safetensors file.

Batches are functions of the step (see `draws`), so there is no generator to save, and a resumed
run gives the same bits as one that was never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from companion.errors import InputError
from companion.files import atomic
from companion.toy.training.engine import Engine


def save(engine: Engine, record: dict[str, np.ndarray], path: Path) -> None:
    """Write the whole state to `path`, atomically."""
    from safetensors.torch import save as serialised

    tensors = {f"record.{k}": torch.from_numpy(np.ascontiguousarray(v)) for k, v in record.items()}
    tensors |= {name: tensor.detach().contiguous() for name, tensor in _state(engine)}
    facts = {"step": engine.step, "group": engine.group, "numbers": _numbers(engine)}
    facts["specification"] = engine.spec.to_dict()
    with atomic(path) as temporary:
        temporary.write_bytes(serialised(tensors, {"companion": json.dumps(facts)}))


def load(engine: Engine, record: dict[str, np.ndarray], path: Path) -> None:
    """Put the state at `path` into `engine` and `record`.

    Raises
    ------
    InputError
        If the file is of another specification, device or dtype, or cannot be read (then it is
        kept aside).
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=engine.device) as file:
            facts = json.loads(file.metadata()["companion"])
            _check(engine, facts, path)
            wanted = [*(f"record.{name}" for name in record), *(name for name, _ in _state(engine))]
            saved = {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        aside = path.rename(path.with_name(path.name + ".corrupt"))
        raise InputError(f"checkpoint {str(path)!r} is corrupt, kept as {aside.name!r}") from error
    for name in record:
        record[name][...] = saved[f"record.{name}"].cpu().numpy()
    with torch.no_grad():
        for name, tensor in _state(engine):
            tensor.copy_(saved[name])
    engine.step = facts["step"]


def group_of(path: Path) -> int | None:
    """Members per stack of the run that wrote the checkpoint; None if the file tells none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads(file.metadata()["companion"])["group"])
    except (SafetensorError, KeyError, TypeError, ValueError):
        return None


def _check(engine: Engine, facts: dict, path: Path) -> None:
    ours, theirs = engine.spec.to_dict(), facts["specification"]
    differ = [key for key in ours if ours[key] != theirs.get(key)]
    if differ:
        key = differ[0]
        raise InputError(
            f"checkpoint {str(path)!r} is of another specification: "
            f"{key} is {theirs.get(key)!r} there and {ours[key]!r} here"
        )
    made = facts.get("numbers", _numbers(engine))
    if made != _numbers(engine):
        raise InputError(
            f"checkpoint {str(path)!r} was made with {made}, not with {_numbers(engine)}"
        )


def _numbers(engine: Engine) -> str:
    """Where and how its numbers are made: batches and rounding depend on both."""
    return f"{engine.device.split(':')[0]} {str(engine.dtype).removeprefix('torch.')}"


def _state(engine: Engine) -> Iterator[tuple[str, torch.Tensor]]:
    for index, (stack, adam) in enumerate(zip(engine.stacks, engine.optimizers, strict=True)):
        for name, weight in stack.parameters().items():
            yield f"{index}.{name}", weight
            for key, tensor in adam.state[weight].items():
                yield f"{index}.{name}.{key}", tensor
