"""Streaming statistics as monoids: `merge` is associative and `empty` its neutral element.

What was seen of a stream is kept in a state of constant size, so shards can run anywhere and be
merged, and resuming is merging what is done. A batch is a table of values (row, token); each token
has a group (reported apart) and a cluster (documents hashed into a fixed number of them: sums by
cluster give standard errors that know of dependence within documents). NaN means "no value here"
and shows in `count`. Sums are float64, on the device of the values where it has float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)
STATISTICS = (
    *("count", "mean", "variance", "sem", "min", "max"),
    *(f"q{round(100 * q):02d}" for q in QUANTILES),
)

VALUES_AT_ONCE = {"cpu": 1 << 17}
VALUES_AT_ONCE_GPU = 1 << 23


def cluster_of(documents: np.ndarray, clusters: int) -> np.ndarray:
    """Cluster of each document: its number, well mixed (splitmix64), modulo `clusters`."""
    x = np.asarray(documents).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) % np.uint64(clusters)).astype(np.int64)


@dataclass(frozen=True)
class Bins:
    """Equal bins between `low` and `high` for each row, of the value or of its logarithm.

    One open bin on either side catches the rest, so that nothing falls outside.

    Parameters
    ----------
    low, high : ndarray, shape (row,)
        In the unit of the row, not as logarithms.
    logarithmic : ndarray of bool, shape (row,)
    number : int
        Bins between low and high.
    """

    low: np.ndarray
    high: np.ndarray
    logarithmic: np.ndarray
    number: int = 2048

    def __len__(self) -> int:
        return len(self.low)

    def index(self, values: Tensor) -> Tensor:
        """Bin of each value (row, token): 0 below `low`, number + 1 from `high` on."""
        low, high = (_column(self._scaled(x), values) for x in (self.low, self.high))
        logarithmic = _column(self.logarithmic, values)
        positive = values.clamp_min(torch.finfo(values.dtype).tiny)
        x = torch.where(logarithmic, positive.log(), values)
        place = torch.floor((x - low) / (high - low) * self.number) + 1
        return place.nan_to_num(0).clamp(0, self.number + 1).long()

    def rows(self, some: slice) -> Bins:
        """The bins of some rows."""
        return Bins(self.low[some], self.high[some], self.logarithmic[some], self.number)

    def edges(self, row: int) -> np.ndarray:
        """The number + 1 edges of the bins of a row, in its unit."""
        ends = self._scaled(self.low)[row], self._scaled(self.high)[row]
        edges = np.linspace(*ends, self.number + 1)
        return np.exp(edges) if self.logarithmic[row] else edges

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return np.where(self.logarithmic, np.log(np.where(self.logarithmic, x, 1.0)), x)


def _column(x: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(x, device=like.device)[:, None]


@dataclass(frozen=True)
class ClusterSums:
    """Counts and sums by row, group and cluster: enough for means and their standard errors.

    On a GPU the order of additions is not fixed: there, sums repeat to float64 rounding only.
    """

    counts: Tensor
    sums: Tensor

    @classmethod
    def empty(
        cls, rows: int, groups: int, clusters: int, device: torch.device | str = "cpu"
    ) -> ClusterSums:
        """The neutral element of `merge`: nothing has been counted."""
        shape = (rows, groups, clusters)
        return cls(
            torch.zeros(shape, dtype=torch.int64, device=device),
            torch.zeros(shape, dtype=torch.float64, device=device),
        )

    @classmethod
    def of(cls, values: Tensor, group: Tensor, cluster: Tensor, shape: tuple) -> ClusterSums:
        """One batch: values (row, token), group and cluster (token,), shape (groups, clusters)."""
        self = cls.empty(len(values), *shape, device=values.device)
        cell = group * shape[1] + cluster
        there = ~values.isnan()
        self.counts.flatten(1).index_add_(1, cell, there.long())
        self.sums.flatten(1).index_add_(1, cell, values.double().where(there, 0))
        return self

    def merge(self, other: ClusterSums) -> ClusterSums:
        """The sums of both streams together."""
        return ClusterSums(self.counts + other.counts, self.sums + other.sums)

    @property
    def count(self) -> Tensor:
        """Values in all clusters, shape (row, group)."""
        return self.counts.sum(-1)

    @property
    def mean(self) -> Tensor:
        """Mean over all values, shape (row, group); NaN where there is none."""
        return self.sums.sum(-1) / self.count

    @property
    def sem(self) -> Tensor:
        """Standard error of the mean, clustered; NaN with fewer than two clusters.

        se^2 = K/(K-1) sum_k (S_k - n_k mean)^2 / n^2 over the K clusters that hold values.
        """
        residual = self.sums - self.counts * self.mean.nan_to_num(0).unsqueeze(-1)
        used = (self.counts > 0).sum(-1)
        squares = residual.square().sum(-1) * used / (used - 1).clamp_min(1)
        return (squares.sqrt() / self.count).where(used > 1, torch.nan)


@dataclass(frozen=True)
class Distribution:
    """What is kept of a stream: cluster sums, squared deviations, extremes, histogram.

    `squares` (row, group) is sum (x - mean)^2; `histogram` (row, group, bins + 2) holds counts.
    """

    bins: Bins
    clusters: ClusterSums
    squares: Tensor
    low: Tensor
    high: Tensor
    histogram: Tensor

    @classmethod
    def empty(
        cls, bins: Bins, groups: int, clusters: int, device: torch.device | str = "cpu"
    ) -> Distribution:
        """The neutral element of `merge`: nothing has been seen."""
        flat = torch.zeros((len(bins), groups), dtype=torch.float64, device=device)
        histogram = flat.new_zeros((len(bins), groups, bins.number + 2), dtype=torch.int64)
        sums = ClusterSums.empty(len(bins), groups, clusters, device)
        return cls(bins, sums, flat, flat + torch.inf, flat - torch.inf, histogram)

    @classmethod
    def of(
        cls, bins: Bins, values: Tensor, group: Tensor, cluster: Tensor, shape: tuple
    ) -> Distribution:
        """One batch: values (row, token), group and cluster (token,), shape (groups, clusters).

        A few rows at a time, so that what is computed on the way stays small.
        """
        if not values.shape[1]:
            return cls.empty(bins, *shape, device=values.device)
        at_once = VALUES_AT_ONCE.get(values.device.type, VALUES_AT_ONCE_GPU)
        step = max(1, at_once // values.shape[1])
        slices = [slice(first, first + step) for first in range(0, len(bins), step)]
        parts = [cls._of(bins.rows(s), values[s], group, cluster, shape) for s in slices]
        tables = zip(*(part._tables() for part in parts), strict=True)
        counts, sums, *others = (torch.cat(table) for table in tables)
        return cls(bins, ClusterSums(counts, sums), *others)

    def _tables(self) -> tuple[Tensor, ...]:
        return (
            *(self.clusters.counts, self.clusters.sums),
            *(self.squares, self.low, self.high, self.histogram),
        )

    @classmethod
    def _of(
        cls, bins: Bins, values: Tensor, group: Tensor, cluster: Tensor, shape: tuple
    ) -> Distribution:
        values = values.double()
        sums = ClusterSums.of(values, group, cluster, shape)
        there = ~values.isnan()
        parts = []
        for g in range(shape[0]):
            inside = there & (group == g)
            away = (values - sums.mean[:, g, None]).where(inside, 0)
            least = values.where(inside, torch.inf).amin(1)
            parts.append((away.square().sum(1), least, values.where(inside, -torch.inf).amax(1)))
        squares, low, high = (torch.stack(part, 1) for part in zip(*parts, strict=True))
        return cls(bins, sums, squares, low, high, _histogram(bins, values, there, group, shape[0]))

    def merge(self, other: Distribution) -> Distribution:
        """The statistics of both streams together (Chan, Golub and LeVeque for the squares)."""
        ours, theirs = self.clusters.count.double(), other.clusters.count.double()
        shift = other.clusters.mean.nan_to_num(0) - self.clusters.mean.nan_to_num(0)
        between = shift.square() * (ours * theirs / (ours + theirs).clamp_min(1))
        return Distribution(
            self.bins,
            self.clusters.merge(other.clusters),
            self.squares + other.squares + between,
            torch.minimum(self.low, other.low),
            torch.maximum(self.high, other.high),
            self.histogram + other.histogram,
        )

    @property
    def variance(self) -> Tensor:
        """Unbiased variance over tokens, sum (x - mean)^2 / (n - 1); NaN below two values."""
        count = self.clusters.count
        return (self.squares / (count - 1).clamp_min(1)).where(count > 1, torch.nan)

    def quantiles(self, levels: tuple[float, ...] = QUANTILES) -> np.ndarray:
        """Quantiles (row, group, level), linear inside a bin: the error is at most one bin."""
        rows, groups, _ = self.histogram.shape
        result = np.full((rows, groups, len(levels)), np.nan)
        counts = self.histogram.cpu().numpy()
        low, high = self.low.cpu().numpy(), self.high.cpu().numpy()
        for row in range(rows):
            edges = self.bins.edges(row)
            for g in range(groups):
                below = np.concatenate([[0], counts[row, g].cumsum()])
                if below[-1]:
                    ends = np.concatenate([[low[row, g]], edges, [high[row, g]]])
                    ends = ends.clip(low[row, g], high[row, g])
                    result[row, g] = np.interp(np.array(levels) * below[-1], below, ends)
        return result

    def statistics(self) -> np.ndarray:
        """All of `STATISTICS`, shape (row, group, statistic); NaN where nothing was seen."""
        count = self.clusters.count
        seen = count > 0
        low, high = (x.where(seen, torch.nan) for x in (self.low, self.high))
        sums = self.clusters
        moments = torch.stack([count, sums.mean, self.variance, sums.sem, low, high], -1)
        return np.concatenate([moments.cpu().numpy(), self.quantiles()], -1)


def _histogram(bins: Bins, values: Tensor, there: Tensor, group: Tensor, groups: int) -> Tensor:
    rows, width = len(bins), bins.number + 2
    row = torch.arange(rows, device=values.device)[:, None]
    place = (row * groups + group) * width + bins.index(values)
    counts = torch.bincount(place[there], minlength=rows * groups * width)
    return counts.view(rows, groups, width)
