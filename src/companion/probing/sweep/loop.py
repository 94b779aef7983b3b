"""One pass over the blocks of a source: batch by batch from tokens to the state."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from companion.errors import InputError
from companion.models import Model, Parts, Stream, capture
from companion.models.memory import out_of_memory
from companion.probing.lens.readout import Readout, lens_values
from companion.probing.quantities import PARTS
from companion.probing.settings import Settings
from companion.probing.sweep.batch import groups_of, path_values, widen
from companion.probing.sweep.state import Batch, State
from companion.probing.sweep.tokens import Item, Shard, TokenBlocks, clusters_of, lens_positions
from companion.runs import Progress

FEWEST_CLUSTERS = 32
"""Before that many documents `until_sem` does not stop a run: the errors are not known yet."""


@dataclass
class Sweep:
    """A probe under way: model, source, settings, and the state reached so far."""

    model: Model
    source: TokenBlocks
    settings: Settings
    shard: Shard
    state: State
    at_once: int
    readout: Readout
    parts: Parts | None = None
    next_block: int = 0
    blocks: int = 0
    tokens: int = 0

    def measure(self, items: list[Item]) -> Batch:
        """All values of a batch of blocks."""
        tokens = torch.stack([torch.from_numpy(item.tokens) for item in items])
        stream = capture(self.model, tokens, self.parts)
        device = self.state.distribution.squares.device
        norms = torch.stack([widen(h).norm(dim=-1) for h in stream.h]).to(device)
        self._check_finite(norms, items)
        compat = self.settings.paper_compat
        group = groups_of(norms, self.settings.sink_ratio)
        group = torch.zeros_like(group) if compat else group
        cluster = clusters_of(items).to(device)
        h = self._published(stream.h) if compat else stream.h
        values, correlation = path_values(h.flatten(1, 2), group, cluster, compat)
        if self.parts:
            lengths = stream.part_norms.flatten(2).to(device)
            values |= {q.name: x for q, x in zip(PARTS, lengths, strict=True)}
        if self.settings.lens != "none":
            read = self._read(stream, tokens, items)
            values |= {name: x.to(device) for name, x in read.items()}
        return Batch(values, correlation, group, cluster)

    def _read(self, stream: Stream, tokens: Tensor, items: list[Item]) -> dict[str, Tensor]:
        settings = self.settings
        positions = lens_positions(items, settings.share, self.model.runtime.seed)
        read = lens_values(self.model, stream, tokens, positions, settings.lens, self.readout)
        self._check_read(read, positions, items)
        return read

    def _published(self, h: Tensor) -> Tensor:
        """With the last state behind the final norm, as in the published scripts."""
        last = h[-1] if self.model.final_norm is None else self.model.final_norm(h[-1])
        return torch.cat([h[:-1], last[None]])

    def _check_finite(self, norms: Tensor, items: list[Item]) -> None:
        bad = ~norms.isfinite().all(-1)
        if bad.any():
            layer, row = (int(x) for x in bad.nonzero()[0])
            raise InputError(
                f"the hidden state of layer {layer} is not finite in block {items[row].number} "
                f"(dtype {self.model.dtype}): try bfloat16 or float32, or check the weights"
            )

    def _check_read(self, read: dict[str, Tensor], positions: Tensor, items: list[Item]) -> None:
        """A prediction that is not finite would count as absent."""
        for name, values in read.items():
            bad = ~values[:, positions.to(values.device)].isfinite()
            if bad.any():
                layer, place = (int(x) for x in bad.nonzero()[0])
                number = items[int(positions[place]) // len(items[0].tokens)].number
                raise InputError(
                    f"{name} read at layer {layer} is not finite in block {number} "
                    f"(dtype {self.model.dtype}): the model's logits overflow or are cut off"
                )

    def run(self, progress: Progress, keep: Callable[[Sweep], None]) -> None:
        """Batch after batch until the source ends or the errors asked for are reached."""
        items = self.source.items(self.shard, self.next_block, self.model)
        total = self.source.total and -(-(self.source.total - self.shard.index) // self.shard.of)
        # Asked first: a run killed after its last batch must not read one more when it is resumed.
        while not self.precise_enough() and (batch := list(islice(items, self.at_once))):
            for part in self._measured(batch):
                self.state = self.state.add(part)
                del part  # or it would stay beside all of the next batch
            self.next_block = batch[-1].number + 1
            self.blocks += len(batch)
            self.tokens += sum(len(item.tokens) for item in batch)
            progress(self.tokens, total and total * len(batch[0].tokens))
            keep(self)

    def _measured(self, items: list[Item]) -> Iterator[Batch]:
        """The values of a batch, in halves where memory does not suffice."""
        try:
            batches = [self.measure(items)]
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            batches = None
        if batches is not None:
            yield from batches
            return
        self._halve(len(items))
        middle = len(items) // 2
        yield from self._measured(items[:middle])
        yield from self._measured(items[middle:])

    def _halve(self, number: int) -> None:
        if number == 1:
            raise InputError(
                f"memory does not suffice for one block on {self.model.runtime.device}: "
                "use shorter blocks, a smaller model or another device"
            )
        self.at_once = max(1, min(self.at_once, number) // 2)
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        warnings.warn(
            f"memory did not suffice for {number} blocks at once: going on with {self.at_once}",
            stacklevel=2,
        )

    def precise_enough(self) -> bool:
        """Whether every standard error asked for is reached at every layer, group "rest"."""
        if not self.settings.until_sem:
            return False
        sums = self.state.distribution.clusters
        if int((sums.counts[0, 0] > 0).sum()) < FEWEST_CLUSTERS:
            return False
        rows, sem = self.state.rows(), sums.sem[:, 0]
        return all(bool((sem[rows[q]] <= t).all()) for q, t in self.settings.until_sem.items())
