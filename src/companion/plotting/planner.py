"""The planner as an interactive figure: one self-contained piece of HTML, no server, no network.

The law, its optimum and some bootstrap refits are embedded; a script in the page repeats
`companion.scaling.planning` on the same grid, so that sliders and `plan` give the same answers.
"""

from __future__ import annotations

import json
import math
from importlib import resources
from string import Template

import numpy as np

from companion.plotting.demos.page import Page
from companion.scaling import planning
from companion.scaling.fitting.result import FitResult
from companion.scaling.uncertainty.resampling import Draws


def page(
    result: FitResult, draws: Draws, *, flops: float, name: str = "interactive-planner"
) -> Page:
    """Sliders for training operations, parameters and latency; the best shape and its band.

    Parameters
    ----------
    result : FitResult
        The fitted law; the sliders reach as far as its table and a little beyond, which is marked.
    draws : Draws
        Its bootstrap; the converged refits are embedded, the same that `plan` takes.
    flops : float
        Where the first slider starts.
    name : str
        HTML id; use different ones for two planners on a page.
    """
    widths, depths = planning.shapes(result.table)
    record = _law(result.law) | {
        "best": dict(result.params),
        "draws": [
            {k: float(v[i]) for k, v in draws.params.items()}
            for i in np.flatnonzero(draws.converged)
        ],
        "seen": {k.replace("ell", "\u2113"): v for k, v in planning.seen(result.table).items()},
        "reach": np.log10(planning.reach(result.table)).tolist(),
        "widths": widths.tolist(),
        "depths": depths.tolist(),
        "per_block": planning.PER_BLOCK,
        "bandwidth": planning.BANDWIDTH,
        "knobs": _knobs(result.table, flops),
    }
    template = resources.files("companion.plotting").joinpath("planner.html").read_text("utf-8")
    return Page("planner", Template(template).substitute(id=name, data=json.dumps(record)))


def _knobs(table, flops: float) -> dict[str, list[float]]:
    """Least, most and first value of each slider, log10: a decade or two beyond the table."""
    widths, depths = planning.shapes(table)
    low, high = np.log10(planning.reach(table))
    sizes = [math.log10(12 * m**2 * ell) for m, ell in zip(widths, depths, strict=False)]
    most = math.ceil(math.log10(12 * widths[-1] ** 2 * depths[-1]))
    slowest = math.ceil(math.log10(planning.seconds(widths[-1], depths[-1])))
    fastest = math.floor(math.log10(planning.seconds(widths[0], depths[0])))
    return {
        "flops": [math.floor(low) - 1, math.ceil(high) + 2, math.log10(flops)],
        "parameters": [math.ceil(min(sizes)), most, most],
        "latency": [fastest + 1, slowest, slowest],
    }


def _law(law) -> dict:
    terms = [{"coefficient": t.coefficient, "exponents": t.exponents} for t in law.terms]
    return {"terms": terms, "constant": law.constant, "power": law.power, "shift": dict(law.shift)}
