"""How a block is called and how it answers, and modules that compute something else for a while.

No family of models is known here: a block is called with whatever its model calls it with, and
answers in the shape that its model expects. Every change to a model lives in a `with` and is
undone at its end, also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

STATES = "hidden_states"


@dataclass(frozen=True)
class Call:
    """What a model hands to a block beside the states: masks, positions, rotary tables."""

    arguments: tuple
    keywords: dict[str, Any]

    def __call__(self, block: Callable[..., Any], states: Tensor) -> Tensor:
        """The states that `block` makes of `states` when it is called in this way."""
        return first_tensor(block(states, *self.arguments, **self.keywords))


def split(args: tuple, kwargs: dict[str, Any]) -> tuple[Any, Call]:
    """The states among the arguments of a block, and the rest of the call."""
    if args:
        return args[0], Call(args[1:], kwargs)
    rest = {name: value for name, value in kwargs.items() if name != STATES}
    return kwargs.get(STATES), Call((), rest)


def first_tensor(answer: Any) -> Tensor:
    """The states in what a module returns: a tensor, or the first of a tuple."""
    return answer if isinstance(answer, Tensor) else answer[0]


def with_states(answer: Any, states: Tensor) -> Any:
    """`answer` of a module with other states in it."""
    return states if isinstance(answer, Tensor) else (states, *answer[1:])


@contextmanager
def replaced(forwards: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """The modules in `forwards` compute that instead; hooks on them stay in force."""
    before = {module: vars(module).get("forward") for module in forwards}
    try:
        for module, other in forwards.items():
            module.forward = other
        yield
    finally:
        for module, own in before.items():
            if own is None:
                vars(module).pop("forward", None)
            else:
                module.forward = own
