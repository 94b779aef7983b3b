"""Figures of the toy experiments (floor 4): loss against depth and time, exponents, geometry.

Each function takes a result of `companion.toy.run_toy` (or a summary of one) and an Axes, and
returns the Axes. Bars and bands are 95 % intervals over teachers unless said otherwise.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from companion.evidence.toys.tables import Stored
from companion.plotting import theme
from companion.toy import analysis, regimes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

TEACHERS = {0.0: "independent teacher", 1.0: "tied teacher"}
MARKERS = ("o", "s", "^", "D", "v", "P")


def teacher_name(rho: float) -> str:
    """What a teacher with that correlation of blocks is called."""
    return TEACHERS.get(float(rho), rf"$\rho$ = {rho:g}")


def _series_name(result: xr.Dataset, rho: float) -> str:
    parity = json.loads(result.attrs.get("specification", "{}")).get("teacher") == "parity"
    return "running products" if parity else teacher_name(rho)


def colour(index: int) -> str:
    """Colour of the series with that index."""
    return theme.FAMILY_PALETTE[index % len(theme.FAMILY_PALETTE)]


def loss_by_depth(
    result: xr.Dataset, ax: Axes | None = None, *, tau: float | None = None, fit: bool = True
) -> Axes:
    r"""Test loss at the end of training against depth, one series for each rho.

    Thin lines are single students; points are geometric means; dashed lines the fitted
    :math:`c\,\ell^{-\alpha}`. `tau` selects a temperature (nearest; the highest if none is given).
    """
    ax = ax or plt.gca()
    tau = tau if tau is not None else float(result["temperature"].max())
    last = result.isel(step=-1).sel(temperature=tau, method="nearest").sortby("depth")
    ell = last["depth"].values.astype(float)
    for i, rho in enumerate(np.unique(result["rho"])):
        rows = last["test_loss"].isel(teacher=np.flatnonzero(last["rho"] == rho))
        rows = rows.transpose(..., "depth").values.reshape(-1, len(ell))
        mean = np.exp(np.log(rows).mean(0))
        ax.loglog(ell, rows.T, color=colour(i), alpha=0.25, linewidth=0.8)
        slope = analysis.power_law(ell, mean)
        name = rf"{_series_name(result, rho)}: $\alpha$ = {slope:.2f}"
        ax.loglog(ell, mean, MARKERS[i % 6], color=colour(i), label=name)
        if fit:
            centre = np.exp(np.log(ell).mean()), np.exp(np.log(mean).mean())
            line = centre[1] * (ell / centre[0]) ** -slope
            ax.loglog(ell, line, "--", color=colour(i), linewidth=1.2)
    ax.set_xlabel(r"depth of the student $\ell$ (blocks)")
    ax.set_ylabel(f"test loss ({last['test_loss'].attrs.get('units', 'nats')})")
    plain_ticks(ax, ell)
    theme.label(ax)
    return ax


def predictions(result: xr.Dataset, ax: Axes, *, tau: float | None = None) -> Axes:
    r"""Reference lines beside a `loss_by_depth`: an average, and squared errors of two schemes.

    :math:`\ell^{-1}` of an average, :math:`\ell^{-2p}` of a scheme of order p, all through the
    largest mean loss, so that only their slopes mean something.
    """
    tau = tau if tau is not None else float(result["temperature"].max())
    last = result["test_loss"].isel(step=-1).sel(temperature=tau, method="nearest")
    ell = np.sort(result["depth"].values).astype(float)
    top = float(last.sel(depth=ell[0]).max())
    euler, midpoint = (regimes.global_error_squared(ell, order) for order in (1, 2))
    lines = {"average": regimes.average_of(ell), "first order": euler, "second order": midpoint}
    view = ax.get_ylim()
    for (name, line), style in zip(lines.items(), (":", "-.", (0, (1, 4))), strict=True):
        ax.plot(ell, top * line / line[0], color=theme.INK, linestyle=style, label=name)
    ax.set_ylim(view)
    theme.label(ax)
    return ax


def beside(
    draw: Callable[..., Axes], live: Sequence[xr.Dataset], stored: Sequence[Stored]
) -> list[Axes]:
    """`draw(*results, ax=ax)` for the live run, left, and for stored larger ones, right.

    Where a stored run is absent the right half says so, with the command that makes it.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    draw(*live, ax=left).set_title("this run")
    right.set_title("stored larger run")
    absent = [run.origin() for run in stored if run.result is None]
    if absent:
        right.set_axis_off()
        words = textwrap.fill(absent[0], 44, break_long_words=False)
        right.text(0.5, 0.5, words, ha="center", va="center")
    else:
        draw(*(run.result for run in stored), ax=right)
    return [left, right]


def plain_ticks(ax: Axes, values: np.ndarray) -> None:
    """Ticks of a logarithmic axis at `values`, and plain numbers on both axes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ax.set_xticks(values, [f"{v:.3g}" for v in values])
    ax.xaxis.set_minor_locator(NullLocator())
    if ax.get_yscale() == "log":
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        ax.yaxis.set_minor_locator(NullLocator())


def exponent_by_temperature(
    summary: xr.Dataset, ax: Axes | None = None, *, kind: str = "alpha", against: str = "tau"
) -> Axes:
    """Depth exponent with interval against temperature or target entropy, one series for each rho.

    Parameters
    ----------
    summary : xarray.Dataset
        From `analysis.summary`.
    ax : Axes, optional
    kind : str
        "alpha" or "alpha_floor".
    against : str
        "tau" or "entropy" (nats).
    """
    ax = ax or plt.gca()
    for i, rho in enumerate(summary["rho"].values):
        row = summary.sel(rho=rho)
        x = row["temperature"].values if against == "tau" else row["entropy"].values
        y, low, high = (row[kind + end].values for end in ("", "_low", "_high"))
        bars = np.nan_to_num(np.abs([y - low, high - y]))
        style = {"marker": MARKERS[i % 6], "color": colour(i), "capsize": 3}
        ax.errorbar(x, y, yerr=bars, label=teacher_name(rho), **style)
    if against == "tau":
        ax.set_xscale("log")
    ax.axhline(1, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_xlabel(r"temperature $\tau$" if against == "tau" else "entropy of the target (nats)")
    ax.set_ylabel(r"depth exponent $\alpha_\ell$")
    theme.label(ax)
    return ax


def entropy_by_temperature(entropy: xr.DataArray, ax: Axes | None = None) -> Axes:
    """Mean entropy of the softmax target against temperature, one series for each rho.

    `entropy` (teacher, temperature) in nats is that of a result, or of `toy.target_entropy`.
    """
    ax = ax or plt.gca()
    for i, rho in enumerate(np.unique(entropy["rho"])):
        rows = entropy.isel(teacher=np.flatnonzero(entropy["rho"] == rho))
        style = {
            "marker": MARKERS[i % 6],
            "color": colour(i),
            "linestyle": "-" if i == 0 else "--",
        }
        style["fillstyle"] = "full" if i == 0 else "none"
        ax.semilogx(rows["temperature"], rows.mean("teacher"), label=teacher_name(rho), **style)
    ax.set_xlabel(r"temperature $\tau$")
    ax.set_ylabel("entropy of the target (nats)")
    theme.label(ax)
    return ax


def loss_by_time(
    result: xr.Dataset, ax: Axes | None = None, *, rho: float, tau: float | None = None
) -> Axes:
    """Test loss against training step for each depth, geometric mean over teachers and seeds."""
    ax = ax or plt.gca()
    tau = tau if tau is not None else float(result["temperature"].max())
    curve = result.sel(temperature=tau, method="nearest").sortby("depth")
    curve = curve.isel(teacher=np.flatnonzero(curve["rho"] == rho), step=slice(1, None))
    curves = analysis.geometric_mean(curve["test_loss"], ["teacher", "seed"])
    colours = theme.depth_palette(curve.sizes["depth"])
    for tint, ell in zip(colours, curve["depth"].values, strict=True):
        ax.loglog(curve["step"], curves.sel(depth=ell), color=tint, label=str(ell))
    ax.set_xlabel("training step")
    ax.set_ylabel(f"test loss ({result['test_loss'].attrs.get('units', 'nats')})")
    theme.label(ax, r"depth $\ell$")
    return ax


def exponent_by_time(result: xr.Dataset, ax: Axes | None = None, *, tau: float) -> Axes:
    """Depth exponent (plain power law) against training step, with its interval, for each rho."""
    ax = ax or plt.gca()
    late = result.sel(temperature=[tau], method="nearest")
    late = late.isel(step=np.flatnonzero(late["step"] >= 0.005 * late["step"].max()))
    alpha = analysis.exponents(late, floor=False)["alpha"]
    for i, rho in enumerate(np.unique(result["rho"])):
        rows = alpha.isel(teacher=np.flatnonzero(alpha["rho"] == rho))
        each = (analysis.replicates(rows.isel(step=k)) for k in range(rows.sizes["step"]))
        bands = [analysis.over_replicates(values) for values in each]
        estimate, low, high = np.array([list(band) for band in bands]).T
        ax.semilogx(rows["step"], estimate, color=colour(i), label=teacher_name(rho))
        ax.fill_between(rows["step"], low, high, color=colour(i), alpha=0.2, linewidth=0)
    ax.axhline(1, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_xlabel("training step")
    ax.set_ylabel(r"depth exponent $\alpha_\ell$")
    theme.label(ax)
    return ax


def local_slopes(results: dict[str, xr.Dataset], ax: Axes | None = None) -> Axes:
    """Local depth exponent between neighbouring depths, for each named result and rho."""
    ax = ax or plt.gca()
    index = 0
    for name, result in results.items():
        slopes = analysis.local_slopes(result)
        for rho in np.unique(result["rho"]):
            rows = slopes.isel(teacher=np.flatnonzero(slopes["rho"] == rho))
            mean = rows.mean(["teacher", "temperature", "seed"], skipna=False)
            label = name or teacher_name(rho)
            style = {"marker": MARKERS[index % 6], "color": colour(index)}
            ax.semilogx(mean["depth"], mean, label=label, **style)
            index += 1
    depths = {int(ell) for result in results.values() for ell in result["depth"].values}
    plain_ticks(ax, np.array(sorted(depths)))
    ax.axhline(1, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_xlabel(r"depth of the student $\ell$ (blocks)")
    ax.set_ylabel(r"local slope $-d\ln L / d\ln\ell$")
    theme.label(ax)
    return ax
