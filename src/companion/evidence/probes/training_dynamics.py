"""What a training whose checkpoints were tracked says of rotations: the claim, and sentences.

All take the dataset of `companion.probing.training.track.track_checkpoints`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from companion.errors import InputError
from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge
from companion.evidence.probes.geometry import INVERSE
from companion.files import read_netcdf, stored
from companion.probing.compare_models import short_name
from companion.probing.training.exponents import by_width, rotation_exponents, steady_from
from companion.probing.training.revisions import alarms

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def training_brings_the_inverse_law(tracked: xr.Dataset) -> Claim:
    """Exponent of the mean middle rotation: near -1/2 or above at the start, near -1 at the end."""
    frame = rotation_exponents(tracked)
    given = json.loads(tracked.attrs["provenance"])["parameters"]
    ends = {"start": frame.index[0], "end": frame.index[-1]}
    spans = {part: np.asarray(frame.loc[step], float).tolist() for part, step in ends.items()}
    return judge(
        "rotation-through-training",
        [Measurement(f"exponent at step {ends[p]}", *span, part=p) for p, span in spans.items()],
        {
            "models": ", ".join(short_name(name) for name in tracked["model"].values),
            "data": str(given["corpus"]),
            "size": f"{given['tokens']:,} tokens a checkpoint",
        },
        size=given["tokens"] * tracked.sizes["model"],
    )


def inverse_law_sentence(frame: pd.DataFrame) -> str:
    """From which step on the estimated exponent stays in the range of an inverse law."""
    step = steady_from(frame, *INVERSE)
    last = frame.iloc[-1]
    low, high = INVERSE
    end = f"At the last checkpoint the exponent is {last.estimate:.2f} (95 % interval "
    end += f"{last.low:.2f} to {last.high:.2f})"
    if step is not None:
        return f"{end}; its estimate stays between {low} and {high} from step {step} on."
    apart = last.high < low or last.low > high
    reach = "and so does all of its interval" if apart else "but its interval reaches into it"
    return (
        f"{end}; the estimate lies outside the range of an inverse law, {low} to {high}, {reach}."
    )


def origin(tracked: xr.Dataset) -> str:
    """Where and on what a stored result was measured, in words."""
    stamp = json.loads(tracked.attrs["provenance"])
    given = stamp["parameters"]
    return (
        f"{tracked.sizes['model']} models at {tracked.sizes['step']} steps, "
        f"{given['tokens']:,} tokens of {given['corpus']} each, on {stamp['device']}, "
        f"{stamp['time'][:10]}, commit {stamp['commit']}. {alarm_sentence(tracked)}"
    )


def alarm_sentence(tracked: xr.Dataset) -> str:
    """Whether the checkpoints passed, in words."""
    if "alarm" in tracked.attrs:  # stored before its detours were
        return str(tracked.attrs["alarm"])
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


def evenness_sentence(tracked: xr.Dataset) -> str:
    """How even and how aligned the deepest model's middle layers were through training."""
    deepest = tracked.isel(model=int(tracked["ell"].isel(step=0).argmax("model")))
    even, cosine = (deepest[name].sel(bound="estimate") for name in ("participation", "cosine"))
    return (
        f"In the model of {int(deepest['ell'][0])} blocks the participation was "
        f"{float(even[0]):.2f} at the start, lowest ({float(even.min()):.2f}) at step "
        f"{int(even.idxmin())} and {float(even[-1]):.2f} at the last checkpoint; the mean cosine "
        f"of consecutive updates {float(cosine[0]):.2f}, highest ({float(cosine.max()):.2f}) at "
        f"step {int(cosine.idxmax())}, and {float(cosine[-1]):.2f}."
    )


def stored_training(name: str = "training_dynamics.nc") -> tuple[dict[str, xr.Dataset], str]:
    """A stored result by width, and where it comes from; none, and why, where there is none."""
    try:
        wide = read_netcdf(stored(name))
    except InputError as absent:
        return {}, f"not yet run ({absent})."
    return by_width(wide), origin(wide)


def live_sentences(tracked: xr.Dataset) -> dict[str, str]:
    """What a run says, for the prose: its models and steps, alarm, exponent and evenness."""
    return {
        "live-models": ", ".join(tracked["model"].values),
        "live-steps": str(tracked.sizes["step"]),
        "alarm": alarm_sentence(tracked),
        "onset": inverse_law_sentence(rotation_exponents(tracked)),
        "even": evenness_sentence(tracked),
    }
