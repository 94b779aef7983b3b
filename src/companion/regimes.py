"""The three ways in which a network could use its depth, and a stack of known layers for each.

Floor 0. What is measured on language models is first measured on these, whose regime is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from companion.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

REGIMES = ("ensemble", "procedural", "compositional")
"""The regimes of the paper."""

Layer = Callable[["Tensor"], "Tensor"]


def check_regime(regime: str) -> None:
    """Refuse a regime that the paper does not name.

    Raises
    ------
    InputError
        With the names of those that there are.
    """
    if regime not in REGIMES:
        raise InputError(f"regime {regime!r} is unknown: use {', '.join(REGIMES)}")


def stack(
    regime: str, ell: int, width: int, noise: float, turn: float, generator: torch.Generator
) -> list[Layer]:
    """Layers, each a function of states (n, width).

    Parameters
    ----------
    regime : str
        One of `REGIMES`.
    ell, width : int
        Number of layers, and dimension of the state.
    noise : float
        Ensemble: length of a layer's own noise in units of the common update.
    turn : float
        Procedural: how far the state turns in all, in radians.
    generator : torch.Generator
        On the CPU.
    """
    check_regime(regime)
    if regime == "ensemble":
        return _ensemble(ell, width, noise, generator)
    if regime == "procedural":
        return _flow(ell, width, turn, generator)
    return _stages(ell, width, generator)


def _ensemble(ell: int, width: int, noise: float, generator: torch.Generator) -> list[Layer]:
    """Every layer adds the same function of the input half of the state, and noise of its own."""
    import torch

    half = width // 2
    common, *own = (_gaussian(half, generator) for _ in range(ell + 1))
    maps = [(common + noise * error) / ell for error in own]
    return [lambda h, w=w: torch.cat([h[:, :half], h[:, half:] + h[:, :half] @ w], 1) for w in maps]


def _flow(ell: int, width: int, turn: float, generator: torch.Generator) -> list[Layer]:
    """Steps of a rotation whose generator drifts, so that distant steps do not commute."""
    import torch

    first, second = (_skew(width, generator) for _ in range(2))
    times = (torch.arange(ell) + 0.5) / ell
    turns = [torch.linalg.matrix_exp(turn / ell * ((1 - t) * first + t * second)) for t in times]
    return [lambda h, q=q: h @ q for q in turns]


def _stages(ell: int, width: int, generator: torch.Generator) -> list[Layer]:
    """Every layer is a change of basis of its own, without which the next cannot read."""
    import torch

    turns = [torch.linalg.qr(_gaussian(width, generator))[0] for _ in range(ell)]
    return [lambda h, q=q: h @ q for q in turns]


def _gaussian(n: int, generator: torch.Generator) -> Tensor:
    import torch

    return torch.randn(n, n, generator=generator, dtype=torch.float64) / n**0.5


def _skew(n: int, generator: torch.Generator) -> Tensor:
    """An antisymmetric matrix that turns a state by about one radian in unit time."""
    gaussian = _gaussian(n, generator)
    return (gaussian - gaussian.T) / 2**0.5
