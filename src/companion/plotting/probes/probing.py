"""Figures of a probe: the loss by layer, norms, densities, and what each layer removes.

Floor 3. Each function takes a dataset of `companion.probing` (or several, by name) and an Axes,
and returns the Axes. Shaded bands and bars are 95 % intervals clustered by document.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from companion.plotting import theme
from companion.probing import summaries
from companion.probing.summaries import (
    depth,
    estimates,
    half_widths,
    middle_layers,
    profile,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CUT = 3.0
LENSES = {"": "last-block lens", "_logit": "logit lens"}
PARTS = {"update_norm": "whole update", "attention_norm": "attention", "mlp_norm": "MLP"}
CONTROLS = {
    "ensemble": theme.FAMILY_PALETTE[2],
    "procedural": theme.FAMILY_PALETTE[3],
    "compositional": theme.FAMILY_PALETTE[4],
    "untrained": theme.INK,
}
LABELS = {
    "norm": r"norm $|h_l|$",
    "update_norm": r"norm of the update $|\Delta h_l|$",
    "theta": r"rotation $\theta_l$ (rad)",
    "theta_dh": r"turn of the updates $\theta^{\Delta}_l$ (rad)",
    "theta_end": r"angle to the end $\theta^{\mathrm{end}}_l$ (rad)",
    "projection": r"projection $s_l$",
    "cross_entropy": "cross-entropy (nats/token)",
    "entropy": "entropy of the lens (nats)",
    "kl": "KL from the final distribution (nats)",
    "top1": "agreement with the final top token",
    "loss_removed": "loss removed (nats/token)",
}


def depth_colours(datasets: Mapping[str, xr.Dataset]) -> dict[str, tuple[float, float, float]]:
    """A colour for each dataset by its rank in depth, out of the palette for depth."""
    ranked = sorted(datasets, key=lambda name: depth(datasets[name]))
    return dict(zip(ranked, theme.depth_palette(len(ranked)), strict=True))


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name: the controls and "untrained" always have theirs, models the rest."""
    free = cycle(colour for colour in theme.FAMILY_PALETTE if colour not in CONTROLS.values())
    return {name: CONTROLS.get(name) or next(free) for name in names}


def plain_logs(ax: Axes) -> Axes:
    """Plain numbers at 1, 2 and 5 on logarithmic axes, whole layers on linear ones."""
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
            axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axis.set_minor_formatter(NullFormatter())
    return ax


def depth_ticks(ax: Axes, datasets: Mapping[str, xr.Dataset]) -> None:
    """Ticks of a logarithmic horizontal axis at the depths that there are."""
    depths = sorted({depth(d) for d in datasets.values()})
    ax.set_xticks(depths, [str(ell) for ell in depths])
    ax.xaxis.set_minor_locator(NullLocator())


def whole_layers(ax: Axes) -> Axes:
    """Ticks of the horizontal axis at whole layers only."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def line(
    dataset: xr.Dataset,
    quantity: str,
    ax: Axes | None = None,
    *,
    group: str = "rest",
    relative: bool = False,
    **style,
) -> Axes:
    """Mean of a quantity against layer, with its interval.

    Parameters
    ----------
    dataset : xarray.Dataset
    quantity : str
        A variable of the dataset with dims (group, layer, statistic).
    ax : Axes, optional
    group : str
        "rest" or "first".
    relative : bool
        Put layer/ell on the horizontal axis, so that depths can be compared.
    **style
        Passed on to `Axes.plot`.
    """
    ax = ax or plt.gca()
    mean, sem = (profile(dataset, quantity, name, group) for name in ("mean", "sem"))
    known = np.flatnonzero(np.isfinite(mean))
    x = known / depth(dataset) if relative else known
    style = {"marker": "o", "markersize": 4} | style
    (drawn,) = ax.plot(x, mean[known], **style)
    half = half_widths(dataset) * np.nan_to_num(sem[known])
    colour = drawn.get_color()
    ax.fill_between(
        x, mean[known] - half, mean[known] + half, color=colour, alpha=0.25, linewidth=0
    )
    ax.set(xlabel="depth $l/\\ell$" if relative else "layer $l$", ylabel=_label(quantity))
    return ax if relative else whole_layers(ax)


def lenses(dataset: xr.Dataset, quantity: str = "cross_entropy", ax: Axes | None = None) -> Axes:
    """A quantity by layer through every lens that the dataset holds."""
    ax = ax or plt.gca()
    for colour, (suffix, label) in zip(theme.FAMILY_PALETTE, LENSES.items(), strict=False):
        if quantity + suffix in dataset:
            line(dataset, quantity + suffix, ax, color=colour, label=label)
    ax.set_ylabel(_label(quantity))
    theme.label(ax)
    return ax


def across_depths(
    datasets: Mapping[str, xr.Dataset],
    quantity: str,
    ax: Axes | None = None,
    *,
    relative: bool = True,
) -> Axes:
    """A quantity against (relative) layer, one line a model, coloured by depth."""
    ax = ax or plt.gca()
    for name, colour in depth_colours(datasets).items():
        label = f"$\\ell = {datasets[name].attrs['ell']}$"
        line(datasets[name], quantity, ax, relative=relative, color=colour, label=label)
    theme.label(ax)
    return ax


def loss_removed(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Loss that each layer removes through the last-block lens; middle layers in full colour.

    A bar more than three times as high as all others is cut, with its value written at the cut.
    """
    ax = ax or plt.gca()
    mean, sem = estimates(dataset, "loss_removed")
    known = np.flatnonzero(np.isfinite(mean))
    middle = np.isin(known, middle_layers(depth(dataset)))
    colours = np.where(middle, theme.FAMILY_PALETTE[0], theme.INK)
    ax.bar(
        known, mean[known], yerr=half_widths(dataset) * sem[known], color=colours, ecolor=theme.INK
    )
    ax.axhline(0, color=theme.INK, linewidth=0.8)
    ax.set(xlabel="layer $l$", ylabel=LABELS["loss_removed"])
    _cut_highest(ax, known, mean[known])
    return whole_layers(ax)


def _cut_highest(ax: Axes, layers: np.ndarray, heights: np.ndarray) -> None:
    if len(heights) < 3:
        return
    *_, second, first = np.sort(heights)
    if second > 0 and first > CUT * second:
        top = 1.5 * second
        ax.set_ylim(top=top)
        place = (layers[heights.argmax()] + 0.5, 0.97 * top)
        ax.annotate(f"cut: {first:.2f}", place, color=theme.INK, va="top")


def update_parts(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Mean norm of each layer's update and, where known, of its attention and MLP parts."""
    ax = ax or plt.gca()
    for colour, (quantity, label) in zip(theme.FAMILY_PALETTE, PARTS.items(), strict=False):
        if quantity in dataset and np.isfinite(profile(dataset, quantity)).any():
            line(dataset, quantity, ax, color=colour, label=label)
    ax.set(yscale="log", ylabel="mean norm")
    theme.label(ax)
    return plain_logs(ax)


def first_and_rest(dataset: xr.Dataset, quantity: str = "norm", ax: Axes | None = None) -> Axes:
    """A quantity by layer for first tokens and sinks, and for all the others."""
    ax = ax or plt.gca()
    groups = {"rest": "all other tokens", "first": "first tokens and sinks"}
    for colour, (group, label) in zip(theme.FAMILY_PALETTE, groups.items(), strict=False):
        if np.isfinite(profile(dataset, quantity, group=group)).any():
            line(dataset, quantity, ax, group=group, color=colour, label=label)
    ax.set_yscale("log")
    theme.label(ax)
    return plain_logs(ax)


def density(dataset: xr.Dataset, quantity: str, ax: Axes | None = None) -> Axes:
    """Share of tokens by layer and value of a quantity, with the layer's median on top.

    Each column sums to one over its bins; the colour is relative to the column's largest bin.
    """
    ax = ax or plt.gca()
    counts = dataset[f"{quantity}_histogram"].values.astype(float)
    edges = dataset[f"{quantity}_edges"].values.astype(float)
    known = np.flatnonzero(counts.sum(1) > 0)
    relative = counts[known] / counts[known].max(1, keepdims=True)
    sides = np.append(known - 0.5, known[-1] + 0.5)
    shown = np.ma.masked_less(relative.T, 1e-3)
    ax.pcolormesh(sides, edges, shown, cmap="viridis", rasterized=True)
    median = profile(dataset, quantity, "q50")[known]
    ax.plot(known, median, color=theme.FAMILY_PALETTE[1], marker="o", markersize=3, label="median")
    _frame(ax, dataset, quantity)
    return ax


def own_loss(datasets: Mapping[str, xr.Dataset], ax: Axes | None = None) -> Axes:
    """Each model's own loss against its depth, with its interval."""
    ax = ax or plt.gca()
    for name, colour in depth_colours(datasets).items():
        loss = summaries.own_loss(datasets[name])
        half = loss.high - loss.estimate
        ell = depth(datasets[name])
        ax.errorbar(ell, loss.estimate, yerr=half, marker="o", color=colour, label=name)
    ax.set(xscale="log", xlabel=r"depth $\ell$ (blocks)", ylabel=LABELS["cross_entropy"])
    depth_ticks(ax, datasets)
    theme.label(ax)
    return ax


def lens_panels(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Cross-entropy by layer through both lenses, a panel a dataset; dotted: a uniform guess."""

    def draw(dataset: xr.Dataset, ax: Axes) -> Axes:
        ax.axhline(math.log(dataset.attrs["V"]), color=theme.INK, linestyle=":")
        return lenses(dataset, "cross_entropy", ax)

    return panels(datasets, draw, size=(4.6, 3.6))


def panels(
    datasets: Mapping[str, xr.Dataset],
    draw: Callable[..., Axes],
    *arguments,
    size: Sequence[float] = (3.4, 3.2),
    log: bool = False,
    **options,
) -> Figure:
    """One panel a dataset, side by side with one vertical axis, logarithmic if `log`.

    Each is drawn by `draw(dataset, *arguments, ax=ax)`. Without datasets the figure says so.
    """
    if not datasets:
        return blank()
    width = size[0] * len(datasets)
    figure, axes = plt.subplots(
        1, len(datasets), figsize=(width, size[1]), squeeze=False, sharey=True
    )
    for ax, (name, dataset) in zip(axes[0], datasets.items(), strict=True):
        draw(dataset, *arguments, ax=ax, **options)
        ax.set_title(name)
        if log:
            ax.set_yscale("log")
            plain_logs(ax)
        ax.label_outer()
    return figure


def blank() -> Figure:
    """A figure that says that there is nothing to show."""
    figure = plt.figure(figsize=(4.6, 1.6))
    figure.text(0.5, 0.5, "no such run here", ha="center", va="center", color=theme.INK)
    return figure


def _frame(ax: Axes, dataset: xr.Dataset, quantity: str) -> None:
    low, high = profile(dataset, quantity, "q01"), profile(dataset, quantity, "q99")
    if dataset[f"{quantity}_edges"].attrs["logarithmic"]:
        ax.set_yscale("log")
    low, high = np.nanmin(low), np.nanmax(high)
    margin = 0.05 * (high - low)
    ax.set_ylim(low / 1.2 if ax.get_yscale() == "log" else low - margin, high * 1.2 + margin)
    ax.set(xlabel="layer $l$", ylabel=_label(quantity))
    ax.grid(False)
    plain_logs(whole_layers(ax))


def _label(quantity: str) -> str:
    return LABELS.get(quantity.removesuffix("_logit"), quantity.replace("_", " "))
