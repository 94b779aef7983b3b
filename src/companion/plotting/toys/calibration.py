"""Figures of the calibration (floor 4): statistics by regime, what they are worth.

Each takes a dataset of a calibration and an Axes, and returns the Axes or the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from companion.evidence.calibration import RIGHT, separates
from companion.plotting import theme

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
    ax = ax or plt.subplots(figsize=(8.4, 5.2))[1]
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
