"""What the chapters show of a toy result: claims with computed verdicts, tables, stored runs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from companion.claims import Claim, Measurement
from companion.runtime import InputError, stored
from companion.statistics.intervals import Interval
from companion.toy import analysis
from companion.toy.experiment import load

if TYPE_CHECKING:
    import pandas as pd

NEAR_ONE = (0.75, 1.25)
NEAR_THIRD = (0.25, 0.42)
CONVERGED = 0.1


def scope(result: xr.Dataset) -> dict[str, str]:
    """What a verdict holds for: sizes of students and teachers, and of training."""
    spec = json.loads(result.attrs["specification"])
    return {
        "specification": spec["name"],
        "students": f"width {spec['width']}, depths {', '.join(map(str, spec['depths']))}",
        "teachers": f"{spec['teachers']} of {spec['teacher_depth']} blocks for each rho",
        "training": f"{spec['steps']} steps of {spec['batch']} samples, {spec['head']} head",
    }


def replicates(values: xr.DataArray, rho: float) -> np.ndarray:
    """Entries of the teachers with that rho, averaged over temperature, one for each replicate."""
    rows = values.isel(teacher=np.flatnonzero(np.isclose(values["rho"], rho)))
    rest = [dim for dim in rows.dims if dim not in ("teacher", "seed")]
    return rows.mean(rest).transpose("teacher", "seed").values.ravel()


def measured(
    name: str, interval: Interval, low: float = -math.inf, high: float = math.inf
) -> Measurement:
    """An interval as a measurement, expected between `low` and `high`."""
    return Measurement(
        name, interval.estimate, interval.low, interval.high, low, high, level=interval.level
    )


def final_alpha(result: xr.Dataset, tau: float, kind: str = "alpha") -> xr.DataArray:
    """Exponents at the end of training at the temperature nearest to tau: (teacher, seed, ...)."""
    chosen = result.sel(temperature=[tau], method="nearest").isel(step=[-1])
    return analysis.exponents(chosen)[kind]


def independent_claim(result: xr.Dataset, kind: str = "alpha") -> Claim:
    """Independent teacher: depth exponent about 1, at every temperature."""
    parts = []
    for tau in result["temperature"].values:
        alpha = replicates(final_alpha(result, tau, kind), 0.0)
        parts.append(
            measured(_at("exponent", result, tau), analysis.over_replicates(alpha), *NEAR_ONE)
        )
    return Claim(
        "toy-independent-exponent-one",
        "With an independent teacher the loss falls with depth with an exponent of about 1.",
        "paper, figures 3 and 4",
        scope(result),
        tuple(parts),
    )


def tied_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: a higher exponent than the independent one, at least a first-order one."""
    tau = float(result["temperature"].max())
    alpha = final_alpha(result, tau)
    tied, independent = replicates(alpha, 1.0), replicates(alpha, 0.0)
    difference = analysis.over_replicates(tied - independent)
    parts = (
        measured(_at("tied minus independent exponent", result, tau), difference, 0.0),
        measured(_at("tied exponent", result, tau), analysis.over_replicates(tied), 2.0),
    )
    return Claim(
        "toy-tied-exponent-higher",
        "With a tied teacher, a smooth dynamics, the depth exponent is higher: at least the 2 of a "
        "first-order scheme, up to about 4 at high temperature.",
        "paper, figures 3 and 4",
        scope(result),
        parts,
    )


def temperature_claim(result: xr.Dataset) -> Claim:
    """Tied teacher: the exponent grows with temperature."""
    low, high = float(result["temperature"].min()), float(result["temperature"].max())
    difference = [replicates(final_alpha(result, tau), 1.0) for tau in (low, high)]
    interval = analysis.over_replicates(difference[1] - difference[0])
    name = rf"tied exponent at tau {high:g} minus that at tau {low:g}"
    return Claim(
        "toy-exponent-grows-with-temperature",
        "With a tied teacher the depth exponent grows with the temperature of the target.",
        "paper, figure 4",
        scope(result),
        (measured(name, interval, 0.0),),
    )


def slow_claim(result: xr.Dataset) -> Claim:
    """Peaked targets train more slowly, with a loss that falls as time to the power -1/3."""
    spec = json.loads(result.attrs["specification"])
    stop = spec["decay_from"]
    gamma = analysis.time_exponent(result, start=0.1 * stop, stop=stop).mean("depth")
    low = gamma.sel(temperature=[float(gamma["temperature"].min())])
    low = low.isel(teacher=np.flatnonzero(np.isclose(low["rho"], low["rho"].min())))
    name = "loss-time exponent at the lowest temperature, constant learning rate"
    return Claim(
        "toy-peaked-targets-slow",
        "Peaked targets are learned slowly: the loss falls as training time to the power -1/3.",
        "arXiv 2602.03685, used in the paper's appendix C",
        scope(result),
        (measured(name, analysis.over_replicates(low), *NEAR_THIRD),),
    )


def _at(name: str, result: xr.Dataset, tau: float) -> str:
    return name if result.sizes["temperature"] == 1 else f"{name} at tau {tau:g}"


def table(result: xr.Dataset) -> pd.DataFrame:
    """One row for each rho and temperature: exponents with intervals, entropy, convergence."""
    summary = analysis.summary(result)
    rows = []
    for rho in summary["rho"].values:
        for tau in summary["temperature"].values:
            cell = summary.sel(rho=rho, temperature=tau)
            rows.append(_row(cell, float(rho), float(tau)))
    import pandas as pd

    return pd.DataFrame(rows).set_index(["rho", "tau"])


def _row(cell: xr.Dataset, rho: float, tau: float) -> dict[str, object]:
    def interval(name: str) -> str:
        value, low, high = (float(cell[name + end]) for end in ("", "_low", "_high"))
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"

    falling = float(cell["still_falling"])
    return {
        "rho": rho,
        "tau": round(tau, 4),
        "entropy (nats)": round(float(cell["entropy"]), 2),
        "exponent": interval("alpha"),
        "exponent, with floor": interval("alpha_floor"),
        "-d ln L/d ln t": round(falling, 2),
        "converged": "yes" if abs(falling) < CONVERGED else "no",
    }


def convergence_sentence(result: xr.Dataset) -> str:
    """A sentence that says for which temperatures training had converged."""
    falling = analysis.still_falling(result).mean(["teacher", "seed", "depth"])
    slow = [f"{tau:g}" for tau in falling["temperature"].values[falling.values >= CONVERGED]]
    if not slow:
        return "In this run every series had converged when it ended."
    which = ", ".join(slow)
    return (
        f"In this run the loss was still falling at temperature {which} when training ended, so "
        "the exponents there are of networks that are not fully trained."
    )


class Stored:
    """A stored larger run as a table with its origin, or the sentence that there is none yet."""

    def __init__(self, name: str, command: str) -> None:
        self.command = command
        try:
            self.result: xr.Dataset | None = load(stored(name))
        except InputError:
            self.result = None

    def _repr_html_(self) -> str:
        import html

        if self.result is None:
            code = html.escape(self.command)
            return f"<p>Not yet run at this size. This command does it: <code>{code}</code></p>"
        stamp = json.loads(self.result.attrs["provenance"])
        where = ", ".join(f"{k}: {v}" for k, v in scope(self.result).items())
        origin = f"Stored run of {stamp['time']} on {stamp['device']}. {where}."
        return f"<p>{html.escape(origin)}</p>{table(self.result).to_html()}"

    def __repr__(self) -> str:
        return "not yet run" if self.result is None else repr(table(self.result))
