"""What a training that was followed says of rotations: exponents, claims, sentences.

Floor 2. All take the dataset of `companion.probing.dynamics.follow`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.claims import Claim, Measurement
from companion.probing.dynamics import BOUNDS
from companion.probing.findings import INVERSE
from companion.probing.several import short
from companion.statistics.intervals import log_slope

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

START = (-0.75, 0.25)


def rotation_exponents(followed: xr.Dataset) -> pd.DataFrame:
    """Exponent of the mean middle rotation against depth, with its interval, at each step.

    Returns
    -------
    DataFrame
        Index step; columns estimate, low, high. Needs models of three depths.
    """
    import pandas as pd

    ell = followed["ell"].isel(step=0).values
    rows = {}
    for step in followed["step"].values:
        found = log_slope(ell, followed["rotation"].sel(step=step, bound="estimate").values)
        rows[int(step)] = dict(zip(BOUNDS, (found.estimate, found.low, found.high), strict=True))
    return pd.DataFrame.from_dict(rows, "index").rename_axis("step")


def by_width(followed: xr.Dataset) -> dict[str, xr.Dataset]:
    """The models of each width m, narrow ones first, e.g. under "m = 64"."""
    m = followed["m"].isel(step=0).values
    return {f"m = {width}": followed.isel(model=m == width) for width in np.unique(m)}


def onset(frame: pd.DataFrame, low: float, high: float) -> int | None:
    """First step from which on the estimate lies in [low, high] to the end, None if never."""
    inside = frame["estimate"].between(low, high)
    if not inside.iloc[-1]:
        return None
    outside = np.flatnonzero(~inside)
    return int(frame.index[outside[-1] + 1 if len(outside) else 0])


def training_brings_the_inverse_law(followed: xr.Dataset) -> Claim:
    """Exponent of the mean middle rotation: near -1/2 or above at the start, near -1 at the end.

    Independent updates whose size does not depend on depth give 0, scaled by ell^(-1/2) they give
    -1/2; the range of the start reaches a quarter beyond both, up to where that of -1 begins.
    """
    frame = rotation_exponents(followed)
    given = json.loads(followed.attrs["provenance"])["parameters"]
    ends = [(frame.index[0], START), (frame.index[-1], INVERSE)]
    return Claim(
        "rotation-through-training",
        "It is training that makes the mean middle rotation fall as one over the depth; at the "
        "start it falls more slowly.",
        "open in the paper, which names training dynamics as a limit; our test",
        {
            "models": ", ".join(short(name) for name in followed["model"].values),
            "data": str(given["corpus"]),
            "size": f"{given['tokens']:,} tokens a checkpoint",
        },
        tuple(
            _measured(f"exponent at step {step}", frame.loc[step], expected)
            for step, expected in ends
        ),
    )


def _measured(name: str, found: pd.Series, expected: tuple[float, float]) -> Measurement:
    estimate, low, high = (float(found[bound]) for bound in BOUNDS)
    return Measurement(name, estimate, low, high, *expected)


def onset_sentence(frame: pd.DataFrame) -> str:
    """From which step on the estimated exponent stays in the range of an inverse law."""
    step = onset(frame, *INVERSE)
    last = frame.iloc[-1]
    low, high = INVERSE
    told = f"At the last checkpoint the exponent is {last.estimate:.2f} (95 % interval "
    told += f"{last.low:.2f} to {last.high:.2f})"
    if step is not None:
        return f"{told}; its estimate stays between {low} and {high} from step {step} on."
    apart = last.high < low or last.low > high
    reach = "and so does all of its interval" if apart else "but its interval reaches into it"
    return (
        f"{told}; the estimate lies outside the range of an inverse law, {low} to {high}, {reach}."
    )


def origin(followed: xr.Dataset) -> str:
    """Where and on what a stored result was measured, in words."""
    stamp = json.loads(followed.attrs["provenance"])
    given = stamp["parameters"]
    return (
        f"{followed.sizes['model']} models at {followed.sizes['step']} steps, "
        f"{given['tokens']:,} tokens of {given['corpus']} each, on {stamp['device']}, "
        f"{stamp['time'][:10]}, commit {stamp['commit']}. {followed.attrs['alarm']}"
    )


def evenness_sentence(followed: xr.Dataset) -> str:
    """How even and how aligned the deepest model's middle layers were through training."""
    deepest = followed.isel(model=int(followed["ell"].isel(step=0).argmax("model")))
    even, cosine = (deepest[name].sel(bound="estimate") for name in ("participation", "cosine"))
    return (
        f"In the model of {int(deepest['ell'][0])} blocks the participation was "
        f"{float(even[0]):.2f} at the start, lowest ({float(even.min()):.2f}) at step "
        f"{int(even.idxmin())} and {float(even[-1]):.2f} at the last checkpoint; the mean cosine "
        f"of consecutive updates {float(cosine[0]):.2f}, highest ({float(cosine.max()):.2f}) at "
        f"step {int(cosine.idxmax())}, and {float(cosine[-1]):.2f}."
    )
