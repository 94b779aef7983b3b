"""What rounding, and the choices of the published scripts, do to the geometry of one model.

Floor 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from companion.probing.compare_models import probe_one
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
