"""What rounding, and the choices of the published scripts, do to the geometry of one model.

Floor 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from companion.probing.several import probe_one
from companion.probing.summaries import middle_layers, middle_mean, profile
from companion.runtime import Runtime

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

EXACT, COARSE, PUBLISHED = "float32", "bfloat16", "published choices"


def turn_errors(turn: float, runtime: Runtime, m: int = 64, vectors: int = 1000) -> pd.DataFrame:
    """Largest error of the two formulas for an angle, in float32, on planted turns.

    Parameters
    ----------
    turn : float
        The true angle between each pair of vectors, radians.
    runtime : Runtime
        Seed of the vectors.
    m, vectors : int
        Width, and number of pairs.

    Returns
    -------
    DataFrame
        One row a formula, column "largest error (rad)".
    """
    import pandas as pd
    import torch

    from companion.geometry import angle, angle_by_cosine, unit

    generator = runtime.torch_generator(2, device="cpu")
    a, other = torch.randn(2, vectors, m, generator=generator, dtype=torch.float64)
    a = unit(a)
    side = unit(other - (a * other).sum(-1, keepdim=True) * a)
    b = torch.cos(torch.tensor(turn)) * a + torch.sin(torch.tensor(turn)) * side
    formulas = {"2 atan2(|u - v|, |u + v|)": angle, "arccos of the cosine": angle_by_cosine}
    errors = {name: (f(a.float(), b.float()) - turn).abs().max() for name, f in formulas.items()}
    return pd.DataFrame({"largest error (rad)": {name: float(e) for name, e in errors.items()}})


def compare(model: str, runtime: Runtime, **options) -> dict[str, xr.Dataset]:
    """One model on the same text in float32, in bfloat16, and as the published scripts do it.

    Parameters
    ----------
    model : str
    runtime : Runtime
        Device and seed; its number format is not used.
    **options
        As for `probe_one`.
    """
    exact = Runtime.choose(runtime.device, EXACT, runtime.seed)
    coarse = Runtime.choose(runtime.device, COARSE, runtime.seed)
    return {
        EXACT: probe_one(model, exact, **options),
        COARSE: probe_one(model, coarse, **options),
        PUBLISHED: probe_one(model, coarse, paper_compat=True, **options),
    }


def sentence(runs: Mapping[str, xr.Dataset]) -> str:
    """What `compare` found, in words."""
    middle = {name: middle_mean(d).estimate for name, d in runs.items()}
    chosen = middle_layers(int(runs[COARSE].attrs["ell"]))
    noise = float(runs[COARSE]["theta_noise"].values[chosen].mean())
    last = {name: profile(d, "theta")[int(d.attrs["ell"]) - 1] for name, d in runs.items()}
    return (
        f"Mean middle rotation: {middle[EXACT]:.4f} rad in float32, {middle[COARSE]:.4f} rad in "
        f"bfloat16 with a rounding noise of {noise:.4f} rad a token, and {middle[PUBLISHED]:.4f} "
        f"rad with the published choices; rotation by the last block: {last[EXACT]:.3f} rad in "
        f"float32 and {last[PUBLISHED]:.3f} rad with the published choices, which compare it with "
        "the normed state."
    )
