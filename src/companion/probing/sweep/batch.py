"""One batch of states becomes per-token values: geometry in one pass, groups, clusters."""

from __future__ import annotations

import torch
from torch import Tensor

from companion import geometry
from companion.probing.quantities import middle
from companion.probing.sweep.state import SHAPE, pairs
from companion.statistics.streaming import ClusterSums

CHUNK_BYTES = {"cpu": 1 << 21}
CHUNK_BYTES_GPU = 256 << 20


def path_values(
    h: Tensor, group: Tensor, cluster: Tensor, published: bool = False
) -> tuple[dict[str, Tensor], ClusterSums]:
    """Geometry of all tokens, some at a time so that copies stay small.

    Parameters
    ----------
    h : Tensor, shape (ell + 1, token, m)
        In any dtype; computed in float32 or wider.
    group, cluster : Tensor of int, shape (token,)
    published : bool
        Angles by bfloat16 cosines, as in the published scripts.

    Returns
    -------
    values : dict of name to Tensor, shape (layers, token)
    correlation : ClusterSums
        Of the cosines between updates.
    """
    ell = len(h) - 1
    correlation = ClusterSums.empty(len(pairs(ell)[0]), *SHAPE, device=group.device)
    chunks: list[dict[str, Tensor]] = []
    size = chunk_size(h.device, h[:, :1].numel() * 4)
    for start in range(0, h.shape[1], size):
        part = slice(start, start + size)
        wide = widen(h[:, part])
        values = geometry.trajectory(wide)
        if published:
            values |= geometry.published_angles(wide)
        values["theta_middle"] = values["theta"][middle(ell)].mean(0)
        chunks.append({name: x.reshape(-1, wide.shape[1]) for name, x in values.items()})
        i, j = pairs(ell)
        cosines = geometry.update_cosines(wide)[:, i, j].T.to(group.device)
        seen = ClusterSums.of(cosines, group[part], cluster[part], SHAPE)
        correlation = correlation.merge(seen)
    joined = {name: torch.cat([c[name] for c in chunks], 1) for name in chunks[0]}
    return {name: x.to(group.device) for name, x in joined.items()}, correlation


def widen(h: Tensor) -> Tensor:
    """At least float32."""
    return h if h.dtype == torch.float64 else h.float()


def chunk_size(device: torch.device, bytes_each: int) -> int:
    """How many tokens at once: what stays in cache on a CPU, what fills a GPU."""
    return max(1, CHUNK_BYTES.get(device.type, CHUNK_BYTES_GPU) // bytes_each)


def groups_of(norms: Tensor, sink_ratio: float) -> Tensor:
    """0 for ordinary tokens, 1 for the first of each block and for attention sinks.

    A sink is a token whose norm exceeds `sink_ratio` times the median of its block at any layer.

    Parameters
    ----------
    norms : Tensor, shape (ell + 1, B, T)

    Returns
    -------
    Tensor of int, shape (B * T,)
    """
    sink = (norms > sink_ratio * norms.median(-1, keepdim=True).values).any(0)
    sink[:, 0] = True
    return sink.flatten().long()
