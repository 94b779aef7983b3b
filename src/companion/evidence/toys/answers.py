"""What stands first in a chapter: its answer in one or two sentences, made from its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companion.toy.analysis import over_replicates, replicates
from companion.toy.regimes import final_alpha

if TYPE_CHECKING:
    import xarray as xr


def of_toys(result: xr.Dataset) -> str:
    """The depth exponents of the most independent and the most tied teacher, over teachers."""
    tau, rhos = float(result["temperature"].max()), result["rho"].values
    alpha = final_alpha(result, tau)
    loose, tied = (
        over_replicates(replicates(alpha, rho)) for rho in (float(rhos.min()), float(rhos.max()))
    )
    apart = "faster than" if tied.low > loose.high else "not clearly faster than"
    return (
        f"Where the teacher's blocks are independent, the loss of students of "
        f"{int(result['depth'].min())} to {int(result['depth'].max())} blocks falls with a depth "
        f"exponent of {loose:.2f}; where one block is repeated, with {tied:.2f}, {apart} that."
    )
