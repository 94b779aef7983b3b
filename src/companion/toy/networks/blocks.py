r"""Residual blocks of many students at once, each tensor with a leading axis `member`.

The plain block is :math:`h \to h + W_2\,\mathrm{relu}(W_1 \hat h + b_1)^2` with
:math:`\hat h = h / \mathrm{rms}(h)`. Its backward pass is written by hand: it keeps three
tensors and makes about half the memory passes of the recorded graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

Weights = dict[str, torch.Tensor]
MLP = ("W1", "b1", "W2")
STREAMS = 2


def rms(h: torch.Tensor) -> torch.Tensor:
    """Root mean square over the last axis, kept as an axis of length 1."""
    return (h.square().mean(-1, keepdim=True) + torch.finfo(h.dtype).eps).sqrt()


def rmsnorm(h: torch.Tensor) -> torch.Tensor:
    """h / rms(h)."""
    return h / rms(h)


class _Mlp(torch.autograd.Function):
    """u = W2 relu(W1 h/rms(h) scale + b1)^2 for stacks of (member, batch, m)."""

    @staticmethod
    def forward(ctx, h, W1, b1, W2, scale):
        inverse = scale / rms(h)
        normed = h * inverse
        active = torch.baddbmm(b1.unsqueeze(1), normed, W1).relu_()
        ctx.save_for_backward(normed, inverse, active, W1, W2)
        ctx.scale = scale
        return torch.bmm(active * active, W2)

    @staticmethod
    def backward(ctx, g):
        normed, inverse, active, W1, W2 = ctx.saved_tensors
        dW2 = torch.bmm((active * active).transpose(1, 2), g)
        dz = torch.bmm(g, W2.transpose(1, 2)).mul_(active).mul_(2)
        dW1 = torch.bmm(normed.transpose(1, 2), dz)
        dn = torch.bmm(dz, W1.transpose(1, 2))
        along = (dn * normed).mean(-1, keepdim=True) / ctx.scale**2
        return (dn - normed * along).mul_(inverse), dW1, dz.sum(1), dW2, None


def mlp(h: torch.Tensor, p: Weights, scale: float = 1.0) -> torch.Tensor:
    """Update of a block, (member, batch, m); `scale` multiplies the normalised input."""
    return _Mlp.apply(h, p["W1"], p["b1"], p["W2"], scale)


def _euler(states: list, p: Weights) -> torch.Tensor:
    return states[-1] + mlp(states[-1], p)


def _midpoint(states: list, p: Weights) -> torch.Tensor:
    second = {key: p[f"{key}_mid"] for key in MLP}
    return states[-1] + mlp(states[-1] + 0.5 * mlp(states[-1], p), second)


def _gated(states: list, p: Weights) -> torch.Tensor:
    return p["keep"] * states[-1] + p["gate"] * mlp(states[-1], p)


def _depth_attention(states: list, p: Weights) -> torch.Tensor:
    first, *later = (w[:, None, None] * h for w, h in zip(p["mix"].unbind(1), states, strict=True))
    return states[-1] + mlp(sum(later, first), p)


def _post_norm(states: list, p: Weights) -> torch.Tensor:
    return rmsnorm(states[-1] + mlp(states[-1], p))


def _scaled_norm(states: list, p: Weights) -> torch.Tensor:
    return states[-1] + mlp(states[-1], p, scale=1 / math.sqrt(len(states)))


def _streams(states: list, p: Weights) -> torch.Tensor:
    h = states[-1]
    read = torch.einsum("ks,skbm->kbm", p["read"], h)
    kept = torch.einsum("krs,skbm->rkbm", p["keep"], h)
    return kept + p["write"].T[:, :, None, None] * mlp(read, p)


def _no_extras(m: int, layer: int) -> Weights:
    return {}


def _gates(m: int, layer: int) -> Weights:
    return {name: torch.ones(1, m, dtype=torch.float64) for name in ("keep", "gate")}


def _latest(m: int, layer: int) -> Weights:
    return {"mix": torch.eye(layer + 1, dtype=torch.float64)[-1]}


def _copies(m: int, layer: int) -> Weights:
    keep = torch.eye(STREAMS, dtype=torch.float64)
    write = torch.ones(STREAMS, dtype=torch.float64)
    return {"read": keep[layer % STREAMS].clone(), "keep": keep, "write": write}


@dataclass(frozen=True)
class Block:
    """All that the engine knows of one type of residual block.

    Parameters
    ----------
    step : callable
        (states h_0 .. h_l, weights) -> h_{l+1}; states have shape (member, batch, m), with
        several `streams` (stream, member, batch, m).
    mlps : tuple of str
        Suffixes of the names of its MLPs' weights, one for each evaluation in a block.
    extras : callable
        (m, layer) -> what else is learned, float64, set so that the block starts as the plain one.
    streams : int
        Parallel residual streams.
    """

    step: Callable[[list[torch.Tensor], Weights], torch.Tensor]
    mlps: tuple[str, ...] = ("",)
    extras: Callable[[int, int], Weights] = _no_extras
    streams: int = 1

    @property
    def evaluations(self) -> int:
        """MLPs in a block: what it costs in plain blocks."""
        return len(self.mlps)


BLOCKS = {
    "euler": Block(_euler),
    "midpoint": Block(_midpoint, mlps=("", "_mid")),
    "gated": Block(_gated, extras=_gates),
    "depth_attention": Block(_depth_attention, extras=_latest),
    "post_norm": Block(_post_norm),
    "scaled_norm": Block(_scaled_norm),
    "streams": Block(_streams, extras=_copies, streams=STREAMS),
}
