"""The depth report: one page of figures on how a single model uses its depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from companion.plotting.probes.geometry import correlation_matrix, spread
from companion.plotting.probes.probing import blank, lenses, loss_removed, update_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from matplotlib.figure import Figure


def depth_report(dataset: xr.Dataset) -> Figure:
    """Six panels: loss by layer, loss removed, norms of updates; rotation, turn, correlations.

    Parameters
    ----------
    dataset : xarray.Dataset
        A probe with the last-block lens.
    """
    figure, axes = plt.subplots(2, 3, figsize=(12.6, 7.0))
    lenses(dataset, "cross_entropy", axes[0, 0])
    loss_removed(dataset, axes[0, 1])
    update_parts(dataset, axes[0, 2])
    spread(dataset, "theta", axes[1, 0])
    spread(dataset, "theta_dh", axes[1, 1]).axhline(np.pi / 2, color="0.5", linestyle=":")
    correlation_matrix(dataset, axes[1, 2])
    return figure


def depth_report_of(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """The report of the first of some datasets; without any, a figure that says so."""
    return next((depth_report(dataset) for dataset in datasets.values()), None) or blank()
