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


def alarms(tracked: xr.Dataset) -> pd.DataFrame:
    r"""What is odd about the checkpoints, one row a model and step.

    With :math:`d_{ij}` the distance of the weights of checkpoints i and j, the detour
    :math:`(d_{i,i+1} + d_{i+1,i+2})/d_{i,i+2}` over the middle one is 1 on a straight path and
    :math:`\sqrt 2` if two equal displacements are orthogonal, as in a random walk. A stranger in
    the series, or two that are swapped, gives more than 2: the way out was walked back.

    Returns
    -------
    DataFrame
        Columns model, step, moved (relative distance from the checkpoint before), detour, alarm
        (empty, or a sentence).
    """
    import pandas as pd

    rows = [row for name in tracked["model"].values for row in _alarms(tracked.sel(model=name))]
    return pd.DataFrame(rows)


def _alarms(series: xr.Dataset) -> list[dict[str, Any]]:
    w = series["sketch"].dropna("entry").values
    digests = [str(d) for d in series["digest"].values]
    moved = np.linalg.norm(np.diff(w, axis=0), axis=1)
    across = np.linalg.norm(w[2:] - w[:-2], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        detour = np.concatenate([[np.nan], (moved[:-1] + moved[1:]) / across, [np.nan]])
    return [
        {
            "model": str(series["model"].values),
            "step": int(series["step"][i]),
            "moved": float(moved[i - 1] / np.linalg.norm(w[i - 1])) if i else np.nan,
            "detour": float(detour[i]),
            "alarm": _alarm(i, digests, series["step"].values, detour[i]),
        }
        for i in range(len(w))
    ]


def _alarm(i: int, digests: list[str], step: np.ndarray, detour: float) -> str:
    same = [int(step[j]) for j, other in enumerate(digests) if j != i and other == digests[i]]
    if same:
        return f"the same weights as at step {', '.join(map(str, same))}"
    return "off the path of its neighbours" if detour > TURNED_BACK else ""


def alarm_sentence(tracked: xr.Dataset) -> str:
    """Whether the checkpoints passed, in words."""
    table = alarms(tracked)
    odd = table[table["alarm"] != ""]
    compared = f"{len(table)} checkpoints of {table['model'].nunique()} models were compared"
    if odd.empty:
        inner = table["detour"].dropna()
        path = f"and none makes a detour of more than {inner.max():.2f} between its neighbours"
        path = path if len(inner) else "too few to tell a path"
        return f"{compared}: all differ, {path}. The first and the last have one neighbour only."
    listed = "; ".join(
        f"{name} step {step}: {alarm}"
        for name, step, alarm in zip(odd["model"], odd["step"], odd["alarm"], strict=True)
    )
    return f"{compared}, and {len(odd)} are not what their names say: {listed}."
