"""What stands first in a chapter: its answer in one or two sentences, made from its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.toys.toy import EXPLAINED, law_sentence
from companion.toy.analysis import over_replicates, replicates
from companion.toy.regimes import final_alpha, plunge

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from companion.statistics.intervals import Interval


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


def of_regimes(result: xr.Dataset) -> str:
    """Whether the loss is one power of depth, for the least and the most tied teacher."""
    rhos = (float(result["rho"].min()), float(result["rho"].max()))
    depths = f"{int(result['depth'].min())} to {int(result['depth'].max())} blocks"
    return f"Students of {depths}. " + " ".join(law_sentence(result, rho) for rho in rhos)


def of_composition(staged: xr.Dataset, gains: Mapping[str, Interval]) -> str:
    """Where the loss of a composed target first falls, and the best variant's gain in exponent."""
    at, rest = (values[values == values] for values in plunge(staged, EXPLAINED))
    sentence = (
        f"Where a target is built in stages, the loss plunges with a local exponent of "
        f"{np.median(at):.1f} (median of {len(at)} replicates) at the depth that first fits, "
        f"and falls with {np.median(rest):.1f} elsewhere."
        if len(at)
        else "No student of this run solved the target that is built in stages."
    )
    best = max(gains, key=lambda name: gains[name].estimate, default="")
    return sentence + (
        f" Of the other residual connections, {best.replace('_', ' ')} gains most in exponent: "
        f"{gains[best]:.3f}."
        if best
        else ""
    )
