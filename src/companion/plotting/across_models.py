"""Figures of real models beside the ladder: one statistic a panel, curves on relative depth.

The ladder's models are thin lines in the palette for depth, real ones thick in that for families;
untrained twins are dotted or hollow. Bands and bars are 95 % intervals over documents; a pale bar
about a real model's point is how far the quantisation of its file may have moved it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from companion.evidence.across_models.comparison import STATISTICS, Comparison
from companion.evidence.across_models.report import error_band
from companion.evidence.across_models.row import FEWEST_BLOCKS, REAL, Row
from companion.interventions.costs import gain_of_depth, profiles
from companion.plotting import theme
from companion.plotting.probes.probing import plain_logs
from companion.probing.beside.resampling import LENSES, loss_left
from companion.probing.summaries import half_widths, profile

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILIES = tuple(theme.FAMILY_PALETTE[i] for i in (0, 3, 4, 5, 1, 2))
"""Families' colours, those first that are far from the palette for depth."""

MIDDLE = (0.25, 0.75)
GAP = 0.06
"""Least distance between two labels at curves, as a share of the axes' height."""


def styles(c: Comparison) -> dict[str, dict[str, Any]]:
    """How each model is drawn, by name."""
    ladder = zip(c.ladder, theme.depth_palette(max(len(c.ladder), 1)), strict=False)
    thin = {r.name: {"color": colour, "linewidth": 1.2} for r, colour in ladder}
    real = {
        r.name: {"color": FAMILIES[i % len(FAMILIES)], "linewidth": 2.6}
        for i, r in enumerate(c.real)
    }
    return thin | real


def strips(c: Comparison, errors: Mapping[str, Any]) -> Figure:
    """Every statistic in a panel of its own, a line a model; shaded: the ladder's range."""
    figure, axes = plt.subplots(2, 4, figsize=(9.6, 5.2), sharey=True)
    for ax, name in zip(axes.flat, STATISTICS, strict=True):
        strip(c, name, errors, ax)
    return figure


def strip(
    c: Comparison, name: str, errors: Mapping[str, Any] | None = None, ax: Axes | None = None
) -> Axes:
    """One statistic: filled points the models, hollow ones their untrained twins."""
    ax = ax or plt.gca()
    get, drawn = STATISTICS[name], styles(c)
    rows = [*c.ladder, *c.real]
    for height, r in enumerate(rows):
        colour = drawn[r.name]["color"]
        _point(ax, get(r), height, color=colour, markerfacecolor=colour)
        if twin := c.untrained.get(r.name):
            _point(ax, get(twin), height, color=colour, markerfacecolor="none", alpha=0.7)
        if band := error_band(errors or {}, r, name):
            ax.plot(band, [height] * 2, color=colour, alpha=0.25, linewidth=9, zorder=0)
    beside = [i for i in map(get, c.with_middle) if i is not None]
    if beside:
        ends = min(i.low for i in beside), max(i.high for i in beside)
        ax.axvspan(*ends, color=theme.INK, alpha=0.12, linewidth=0)
    ax.set_yticks(range(len(rows)), [r.name for r in rows])
    ax.set_title(name)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    return ax


def _point(ax: Axes, span, height: int, **style) -> None:
    if span is None:
        return
    reach = [[max(span.estimate - span.low, 0)], [max(span.high - span.estimate, 0)]]
    ax.errorbar(span.estimate, height, xerr=reach, fmt="o", markersize=5, **style)


def turns(c: Comparison, ax: Axes | None = None) -> Axes:
    """Rotation of each block times the number of blocks, against relative depth."""

    def curve(probe: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        ell = int(probe.attrs["ell"])
        mean, sem = (ell * profile(probe, "theta", name)[:ell] for name in ("mean", "sem"))
        half = half_widths(probe) * sem
        return (np.arange(ell) + 0.5) / ell, np.stack([mean, mean - half, mean + half])

    ax = _curves(c, c.probes, curve, ax)
    ax.set(yscale="log", xlabel=r"depth of the block, $(l + 1/2)/\ell$")
    ax.set_ylabel(r"rotation times blocks, $\ell\,\theta_l$ (rad)")
    return _finished(plain_logs(ax))


def both_lenses(c: Comparison, generator: np.random.Generator) -> Figure:
    """`losses` through the last-block lens and through the logit lens, side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), sharey=True)
    for ax, lens in zip(axes, LENSES, strict=True):
        losses(c, lens, generator, ax)
        ax.label_outer()
    return figure


def losses(
    c: Comparison, lens: str, generator: np.random.Generator, ax: Axes | None = None
) -> Axes:
    """What a model knows and a layer has not yet: 1 is a uniform guess, 0 the model's own loss."""

    def curve(probe: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        left = loss_left(probe, lens, generator)
        return np.arange(left.shape[1]) / int(probe.attrs["ell"]), left

    ax = _curves(c, c.probes, curve, ax)
    ax.axhline(1, color=theme.INK, linestyle="--", linewidth=1)
    ax.set_yscale("symlog", linthresh=1)
    ax.set(xlabel=r"depth $l/\ell$", ylabel=r"loss left, $(L_l - L)/(\ln V - L)$", title=lens)
    ax.annotate("uniform guess", (0.02, 1.08), color=theme.INK)
    ax.set_yticks([0, 0.5, 1, 2, 5, 10], ["0", "0.5", "1", "2", "5", "10"])
    return _finished(ax)


def skips(c: Comparison, generator: np.random.Generator, ax: Axes | None = None) -> Axes:
    """Cost of skipping each block, in equal shares of what all blocks gain, on relative depth."""

    def curve(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        ell = int(dataset.attrs["ell"])
        one = profiles(dataset, generator).sel(kind="skip") * (ell / float(gain_of_depth(dataset)))
        return (np.arange(ell) + 0.5) / ell, np.stack([one.estimate, one.low, one.high])

    deep = {n: d for n, d in c.disturbed.items() if d.attrs["ell"] >= FEWEST_BLOCKS}
    ax = _curves(c, deep, curve, ax)
    ax.axhline(1, color=theme.INK, linestyle="--", linewidth=1)
    ax.annotate("equal share", (0.02, 1.1), color=theme.INK)
    ax.set_yscale("symlog", linthresh=0.1)
    ax.set(xlabel=r"depth of the block, $(l + 1/2)/\ell$", ylabel="cost of skipping, equal shares")
    ax.set_yticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
    return _finished(ax)


def cosines(c: Comparison, ax: Axes | None = None) -> Axes:
    """Mean cosine of two middle updates against their distance, as a share of the depth."""
    ax = ax or plt.gca()
    drawn = styles(c)
    for r in (*c.ladder, *c.real):
        twin = c.untrained.get(r.name) if r.kind == REAL else None
        for one, dash in ((r, "-"), (twin, ":")):
            if one is not None and one.cosines.shape[1]:
                _cosine(ax, one, linestyle=dash, **drawn[r.name])
    ax.axhline(0, color=theme.INK, linewidth=0.8)
    ax.set(xlabel=r"distance $|i - j|/\ell$", xlim=(0, 0.5))
    ax.set_ylabel(r"mean $\cos(\Delta h_i, \Delta h_j)$, middle")
    ends = [(r.name, r.cosines[0, -1], drawn[r.name]["color"])
            for r in (*c.ladder, *c.real) if r.cosines.shape[1]]  # fmt: skip
    return _label(ax, ends)


def _cosine(ax: Axes, r: Row, **style) -> None:
    place = np.arange(1, r.cosines.shape[1] + 1) / r.ell
    ax.plot(place, r.cosines[0], marker="o", markersize=3, **style)
    ax.fill_between(place, *r.cosines[1:], color=style["color"], alpha=0.2, linewidth=0)


def depths(c: Comparison, errors: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Mean middle rotation against the number of blocks, with guides of exponents -1 and -1/2."""
    ax = ax or plt.gca()
    drawn = styles(c)
    for r in (*c.ladder, *c.real):
        colour = drawn[r.name]["color"]
        ax.plot(r.ell, r.rotation.estimate, "o", color=colour, markersize=7)
        if twin := c.untrained.get(r.name):
            ax.plot(r.ell, twin.rotation.estimate, "o", color=colour, markerfacecolor="none")
        if band := error_band(errors, r, "rotation times blocks"):
            ax.plot([r.ell] * 2, np.array(band) / r.ell, color=colour, alpha=0.25, linewidth=9)
        place = {"xytext": (6, 6), "textcoords": "offset points"}
        ax.annotate(r.name, (r.ell, r.rotation.estimate), color=colour, **place)
    _guides(ax, [*c.ladder, *c.real])
    ells = sorted({r.ell for r in (*c.ladder, *c.real)})
    shown = [b for a, b in pairwise([0, *ells]) if b > 1.2 * a]
    ax.set(xscale="log", yscale="log", xlabel=r"depth $\ell$ (blocks)", xlim=(1.7, 1.9 * ells[-1]))
    ax.set_ylabel(r"mean middle rotation $\bar\theta$ (rad)")
    plain_logs(ax).set_xticks(shown, [str(ell) for ell in shown])
    ax.minorticks_off()
    return ax


def _guides(ax: Axes, rows: Iterable[Row]) -> None:
    ranked = sorted(rows, key=lambda r: r.ell)
    first, last = ranked[0], ranked[-1]
    reach = np.array([first.ell, last.ell], float)
    for power in (-1.0, -0.5):
        heights = first.rotation.estimate * (reach / reach[0]) ** power
        ax.plot(reach, heights, ":", color=theme.INK, linewidth=1)
        place = {"xytext": (6, -3), "textcoords": "offset points"}
        ax.annotate(f"{power:g}", (reach[1], heights[1]), color=theme.INK, **place)


Curve = Callable[["xr.Dataset"], tuple[np.ndarray, np.ndarray]]


def _curves(
    c: Comparison, datasets: Mapping[str, xr.Dataset], curve: Curve, ax: Axes | None
) -> Axes:
    """A line and its band for each model that has a data set; the middle half shaded."""
    ax = ax or plt.gca()
    for name, style in styles(c).items():
        if name in datasets:
            x, (mean, low, high) = curve(datasets[name])
            ax.plot(x, mean, label=name, **style)
            ax.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)
    ax.axvspan(*MIDDLE, color=theme.INK, alpha=0.1, linewidth=0)
    ax.set_xlim(0, 1)
    return ax


def _finished(ax: Axes) -> Axes:
    lines = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    return _label(
        ax, [(x.get_label(), np.asarray(x.get_ydata())[-1], x.get_color()) for x in lines]
    )


def _label(ax: Axes, ends: Iterable[tuple[Any, Any, Any]]) -> Axes:
    """Names at the right ends of curves, moved apart where they would overlap."""
    scale = ax.transData + ax.transAxes.inverted()
    right = ax.get_xlim()[1]
    labels = sorted((scale.transform((right, y))[1], str(name), colour) for name, y, colour in ends)
    free = -np.inf
    for height, name, colour in labels:
        free = max(height, free + GAP)
        place = {"xycoords": "axes fraction", "va": "center", "annotation_clip": False}
        ax.annotate(name, (1.02, free), color=colour, **place)
    return ax
