"""The number formats of quantised files: weights rounded to what a format can hold (floor 1).

A row of weights is cut into blocks that share a scale, or a scale and a minimum. Each function
takes blocks (n, size) in float32 and gives the values that a reader of the file would see. The
choice of scales is that of llama.cpp's reference code, which rounds to the nearest point of the
grid ("0" and "1" formats) or searches the scale of least weighted squared error (K formats).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_TINY = 1e-15
"""Blocks whose largest weight is smaller count as zero, as in the reference code."""


@dataclass(frozen=True)
class Format:
    """One format of a file.

    Parameters
    ----------
    name : str
        As GGUF calls it.
    size : int
        Weights in a block, or in a super-block of a K format.
    bits : float
        Of a weight, scales included.
    rounded : callable
        Blocks (n, size) to what is read back.
    """

    name: str
    size: int
    bits: float
    rounded: Callable[[Tensor], Tensor]


def half(x: Tensor) -> Tensor:
    """Scales are stored in 16 bits."""
    return x.half().float()


def _over(x: Tensor, scale: Tensor) -> Tensor:
    """x / scale as the reference code has it: by the inverse, and 0 where the scale is 0."""
    return x * torch.where(scale == 0, 0.0, 1 / scale)


def q4_1(x: Tensor) -> Tensor:
    """d q + m with q in 0..15, d = (max - min)/15, m = min."""
    low = x.amin(-1, keepdim=True)
    d = (x.amax(-1, keepdim=True) - low) / 15
    q = torch.trunc(_over(x - low, d) + 0.5).clamp(0, 15)
    return half(d) * q + half(low)


def q5_0(x: Tensor) -> Tensor:
    """d q with q in -16..15, d such that the weight of largest size becomes -16."""
    d = _largest(x) / -16
    q = torch.trunc(_over(x, d) + 16.5).clamp(0, 31) - 16
    return half(d) * q


def q8_0(x: Tensor) -> Tensor:
    """d q with q in -127..127, d = max|x| / 127."""
    d = x.abs().amax(-1, keepdim=True) / 127
    scaled = _over(x, d)
    return half(d) * torch.sign(scaled) * torch.floor(scaled.abs() + 0.5)  # half away from zero


def q4_k(x: Tensor) -> Tensor:
    """d s q - d' s' with q in 0..15, for 8 sub-blocks of 32, whose s and s' are of 6 bits."""
    sub = x.unflatten(-1, (8, 32))
    scale, down = _scale_and_minimum(sub)
    d, dm = (_over_six_bits(each) for each in (scale, down))
    q = torch.where(d == 0, 0.0, torch.round((sub + dm) / d).clamp(0, 15))
    return (d * q - dm).flatten(-2)


def _over_six_bits(scales: Tensor) -> Tensor:
    """Scales (n, 8, 1) as multiples 0..63 of one 16-bit number for each super-block."""
    top = scales.amax(-2, keepdim=True)
    counts = torch.round(_over(scales, top / 63)).clamp(max=63)
    return half(top / 63) * counts


def _scale_and_minimum(x: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and -minimum (n, 8, 1) of least error, weighted by rms + |x|, among 21 steps."""
    weight = x.square().mean(-1, keepdim=True).sqrt() + x.abs()
    low = x.amin(-1, keepdim=True).clamp(max=0)
    reach = x.amax(-1, keepdim=True) - low
    scale, minimum = reach / 15, low
    least = _error(x, weight, torch.round(_over(x - low, scale)).clamp(0, 15), scale, low)
    for step in range(21):
        q = torch.round(_over(x - low, reach / (14 + 0.1 * step))).clamp(0, 15)
        new, down = _fitted(x, weight, q)
        error = _error(x, weight, q, new, down)
        better = error < least  # NaN where the fit has no solution
        scale, minimum = torch.where(better, new, scale), torch.where(better, down, minimum)
        least = torch.where(better, error, least)
    return torch.where(reach == 0, 0.0, scale), -minimum


def _fitted(x: Tensor, weight: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares scale and minimum of x = scale q + minimum, the minimum at most zero."""
    w, wx, wq, wqq, wqx = (
        part.sum(-1, keepdim=True)
        for part in (weight, weight * x, weight * q, weight * q * q, weight * q * x)
    )
    determinant = w * wqq - wq * wq
    scale = (w * wqx - wx * wq) / determinant
    minimum = (wqq * wx - wq * wqx) / determinant
    above = minimum > 0
    return torch.where(above, wqx / wqq, scale), torch.where(above, 0.0, minimum)


def _error(x: Tensor, weight: Tensor, q: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
    return (weight * (scale * q + minimum - x).square()).sum(-1, keepdim=True)


def q6_k(x: Tensor) -> Tensor:
    """d s q with q in -32..31, for 16 sub-blocks of 16, whose s are of 8 bits with sign."""
    sub = x.unflatten(-1, (16, 16))
    scale = _signed_scale(sub)
    top = _largest(scale.squeeze(-1)).unsqueeze(-1)
    d = top / -128
    counts = torch.round(_over(scale, d)).clamp(max=127)
    each = half(d) * counts
    q = torch.where(each == 0, 0.0, torch.round(sub / each).clamp(-32, 31))
    return (each * q).flatten(-2)


def _signed_scale(x: Tensor) -> Tensor:
    """Scale (n, 16, 1) that explains most of the weights' squares, weighted by x², in 19 steps."""
    largest, weight = _largest(x), x.square()
    best = scale = torch.zeros_like(largest)
    for step in (0, *range(-9, 0), *range(1, 10)):
        q = torch.round(_over(x, -largest / (32 + 0.1 * step))).clamp(-32, 31)
        along = (weight * x * q).sum(-1, keepdim=True)
        size = (weight * q * q).sum(-1, keepdim=True)
        better = (size > 0) & (along.square() > best * size)
        new = torch.where(size > 0, along / size, 0.0)
        scale, best = torch.where(better, new, scale), torch.where(better, new * along, best)
    return torch.where(largest.abs() < _TINY, 0.0, scale)


def _largest(x: Tensor) -> Tensor:
    """The entry of largest size of each block, with its sign; (..., 1)."""
    return x.gather(-1, x.abs().argmax(-1, keepdim=True))


FORMATS = {
    one.name: one
    for one in (
        Format("Q4_1", 32, 5.0, q4_1),
        Format("Q5_0", 32, 5.5, q5_0),
        Format("Q8_0", 32, 8.5, q8_0),
        Format("Q4_K", 256, 4.5, q4_k),
        Format("Q6_K", 256, 6.5625, q6_k),
        Format("F16", 1, 16.0, half),
    )
}
