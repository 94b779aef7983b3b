"""The depth exponent of stored toy runs by teacher, length of training, range and floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from companion.plotting.demos.page import Page, page

if TYPE_CHECKING:
    import xarray as xr


def explorer(runs: Sequence[xr.Dataset]) -> Page:
    """Choices of teacher, training and depths, and a slider for the floor.

    The exponent is the mean over teachers of `toy.analysis.power_law` of the loss less its floor.

    Parameters
    ----------
    runs : sequence of xarray.Dataset
        From `run_toy`; the teachers that all of them have are offered, the shortest first.
    """
    made = sorted(map(_record, runs), key=lambda run: run["steps"])
    common = [rho for rho in made[0]["loss"] if all(rho in run["loss"] for run in made)]
    label = "Loss of toy students against depth, with the power law through the chosen depths"
    return page("explorer", label, {"runs": made, "teachers": common})


def _record(run: xr.Dataset) -> dict:
    """Final losses of the largest temperature by rho: one row for each teacher, depths rising."""
    run = run.sel(temperature=run["temperature"].max()).sortby("depth")
    loss = run["test_loss"].isel(step=-1).where(~run["diverged"]).mean("seed")
    rows = {
        f"{rho:g}": [row.tolist() for row in loss.sel(teacher=run["rho"].values == rho).values]
        for rho in sorted(set(run["rho"].values.tolist()))
    }
    return {"steps": int(run["step"][-1]), "depths": run["depth"].values.tolist(), "loss": rows}
