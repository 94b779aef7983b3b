"""The planner as an interactive figure: one self-contained piece of HTML, no server, no network.

Floor 3. The law, its optimum and some bootstrap refits are embedded; a script in the page repeats
`companion.scaling.planning` on the same grid, so that sliders and `plan` give the same answers.
"""

from __future__ import annotations

import json
import math
from importlib import resources
from string import Template

import numpy as np

from companion.scaling import planning
from companion.scaling.fitting.result import FitResult
from companion.scaling.uncertainty.resampling import Draws


class Page:
    """A piece of HTML that shows itself in a notebook."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return "an interactive planner (HTML)"


def page(
    result: FitResult, draws: Draws, *, flops: float = 1e21, kept: int = 60, name: str = "planner"
) -> Page:
    """Sliders for training operations, parameters and latency; the best shape and its band.

    Parameters
    ----------
    result : FitResult
        The fitted law.
    draws : Draws
        Its bootstrap; the first `kept` converged refits are embedded and make the band.
    flops : float
        Where the first slider starts.
    kept : int
        Number of refits in the page.
    name : str
        HTML id; use different ones for two planners on a page.
    """
    chosen = np.flatnonzero(draws.converged)[:kept]
    record = _law(result.law) | {
        "best": dict(result.params),
        "draws": [{k: float(v[i]) for k, v in draws.params.items()} for i in chosen],
        "seen": _seen(result.table),
        "widths": planning.WIDTHS.tolist(),
        "depths": planning.DEPTHS.tolist(),
        "per_block": planning.PER_BLOCK,
        "bandwidth": planning.BANDWIDTH,
        "start": {"flops": math.log10(flops)},
    }
    template = resources.files("companion.plotting").joinpath("planner.html").read_text("utf-8")
    return Page(Template(template).substitute(id=name, data=json.dumps(record)))


def _law(law) -> dict:
    terms = [{"coefficient": t.coefficient, "exponents": t.exponents} for t in law.terms]
    return {"terms": terms, "constant": law.constant, "power": law.power, "shift": dict(law.shift)}


def _seen(table) -> dict[str, list[float]]:
    columns = {"m": table["m"], "ℓ": table["ell"], "D": table["D"]}
    columns["m/ℓ"] = table["m"] / table["ell"]
    return {name: [float(c.min()), float(c.max())] for name, c in columns.items()}
