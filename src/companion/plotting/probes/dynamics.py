"""Figures of training: rotations, correlations, losses and exponents against the step."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from pandas import DataFrame
from xarray import Dataset

from companion.plotting import theme
from companion.probing.training.revisions import TURNED_BACK

LABELS = {
    "rotation": "mean middle rotation (rad)",
    "participation": "participation of the middle rotations",
    "cosine": "mean cosine of consecutive updates",
    "loss": "loss (nats/token)",
    "theta": r"rotation $\theta_l$ (rad)",
    "theta_dh": r"turn between updates $\theta^\Delta_l$ (rad)",
    "cross_entropy": "loss through the last block (nats/token)",
    "norm": r"norm $|h_l|$",
}


def against_step(tracked: Dataset, quantity: str, ax: Axes | None = None) -> Axes:
    """A summary of each model against training step, a line a depth, 95 % intervals."""
    ax = ax or plt.gca()
    ell = tracked["ell"].isel(step=0).values
    order = np.argsort(ell)
    for index, colour in zip(order, theme.depth_palette(len(order)), strict=True):
        values = tracked[quantity].isel(model=int(index))
        bounds = (values.sel(bound=bound).values for bound in ("estimate", "low", "high"))
        middle, low, high = bounds
        ax.plot(tracked["step"], middle, "o-", color=colour, label=f"{ell[index]} blocks", ms=4)
        ax.fill_between(tracked["step"], low, high, color=colour, alpha=0.2, linewidth=0)
    ax.set(ylabel=LABELS[quantity])
    _steps(ax, tracked["step"].values)
    theme.label(ax)
    return ax


def profiles(tracked: Dataset, model: str, quantity: str, ax: Axes | None = None) -> Axes:
    """Mean by layer of one model, a line a checkpoint from early (violet) to late (orange)."""
    ax = ax or plt.gca()
    some = tracked[quantity].sel(model=model).dropna("layer", how="all")
    for step, colour in zip(some["step"], theme.depth_palette(some.sizes["step"]), strict=True):
        ax.plot(some["layer"], some.sel(step=step), color=colour, label=f"{int(step)}")
    ax.set(xlabel="layer", ylabel=LABELS[quantity])
    theme.label(ax, "step")
    return ax


def exponents(
    families: Mapping[str, DataFrame], expected: tuple[float, float], ax: Axes | None = None
) -> Axes:
    """Exponents against step or tokens with 95 % intervals; shaded: the expected range.

    Each frame has the columns estimate, low, high; what is not finite is drawn to the edge.
    """
    ax = ax or plt.gca()
    ax.axhspan(*expected, color=theme.INK, alpha=0.12, linewidth=0)
    for (name, frame), colour in zip(families.items(), theme.FAMILY_PALETTE, strict=False):
        x = frame.index.to_numpy(float)
        ax.plot(x, frame["estimate"], "o-", color=colour, label=name, ms=4)
        low, high = (frame[bound].clip(-10, 10) for bound in ("low", "high"))
        ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    seen = np.concatenate([frame["estimate"].dropna() for frame in families.values()])
    low, high = min(*seen, expected[0]), max(*seen, expected[1])
    ax.set_ylim(low - 1, high + 1)
    every = sorted({x for frame in families.values() for x in frame.index})
    _steps(ax, np.array(every))
    ax.set(xlabel=str(next(iter(families.values())).index.name), ylabel="exponent")
    theme.label(ax)
    return ax


def detours(alarms: DataFrame, ax: Axes | None = None) -> Axes:
    """Detour over each checkpoint between its neighbours; dotted: where the alarm rings."""
    ax = ax or plt.gca()
    by_model = dict(list(alarms.groupby("model", sort=False)))
    for rows, colour in zip(by_model.values(), theme.depth_palette(len(by_model)), strict=True):
        name = rows["model"].iloc[0].rpartition(":")[2]
        ax.plot(rows["step"], rows["detour"], "o-", color=colour, label=name, ms=4)
    ax.axhline(TURNED_BACK, linestyle=":", color=theme.INK)
    ax.set(ylabel="detour")
    _steps(ax, np.unique(alarms["step"]))
    theme.label(ax)
    return ax


def _steps(ax: Axes, steps: np.ndarray) -> None:
    """A logarithmic axis that also shows step 0, if there is one."""
    if steps.min() > 0:
        ax.set_xscale("log")
    else:
        first = float(steps[steps > 0].min())
        ax.set_xscale("symlog", linthresh=first, linscale=0.5)
        ax.set_xlim(left=-first / 5)
    ax.xaxis.set_major_locator(FixedLocator([float(step) for step in steps]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}" if steps.max() < 1e5 else "{x:.1e}"))
    ax.tick_params(axis="x", rotation=45)
    ax.set(xlabel="training step")
