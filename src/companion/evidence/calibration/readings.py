"""The readings themselves, as claims: what they are worth on students of known regime."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from companion.evidence.calibration.verdict import WORDS
from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge

if TYPE_CHECKING:
    import xarray as xr


def readings_tell_regimes(study: xr.Dataset) -> Claim:
    """Averaging is more even than stages, and its neighbours less alike than a dynamics' are."""
    areas = [
        _area(study, "evenness of rotation", "ensemble | compositional", above=True),
        _area(study, "neighbour cosine", "ensemble | procedural", above=False),
    ]
    return judge("calibration-geometry-tells-averaging", areas, scope(study), data="toy")


def order_tells_stages(study: xr.Dataset) -> Claim:
    """Order matters to stages: swapping costs more, in units of skipping, than elsewhere."""
    pairs = ("ensemble | compositional", "procedural | compositional")
    names = ("swap / skip", "parallel / skip")
    areas = [_area(study, name, pair, above=False) for name in names for pair in pairs]
    return judge("calibration-order-tells-stages", areas, scope(study), data="toy")


def _area(study: xr.Dataset, name: str, pair: str, above: bool) -> Measurement:
    """AUC at the worst depth, of the first class above the second, or below it."""
    one = study.sel(statistic=name, pair=pair).dropna("depth", subset=["auc"])
    ends = [one[key].values for key in ("auc", "auc_low", "auc_high")]
    estimate, low, high = ends if above else (1 - ends[0], 1 - ends[2], 1 - ends[1])
    at = int(estimate.argmin())
    first, second = (WORDS[regime] for regime in pair.split(" | "))
    where = f"{first} {'above' if above else 'below'} {second}"
    label = f"AUC of {name}, {where}, worst depth ({int(one['depth'][at])} blocks)"
    return Measurement(label, float(estimate[at]), float(low[at]), float(high[at]))


def scope(dataset: xr.Dataset) -> dict[str, str]:
    """What a verdict about toy students holds for, from the design of their run."""
    made = json.loads(dataset.attrs["provenance"])
    design = made["parameters"]
    depths = design["common"].get("depths") or sorted({int(ell) for ell in dataset["ell"].values})
    return {
        "networks": f"toy students of the design {design['name']!r}, widths "
        f"{', '.join(map(str, design['widths']))}",
        "depths": ", ".join(map(str, depths)),
        "teachers": f"{design['common']['teachers']} a regime and width",
        "training": f"{design['common']['steps']} steps or more of {design['common']['batch']}",
    }
