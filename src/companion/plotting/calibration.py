"""Figures of the calibration (floor 4): statistics by regime, what they are worth, shared errors.

Each takes a dataset of a calibration and an Axes, and returns the Axes or the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from companion.evidence.calibration import RIGHT, separates
from companion.plotting import theme
from companion.toy.analysis import geometric_mean, log, over_replicates
from companion.toy.calibration import averaging, shapes

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {"ensemble": "o", "procedural": "s", "compositional": "^", "untrained": "D"}
SHORT = {
    "ensemble": "averaging",
    "procedural": "dynamics",
    "compositional": "stages",
    "untrained": "untrained",
    "undecided": "undecided",
}
LOGARITHMIC = "/ skip"


def statistic(study: xr.Dataset, name: str, ax: Axes | None = None) -> Axes:
    """One statistic of every network that has it against depth, a colour and a mark a regime."""
    ax = ax or plt.gca()
    values, ell = study["value"].sel(statistic=name).values, study["ell"].values
    for place, (regime, mark) in enumerate(MARKERS.items()):
        here = (study["regime"].values == regime) & np.isfinite(values)
        if name.endswith(LOGARITHMIC):
            here &= values > 0
        at = ell[here] * 1.06 ** (place - 1.5)
        style = {"color": theme.FAMILY_PALETTE[place], "marker": mark, "alpha": 0.7}
        ax.plot(at, values[here], linestyle="", markersize=4, label=SHORT[regime], **style)
    ax.set_xscale("log")
    if name.endswith(LOGARITHMIC):
        ax.set_yscale("log")
    depths = np.unique(ell)
    ax.set_xticks(depths, [str(one) for one in depths])
    ax.minorticks_off()
    ax.set(xlabel=r"depth $\ell$ (blocks)", ylabel=name)
    return ax


def statistics(study: xr.Dataset, names: Sequence[str]) -> Figure:
    """`statistic` of several names, two panels in a row, one legend above."""
    rows = -(-len(names) // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(8.4, 2.9 * rows), squeeze=False)
    for name, ax in zip(names, axes.flat, strict=False):
        statistic(study, name, ax)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def worth(study: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Share right of the worse class at the worst depth, for every statistic and pair.

    A dot marks what passed, see `companion.evidence.calibration`.
    """
    ax = ax or plt.subplots(figsize=(8.4, 6.4))[1]
    right = study["right"].min(["member", "depth"]).values
    names = [str(name) for name in study["statistic"].values]
    pairs = [str(pair).split(" | ") for pair in study["pair"].values]
    ax.imshow(right, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, name in enumerate(names):
        good = separates(name, study)
        for column, pair in enumerate(pairs):
            value = right[row, column]
            mark = " ●" if tuple(pair) in good else ""
            ink = "white" if value < 0.6 else "black"
            text = "–" if np.isnan(value) else f"{value:.2f}{mark}"
            ax.text(column, row, text, ha="center", va="center", color=ink)
    labels = ["\n".join(SHORT[one] for one in pair) for pair in pairs]
    ax.set_xticks(range(len(pairs)), labels)
    ax.set_yticks(range(len(names)), names)
    ax.set_title(f"share right, worst depth and class (● passed: at least {RIGHT:.0%})")
    ax.grid(visible=False)
    return ax


def confusion(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """True class against what it is called, counts in each field."""
    ax = ax or plt.gca()
    share = table.to_numpy() / table.to_numpy().sum(1, keepdims=True)
    ax.imshow(share, cmap="cividis", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        ink = "white" if share[row, column] < 0.6 else "black"
        ax.text(column, row, str(value), ha="center", va="center", color=ink)
    ax.set_xticks(range(len(table.columns)), [SHORT[one] for one in table.columns], rotation=30)
    ax.set_yticks(range(len(table.index)), [SHORT[one] for one in table.index])
    ax.set(xlabel="called", ylabel="trained as")
    ax.grid(visible=False)
    return ax


def two_confusions(left: pd.DataFrame, right: pd.DataFrame, titles: tuple[str, str]) -> Figure:
    """Two confusion matrices side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.2))
    for table, title, ax in zip((left, right), titles, axes, strict=True):
        confusion(table, ax).set_title(title)
    return figure


def shared_errors(core: xr.Dataset, apart: str = "both") -> Figure:
    """Correlation of errors, and both parts of the loss, against depth; thin lines are teachers."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.8))
    parts = core.sel(apart=apart)
    ell = parts["ell"].values
    for place, regime in enumerate(parts["regime"].values):
        one, colour = parts.sel(regime=regime), theme.FAMILY_PALETTE[place]
        style = {"color": colour, "marker": MARKERS[str(regime)], "markersize": 5}
        left.plot(ell, one["correlation"].T, color=colour, alpha=0.3, linewidth=0.8)
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
        found = [over_replicates(row) for row in (one - one.isel(shape=0)).values]
        middle, low, high = np.exp([list(interval) for interval in found]).T
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
