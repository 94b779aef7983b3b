"""Geometry of a token's path through the layers: norms, angles, projections, curvature.

Pure functions on hidden states `h` of shape (layer, token, m), h[0] the embeddings. All of them
compute in the dtype they are given: hand them float32 or wider.
"""

from __future__ import annotations

import torch
from torch import Tensor

MIDDLE = (0.25, 0.75)
"""The middle half of the depth, where this book looks for layers that are alike."""


def middle(ell: int, reach: int = 1) -> list[int]:
    """Blocks l for which what lies in l..l+reach is centred in the middle half of the depth.

    (l + reach/2) / ell is in `MIDDLE`; `reach` 2 is for what happens to block l and the next.
    At ell = 2 these are both blocks, so that a network of two has no middle of its own.
    """
    low, high = MIDDLE
    return [at for at in range(ell + 1 - reach) if low <= (at + reach / 2) / ell <= high]


def norm(x: Tensor) -> Tensor:
    """Length of each vector, |x| = sqrt(sum_i x_i^2); (..., m) -> (...)."""
    return torch.linalg.vector_norm(x, dim=-1)


def unit(x: Tensor) -> Tensor:
    """Each vector divided by its length, x / |x|; NaN for the zero vector, which has none."""
    return x / norm(x).unsqueeze(-1)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between vectors, accurate near 0 and pi.

    theta = 2 atan2(|u - v|, |u + v|) with u = a/|a|, v = b/|b|. The arc cosine of a cosine loses
    half of the digits near 0 and pi; this form loses none.

    Parameters
    ----------
    a, b : Tensor, shape (..., m)

    Returns
    -------
    Tensor, shape (...)
        Radians in [0, pi]; NaN where a vector is zero.

    Notes
    -----
    W. Kahan, "How Futile are Mindless Assessments of Roundoff", section 12.
    """
    return _angle_of_units(unit(a), unit(b))


def _angle_of_units(u: Tensor, v: Tensor) -> Tensor:
    return 2 * torch.atan2(norm(u - v), norm(u + v))


def angle_by_cosine(a: Tensor, b: Tensor) -> Tensor:
    """Angle as the published scripts take it: the arc cosine of a cosine in the inputs' dtype.

    In bfloat16 the smallest angle but zero is 0.088 rad. Kept for `paper_compat` only.
    """
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1)
    return torch.arccos(cosine.clamp(-1, 1)).float()


def updates(h: Tensor) -> Tensor:
    """What each block adds, dh_l = h_{l+1} - h_l; (ell + 1, ..., m) -> (ell, ..., m)."""
    return h[1:] - h[:-1]


def projection(h: Tensor) -> Tensor:
    """Share of the way to the end, s_l = <h_l - h_0, h_ell - h_0> / |h_ell - h_0|^2.

    (ell + 1, ..., m) -> (ell + 1, ...), without unit; 0 at l = 0 and 1 at l = ell.
    """
    way = h[-1] - h[0]
    square = (way * way).sum(-1)
    return torch.linalg.vecdot(h - h[0], way) / square


def straightness(h: Tensor) -> Tensor:
    """Distance over path length, |h_ell - h_0| / sum_l |dh_l|; (ell + 1, ..., m) -> (...).

    1 for a straight path; about 1/sqrt(ell) for a random walk.
    """
    return norm(h[-1] - h[0]) / norm(updates(h)).sum(0)


def curvature(theta_dh: Tensor, update_norm: Tensor) -> Tensor:
    """Turning per length of path, kappa_l = theta_dh_l / ((|dh_l| + |dh_{l+1}|) / 2).

    (ell - 1, ...) rad and (ell, ...) -> (ell - 1, ...) rad per unit of the norm.
    """
    return 2 * theta_dh / (update_norm[:-1] + update_norm[1:])


def update_cosines(h: Tensor) -> Tensor:
    """Cosine between each pair of updates, <dh_i, dh_j> / (|dh_i| |dh_j|).

    (ell + 1, token, m) -> (token, ell, ell), without unit.
    """
    directions = unit(updates(h)).transpose(0, 1)
    return directions @ directions.transpose(1, 2)


def trajectory(h: Tensor) -> dict[str, Tensor]:
    """All per-layer quantities of paths in one pass.

    Parameters
    ----------
    h : Tensor, shape (ell + 1, ..., m)
        Raw residual stream, ell >= 2.

    Returns
    -------
    dict
        norm, projection (ell + 1, ...); update_norm, theta, theta_end (ell, ...); theta_dh,
        curvature (ell - 1, ...); straightness (...). theta_l is the angle between h_l and h_{l+1},
        theta_dh_l between dh_l and dh_{l+1}, theta_end_l between h_l and h_ell.
    """
    dh = updates(h)
    length, step = norm(h), norm(dh)
    u, v = h / length.unsqueeze(-1), dh / step.unsqueeze(-1)
    theta_dh = _angle_of_units(v[:-1], v[1:])
    return {
        "norm": length,
        "update_norm": step,
        "theta": _angle_of_units(u[:-1], u[1:]),
        "theta_dh": theta_dh,
        "theta_end": _angle_of_units(u[:-1], u[-1:]),
        "projection": projection(h),
        "curvature": curvature(theta_dh, step),
        "straightness": norm(h[-1] - h[0]) / step.sum(0),
    }


def published_angles(h: Tensor, dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
    """theta, theta_dh and theta_end by `angle_by_cosine` in `dtype`; see `trajectory`."""
    coarse = h.to(dtype)
    dh = updates(coarse)
    return {
        "theta": angle_by_cosine(coarse[:-1], coarse[1:]),
        "theta_dh": angle_by_cosine(dh[:-1], dh[1:]),
        "theta_end": angle_by_cosine(coarse[:-1], coarse[-1:].expand_as(coarse[:-1])),
    }
