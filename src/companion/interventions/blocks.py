"""Skip, swap, repeat, average or parallelise blocks of a model, for the length of a `with`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor

from companion.errors import InputError
from companion.models import Model, Stream, as_model, capture
from companion.models.hooks import replaced, split, with_states

Run = Callable[[int, Tensor], Tensor]
Rule = Callable[[Tensor, Run], Tensor]


def _skip(layer: int, ell: int) -> dict[int, Rule]:
    return {layer: lambda h, run: h}


def _swap(layer: int, ell: int) -> dict[int, Rule]:
    return {
        layer: lambda h, run: run(layer + 1, h),
        layer + 1: lambda h, run: run(layer, h),
    }


def _repeat(layer: int, ell: int) -> dict[int, Rule]:
    return {layer: lambda h, run: run(layer, run(layer, h))}


def _average(layer: int, ell: int) -> dict[int, Rule]:
    beside = [index for index in (layer - 1, layer + 1) if 0 <= index < ell]
    return {layer: lambda h, run: reduce(add, (run(index, h) for index in beside)) / len(beside)}


def _parallel(layer: int, ell: int) -> dict[int, Rule]:
    return {
        layer: lambda h, run: run(layer, h) + run(layer + 1, h) - h,
        layer + 1: lambda h, run: h,
    }


def _reverse(layer: int, ell: int, k: int) -> dict[int, Rule]:
    return {layer + i: lambda h, run, at=layer + k - 1 - i: run(at, h) for i in range(k)}


def _double(layer: int, ell: int, k: int) -> dict[int, Rule]:
    once = {at: lambda h, run, at=at: run(at, h) for at in range(layer, layer + k)}
    return once | {
        at: lambda h, run, at=at: run(at, run(at, h)) for at in range(layer, layer + k, 2)
    }


_RULES = {
    "skip": _skip,
    "swap": _swap,
    "repeat": _repeat,
    "average": _average,
    "parallel": _parallel,
}
KINDS = tuple(_RULES)
"""The kinds of intervention that `intervene` knows; besides them those of `DOSED`."""

_DOSED_RULES = {"reverse": _reverse, "double": _double}
DOSED = tuple(_DOSED_RULES)
"""Kinds with a dose k, named e.g. "reverse-4": k blocks in a row, from the one named on."""

_NEEDS_NEXT = ("swap", "parallel")


def extent(kind: str) -> int:
    """How many blocks in a row `kind` disturbs, from the one that is named on.

    Raises
    ------
    InputError
        If the kind is unknown.
    """
    if kind in _RULES:
        return 2 if kind in _NEEDS_NEXT else 1
    name, _, dose = kind.partition("-")
    if name not in DOSED or not dose.isdecimal() or int(dose) < 2:
        dosed = ", ".join(f"{one}-K with K of 2 or more" for one in DOSED)
        raise InputError(
            f"intervention {kind!r} is unknown: use one of {', '.join(KINDS)}, {dosed}"
        )
    return int(dose)


def places(kind: str, ell: int) -> range:
    """The blocks at which `kind` can be done in a model of `ell` blocks.

    Raises
    ------
    InputError
        If the kind is unknown, or the model is too shallow for it.
    """
    fewest = 2 if kind == "average" else extent(kind)
    if ell < fewest:
        raise InputError(f"{kind} needs a model of at least {fewest} blocks, this one has {ell}")
    return range(ell - extent(kind) + 1)


def rules(kind: str, layer: int, ell: int) -> dict[int, Rule]:
    """What stands in place of which blocks: a function of the state and of `run(block, state)`.

    Raises
    ------
    InputError
        If the kind is unknown or cannot be done at that layer.
    """
    if layer not in places(kind, ell):
        raise InputError(f"{kind} has no block {layer}: use 0..{places(kind, ell)[-1]}")
    if kind in _RULES:
        return _RULES[kind](layer, ell)
    return _DOSED_RULES[kind.partition("-")[0]](layer, ell, extent(kind))


@contextmanager
def intervene(
    model: Model | Any, kind: str, layer: int, stream: Stream | None = None
) -> Iterator[None]:
    r"""Change block `layer` (counted from 0) while the `with` lasts.

    Block l maps h to :math:`f_l(h) = h + u_l(h)`. In its place stands, by `kind`,

    - skip: :math:`h`
    - repeat: :math:`f_l(f_l(h))`
    - swap: :math:`f_l(f_{l+1}(h))`, the two blocks in the other order
    - average: :math:`h + \frac12(u_{l-1}(h) + u_{l+1}(h))`, the mean update of its neighbours
      (of its one neighbour at either end)
    - parallel: :math:`h + u_l(h) + u_{l+1}(h)` for the two blocks, neither sees the other
    - reverse-k: blocks l .. l+k-1 in the opposite order; reverse-2 is swap
    - double-k: of blocks l .. l+k-1 every other one, the first included, twice

    Parameters
    ----------
    model : Model, or a transformers model in memory
    kind : str
        One of `KINDS`, or of `DOSED` with its dose.
    layer : int
        The block, one of `places`.
    stream : Stream, optional
        A run of tokens of the very shape that will be run, kept by `capture`. A block that moves
        then takes its own mask and positions along; without, it uses those of its new place.

    Raises
    ------
    InputError
        If the kind is unknown, the layer is not there, or blocks that attend differently
        (sliding and full) would change places without a `stream`; within the `with`, if the
        model runs with a cache.
    """
    model = as_model(model)
    changed = rules(kind, layer, model.ell)
    if stream is None:
        _refuse_mixed(model, kind, layer)
    own = [block.forward for block in model.blocks]
    answer = (stream or capture(model, torch.zeros(1, 1, dtype=torch.long))).answer
    forwards = {
        model.blocks[place]: _ruled(rule, own, answer, stream) for place, rule in changed.items()
    }
    with replaced(forwards):
        yield


def _ruled(
    rule: Rule, own: list[Callable[..., Any]], answer: Any, stream: Stream | None
) -> Callable[..., Any]:
    def forward(*args: Any, **kwargs: Any) -> Any:
        state, here = split(args, kwargs)
        _refuse_cache(*args, *kwargs.values())

        def run(index: int, h: Tensor) -> Tensor:
            call = here if stream is None else stream.calls[index]
            return call(own[index], h)

        return with_states(answer, rule(state, run))

    return forward


def _refuse_cache(*arguments: object) -> None:
    # A block that runs twice, or in another's place, would write its keys twice or not at all.
    from transformers import Cache

    if any(isinstance(argument, Cache) for argument in arguments):
        raise InputError("blocks cannot be changed in a run with a cache: pass use_cache=False")


def _refuse_mixed(model: Model, kind: str, layer: int) -> None:
    types = getattr(model.net.config.get_text_config(), "layer_types", None)
    if not types or kind in ("skip", "repeat") or kind.startswith("double"):
        return
    first, last = (layer - 1, layer + 2) if kind == "average" else (layer, layer + extent(kind))
    beside = types[max(first, 0) : last]
    if len(set(beside)) > 1:
        raise InputError(
            f"{kind} at block {layer} of {model.name} exchanges blocks that attend differently "
            f"({', '.join(sorted(set(beside)))}): give a stream captured from your tokens"
        )
