"""All accumulators of one probe as one mergeable state, and its arrays for a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from companion.probing.quantities import Quantity, bins_of
from companion.statistics.streaming import ClusterSums, Distribution

GROUPS = ("rest", "first")
CLUSTERS = 256
"""Documents are hashed into this many clusters."""

SHAPE = (len(GROUPS), CLUSTERS)


@dataclass(frozen=True)
class Batch:
    """Values of one batch of tokens.

    Parameters
    ----------
    values : mapping of name to Tensor, shape (layers, token)
        NaN where a token has no value.
    correlation : ClusterSums
        Of the cosines between updates, one row for each pair i < j.
    group, cluster : Tensor of int, shape (token,)
        Index in `GROUPS`; cluster of the document.
    """

    values: Mapping[str, Tensor]
    correlation: ClusterSums
    group: Tensor
    cluster: Tensor


@dataclass(frozen=True)
class State:
    """What a probe has seen; `merge` is associative and `empty` its neutral element.

    `noise` (row, 2) holds sums of squared differences to the float32 repeat, and their counts.
    """

    quantities: tuple[Quantity, ...]
    ell: int
    distribution: Distribution
    correlation: ClusterSums
    noise: Tensor

    @classmethod
    def empty(cls, quantities: Sequence[Quantity], ell: int, device: str = "cpu") -> State:
        """What a probe of ell blocks has seen before its first token."""
        distribution = Distribution.empty(bins_of(quantities, ell), *SHAPE, device=device)
        correlation = ClusterSums.empty(len(pairs(ell)[0]), *SHAPE, device=device)
        noise = torch.zeros((len(distribution.bins), 2), dtype=torch.float64)
        return cls(tuple(quantities), ell, distribution, correlation, noise)

    def add(self, batch: Batch) -> State:
        """This state with one more batch, in the memory of the old one.

        New tensors would lie behind the batch's, and keep the allocator from giving those back.
        """
        table = torch.cat([batch.values[q.name] for q in self.quantities])
        bins = self.distribution.bins
        seen = Distribution.of(bins, table, batch.group, batch.cluster, SHAPE)
        distribution = self.distribution.merge(seen)
        correlation = self.correlation.merge(batch.correlation)
        merged = replace(self, distribution=distribution, correlation=correlation).tensors()
        for name, kept in self.tensors().items():
            kept.copy_(merged[name])
        return self

    def merge(self, other: State) -> State:
        """Both streams together."""
        return replace(
            self,
            distribution=self.distribution.merge(other.distribution),
            correlation=self.correlation.merge(other.correlation),
            noise=self.noise + other.noise,
        )

    def tensors(self) -> dict[str, Tensor]:
        """All that the state consists of, by name."""
        d, c = self.distribution, self.correlation
        return {
            "counts": d.clusters.counts,
            "sums": d.clusters.sums,
            "squares": d.squares,
            "low": d.low,
            "high": d.high,
            "histogram": d.histogram,
            "correlation_counts": c.counts,
            "correlation_sums": c.sums,
            "noise": self.noise,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The state as plain arrays; `from_arrays` is the inverse."""
        return {name: tensor.cpu().numpy() for name, tensor in self.tensors().items()}

    @classmethod
    def from_arrays(
        cls,
        quantities: Sequence[Quantity],
        ell: int,
        arrays: Mapping[str, np.ndarray],
        device: str = "cpu",
    ) -> State:
        """The state that `arrays` describes."""
        t = {
            k: torch.tensor(v, device="cpu" if k == "noise" else device) for k, v in arrays.items()
        }
        clusters = ClusterSums(t["counts"], t["sums"])
        distribution = Distribution(
            bins_of(quantities, ell), clusters, t["squares"], t["low"], t["high"], t["histogram"]
        )
        correlation = ClusterSums(t["correlation_counts"], t["correlation_sums"])
        return cls(tuple(quantities), ell, distribution, correlation, t["noise"])

    def rows(self) -> dict[str, slice]:
        """Which rows each quantity fills."""
        ends = np.cumsum([0] + [q.layers(self.ell) for q in self.quantities])
        spans = pairwise(ends)
        return {q.name: slice(*span) for q, span in zip(self.quantities, spans, strict=True)}


def pairs(ell: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs i < j of updates whose cosines are kept."""
    return np.triu_indices(ell, 1)
