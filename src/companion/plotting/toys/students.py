"""Figures of what trained students do (floor 4): geometry, second-order students, variants.

As in `plotting.toys.toy`, each function takes results and an Axes, and returns the Axes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from companion.plotting import theme
from companion.plotting.toys.toy import MARKERS, colour, plain_ticks, teacher_name
from companion.toy import analysis, comparison, regimes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def rotation_by_depth(result: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Mean rotation of a block of the trained students against depth, for each rho."""
    ax = ax or plt.gca()
    mean = result["theta"].mean(["layer", "seed", "temperature"]).sortby("depth").dropna("depth")
    ell = mean["depth"].values.astype(float)
    for i, rho in enumerate(np.unique(result["rho"])):
        rows = mean.isel(teacher=np.flatnonzero(mean["rho"] == rho)).values
        slope = analysis.power_law(ell, rows.mean(0))
        name = rf"{teacher_name(rho)}: $\propto \ell^{{{-slope:.2f}}}$"
        style = {"marker": MARKERS[i % 6], "color": colour(i)}
        ax.loglog(ell, rows.mean(0), label=name, **style)
    ax.set_xlabel(r"depth of the student $\ell$ (blocks)")
    ax.set_ylabel(r"mean rotation $\theta$ (rad)")
    plain_ticks(ax, ell)
    theme.label(ax)
    return ax


def update_correlation(result: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Mean cosine between updates of the deepest students against their distance in layers."""
    ax = ax or plt.gca()
    deepest = result.sel(depth=result["depth"].values.max())
    mean = deepest["update_correlation"].mean(["seed", "temperature"]).dropna("lag")
    for i, rho in enumerate(np.unique(result["rho"])):
        rows = mean.isel(teacher=np.flatnonzero(mean["rho"] == rho)).values
        name, mark = teacher_name(rho), MARKERS[i % 6]
        ax.plot(mean["lag"], rows.mean(0), label=name, marker=mark, color=colour(i))
    ax.axhline(0, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_xlabel("distance between blocks (layers)")
    ax.set_ylabel("cosine of their updates")
    theme.label(ax)
    return ax


def midpoint_gain(euler: xr.Dataset, midpoint: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Loss of plain over midpoint students of equal size, against evaluations, for each rho."""
    ax = ax or plt.gca()
    plain = euler.sel(depth=2 * midpoint["depth"].values)
    for i, rho in enumerate(np.unique(euler["rho"])):
        points = []
        for k in range(midpoint.sizes["depth"]):
            gain = regimes.midpoint_gain(plain.isel(depth=[k]), midpoint.isel(depth=[k]))
            points.append(list(analysis.over_replicates(analysis.replicates(gain, rho))))
        ratio, low, high = np.exp(points).T
        bars = np.array([ratio - low, high - ratio])
        style = {"marker": MARKERS[i % 6], "color": colour(i), "capsize": 3}
        ax.errorbar(plain["depth"] * 1.02**i, ratio, yerr=bars, label=teacher_name(rho), **style)
    ax.set_xscale("log")
    ax.axhline(1, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_xlabel("evaluations (plain blocks, or twice the midpoint blocks)")
    ax.set_ylabel("loss, plain over midpoint")
    plain_ticks(ax, plain["depth"].values)
    theme.label(ax)
    return ax


def variants(compared: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Loss against depth for each residual block, at its best learning rates."""
    ax = ax or plt.gca()
    loss = analysis.geometric_mean(comparison.tuned(compared), ["teacher", "seed"])
    alpha = comparison.exponents(compared).mean(["teacher", "seed"])
    for i, name in enumerate(compared["block"].values):
        label = rf"{name.replace('_', ' ')}: $\alpha$ = {float(alpha.sel(block=name)):.2f}"
        style = {"marker": MARKERS[i % 6], "color": colour(i)}
        ax.loglog(loss["depth"], loss.sel(block=name), label=label, **style)
    ax.set_xlabel(r"depth of the student $\ell$ (blocks)")
    ax.set_ylabel("test loss at the best learning rate")
    plain_ticks(ax, loss["depth"].values)
    theme.label(ax)
    return ax


def variant_gains(*compared: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Depth exponent of each variant minus that of the plain block, one colour for each target.

    Bars are simultaneous 95 % intervals over teachers, see `comparison.gains`.
    """
    ax = ax or plt.gca()
    rows: dict[str, int] = {}
    for i, one in enumerate(compared):
        spec = json.loads(one.attrs["specification"])
        name = "running products" if spec["teacher"] == "parity" else teacher_name(spec["rho"][0])
        gains = comparison.gains(one)
        places = [rows.setdefault(block, len(rows)) + 0.2 * i for block in gains]
        gain, low, high = np.array([list(gain) for gain in gains.values()]).T
        style = {"fmt": MARKERS[i % 6], "color": colour(i), "capsize": 3}
        ax.errorbar(gain, places, xerr=[gain - low, high - gain], label=name, **style)
    ax.set_yticks(range(len(rows)), [block.replace("_", " ") for block in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.axvline(0, color=theme.INK, linestyle=":", linewidth=1)
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel("depth exponent, variant minus plain block")
    ax.set_ylabel("residual connection")
    theme.label(ax)
    return ax
