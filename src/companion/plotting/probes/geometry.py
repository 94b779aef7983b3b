"""Figures of the path through the layers: angles, correlations of updates, rotation against depth.

Floor 3. Each function takes datasets of `companion.probing` and an Axes, and returns the Axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from companion.plotting import theme
from companion.plotting.probes.probing import (
    LABELS,
    colours,
    depth_colours,
    depth_ticks,
    line,
    plain_logs,
    whole_layers,
)
from companion.probing.summaries import depth, middle_layers, middle_mean, profile, rotation_slope

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RUN_STYLES = tuple(
    {"color": colour, "marker": marker, "markersize": size, "linestyle": dash}
    for colour, marker, size, dash in zip(
        theme.FAMILY_PALETTE, "os^Dv", (9, 6, 4, 4, 4), ("-", "--", ":", "-.", "-"), strict=False
    )
)


def spread(dataset: xr.Dataset, quantity: str, ax: Axes | None = None, **style) -> Axes:
    """Median of a quantity by layer, with the middle half and the middle nine tenths of tokens."""
    ax = ax or plt.gca()
    known = np.flatnonzero(np.isfinite(profile(dataset, quantity)))
    values = {
        name: profile(dataset, quantity, name)[known] for name in ("q05", "q25", "q75", "q95")
    }
    style = {"color": theme.FAMILY_PALETTE[0], "marker": "o", "markersize": 4} | style
    ax.plot(known, profile(dataset, quantity, "q50")[known], **style)
    for low, high, alpha in (("q05", "q95", 0.15), ("q25", "q75", 0.3)):
        ax.fill_between(
            known, values[low], values[high], color=style["color"], alpha=alpha, linewidth=0
        )
    ax.set(xlabel="layer $l$", ylabel=LABELS.get(quantity, quantity))
    return whole_layers(ax)


def angles(dataset: xr.Dataset, title: str = "") -> Figure:
    """Four panels: theta, theta_dh, the angle to the end, and the projection, by layer."""
    figure, axes = plt.subplots(2, 2, figsize=(8.4, 6.0), sharex=True)
    for ax, quantity in zip(
        axes.flat, ("theta", "theta_dh", "theta_end", "projection"), strict=True
    ):
        spread(dataset, quantity, ax)
    axes[0, 1].axhline(np.pi / 2, color=theme.INK, linestyle=":")
    figure.suptitle(title)
    return figure


def correlation_matrix(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Mean cosine between the updates of every two layers, colour from -1 to 1."""
    ax = ax or plt.gca()
    image = ax.imshow(
        dataset["update_correlation"].values, vmin=-1, vmax=1, cmap="RdBu_r", origin="lower"
    )
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label=r"mean $\cos(\Delta h_i, \Delta h_j)$")
    ax.set(xlabel="layer $j$", ylabel="layer $i$")
    ax.grid(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return ax


def correlation_by_lag(datasets: Mapping[str, xr.Dataset], ax: Axes | None = None) -> Axes:
    """Mean cosine of two middle updates against how many layers lie between them."""
    ax = ax or plt.gca()
    for name, colour in colours(datasets).items():
        lags, cosine = by_lag(datasets[name])
        ax.plot(lags, cosine, marker="o", markersize=4, color=colour, label=name)
    ax.axhline(0, color=theme.INK, linewidth=0.8)
    ax.set(
        xlabel="distance $|i - j|$ in layers", ylabel=r"mean $\cos(\Delta h_i, \Delta h_j)$, middle"
    )
    theme.label(ax)
    return whole_layers(ax)


def by_lag(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Mean cosine of the middle updates at each lag: lags (k,), cosines (k,)."""
    some = middle_layers(depth(dataset))
    block = dataset["update_correlation"].values[np.ix_(some, some)]
    lags = np.arange(1, len(some))
    return lags, np.array([np.diagonal(block, lag).mean() for lag in lags])


def rotation_against_depth(
    families: Mapping[str, Mapping[str, xr.Dataset]], ax: Axes | None = None
) -> Axes:
    """Mean middle rotation against depth, log-log, one colour and one fitted line a family.

    The name of a line gives its exponent.

    Parameters
    ----------
    families : mapping of name to (mapping of name to dataset)
        E.g. {"ladder": {...}, "ensemble": {...}}; a line is fitted from three depths on.
    ax : Axes, optional
    """
    ax = ax or plt.gca()
    for family, colour in colours(families).items():
        datasets = families[family]
        depths = np.array([depth(d) for d in datasets.values()], float)
        rotation = np.array([middle_mean(d).estimate for d in datasets.values()])
        enough = len(np.unique(depths)) >= 3
        label = f"{family} {rotation_slope(datasets).estimate:.2f}" if enough else family
        ax.plot(depths, rotation, "o", color=colour, label=label)
        if enough:
            _fitted(ax, depths, rotation, colour)
    ax.set(xscale="log", yscale="log", xlabel=r"depth $\ell$ (blocks)")
    ax.set_ylabel(r"mean middle rotation $\bar\theta$ (rad)")
    theme.label(ax)
    depth_ticks(plain_logs(ax), {k: d for f in families.values() for k, d in f.items()})
    return ax


def guides(ax: Axes, exponents=(0.0, -0.5, -1.0)) -> Axes:
    """Thin lines of the exponents that hypotheses predict, through the Axes' first point."""
    lines = [drawn for drawn in ax.lines if drawn.get_linestyle() == "None"]
    x, y = np.asarray(lines[0].get_xydata()).T
    first = int(np.argmin(x))
    reach = np.array([x[first], max(np.max(drawn.get_xdata()) for drawn in lines)])
    for exponent in exponents:
        values = y[first] * (reach / reach[0]) ** exponent
        ax.plot(reach, values, color=theme.INK, linestyle=":", linewidth=1)
        place = {"xytext": (-2, 3), "textcoords": "offset points", "ha": "right"}
        ax.annotate(f"{exponent:g}", (reach[-1], values[-1]), color=theme.INK, **place)
    return ax


def noise_floor(dataset: xr.Dataset, quantity: str = "theta", ax: Axes | None = None) -> Axes:
    """A quantity by layer and, beneath it, the rounding noise measured on a float32 repeat."""
    ax = ax or plt.gca()
    line(dataset, quantity, ax, color=theme.FAMILY_PALETTE[0], label="measured")
    noise = dataset[f"{quantity}_noise"].values.astype(float)
    known = np.flatnonzero(np.isfinite(noise))
    ax.plot(known, noise[known], color=theme.FAMILY_PALETTE[1], linestyle="--", label="rounding")
    ax.set_yscale("log")
    theme.label(ax)
    return plain_logs(ax)


def compare(
    datasets: Mapping[str, xr.Dataset], quantity: str, ax: Axes | None = None, **options
) -> Axes:
    """The same quantity from several runs of one model, one colour a run."""
    ax = ax or plt.gca()
    for style, (name, dataset) in zip(RUN_STYLES, datasets.items(), strict=False):
        line(dataset, quantity, ax, label=name, markerfacecolor="none", **style, **options)
    theme.label(ax)
    return ax


def profiles_across(
    datasets: Mapping[str, xr.Dataset], quantity: str, ax: Axes | None = None, scale: bool = False
) -> Axes:
    """A per-block quantity against relative depth, one line a model; times ell if `scale`."""
    ax = ax or plt.gca()
    for name, colour in depth_colours(datasets).items():
        ell = depth(datasets[name])
        mean = profile(datasets[name], quantity)[:ell] * (ell if scale else 1)
        place = (np.arange(ell) + 0.5) / ell
        ax.plot(place, mean, marker="o", markersize=4, color=colour, label=f"$\\ell = {ell}$")
    ax.axvspan(0.25, 0.75, color=theme.INK, alpha=0.12, linewidth=0)
    label = LABELS.get(quantity, quantity)
    ax.set(xlabel=r"depth of the block, $(l + 1/2)/\ell$", ylabel=label)
    if scale:
        ax.set_ylabel(rf"$\ell\,\times$ {label}")
    theme.label(ax)
    return ax


def _fitted(ax: Axes, depths: np.ndarray, rotation: np.ndarray, colour) -> None:
    exponent, level = np.polyfit(np.log(depths), np.log(rotation), 1)
    reach = np.geomspace(depths.min(), depths.max(), 2)
    ax.plot(reach, np.exp(level) * reach**exponent, color=colour, linewidth=1)
