"""Results that are merged as they come, in an order that does not depend on when they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from companion.files import read_netcdf, write_netcdf
from companion.runs.output import Output

if TYPE_CHECKING:
    import xarray as xr

FAN = 8
"""So many results are merged at a time: the shape of the tree fixes the order of all sums."""


class Tree:
    """Results merged `FAN` at a time as soon as neighbours are there; few lie about at any time.

    Parameters
    ----------
    leaves : int
    merge : callable
        Of a list of results in their order.
    output : Output
        Keeps what has been merged so far, a file a node.
    """

    def __init__(
        self, leaves: int, merge: Callable[[list[xr.Dataset]], xr.Dataset], output: Output
    ) -> None:
        self.merge, self.output = merge, output
        self.sizes = [leaves]
        while self.sizes[-1] > 1:
            self.sizes.append(-(-self.sizes[-1] // FAN))
        self._memory: dict[tuple[int, int], xr.Dataset] = {}

    def missing(self) -> list[int]:
        """Leaves that are in no node; what a crash left below a node that is whole goes."""
        left = []
        for leaf in range(self.sizes[0]):
            path = [(level, leaf // FAN**level) for level in range(len(self.sizes))]
            there = [node for node in path if self._has(node)]
            for node in there[:-1]:
                self._take(node)
            if not there:
                left.append(leaf)
        return left

    def add(self, leaf: int, result: xr.Dataset, level: int = 0) -> None:
        """Put a result at its place, and merge whatever has become whole by it."""
        self._put((level, leaf), result)
        if level + 1 == len(self.sizes):
            return
        parent = leaf // FAN
        last = min((parent + 1) * FAN, self.sizes[level])
        children = [(level, index) for index in range(parent * FAN, last)]
        if all(map(self._has, children)):
            merged = self.merge([self._get(node) for node in children])
            self.add(parent, merged, level + 1)
            for node in children:
                self._take(node)

    def root(self) -> xr.Dataset:
        """The whole, once nothing is `missing`."""
        return self._get((len(self.sizes) - 1, 0))

    def _part(self, node: tuple[int, int]) -> Any:
        return self.output.part("shards-{}-{}.nc".format(*node))

    def _has(self, node: tuple[int, int]) -> bool:
        part = self._part(node)
        return part.exists() if part else node in self._memory

    def _put(self, node: tuple[int, int], result: xr.Dataset) -> None:
        part = self._part(node)
        if part:
            write_netcdf(result, part)
        else:
            self._memory[node] = result

    def _get(self, node: tuple[int, int]) -> xr.Dataset:
        part = self._part(node)
        return read_netcdf(part) if part else self._memory[node]

    def _take(self, node: tuple[int, int]) -> None:
        part = self._part(node)
        if part:
            part.unlink(missing_ok=True)
        else:
            self._memory.pop(node, None)
