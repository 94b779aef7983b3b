"""Figures of the theory's core (floor 4): shared errors, traded shapes, seeds, rows of blocks.

Each takes the datasets of the measurements and an Axes, and returns the Axes or the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from companion.ladder import averaging as seeds
from companion.ladder.analysis import at_best_rate
from companion.plotting import theme
from companion.plotting.toys.calibration import MARKERS, SHORT
from companion.toy.analysis import geometric_mean, log, over_replicates
from companion.toy.calibration import averaging, shapes

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LANGUAGE = theme.FAMILY_PALETTE[3]


def varying_parts(core: xr.Dataset, loss: xr.DataArray, ax: Axes | None = None) -> Axes:
    """What differs from network to network, over that of the shallowest, beside 1/ell.

    Parameters
    ----------
    core : xarray.Dataset
        Of `companion.toy.calibration.averaging`; bars: 95 %, teachers.
    loss : xarray.DataArray
        Of `companion.ladder.averaging`, one D, (ell, subset); bars: 95 %, jackknife over seeds.
    """
    ax = ax or plt.subplots(figsize=(6.4, 3.0))[1]
    part = core["varying"].sel(apart="both")
    for place, regime in enumerate(map(str, core["regime"].values)):
        rows = log(part.sel(regime=regime).transpose("ell", "teacher"))
        intervals = [over_replicates(row) for row in (rows - rows.isel(ell=0)).values]
        style = {"color": theme.FAMILY_PALETTE[place], "marker": MARKERS[regime]}
        _bars(ax, core["ell"].values * 1.02**place, intervals, f"toys, {SHORT[regime]}", style)

    def fall(some: Sequence[int], at: int) -> float:
        values = np.log(seeds.varying(loss, some).values)
        return float(values[at] - values[0])

    every = seeds.seeds_of(loss)
    depths = loss["ell"].values
    intervals = [
        seeds.over_seeds(every, lambda some, at=at: fall(some, at)) for at in range(len(depths))
    ]
    _bars(ax, depths, intervals, "language models", {"color": LANGUAGE, "marker": "D"})
    ax.plot(depths, depths[0] / depths, color=theme.INK, linestyle=":", label=r"$1/\ell$")
    ax.set(xscale="log", yscale="log", ylabel="what differs between\nnetworks, over the first")
    _depths(ax, depths)
    theme.label(ax)
    return ax


def _bars(ax: Axes, at: np.ndarray, intervals: Sequence, label: str, style: dict) -> None:
    """Intervals of logarithms as bars."""
    middle, low, high = np.exp([list(interval) for interval in intervals]).T
    bars = [middle - low, high - middle]
    ax.errorbar(at, middle, bars, label=label, capsize=3, markersize=5, **style)


def _depths(ax: Axes, depths: np.ndarray, label: str = r"depth $\ell$ (blocks)") -> None:
    ax.set_xticks(depths, [str(int(one)) for one in depths])
    ax.minorticks_off()
    ax.set_xlabel(label)


def in_all(loss: xr.DataArray, table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Loss against blocks in all: of one model, of averages of several, of blocks in rows.

    Parameters
    ----------
    loss : xarray.DataArray
        Of `companion.ladder.averaging`, one D, (ell, subset).
    table : DataFrame
        Rows of one D: ell, parallel, seed, learning_rate, loss.
    """
    ax = ax or plt.subplots(figsize=(6.8, 3.6))[1]
    depths, counts = loss["ell"].values, range(1, len(seeds.seeds_of(loss)) + 1)
    means = np.array([seeds.mean_loss(loss, count).values for count in counts])
    ax.plot(depths, means[0], color=theme.INK, marker="o", label="one model")
    for place, ell in enumerate(depths):
        label = f"averages of models of {int(ell)}"
        colour = theme.FAMILY_PALETTE[place]
        ax.plot(ell * np.array(counts), means[:, place], color=colour, marker=".", label=label)
    rows = at_best_rate(table.loc[table["parallel"] > 1])
    for row, group in rows.groupby("parallel"):
        at = group["ell"].iloc[0]
        style: dict[str, Any] = {"linestyle": "", "marker": "s", "fillstyle": "none"}
        ax.plot(at, group["loss"].mean(), color=LANGUAGE, label=f"rows of {row}", **style)
    ax.set(xscale="log", ylabel="loss (nats/token)")
    _depths(ax, depths, "blocks in all")
    theme.label(ax)
    return ax


def shared_errors(core: xr.Dataset, apart: str = "both") -> Figure:
    """Correlation of errors, and both parts of the loss, against depth; thin lines are teachers."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.8))
    parts = core.sel(apart=apart)
    ell = parts["ell"].values
    for place, regime in enumerate(parts["regime"].values):
        one, colour = parts.sel(regime=regime), theme.FAMILY_PALETTE[place]
        style = {"color": colour, "marker": MARKERS[str(regime)], "markersize": 5}
        left.plot(
            ell,
            one["correlation"].transpose("ell", "teacher"),
            color=colour,
            alpha=0.3,
            linewidth=0.8,
        )
        left.plot(ell, one["correlation"].mean("teacher"), label=SHORT[str(regime)], **style)
        for part, dash in (("common", "-"), ("varying", "--")):
            mean = geometric_mean(one[part].where(one[part] > 0), "teacher", skipna=True)
            right.loglog(ell, mean, linestyle=dash, label=f"{SHORT[str(regime)]}, {part}", **style)
    left.set(xscale="log", ylim=(-0.05, 1.05), ylabel="correlation of errors")
    right.set(ylabel="squared error")
    for ax in (left, right):
        ax.set_xticks(ell, [str(one) for one in ell])
        ax.minorticks_off()
        ax.set_xlabel(r"depth $\ell$ (blocks)")
        theme.label(ax)
    return figure


def traded(trade: xr.Dataset, hidden: int = 32, ax: Axes | None = None) -> Axes:
    """Loss at equal parameters over that of the first shape, by depth; bars: 95 %, teachers."""
    ax = ax or plt.gca()
    loss = log(shapes.tuned(trade))
    loss = loss.isel(shape=np.flatnonzero(loss["ell"] * loss["expansion"] == hidden))
    for place, regime in enumerate(loss["regime"].values):
        one = loss.sel(regime=regime).transpose("shape", "teacher")
        intervals = [over_replicates(row) for row in (one - one.isel(shape=0)).values]
        middle, low, high = np.exp([list(interval) for interval in intervals]).T
        style = {"color": theme.FAMILY_PALETTE[place], "marker": MARKERS[str(regime)], "capsize": 3}
        at = one["ell"].values * 1.03**place
        ax.errorbar(at, middle, [middle - low, high - middle], label=SHORT[str(regime)], **style)
    ax.set(xscale="log", yscale="log", ylabel="loss over that of the shallowest")
    ax.set_xticks(one["ell"].values, [str(shape) for shape in one["shape"].values])
    ax.minorticks_off()
    ax.axhline(1, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_xlabel("blocks x hidden units a channel")
    theme.label(ax)
    return ax


def gains(core: xr.Dataset, ell: int, students: Sequence[int] = (1, 2, 4, 8, 16)) -> Axes:
    """Loss of the mean of M students of one depth over that of one, beside 1/M."""
    ax = plt.gca()
    parts = core.sel(apart="both", ell=ell)
    for place, regime in enumerate(parts["regime"].values):
        one = parts.sel(regime=regime)
        mean = [float(averaging.gain(one, count).mean()) for count in students]
        style = {"color": theme.FAMILY_PALETTE[place], "marker": MARKERS[str(regime)]}
        ax.loglog(students, mean, label=SHORT[str(regime)], **style)
    ax.loglog(students, 1 / np.array(students), color=theme.INK, linestyle=":", label="1/M")
    ax.set(xlabel="students averaged, M", ylabel="loss over that of one")
    theme.label(ax)
    return ax
