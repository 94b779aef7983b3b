"""Figures of the ladder: training curves, and loss against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter
from pandas import DataFrame

from companion.plotting import theme


def training(curves: Mapping[int, DataFrame], ax: Axes | None = None, smooth: int = 20) -> Axes:
    """Training loss against tokens, a line for each depth, mean of `smooth` steps."""
    ax = ax or plt.gca()
    for (ell, curve), colour in zip(curves.items(), theme.depth_palette(len(curves)), strict=True):
        mean = curve["loss"].rolling(smooth, min_periods=1).mean()
        ax.plot(curve["tokens"], mean, color=colour, label=f"{ell} blocks")
    ax.set(xscale="log", xlabel="training tokens", ylabel="training loss (nats/token)")
    theme.label(ax)
    return ax


def against_depth(table: DataFrame, baselines: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """Held-out loss against depth at the largest D that all widths have; n-grams dotted."""
    ax = ax or plt.gca()
    common = min(rows["D"].max() for _, rows in table.groupby("m"))
    longest = table[table["D"] == common]
    for (m, rows), colour in zip(longest.groupby("m"), theme.FAMILY_PALETTE, strict=False):
        rows = DataFrame(rows).sort_values("ell")
        ax.errorbar(
            rows["ell"],
            rows["loss"],
            rows["loss_sem"],
            fmt="o-",
            color=colour,
            label=f"m = {m:.0f}",
        )
    for name, loss in baselines.items():
        ax.axhline(loss, linestyle=":", color=theme.INK)
        ax.annotate(name, (longest["ell"].max(), loss), ha="right", va="bottom", color=theme.INK)
    ax.set(xscale="log", xlabel=r"depth $\ell$ (blocks)", ylabel="held-out loss (nats/token)")
    ax.set_xticks(sorted(set(longest["ell"])))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    theme.label(ax)
    return ax


def sweep(table: DataFrame, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Held-out loss against learning rate, a line a depth, a panel for each scale of the branches.

    Parameters
    ----------
    table : DataFrame
        Columns ell, learning_rate, loss, branch_scale.
    axes : sequence of Axes, optional
        One for each branch_scale.
    """
    if axes is None:
        panels = len(set(table["branch_scale"]))
        figure = plt.figure(figsize=(4.8 * panels, 3.8))
        axes = list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])
    depths = sorted(set(table["ell"]))
    colours = dict(zip(depths, theme.depth_palette(len(depths)), strict=True))
    titles = {
        "inverse-sqrt-depth": r"branches start smaller by $1/\sqrt{2\ell}$",
        "one": "all alike",
    }
    for (scale, panel), ax in zip(table.groupby("branch_scale"), axes, strict=True):
        for ell, rows in panel.groupby("ell"):
            rows = rows.sort_values("learning_rate")
            ax.plot(rows["learning_rate"], rows["loss"], "o-", color=colours[ell], label=ell)
        ax.set(xscale="log", xlabel="peak learning rate", title=titles[str(scale)])
        ax.set_ylabel("held-out loss (nats/token)")
    theme.label(axes[0], "blocks")
    return axes
