"""Trajectories whose regime is known, to be measured by the same code as language models.

Floor 2. One synthetic system for each way in which a network could use its depth. An instrument
that cannot tell these three apart says nothing about a language model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from companion.errors import InputError
from companion.regimes import REGIMES, check_regime
from companion.runtime import Runtime

if TYPE_CHECKING:
    import torch
    import xarray as xr

DOCUMENTS_AT_ONCE = 8
JITTER = 0.02


@dataclass(frozen=True)
class Control:
    """A synthetic system: which regime, how deep, how wide, how many tokens.

    Parameters
    ----------
    regime : str
        One of `REGIMES`.
    ell : int
        Depth, at least 2.
    m : int
        Width.
    documents, length : int
        Independent documents, and tokens in each.
    turn : float
        Size of the whole change relative to the state: rms updates sum to `turn` without noise
        (ensemble), rms turning rate (procedural), angle of one stage in radians (compositional).
    noise : float
        Ensemble only: noise of one layer's estimate relative to the update that it estimates.
    stages : int
        Compositional only: how many layers act, evenly placed in depth.
    """

    regime: str
    ell: int = 16
    m: int = 64
    documents: int = 32
    length: int = 64
    turn: float = 0.8
    noise: float = 2.0
    stages: int = 3

    def __post_init__(self) -> None:
        check_regime(self.regime)
        if self.ell < 2 or self.m < 2 or self.m % 2 or self.documents < 1 or self.length < 1:
            raise InputError("a control needs ell of at least 2, an even m, and at least one token")
        if not 1 <= self.stages <= self.ell:
            raise InputError(f"{self.stages} stages do not fit in {self.ell} layers")


def ensemble(
    start: torch.Tensor, control: Control, world: torch.Generator, generator: torch.Generator
) -> torch.Tensor:
    r"""Random walk with drift: every layer estimates one update u, with its own noise z.

    :math:`dh_l = (\mathrm{turn}/\ell)\,(u + \mathrm{noise}\cdot z_l)`, u and z_l independent
    N(0, 1): the cosine of any two updates is 1/(1 + noise²), near or far; the layers' noise
    leaves a variance of order 1/ell in h_ell.

    Parameters
    ----------
    start : tensor, shape (token, m)
        States h_0.
    control : Control
    world : generator
        Draws what all tokens share (nothing here).
    generator : generator
        Draws what belongs to the tokens.

    Returns
    -------
    tensor, shape (ell + 1, token, m)
    """
    u = _normal(start.shape, generator)
    z = _normal((control.ell, *start.shape), generator)
    return _summed(start, control.turn / control.ell * (u + control.noise * z))


def procedural(
    start: torch.Tensor, control: Control, world: torch.Generator, generator: torch.Generator
) -> torch.Tensor:
    r"""Smooth flow dh/dt = S h, t in [0, 1], S antisymmetric, in ell Euler steps.

    :math:`dh_l = S h_l / \ell`: a layer's update is almost the one before, turned by an angle of
    order 1/ell. Parameters and returns as in `ensemble`; `world` draws S.
    """
    a = _normal((control.m, control.m), world)
    step = control.turn / control.ell * (a - a.T) / math.sqrt(2 * control.m)
    states = [start]
    for _ in range(control.ell):
        states.append(states[-1] + states[-1] @ step.T)
    return _stack(states)


def compositional(
    start: torch.Tensor, control: Control, world: torch.Generator, generator: torch.Generator
) -> torch.Tensor:
    r"""Stages: a few layers each turn the state by a large angle, the others hardly move it.

    At a stage :math:`h_{l+1} = \cos(\mathrm{turn})\,h_l + \sin(\mathrm{turn})\,Q h_l` with Q an
    orthogonal map of that stage; elsewhere dh_l is noise of relative size 0.02. The number of
    stages does not depend on ell. Parameters and returns as in `ensemble`; `world` draws Q.
    """
    acting = stage_layers(control)
    maps = {layer: _antisymmetric_orthogonal(control.m, world) for layer in acting}
    states = [start]
    for layer in range(control.ell):
        h = states[-1]
        if layer in maps:
            states.append(math.cos(control.turn) * h + math.sin(control.turn) * h @ maps[layer].T)
        else:
            states.append(h + JITTER * _normal(h.shape, generator))
    return _stack(states)


SYSTEMS: dict[str, Callable[..., torch.Tensor]] = {
    "ensemble": ensemble,
    "procedural": procedural,
    "compositional": compositional,
}


def stage_layers(control: Control) -> tuple[int, ...]:
    """Layers at which a compositional control acts, k of them at the depths (i + 1/2) ell / k."""
    k, ell = control.stages, control.ell
    return tuple(int((i + 0.5) * ell / k) for i in range(k))


def trajectories(control: Control, runtime: Runtime) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of hidden states of a control, and the document of each token.

    Parameters
    ----------
    control : Control
    runtime : Runtime
        Its seed fixes the numbers; they are drawn on the CPU in float32.

    Yields
    ------
    h : tensor, shape (ell + 1, token, m)
    documents : tensor of int, shape (token,)
    """
    import torch

    system = SYSTEMS[control.regime]
    generator = runtime.torch_generator(1, device="cpu")
    for first in range(0, control.documents, DOCUMENTS_AT_ONCE):
        world = runtime.torch_generator(0, device="cpu")
        last = min(first + DOCUMENTS_AT_ONCE, control.documents)
        documents = torch.arange(first, last).repeat_interleave(control.length)
        start = _normal((len(documents), control.m), generator)
        yield system(start, control, world, generator), documents


def measure(control: Control, runtime: Runtime) -> xr.Dataset:
    """The dataset of a control, by the accumulators that serve language models."""
    from companion.probing import summarise

    attrs = {
        "model": f"control:{control.regime}",
        "m": control.m,
        "ell": control.ell,
        "family": "control",
        **{f"control_{key}": value for key, value in asdict(control).items()},
    }
    return summarise(trajectories(control, runtime), attrs=attrs)


def measure_all(runtime: Runtime, **settings) -> dict[str, xr.Dataset]:
    """One dataset for each regime, with `settings` of `Control` in common."""
    return {regime: measure(Control(regime, **settings), runtime) for regime in REGIMES}


def measure_depths(
    regime: str, depths: Iterable[int], runtime: Runtime, grow: bool = False, **settings
) -> dict[str, xr.Dataset]:
    """Datasets of one regime at several depths, by name such as "ensemble-ell8".

    `grow` lets the number of stages be the depth, so that every layer is one.
    """
    controls = (
        Control(regime, ell=ell, **settings, **({"stages": ell} if grow else {})) for ell in depths
    )
    return {f"{regime}-ell{control.ell}": measure(control, runtime) for control in controls}


def measure_ladders(
    depths: Iterable[int], runtime: Runtime, **settings
) -> dict[str, dict[str, xr.Dataset]]:
    """`measure_depths` of every regime, by regime."""
    depths = list(depths)
    return {regime: measure_depths(regime, depths, runtime, **settings) for regime in REGIMES}


def _normal(shape, generator: torch.Generator) -> torch.Tensor:
    import torch

    return torch.randn(*shape, generator=generator, dtype=torch.float32)


def _stack(states: list[torch.Tensor]) -> torch.Tensor:
    import torch

    return torch.stack(states)


def _summed(start: torch.Tensor, dh: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([start[None], start + dh.cumsum(0)])


def _antisymmetric_orthogonal(m: int, generator: torch.Generator) -> torch.Tensor:
    r"""A random Q with Q h perpendicular to h and |Q h| = |h|; m is even."""
    import torch

    basis, _ = torch.linalg.qr(_normal((m, m), generator))
    half = m // 2
    swap = torch.zeros(m, m)
    swap[range(half), range(half, 2 * half)] = 1.0
    return basis @ (swap - swap.T) @ basis.T
