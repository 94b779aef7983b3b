"""What the chapters show of a toy result beside its claims: tables, sentences, stored runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from companion.errors import InputError
from companion.evidence.toys.toy import scope
from companion.files import read_netcdf, stored
from companion.toy import analysis, comparison
from companion.toy.regimes import doublings, final_alpha

if TYPE_CHECKING:
    import pandas as pd

CONVERGED = 0.1
VARIANTS = ("gated", "depth_attention", "post_norm", "scaled_norm", "streams")


def table(result: xr.Dataset) -> pd.DataFrame:
    """One row for each rho and temperature: exponents with intervals, entropy, convergence."""
    import pandas as pd

    cells = analysis.summary(result).to_dataframe().reset_index().to_dict("records")
    return pd.DataFrame(map(_row, cells)).set_index(["rho", "tau"]).dropna(axis=1, how="all")


def _row(cell: dict[str, float]) -> dict[str, object]:
    def interval(name: str) -> str:
        value, low, high = (cell[name + end] for end in ("", "_low", "_high"))
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"

    falling = cell["still_falling"]
    return {
        "rho": cell["rho"],
        "tau": round(cell["temperature"], 4),
        "entropy (nats)": round(cell["entropy"], 2),
        "exponent": interval("alpha"),
        "exponent, with floor": interval("alpha_floor"),
        "-d ln L/d ln t": round(falling, 2),
        "converged": "yes" if abs(falling) < CONVERGED else "no",
    }


def variants_table(compared: xr.Dataset) -> pd.DataFrame:
    """One row for each block of a comparison: exponent, gain over the plain block, best rates.

    The gains have simultaneous 95 % intervals, see `comparison.gains`; `loss ratio` is the loss of
    the deepest students over that of the plain block, a geometric mean over teachers and seeds.
    """
    import pandas as pd

    alpha, gain = comparison.exponents(compared), comparison.gains(compared)
    deepest = comparison.tuned(compared).sel(depth=int(compared["depth"].max()))
    ratio = deepest / deepest.sel(block=comparison.BASELINE, drop=True)
    ratio = analysis.geometric_mean(ratio, ["teacher", "seed"])
    rate = comparison.best_rate(compared)
    rows = [
        {
            "block": str(name).replace("_", " "),
            "exponent": round(float(alpha.sel(block=name).mean()), 3),
            "minus plain": f"{gain[name]:.2f}" if name in gain else "",
            "loss ratio": round(float(ratio.sel(block=name)), 2),
            "best rates": " ".join(f"{r:g}" for r in rate.sel(block=name).values),
        }
        for name in compared["block"].values
    ]
    return pd.DataFrame(rows).set_index("block")


def convergence_sentence(result: xr.Dataset) -> str:
    """A sentence that says which series of the table had not converged."""
    falling = analysis.still_falling(result).mean(["seed", "depth"], skipna=False)
    falling = falling.groupby("rho").mean(skipna=False)
    unsettled = ~(abs(falling) < CONVERGED)
    if not unsettled.any():
        return "In this run every series had converged when it ended."
    names = []
    for rho in falling["rho"].values[unsettled.any("temperature")]:
        taus = falling["temperature"].values[unsettled.sel(rho=rho)]
        which = f" (temperature {', '.join(map('{:g}'.format, taus))})"
        names.append(f"{rho:g}" + which * (result.sizes["temperature"] > 1))
    return (
        "In this run the loss had not settled when training ended for "
        f"rho = {', '.join(names)}, so the exponents there are of networks that are not fully "
        "trained."
    )


def lengths_table(result: xr.Dataset, shorter: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Plain exponent over teachers at each annealed length of training, a column for each rho."""
    import pandas as pd

    runs, tau = doublings(result, shorter), float(result["temperature"].max())
    rhos = sorted(set.intersection(*(set(run["rho"].values.tolist()) for run in runs)))
    rows = {
        f"{int(run['step'].max()):,} steps": {
            f"rho = {rho:g}": f"{analysis.over_replicates(values):.2f}"
            for rho in rhos
            for values in [analysis.replicates(final_alpha(run, tau), rho)]
        }
        for run in runs
    }
    return pd.DataFrame(rows).T.rename_axis("annealed at")


@dataclass(frozen=True)
class Ends:
    """Depth exponents of the teachers of least and largest rho, and whether training had ended."""

    independent: float
    tied: float
    top: float
    convergence: str


def ends(result: xr.Dataset) -> Ends:
    """What a chapter cites of a result, at its highest temperature, `top`."""
    top, rhos = float(result["temperature"].max()), result["rho"].values
    alpha = final_alpha(result, top)
    low, high = (
        analysis.over_replicates(analysis.replicates(alpha, rho)).estimate
        for rho in (rhos.min(), rhos.max())
    )
    return Ends(low, high, top, convergence_sentence(result))


class Stored:
    """A stored larger run as a table with its origin, or the sentence that there is none yet.

    Parameters
    ----------
    name : str
        File in `book/results/`.
    command : str
        What makes it.
    shown : callable, optional
        What makes a table of the result; `table` by default.

    Attributes
    ----------
    result : xarray.Dataset or None
    """

    def __init__(self, name: str, command: str, shown: Callable | None = None) -> None:
        self.command, self.shown = command, shown or table
        try:
            self.result: xr.Dataset | None = read_netcdf(stored(name))
        except InputError:
            self.result = None

    def origin(self) -> str:
        """Where the result is from: date, device, commit, versions, sizes; or how to make it."""
        if self.result is None:
            return f"Not yet run at this size. This command does it: {self.command}"
        stamp = json.loads(self.result.attrs["provenance"])
        versions = ", ".join(f"{k} {v}" for k, v in stamp["versions"].items())
        where = ", ".join(f"{k}: {v}" for k, v in scope(self.result).items())
        return (
            f"Stored run of {stamp['time']} on {stamp['device']}, commit {stamp['commit']}, "
            f"{versions}. Made by: {self.command}. {where}."
        )

    def _repr_html_(self) -> str:
        import html

        below = "" if self.result is None else self.shown(self.result).to_html()
        command = html.escape(self.command)
        origin = html.escape(self.origin()).replace(command, f"<code>{command}</code>")
        return f"<p>{origin}</p>{below}"

    def __repr__(self) -> str:
        return self.origin() if self.result is None else repr(self.shown(self.result))


def stored_run(name: str, options: str = "", shown: Callable | None = None) -> Stored:
    """The stored run `toy-<name>.nc` of the named specification, trained with `options`."""
    command = " ".join(filter(None, ["companion toy", name, options, "--out"]))
    return Stored(f"toy-{name}.nc", f"{command} book/results/toy-{name}.nc", shown)


def shorter_runs(name: str) -> list[xr.Dataset]:
    """Stored runs of the named specification with fewer steps, `toy-<name>-<steps>.nc`."""
    folder = stored(f"toy-{name}.nc").parent
    return [read_netcdf(path) for path in sorted(folder.glob(f"toy-{name}-[0-9]*.nc"))]


def stored_variants(target: str) -> Stored:
    """The stored comparison of all residual blocks on that target."""
    blocks = ",".join(VARIANTS)
    options = f"--variants {blocks} --rates 0.5,1,2,4"
    return stored_run(f"variants-{target}", options, variants_table)
