r"""What seeds have in common: the loss of one model, and of the averaged logits of several.

Cross-entropy is convex in the logits, so averaging those of M models gains. To second order the
gain is :math:`V (1 - 1/M)`, V being the part of the loss that differs from seed to seed; what M
without end would leave, :math:`\bar L - V`, is common to all. If blocks were independent draws, V
would fall as 1/ell, and M models of ell blocks be worth one model of M ell.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.errors import InputError
from companion.ladder import text
from companion.ladder.export import finished
from companion.ladder.grid import Grid, Run
from companion.ladder.trainer import Trainer
from companion.runs import Keep, Progress, computed, silent
from companion.runtime import Runtime
from companion.statistics.intervals import Interval, jackknifed

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def measure(
    folder: Path, runtime: Runtime, progress: Progress = silent, kept: Keep = computed
) -> xr.Dataset:
    """Held-out loss of every set of seeds of a finished grid, their logits averaged.

    Parameters
    ----------
    folder : Path
        Of `companion ladder train`: one width and rate a depth, two seeds or more.
    runtime : Runtime
        Logits are float32.
    progress : callable
    kept : callable
        Keeps what is finished, see `runs.Output.kept`.

    Returns
    -------
    xarray.Dataset
        `loss` (D, ell, subset), nats/token; `subset` names its seeds, e.g. "0+2".

    Raises
    ------
    InputError
        If the grid is not finished, or is not of such a kind.
    """
    import xarray as xr

    grid, _ = finished(folder)
    if len(grid.seeds) < 2 or len(grid.runs()) != len(grid.depths) * len(grid.seeds):
        raise InputError(
            f"the grid in {str(folder)!r} needs one width, one rate a depth and two seeds or more"
        )
    texts = text.load_texts(folder, grid)
    shapes = list(itertools.product(sorted(grid.tokens), sorted(grid.depths)))
    parts = [
        kept(f"D{D}-ell{ell}.nc", partial(_losses, folder, grid, D, ell, texts, runtime, progress))
        for D, ell in shapes
    ]
    return xr.combine_by_coords(parts)  # pyright: ignore[reportReturnType]


def subsets(seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """All sets of one seed or more, the small ones first."""
    sizes = range(1, len(seeds) + 1)
    return [one for size in sizes for one in itertools.combinations(seeds, size)]


def _losses(
    folder: Path,
    grid: Grid,
    D: int,
    ell: int,
    texts: text.Texts,
    runtime: Runtime,
    progress: Progress,
) -> xr.Dataset:
    """The part of one length of training and one depth."""
    import xarray as xr

    runs = (run for run in grid.runs() if run.ell == ell)
    nets = {run.seed: _net(folder, grid, run, D, texts, runtime) for run in runs}
    total, blocks = np.zeros(len(subsets(grid.seeds))), texts.held_out
    for start in range(0, len(blocks), grid.batch):
        total += _summed(nets, grid, blocks[start : start + grid.batch], runtime)
        progress(min(start + grid.batch, len(blocks)), len(blocks), task=f"ell {ell} D={D:.2g}")
    mean = total / (len(blocks) * (grid.context - 1))
    named = ["+".join(map(str, one)) for one in subsets(grid.seeds)]
    coords = {"D": [D], "ell": [ell], "subset": named}
    return xr.Dataset({"loss": (("D", "ell", "subset"), mean[None, None])}, coords)


def _summed(
    nets: Mapping[int, Any], grid: Grid, blocks: np.ndarray, runtime: Runtime
) -> np.ndarray:
    """Loss of every set of seeds, summed over the tokens of some blocks, nats."""
    import torch

    ids = torch.from_numpy(blocks.astype(np.int64)).to(runtime.torch_device)
    target = ids[:, 1:].flatten()
    with torch.no_grad():
        logits = {seed: net(ids).logits[:, :-1].float().flatten(0, 1) for seed, net in nets.items()}
        means = (sum(logits[s] for s in one) / len(one) for one in subsets(grid.seeds))
        return np.array([_loss(mean, target) for mean in means])


def estimate(folder: Path, runtime: Runtime) -> float:
    """Seconds that `measure` takes here, from one batch of every depth."""
    grid, _ = finished(folder)
    texts, seconds = text.load_texts(folder, grid), 0.0
    for ell in grid.depths:
        runs = (run for run in grid.runs() if run.ell == ell)
        nets = {run.seed: _net(folder, grid, run, min(grid.tokens), texts, runtime) for run in runs}
        began = time.perf_counter()
        _summed(nets, grid, texts.held_out[: grid.batch], runtime)
        seconds += time.perf_counter() - began
    return seconds * len(grid.tokens) * len(texts.held_out) / grid.batch


def _net(folder: Path, grid: Grid, run: Run, D: int, texts: text.Texts, runtime: Runtime):
    trainer = Trainer(grid, run, texts.train, runtime)
    trainer.load(folder / run.name / f"D{D}.safetensors")
    return trainer.net.eval()


def _loss(logits, target) -> float:
    """Summed loss of logits (token, vocabulary), nats."""
    from torch.nn.functional import cross_entropy

    return float(cross_entropy(logits, target, reduction="none").double().sum())


def mean_loss(losses: xr.DataArray, members: int, seeds: Sequence[int] | None = None):
    """Mean loss of the averages of `members` seeds, over all their sets; the other dims stay.

    Parameters
    ----------
    losses : xarray.DataArray
        `loss` of `measure`.
    members : int
    seeds : sequence of int, optional
        Only sets of these.
    """
    allowed = set(seeds_of(losses) if seeds is None else seeds)
    sets = [set(map(int, str(name).split("+"))) for name in losses["subset"].values]
    chosen = [len(one) == members and one <= allowed for one in sets]
    return losses.isel(subset=np.flatnonzero(chosen)).mean("subset")


def seeds_of(losses: xr.DataArray) -> list[int]:
    """The seeds that were compared."""
    return [int(name) for name in losses["subset"].values if "+" not in str(name)]


def varying(losses: xr.DataArray, seeds: Sequence[int] | None = None) -> xr.DataArray:
    """V, the part of the loss that differs from seed to seed, nats/token, (D, ell)."""
    count = len(seeds_of(losses) if seeds is None else seeds)
    gained = mean_loss(losses, 1, seeds) - mean_loss(losses, count, seeds)
    return gained * count / (count - 1)


def over_seeds(seeds: Sequence[int], statistic: Callable[[Sequence[int]], float]) -> Interval:
    """A statistic of a set of seeds, with the interval of its jackknife over them."""
    without = [statistic([s for s in seeds if s != left]) for left in seeds]
    return jackknifed(statistic(seeds), without)


def exponent(losses: xr.DataArray) -> Interval:
    """Exponent a of V in depth, ell^-a, over seeds; `losses` of one D."""

    def fall(seeds: Sequence[int]) -> float:
        part = varying(losses, seeds)
        return -float(np.polyfit(np.log(part["ell"].values), np.log(part.values), 1)[0])

    return over_seeds(seeds_of(losses), fall)


def share_of_depth(losses: xr.DataArray, members: int = 2) -> Interval:
    """What averaging M models gains, in units of what M times the depth gains, over seeds.

    One if only the number of blocks counts. Gains are summed over all depths of which M times as
    many blocks were trained; `losses` of one D.
    """
    depths = [int(ell) for ell in losses["ell"].values]
    pairs = [(ell, members * ell) for ell in depths if members * ell in depths]

    def share(seeds: Sequence[int]) -> float:
        one, mean = mean_loss(losses, 1, seeds), mean_loss(losses, members, seeds)
        averaged = sum(float(one.sel(ell=a) - mean.sel(ell=a)) for a, _ in pairs)
        return averaged / sum(float(one.sel(ell=a) - one.sel(ell=b)) for a, b in pairs)

    return over_seeds(seeds_of(losses), share)


def share_lost(table: pd.DataFrame, blocks: int, parallel: int) -> Interval:
    """What is lost of depth's gain where blocks stand side by side, over seeds.

    (L of ell blocks in rows of p - L of ell in rows of one) / (L of ell/p blocks - the same):
    nothing if blocks can stand side by side, one if rows are all that counts.

    Parameters
    ----------
    table : DataFrame
        Rows of one D of `ladder train`: ell, parallel, seed, loss; the same seeds of each shape.
    blocks, parallel : int
    """
    kept = table.set_index(["ell", "parallel", "seed"])["loss"].sort_index()
    in_rows, deep, shallow = (
        kept.loc[shape] for shape in ((blocks, parallel), (blocks, 1), (blocks // parallel, 1))
    )
    seeds = sorted(set(in_rows.index) & set(deep.index) & set(shallow.index))

    def share(some: Sequence[int]) -> float:
        a, b, c = (float(one.loc[list(some)].mean()) for one in (in_rows, deep, shallow))
        return (a - b) / (c - b)

    return over_seeds(seeds, share)
