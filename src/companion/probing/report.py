"""Tables and sentences about probes, for the chapters; all of them computed.

Floor 2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from companion.probing.summaries import degrees, depths, profile, rotation_slope
from companion.statistics.intervals import Interval, around

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

FEWEST_DEPTHS = 3
LAYER_COLUMNS = (
    *("norm", "theta", "theta_dh", "theta_end", "projection"),
    *("cross_entropy", "loss_removed"),
)


def by_layer(dataset: xr.Dataset) -> pd.DataFrame:
    """Means of the main quantities, one row a layer; NaN where a layer has no value."""
    import pandas as pd

    columns = {q: profile(dataset, q) for q in LAYER_COLUMNS if q in dataset}
    return pd.DataFrame(columns).rename_axis("layer").round(3)


def certificate(dataset: xr.Dataset) -> pd.DataFrame:
    """What was certified about the model before its probe, one row a check."""
    import pandas as pd

    record = json.loads(dataset.attrs["certificate"])
    return pd.DataFrame({"found": {key: str(value) for key, value in record.items()}})


def exponents(
    families: Mapping[str, Mapping[str, xr.Dataset]], quantities: Sequence[str]
) -> pd.DataFrame:
    """`rotation_slope` of every family and quantity, "estimate [low, high]" in each cell.

    Depths below four blocks have no two middle updates of their own and are left out of
    "theta_dh"; a family of fewer than three depths has no exponent.
    """
    import pandas as pd

    cells = {q: {name: _exponent(f, q) for name, f in families.items()} for q in quantities}
    return pd.DataFrame(cells)


def _exponent(datasets: Mapping[str, xr.Dataset], quantity: str) -> str:
    shallowest = 4 if quantity == "theta_dh" else 2
    chosen = {n: d for n, d in datasets.items() if int(d.attrs["ell"]) >= shallowest}
    if depths(chosen) < FEWEST_DEPTHS:
        return "too few depths"
    return f"{rotation_slope(chosen, quantity):.2f}"


def exponent_sentence(datasets: Mapping[str, xr.Dataset]) -> str:
    """The measured exponent of the mean middle rotation, in words."""
    if depths(datasets) < FEWEST_DEPTHS:
        return (
            f"The models of this run have {depths(datasets)} different depths: too few for an "
            f"exponent, which takes {FEWEST_DEPTHS}."
        )
    slope = rotation_slope(datasets)
    return (
        f"Over {len(datasets)} models the mean middle rotation goes as depth to the power "
        f"{slope.estimate:.2f} (95 % interval {slope.low:.2f} to {slope.high:.2f}); an inverse law "
        f"(-1) is {_where(-1.0, slope)} this interval, a random walk of fixed reach (-0.5) "
        f"{_where(-0.5, slope)} it."
    )


def _where(value: float, interval: Interval) -> str:
    return "inside" if value in interval else "outside"


def own_loss(dataset: xr.Dataset) -> Interval:
    """The model's own loss, nats per token, with its interval."""
    last = int(dataset.attrs["ell"]) - 1
    mean, sem = (profile(dataset, "cross_entropy", name)[last] for name in ("mean", "sem"))
    return around(float(mean), float(sem), degrees(dataset), method="clustered by document")


def loss_sentence(datasets: Mapping[str, xr.Dataset]) -> str:
    """The models' own losses, shallowest first, in words."""
    ranked = sorted(datasets.values(), key=lambda d: int(d.attrs["ell"]))
    listed = ", ".join(f"{own_loss(d).estimate:.3f} ({d.attrs['ell']} blocks)" for d in ranked)
    return f"Own losses in nats per token, by depth: {listed}."
