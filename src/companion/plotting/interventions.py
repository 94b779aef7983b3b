"""Figures of disturbed blocks and of causal tracing.

Floor 3. Each function takes datasets of `companion.interventions` and an Axes, and returns the
Axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from companion.interventions import KINDS, ROLES
from companion.interventions.costs import cost, profiles, ratio
from companion.interventions.indirect_effect import (
    average,
    by_relation,
    exchange,
    over_facts,
)
from companion.interventions.indirect_effect import strongest as strongest_facts
from companion.plotting import theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(KINDS, theme.FAMILY_PALETTE, strict=False))
LOSS = "rise of the loss (nats per token)"


def by_layer(
    dataset: xr.Dataset,
    generator: np.random.Generator,
    ax: Axes | None = None,
    kinds: Sequence[str] = KINDS,
) -> Axes:
    """Rise of the loss against the disturbed block, a line per kind, 95 % bands over documents."""
    ax = ax or plt.gca()
    costs = profiles(dataset, generator)
    for kind in kinds:
        one = costs.sel(kind=kind)
        ax.plot(one.layer, one.estimate, "o-", markersize=4, color=COLOURS[kind], label=kind)
        ax.fill_between(one.layer, one.low, one.high, color=COLOURS[kind], alpha=0.2, linewidth=0)
    ax.set_yscale("symlog", linthresh=0.01, linscale=0.5)
    ax.axhline(0, color=theme.INK, linewidth=0.8)
    ax.set(xlabel="disturbed block $l$", ylabel=LOSS)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    theme.label(ax)
    return ax


def across(
    datasets: Mapping[str, xr.Dataset],
    kind: str,
    generator: np.random.Generator,
    ax: Axes | None = None,
) -> Axes:
    """Rise of the loss against relative depth, a line per model coloured by its depth."""
    ax = ax or plt.gca()
    for colour, (name, dataset) in zip(
        theme.depth_palette(len(datasets)), datasets.items(), strict=True
    ):
        one = profiles(dataset, generator).sel(kind=kind).dropna("layer")
        place = (one.layer + 0.5 + (kind in ("swap", "parallel")) / 2) / dataset.attrs["ell"]
        ax.plot(place, one.estimate, "o-", markersize=4, color=colour, label=name)
        ax.fill_between(place, one.low, one.high, color=colour, alpha=0.2, linewidth=0)
    ax.axvspan(0.25, 0.75, color=theme.INK, alpha=0.1, linewidth=0)
    ax.axhline(0, color=theme.INK, linewidth=0.8)
    ax.set_yscale("symlog", linthresh=0.01, linscale=0.5)
    ax.set(xlabel="relative depth", ylabel=LOSS, title=kind, xlim=(0, 1))
    if datasets:
        theme.label(ax)
    else:
        ax.text(0.5, 0.5, "no run", ha="center", transform=ax.transAxes, color=theme.INK)
    return ax


def against_depth(
    datasets: Mapping[str, xr.Dataset],
    generator: np.random.Generator,
    ax: Axes | None = None,
    kinds: Sequence[str] = ("skip", "swap"),
) -> Axes:
    """Mean cost at the middle against the number of blocks, log-log, with guides of slope -1, -2.

    Costs that are not positive have no place on a logarithmic axis and are named in the title;
    bars that reach below zero are drawn to a thousandth of the cost.
    """
    ax = ax or plt.gca()
    depths = np.array([dataset.attrs["ell"] for dataset in datasets.values()])
    below = []
    for kind in kinds:
        costs = np.array([[*cost(d, kind, generator)] for d in datasets.values()])
        good = costs[:, 0] > 0
        below += [f"{kind} at {ell}" for ell in depths[~good]]
        middle, low, high = costs[good].T
        reach = np.abs([middle - np.maximum(low, middle / 1e3), high - middle])
        style = {"fmt": "o-", "color": COLOURS[kind], "capsize": 3, "label": kind}
        ax.errorbar(depths[good], middle, yerr=reach, **style)
        if kind == kinds[0] and good.any():
            _guides(ax, depths[good], middle[0])
    ax.set(xscale="log", yscale="log", xlabel=r"blocks $\ell$", ylabel=LOSS)
    ax.set_title(f"not above zero: {', '.join(below)}" if below else "")
    ax.set_xticks(depths, [str(ell) for ell in depths])
    ax.minorticks_off()
    theme.label(ax)
    return ax


def _guides(ax: Axes, depths: np.ndarray, start: float) -> None:
    for slope, style in ((-1, ":"), (-2, "--")):
        values = start * (depths / depths[0]) ** float(slope)
        ax.plot(depths, values, style, color=theme.INK, label=f"slope {slope}")


def ratios(
    datasets: Mapping[str, xr.Dataset],
    controls: pd.DataFrame,
    generator: np.random.Generator,
    ax: Axes | None = None,
) -> Axes:
    """Swap / skip against average / skip: controls as crosses, models with 95 % intervals."""
    ax = ax or plt.gca()
    for name, row in controls.iterrows():
        place = row["swap / skip"], row["average / skip"]
        ax.plot(*place, "x", color=theme.INK, markersize=9)
        ax.annotate(str(name), place, xytext=(8, 4), textcoords="offset points", color=theme.INK)
    colours = theme.depth_palette(len(datasets))
    for colour, (name, dataset) in zip(colours, datasets.items(), strict=True):
        across, up = (ratio(dataset, kind, generator) for kind in ("swap", "average"))
        reach = [np.abs([[i.estimate - i.low], [i.high - i.estimate]]) for i in (across, up)]
        style = {"fmt": "o", "color": colour, "capsize": 3, "label": name}
        ax.errorbar(across.estimate, up.estimate, xerr=reach[0], yerr=reach[1], **style)
    ax.axvline(1, color=theme.INK, linestyle=":")
    ax.axhline(0.75, color=theme.INK, linestyle=":")
    ax.set(xlabel="swap / skip", ylabel="average / skip")
    theme.label(ax)
    return ax


def knowledge(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Probability of each target, clean and for every draw of noise; unknown facts in grey."""
    ax = ax or plt.gca()
    order = np.argsort(dataset.probability_clean.values)
    for height, index in enumerate(order):
        one = dataset.isel(prompt=index)
        colour = theme.FAMILY_PALETTE[0] if one.known else theme.INK
        draws = one.probability_corrupted.values
        ax.plot(draws, np.full(len(draws), height), "|", color=colour, markersize=9)
        ax.plot(float(one.probability_clean), height, "o", color=colour)
    names = [_name(dataset.isel(prompt=index)) for index in order]
    ax.set_yticks(range(len(order)), names)
    ax.plot([], [], "o", color=theme.FAMILY_PALETTE[0], label="clean, known")
    ax.plot([], [], "o", color=theme.INK, label="clean, not known")
    ax.plot([], [], "|", color=theme.INK, markersize=9, label="subject corrupted")
    ax.set(xscale="log", xlabel="probability of the target")
    theme.label(ax)
    return ax


def _name(fact: xr.Dataset) -> str:
    text = f"{fact.prompt.values} → {fact.target.values}"
    return text.replace("\n", "⏎").replace("$", r"\$")


def restored(dataset: xr.Dataset, index: int, ax: Axes | None = None) -> Axes:
    """Mean probability of one fact's target with the state at (layer, token) restored."""
    ax = ax or plt.gca()
    one = dataset.isel(prompt=index).dropna("token", how="all", subset=["probability"])
    grid = one.probability.mean("noise").transpose("token", "layer")
    image = ax.imshow(grid, aspect="auto", cmap="cividis", vmin=0)
    ax.figure.colorbar(image, ax=ax, label="probability")
    marks = np.where(np.isin(one.role, ("subject", "end of subject")), "*", "")
    labels = [_token(text) + mark for text, mark in zip(one.token_text.values, marks, strict=True)]
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlabel="restored layer of $h$")
    ax.set_title(_name(one) + ("" if one.known else " (not known)"))
    ax.grid(False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def strongest(dataset: xr.Dataset, n: int) -> Figure:
    """`restored` for the `n` facts whose probability drops most under corruption."""
    indices = strongest_facts(dataset, n)
    rows = -(-len(indices) // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(9.6, 3.2 * rows), squeeze=False)
    for index, ax in zip(indices, axes.flat, strict=False):
        restored(dataset, index, ax)
    for ax in axes.flat[len(indices) :]:
        ax.set_axis_off()
    return figure


def _token(text: object) -> str:
    return str(text).replace("\n", "⏎").replace(" ", "·").replace("$", r"\$")


def by_role(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Share of the lost probability that a restored state brings back, by role of the token.

    Against relative depth; mean over known facts, bands are 95 % intervals over relations.
    """
    ax = ax or plt.gca()
    if not dataset.known.any():
        return _nothing_known(ax)
    shares = average(dataset)
    depth = shares.layer / dataset.attrs["ell"]
    for colour, role in zip(theme.FAMILY_PALETTE, ROLES[1:], strict=False):
        one = shares.sel(role=role)
        if one.estimate.isnull().all():
            continue
        ax.plot(depth, one.estimate, "o-", markersize=4, color=colour, label=role)
        ax.fill_between(depth, one.low, one.high, color=colour, alpha=0.2, linewidth=0)
        top = int(np.nanargmax(one.estimate.values))
        place = float(depth[top]), float(one.estimate[top])
        ax.annotate(role, place, (0, 6), textcoords="offset points", color=colour, ha="center")
    ax.axhline(0, color=theme.INK, linewidth=0.8)
    ax.set(xlabel=r"relative depth $l/\ell$ of the restored state", ylabel="share recovered")
    ax.set_xlim(-0.05, 1.05)
    return ax


def handovers(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Where in depth the last token takes over from the subject, a row a relation.

    Mean over the known facts of a relation with Student's t interval over them; the band is that
    over all facts, with relations as independent.
    """
    ax = ax or plt.gca()
    if not dataset.known.any():
        return _nothing_known(ax)
    parts = by_relation(dataset)
    intervals = {name: over_facts(exchange(part).handover) for name, part in parts.items()}
    order = sorted(intervals, key=lambda name: intervals[name].estimate)
    for height, name in enumerate(order):
        one = intervals[name]
        reach = [[one.estimate - one.low], [one.high - one.estimate]]
        bars = reach if np.isfinite(reach).all() else None
        style = {"fmt": "o", "color": theme.FAMILY_PALETTE[0], "capsize": 3}
        ax.errorbar(one.estimate, height, xerr=bars, **style)
    everything = over_facts(exchange(dataset).handover)
    ax.axvline(everything.estimate, color=theme.INK, linewidth=0.8)
    if np.isfinite(everything.low):
        ax.axvspan(everything.low, everything.high, color=theme.INK, alpha=0.15, linewidth=0)
    ax.set_yticks(range(len(order)), [f"{n} ({_count(parts[n])})" for n in order])
    ax.set(xlabel="relative depth at which the last token takes over", xlim=(0, 1))
    return ax


def _count(part: xr.Dataset) -> str:
    return f"{int(part.known.sum())} of {part.sizes['prompt']} known"


def _nothing_known(ax: Axes) -> Axes:
    ax.text(0.5, 0.5, "no fact is known", ha="center", transform=ax.transAxes, color=theme.INK)
    ax.set_axis_off()
    return ax
