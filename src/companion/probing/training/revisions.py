"""Are these the checkpoints that they are said to be? Weights that repeat, or leave the path.

Some public models serve wrong weights at some of their training steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ENTRIES = 256
TURNED_BACK = 2.0


def digest(net: Any) -> str:
    """SHA-256 of all weights."""
    import hashlib

    import torch

    weights = hashlib.sha256()
    for weight in net.parameters():
        weights.update(weight.detach().contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return weights.hexdigest()


def sketch(net: Any) -> np.ndarray:
    """At most 256 evenly spaced entries of every weight, shape (entry,), float32."""
    import torch

    def some(weight: torch.Tensor) -> torch.Tensor:
        flat = weight.detach().flatten()
        return flat[:: -(-len(flat) // ENTRIES)].float().cpu()

    return torch.cat([some(weight) for weight in net.parameters()]).numpy()


def path(tracked: xr.Dataset) -> xr.Dataset:
    r"""How the weights went from checkpoint to checkpoint, (model, step), from their sketches.

    `moved` is the distance from the checkpoint before, relative to its length. With
    :math:`d_{ij}` the distance of the weights of checkpoints i and j, `detour` is
    :math:`(d_{i,i+1} + d_{i+1,i+2})/d_{i,i+2}` over the middle one: 1 on a straight path and
    :math:`\sqrt 2` if two equal displacements are orthogonal, as in a random walk. A stranger in
    the series, or two that are swapped, gives more than 2: the way out was walked back.
    """
    import xarray as xr

    each = [_path(tracked["sketch"].sel(model=name)) for name in tracked["model"].values]
    moved, detour = np.array(each).transpose(1, 0, 2)
    return xr.Dataset({"moved": (("model", "step"), moved), "detour": (("model", "step"), detour)})


def _path(series: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    w = series.dropna("entry").values
    moved = np.linalg.norm(np.diff(w, axis=0), axis=1)
    across = np.linalg.norm(w[2:] - w[:-2], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        detour = (moved[:-1] + moved[1:]) / across
    relative = moved / np.linalg.norm(w[:-1], axis=1)
    return np.pad(relative, (1, 0), constant_values=np.nan), np.pad(
        detour, 1, constant_values=np.nan
    )[: len(w)]


def alarms(tracked: xr.Dataset) -> pd.DataFrame:
    """What is odd about the checkpoints, one row a model and step.

    Returns
    -------
    DataFrame
        Columns model, step, moved and detour (see `path`), alarm (empty, or what it is).
    """
    import pandas as pd

    way = path(tracked) if "sketch" in tracked else tracked
    rows = []
    for place, model in enumerate(tracked["model"].values):
        digests = [str(one) for one in tracked["digest"][place].values]
        moved, detour = (way[name][place].values for name in ("moved", "detour"))
        for i, step in enumerate(tracked["step"].values):
            alarm = _alarm(i, digests, tracked["step"].values, detour[i])
            rows.append((str(model), int(step), moved[i], detour[i], alarm))
    return pd.DataFrame(rows, columns=["model", "step", "moved", "detour", "alarm"])


def _alarm(i: int, digests: list[str], step: np.ndarray, detour: float) -> str:
    same = [int(step[j]) for j, other in enumerate(digests) if j != i and other == digests[i]]
    if same:
        return f"the same weights as at step {', '.join(map(str, same))}"
    return "off the path of its neighbours" if detour > TURNED_BACK else ""
